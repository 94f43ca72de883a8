/** The workflows of a security case's builds: starts, watches and stops them. */
import { getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError, type SignalDefinition } from '@temporalio/common';
import { control } from '../activities.js';
import { callerOf } from '../call.js';
import type { fix } from '../chains/fix.js';
import { acceptSignal } from '../chains/rebuild-messages.js';
import { endOf } from './running-attempt.js';
import { approvedSignal, fixNews, sayAgainSignal, type FixInput, type FixNews } from './security-messages.js';
import { fixId } from './stream-messages.js';
import { onSignal } from '../messages.js';

export class RunningFixes {
  /** What was told and not yet looked at. */
  readonly news: FixNews[] = [];
  #own: number | undefined;

  constructor(
    readonly stream: string,
    readonly id: string,
  ) {
    // The end of an own child is known when that has really ended.
    onSignal(fixNews, (news) => {
      const ended = ['built', 'failed', 'cancelled'].includes(news.state);
      if (!ended || news.attempt !== this.#own) this.news.push(news);
    });
  }

  /** Starts its workflow, or finds it running. */
  async start(input: FixInput): Promise<void> {
    const { attempt } = input;
    try {
      const child = await startChild<typeof fix>('fix', {
        workflowId: this.#id(attempt),
        args: [input],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Build of security case ${this.stream} ${this.id}, attempt ${attempt}`,
      });
      this.#own = attempt;
      child.result().then(
        (result) => void this.news.push({ attempt, state: 'built', ...result }),
        (error: unknown) => void this.news.push({ attempt, ...endOf(error) }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  /** Asks the server how it stands, and a running one to tell it again: what was told while nobody listened is missed here. */
  async look(attempt: number): Promise<void> {
    const id = this.#id(attempt);
    const title = 'Check whether the build still runs';
    const end = await callerOf(this.stream).call('fix-end', title, control.rebuildEnd, { id, attempt });
    if (!end) return this.#signal(attempt, sayAgainSignal);
    const { state, build, commits, note } = end;
    const ended = state === 'testing' ? 'built' : state === 'cancelled' ? 'cancelled' : 'failed';
    this.news.push({ attempt, state: ended, build, commits, note });
  }

  async cancel(attempt: number): Promise<void> {
    await getExternalWorkflowHandle(this.#id(attempt))
      .cancel()
      .catch(() => undefined);
  }

  readonly approve = (attempt: number) => this.#signal(attempt, approvedSignal);
  readonly accept = (attempt: number) => this.#signal(attempt, acceptSignal);

  async #signal(attempt: number, signal: SignalDefinition): Promise<void> {
    await getExternalWorkflowHandle(this.#id(attempt))
      .signal(signal)
      .catch(() => undefined);
  }

  readonly #id = (attempt: number) => fixId(this.stream, this.id, attempt);
}
