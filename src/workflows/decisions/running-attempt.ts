/** The workflows of a promotion's attempts: starts, watches and stops them. */
import { getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import {
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import type { Attempt } from '../../domain/promotion.js';
import { control } from '../activities.js';
import { callerOf } from '../call.js';
import { describeFailure } from '../describe.js';
import { acceptSignal, rebuildNews, type RebuildNews } from '../chains/rebuild-messages.js';
import type { rebuild } from '../chains/rebuild.js';
import { rebuildId } from './stream-messages.js';
import { onSignal } from '../messages.js';

export class RunningAttempts {
  /** What was told and not yet looked at. */
  readonly news: RebuildNews[] = [];
  #own: number | undefined;

  constructor(
    readonly stream: string,
    readonly build: string,
  ) {
    // The end of an own child is known when that has really ended.
    onSignal(rebuildNews, (news) => {
      const ended = news.state !== 'began' && news.state !== 'differs';
      if (!ended || news.attempt !== this.#own) this.news.push(news);
    });
  }

  /** Starts its workflow, or finds it running. */
  async start({ number, kind, reuse = true, changes }: Attempt, onto: string | null): Promise<void> {
    try {
      const child = await startChild<typeof rebuild>('rebuild', {
        workflowId: this.#id(number),
        args: [
          {
            ...{ stream: this.stream, build: this.build, attempt: number, kind, onto, reuse },
            ...(changes === undefined ? {} : { changes }),
          },
        ],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Signed rebuild of ${this.stream} ${this.build}, attempt ${number}`,
      });
      this.#own = number;
      child.result().then(
        (result) => void this.news.push({ attempt: number, state: 'testing', ...result }),
        (error: unknown) => void this.news.push({ attempt: number, ...endOf(error) }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  /** Asks the server how it stands: what was told while nobody listened is missed here. */
  async look(number: number): Promise<void> {
    const about = { id: this.#id(number), attempt: number };
    const title = 'Check whether the rebuild still runs';
    const end = await callerOf(this.stream).call('rebuild-end', title, control.rebuildEnd, about);
    if (end) this.news.push(end);
  }

  async cancel(number: number): Promise<void> {
    await getExternalWorkflowHandle(this.#id(number))
      .cancel()
      .catch(() => undefined);
  }

  async accept(number: number): Promise<void> {
    await getExternalWorkflowHandle(this.#id(number))
      .signal(acceptSignal)
      .catch(() => undefined);
  }

  readonly #id = (number: number) => rebuildId(this.stream, this.build, number);
}

/** How a child has ended that did not end well. */
export function endOf(error: unknown): { readonly state: 'failed' | 'cancelled'; readonly note?: string } {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof CancelledFailure) return { state: 'cancelled' };
  if (cause instanceof TerminatedFailure) return { state: 'failed', note: 'its workflow was terminated' };
  const { code, message } = describeFailure(cause);
  return { state: 'failed', note: `${code}: ${message}` };
}
