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

/** One that has vanished is looked for this often. */
const lookEvery = '1h';

export class RunningRelease {
  #ended: { failure?: string | undefined } | undefined;
  // The end of an own child is known when that has really ended; what it signals before may be of another try.
  #mine = false;

  constructor(readonly stream: string) {
    onSignal(releaseEnded, (end) => {
      if (!this.#mine) this.#ended = end;
    });
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
    this.#mine = false;
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
      this.#mine = true;
      this.#ended = undefined;
      child.result().then(
        () => void (this.#ended = {}),
        (error: unknown) => void (this.#ended = { failure: whyEnded(error) }),
      );
    } catch (error) {
      // It runs already, and says itself how it ended: who waits for it was lost meanwhile.
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

  /** Waits for something of the release; one that was terminated says nothing any more, and is missed here. */
  async #until(id: string, what: () => boolean): Promise<void> {
    while (!(await condition(what, lookEvery))) {
      const title = 'Check whether the release still runs';
      const running = await callerOf(this.stream).call('running', title, control.running, { ids: [id] });
      if (running.length === 0) this.#ended ??= { failure: 'its workflow was gone' };
    }
  }
}

/** Why a release ended that has released nothing. */
function whyEnded(error: unknown): string {
  if (isCancellation(error)) return 'cancelled before anything was visible';
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof TerminatedFailure) return 'its workflow was terminated';
  const { code, message } = describeFailure(cause);
  return `${code}: ${message}`;
}
