/** The release that a promotion or a security case runs: starts it, or finds it running, and waits for its end. */
import {
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import {
  ChildWorkflowFailure,
  TerminatedFailure,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import { control } from '../activities.js';
import { callerOf } from '../call.js';
import { describeFailure } from '../describe.js';
import type { release } from '../chains/release.js';
import type { ReleaseInput } from '../chains/release-messages.js';
import { releaseEnded } from './signals.js';
import { releaseId } from './stream-messages.js';
import { onSignal } from '../messages.js';

/** Milliseconds: one that has vanished is looked for this often; of one that is said to end the server is asked so soon, then ever later. */
const [lookEvery, lookSoon] = [3_600_000, 2000];

export class RunningRelease {
  #ended: { failure?: string | undefined } | undefined;
  /** Somebody says that it ends. */
  #ends = false;

  constructor(readonly stream: string) {
    onSignal(releaseEnded, () => void (this.#ends = true));
  }

  /**
   * Runs the release to its end; answers why it has failed, if so. Once too few `people` want it, it is cancelled; past its point of no
   * return it goes on.
   */
  async run(
    input: ReleaseInput,
    people: { objects(ended: () => boolean): Promise<boolean> },
  ): Promise<string | undefined> {
    let [against, ended] = [false, false];
    const listening = people.objects(() => ended).then((object) => void (against = object));
    const failure = await this.#run(input, () => against);
    ended = true;
    await listening;
    return failure;
  }

  async #run(input: ReleaseInput, against: () => boolean): Promise<string | undefined> {
    this.#ended = undefined;
    const { build } = input;
    const workflowId = releaseId(this.stream, build);
    try {
      const child = await startChild<typeof release>('release', {
        workflowId,
        args: [input],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Release of ${this.stream} ${build}`,
      });
      child.result().then(
        () => void (this.#ended = {}),
        (error: unknown) => void (this.#ended = { failure: whyEnded(error) }),
      );
    } catch (error) {
      // It runs already: who waits for it was lost meanwhile.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    await this.#until(workflowId, () => this.#end() !== undefined || against());
    if (!this.#end() && against()) {
      await getExternalWorkflowHandle(workflowId)
        .cancel()
        .catch(() => undefined);
      await this.#until(workflowId, () => this.#end() !== undefined);
    }
    return this.#end()?.failure;
  }

  /** It changes while `run` waits. */
  #end(): { failure?: string | undefined } | undefined {
    return this.#ended;
  }

  /** Waits for something of the release; one that is no child, or was terminated, is looked for. */
  async #until(id: string, what: () => boolean): Promise<void> {
    const calls = callerOf(this.stream);
    for (let pause = lookEvery; ; pause = Math.min(pause * 2, lookEvery)) {
      await condition(() => what() || this.#ends, pause);
      if (this.#ends) {
        this.#ends = false;
        pause = lookSoon;
        await condition(what, pause);
      }
      if (what()) return;
      const title = 'Check whether the release still runs';
      const end = await calls.call('release-end', title, control.workflowEnd, { id });
      if (end) this.#ended ??= end.state === 'completed' ? {} : { failure: end.note ?? cancelled };
    }
  }
}

const cancelled = 'cancelled before anything was visible';

/** Why a release ended that has released nothing. */
function whyEnded(error: unknown): string {
  if (isCancellation(error)) return cancelled;
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof TerminatedFailure) return 'its workflow was terminated';
  const { code, message } = describeFailure(cause);
  return `${code}: ${message}`;
}
