/** The command line's side of the stream workflow: what it answers, and the updates that it takes. */
import {
  ServiceError,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
} from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { failureKinds, type FailureCode } from '../domain/failures.js';
import type { StreamView } from '../domain/promotion.js';
import {
  streamId,
  type Answer,
  type DecideRequest,
  type PromoteRequest,
  type RetryRequest,
  type ReworkRequest,
} from '../workflows/decisions/stream-messages.js';
import { entityOptions } from '../schedules/entities.js';
import { CliError, clean, exitCodes } from './output.js';

export interface Updates {
  promote: PromoteRequest;
  decide: DecideRequest;
  retry: RetryRequest;
  checkRework: ReworkRequest;
}

/** A worker that is up answers in milliseconds; on a builder whose processors are all at work it takes seconds. */
const queryMs = 15_000;
const sayWaitingMs = 8000;

/** What the stream workflow says. Throws `CliError` where there is none yet, or no worker answers for it. */
export async function needView(client: Client, stream: string): Promise<StreamView> {
  try {
    return await client.withDeadline(Date.now() + queryMs, () =>
      client.workflow.getHandle(streamId(stream)).query<StreamView>('view'),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError)
      throw new CliError(
        `${stream}: nothing was proposed or released yet. \`treeline promote ${stream} BUILD\` proposes a build.`,
        exitCodes.notFound,
      );
    if (error instanceof ServiceError)
      throw new CliError(
        `${stream}: no worker answers. Start one with \`treeline up\` or \`treeline worker\`.`,
      );
    throw error;
  }
}

/**
 * Sends an update to the stream workflow and waits for its answer; starts the workflow where it is not running. With an `id` the
 * same request sent again is one. Throws `CliError` for a refusal.
 */
export async function sendUpdate<U extends keyof Updates>(
  client: Client,
  stream: string,
  update: U,
  request: Updates[U],
  id?: string,
): Promise<Answer> {
  const timer = setTimeout(
    () => console.error('waiting for a worker of the role `control`: start one with `treeline up` …'),
    sayWaitingMs,
  );
  try {
    return await client.workflow.executeUpdateWithStart<() => Promise<void>, Answer, [Updates[U]]>(update, {
      args: [request],
      ...(id === undefined ? {} : { updateId: id }),
      startWorkflowOperation: new WithStartWorkflowOperation('stream', entityOptions(stream)),
    });
  } catch (error) {
    throw refusalOf(error, stream);
  } finally {
    clearTimeout(timer);
  }
}

/** A refused update as a message: code, reason, remedy. Other errors stay what they are. */
export function refusalOf(error: unknown, stream: string): unknown {
  if (!(error instanceof WorkflowUpdateFailedError)) return error;
  const { cause } = error;
  const failure = cause instanceof ActivityFailure ? cause.cause : cause;
  if (!(failure instanceof ApplicationFailure))
    return new CliError(clean(`${stream}: ${failure?.message ?? error.message}`));
  const code = failure.type ?? 'CommandFailed';
  const remedy = Object.hasOwn(failureKinds, code) ? failureKinds[code as FailureCode].remedy : undefined;
  const text = `${stream}: ${code}: ${failure.message}`;
  return new CliError(clean(remedy === undefined ? text : `${text}\n${remedy}`), exitCodes.failed);
}
