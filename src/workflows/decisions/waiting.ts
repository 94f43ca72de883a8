/**
 * How promotions and security cases wait for people: they sleep until somebody has signed something, a child has told something, their turn
 * has come or a date is reached, then have the archive of signed statements judged. Nothing is counted in a workflow.
 */
import { condition, isCancellation } from '@temporalio/workflow';
import type { Rules } from '../../activities/decide.js';
import { callerOf, type Caller } from '../call.js';
import { describeFailure } from '../describe.js';
import { onSignal } from '../messages.js';
import { retrySignal, spokenSignal } from './signals.js';

export abstract class Waiting<Judged> {
  readonly calls: Caller;
  /** What the stream file says, when it was last read. */
  rules: Rules | undefined;
  /** Absent while nobody can tell what is decided. */
  protected judged: Judged | undefined;
  /** Something was said, or has happened, since it was last judged. */
  protected stale = true;
  /** Somebody asks for another try of what has failed. */
  protected retry = false;
  /** The turn that was last taken or given back. */
  protected answered: string | undefined;
  #doubt: { readonly until: number; readonly note: string } | undefined;

  protected constructor(
    readonly stream: string,
    /** Milliseconds: rules that could not be read are read again after so long, and a child that tells nothing is looked for. */
    readonly lookAgain: number,
  ) {
    this.calls = callerOf(stream);
  }

  /** Hears what is said. Last in a constructor: what was signalled before comes at once. */
  protected listen(): void {
    onSignal(spokenSignal, ({ current }) => {
      this.stale = true;
      this.moved(current);
    });
    onSignal(retrySignal, () => void (this.retry = this.hasFailed));
  }

  /** This is the current release. */
  protected abstract moved(current: string | null): void;
  protected abstract readonly hasFailed: boolean;
  /** Has the archive judged. */
  protected abstract ask(): Promise<Judged & { readonly rules: Rules }>;
  /** Takes in what is decided. */
  protected abstract take(judged: Judged, rules: Rules): void;
  /** What waits for a release waits for people again: nothing is released on rules that nobody knows. */
  protected abstract doubt(note: string): void;
  /** Is what is being released still what enough people want? */
  protected abstract wanted(judged: Judged): boolean;
  /** Has nothing come that was not looked at? */
  protected abstract quiet(): boolean;
  /** Tells the stream's workflow, and who looks. */
  abstract tellOf(): Promise<void>;

  async judge(): Promise<void> {
    this.stale = false;
    try {
      const { rules, ...judged } = await this.ask();
      this.rules = rules;
      this.judged = judged as Judged;
      this.take(this.judged, rules);
      this.#doubt = undefined;
    } catch (error) {
      if (isCancellation(error)) throw error;
      // Such as a stream file that is wrong at the moment.
      const note = `which approvals count? ${describeFailure(error).message}`;
      this.#doubt = { until: Date.now() + this.lookAgain, note };
      this.judged = undefined;
      this.doubt(note);
    }
  }

  /** The note without what was in doubt before. */
  protected cleared(note: string | undefined): string | undefined {
    return note === this.#doubt?.note ? undefined : note;
  }

  /** While its release runs: answers true once too few people want it, false when it has ended. */
  async objects(ended: () => boolean): Promise<boolean> {
    for (;;) {
      await condition(() => this.stale || ended());
      if (ended()) return false;
      await this.judge();
      await this.tellOf();
      if (this.judged !== undefined && !this.wanted(this.judged)) return true;
    }
  }

  /** Until something comes, or the first of these dates is reached (in milliseconds); answers whether something came. */
  protected async sleep(...dates: readonly number[]): Promise<boolean> {
    const until = Math.min(this.#doubt?.until ?? Infinity, ...dates);
    const woken = await (until === Infinity
      ? condition(() => !this.quiet()).then(() => true)
      : condition(() => !this.quiet(), Math.max(until - Date.now(), 1)));
    // Rules may have changed meanwhile.
    if (!woken) this.stale = true;
    return woken;
  }
}
