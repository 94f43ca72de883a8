/** What scheduled looks share. Each stands for itself: what one could not do, the next one does. */
import { ApplicationFailure } from '@temporalio/common';
import {
  ActivityCancellationType,
  getExternalWorkflowHandle,
  isCancellation,
  type SignalDefinition,
} from '@temporalio/workflow';
import { streamId } from '../decisions/stream-messages.js';

/** Limits of a look's steps, but for the total time: the next look does again what this one gave up. */
export const lookLimits = {
  heartbeatTimeout: '20s',
  startToCloseTimeout: '2m',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '5s', backoffCoefficient: 2, maximumInterval: '2m' },
} as const;

/** Things that a look does one by one: one that fails does not keep the others from being done. */
export class Attempts {
  readonly #failures: unknown[] = [];

  /** Was it done? Keeps a failure for the end. */
  async do(work: Promise<unknown>): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.#failures.push(error);
      return false;
    }
  }

  /** Fails as the first one that failed. */
  end(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
  }
}

/** Signals the stream workflow. `what` was not told if there is none. Fails with StreamInvalid. */
export async function signalStream<A extends unknown[]>(
  stream: string,
  signal: SignalDefinition<A>,
  args: A,
  what: string,
): Promise<void> {
  try {
    await getExternalWorkflowHandle(streamId(stream)).signal(signal, ...args);
  } catch (error) {
    if (isCancellation(error)) throw error;
    throw ApplicationFailure.nonRetryable(
      `${what}: there is no workflow ${streamId(stream)}: run \`treeline apply\``,
      'StreamInvalid',
    );
  }
}
