/** The workflows of a promotion's attempts: starts, watches and stops them. */
import { condition, getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import {
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import type { WorkflowEnd } from '../../activities/view.js';
import type { Attempt } from '../../domain/promotion.js';
import type { Decided } from '../../domain/promotion-judgement.js';
import { control } from '../activities.js';
import { acceptSignal, type RebuildNews } from '../chains/rebuild-messages.js';
import type { rebuild } from '../chains/rebuild.js';
import { describeFailure } from '../describe.js';
import { isRunning, lastAttempt, nextAttempt } from './attempts.js';
import type { Sig } from './sig.js';
import { rebuildId } from './stream-messages.js';

/** One that was cancelled is looked for this often. */
const lookAfterCancel = '1m';

export class RunningAttempts {
  constructor(readonly sig: Sig) {}

  /** Begins the next attempt, as enough approvers have asked for it; the first without `asked`. */
  async begin(asked?: Decided): Promise<void> {
    const { sig } = this;
    const { me, rules } = sig;
    const attempt = nextAttempt(me, new Date().toISOString(), asked);
    const missing = rules?.approvers.map(({ name }) => name) ?? me.missing;
    await sig.become({
      ...{ phase: 'rebuilding', votes: {}, missing, note: undefined, unfixed: undefined },
      attempts: [...(me.attempts ?? []), attempt],
    });
    await this.#start(attempt);
  }

  /** Cancels the last attempt and waits until it has really ended. */
  async stop(why: string): Promise<void> {
    const { sig } = this;
    sig.takeNews();
    const last = lastAttempt(sig.me);
    if (!last || !isRunning(last)) return;
    await sig.become({ note: `attempt ${last.number} is being stopped: ${why}` });
    await this.#handle(last.number)
      .cancel()
      .catch(() => undefined);
    for (sig.takeNews(); isRunning(lastAttempt(sig.me)); sig.takeNews())
      if (!(await condition(() => sig.news.length > 0, lookAfterCancel))) await this.look();
  }

  /** Its differences are accepted: it looks at the statements itself. */
  async accept(by: readonly string[]): Promise<void> {
    const { me } = this.sig;
    const last = lastAttempt(me);
    if (!last) return;
    const attempt: Attempt = {
      ...last,
      state: 'running',
      note: `its differences are accepted by ${by.join(', ')}`,
    };
    await this.sig.become({ attempts: me.attempts?.with(-1, attempt) });
    await this.#handle(last.number)
      .signal(acceptSignal)
      .catch(() => undefined);
  }

  /** Asks the server how it stands: what was told while nobody listened is missed here. */
  async look(): Promise<void> {
    const last = lastAttempt(this.sig.me);
    if (!last || !isRunning(last)) return;
    const title = 'Check whether the rebuild still runs';
    const id = this.#id(last.number);
    const end = await this.sig.calls.call('rebuild-end', title, control.workflowEnd, { id });
    if (end) this.sig.news.push({ attempt: last.number, ...endNews(end, 'testing') });
  }

  /** Starts its workflow, or finds it running. */
  async #start({ number, kind, reuse = true, changes }: Attempt): Promise<void> {
    const { sig } = this;
    const { stream } = sig;
    const { build, onto, attemptsBefore = 0 } = sig.me;
    const told = (news: Omit<RebuildNews, 'attempt'>) => void sig.news.push({ attempt: number, ...news });
    try {
      const child = await startChild<typeof rebuild>('rebuild', {
        workflowId: this.#id(number),
        args: [
          {
            ...{ stream, build, attempt: number, kind, onto, reuse, since: attemptsBefore + 1 },
            ...(changes ? { changes } : {}),
          },
        ],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Signed rebuild of ${stream} ${build}, attempt ${number}`,
      });
      sig.own = number;
      child.result().then(
        (result) => told({ state: 'testing', ...result }),
        (error: unknown) => told(endOf(error)),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  readonly #id = (number: number) => rebuildId(this.sig.stream, this.sig.me.build, number);
  readonly #handle = (number: number) => getExternalWorkflowHandle(this.#id(number));
}

/** What a workflow that has ended would have told; `well`: of one that has completed. */
export function endNews<W extends string>({ state, made, note }: WorkflowEnd, well: W) {
  if (state !== 'completed') return { state, note } as const;
  return made ? { state: well, ...made } : ({ state: 'failed', note: 'it has made nothing' } as const);
}

/** How a child has ended that did not end well. */
export function endOf(error: unknown): { readonly state: 'failed' | 'cancelled'; readonly note?: string } {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof CancelledFailure) return { state: 'cancelled' };
  if (cause instanceof TerminatedFailure) return { state: 'failed', note: 'its workflow was terminated' };
  const { code, message } = describeFailure(cause);
  return { state: 'failed', note: `${code}: ${message}` };
}
