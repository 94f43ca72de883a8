/**
 * How promotions and security cases wait for people: they sleep until somebody has signed something, a child has told something, their turn
 * has come or a date is reached, then have the archive of signed statements judged, and say what is to be done. Nothing is counted in a
 * workflow. Who is asked for something is told once, then reminded.
 */
import {
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Rules } from '../../activities/decide.js';
import type { SigArgs } from '../../domain/inputs.js';
import { phaseAttribute } from '../../search-attributes.js';
import { publish } from '../activities.js';
import { callerOf, type Caller, type Input } from '../call.js';
import { describeFailure } from '../describe.js';
import { isLong } from '../history.js';
import { onSignal } from '../messages.js';
import { retrySignal, spokenSignal, type Turn } from './signals.js';
import { streamId } from './stream-messages.js';

/** What a kind of waiting is about. */
interface Kind {
  /** What it knows of itself, as the stream knows it too. */
  readonly me: { readonly phase: string; readonly note?: string | undefined };
  readonly judged: object;
  /** What its builds tell. */
  readonly news: object;
  readonly turn: Turn;
  /** What is to be done. */
  readonly next: { readonly what: string };
}

/** What people are asked for. */
export interface Asks {
  /** With another key something else is asked for. */
  readonly key: string;
  /** Milliseconds since 1970; absent: since it is first seen. */
  readonly since?: number;
  /** Milliseconds between reminders. */
  readonly every: number;
  /** Tells them once. */
  readonly begin?: () => void;
  /** Reminds them for the n-th time. */
  readonly again: (n: number) => void;
}

/** Mails that could not be sent within this time are given up: the next reminder comes. */
const tellLimit = { scheduleToCloseTimeout: '1h', retry: { maximumAttempts: 5 } } as const;

export abstract class Waiting<K extends Kind> {
  readonly calls: Caller;
  /** What the stream file says, when it was last read. */
  rules: Rules | undefined;
  /** The build that runs as a child of this workflow: its end is known when it has really ended. */
  own: number | undefined;
  /** What builds have told and was not looked at. */
  readonly news: K['news'][] = [];
  /** Absent while nobody can tell what is decided. */
  protected judged: K['judged'] | undefined;
  /** Something was said, or has happened, since it was last judged. */
  protected stale = true;
  /** Somebody asks for another try of what has failed. */
  protected retry = false;
  protected turn: K['turn'] | undefined;
  /** The turn that was last taken or given back. */
  protected answered: string | undefined;
  /** What people were last asked for, and since when. */
  protected asked: { readonly key: string; readonly since: number } | undefined;
  protected readonly entity;
  readonly #telling = new Set<Promise<unknown>>();
  #doubt: { readonly until: number; readonly note: string } | undefined;
  #reminded: number | undefined;
  #remindAt = Infinity;

  protected constructor(
    readonly stream: string,
    public me: K['me'],
    /** Milliseconds: rules that could not be read are read again after so long, and a build that tells nothing is looked for. */
    readonly lookAgain: number,
  ) {
    this.calls = callerOf(stream);
    this.entity = getExternalWorkflowHandle(streamId(stream));
  }

  /** Hears what is said. Last in a constructor: what was signalled before comes at once. */
  protected listen(): void {
    onSignal(spokenSignal, ({ current }) => {
      this.stale = true;
      this.moved(current);
    });
    onSignal(retrySignal, () => void (this.retry = this.me.phase === 'failed'));
  }

  /** This is the current release. */
  protected abstract moved(current: string | null): void;
  /** Has the archive judged. */
  protected abstract ask(): Promise<K['judged'] & { readonly rules: Rules }>;
  /** Takes in what is decided. */
  protected abstract take(judged: K['judged'], rules: Rules): void;
  /** Takes in what a build has told. */
  protected abstract heard(news: K['news']): void;
  /** Where it waits for people. */
  protected abstract readonly waits: K['me']['phase'];
  /** Is what is being released still what enough people want? */
  protected abstract wanted(judged: K['judged']): boolean;
  /** What is to be done besides a release. */
  protected abstract wish(): K['next'] | undefined;
  /** It is its turn, and it is ready. */
  protected abstract go(turn: K['turn']): K['next'];
  /** Does a build of its own run? */
  protected abstract readonly builds: boolean;
  protected abstract asks(): Asks | undefined;
  /** Dates at which something changes, in milliseconds. */
  protected abstract dates(): readonly number[];
  protected abstract continueAsNew(): Promise<never>;
  /** For those who look at the workflow. */
  protected abstract details(): string;
  protected abstract tellStream(): Promise<void>;

  /** Waits until there is something to do; `look`: look for its build. */
  async decides(): Promise<K['next'] | { readonly what: 'look' }> {
    for (;;) {
      if (this.stale || this.news.length > 0 || this.retry) await this.judge();
      const next = this.#next();
      // What is done changes what is asked: it is judged again then.
      this.stale ||= next !== undefined;
      if (next) return next;
      await this.tellOf();
      // Many reminders make a long history.
      if (isLong() && this.quiet() && this.#telling.size === 0) await this.continueAsNew();
      this.#remind();
      const look = this.builds ? Date.now() + this.lookAgain : Infinity;
      if (!(await this.#sleep(look)) && Date.now() >= look) return { what: 'look' };
    }
  }

  async judge(): Promise<void> {
    this.takeNews();
    this.stale = false;
    try {
      const { rules, ...judged } = await this.ask();
      this.rules = rules;
      this.judged = judged;
      this.take(this.judged, rules);
      this.#doubt = undefined;
    } catch (error) {
      if (isCancellation(error)) throw error;
      // Such as a stream file that is wrong at the moment: nothing is released on rules that nobody knows.
      const note = `which approvals count? ${describeFailure(error).message}`;
      this.#doubt = { until: Date.now() + this.lookAgain, note };
      this.judged = undefined;
      this.set({ note, phase: this.me.phase === 'ready' ? this.waits : this.me.phase });
    }
  }

  /** The note without what was in doubt before. */
  protected cleared(note: string | undefined): string | undefined {
    return note === this.#doubt?.note ? undefined : note;
  }

  /** Takes in what builds have told. */
  takeNews(): void {
    for (let news = this.news.shift(); news; news = this.news.shift()) {
      this.stale = true;
      this.heard(news);
    }
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

  #next(): K['next'] | undefined {
    const next = this.wish();
    // Its turn is taken, or given back.
    const { turn } = this;
    this.turn = undefined;
    if (turn) this.answered = turn.turn;
    return next ?? (turn && this.me.phase === 'ready' ? this.go(turn) : undefined);
  }

  set(change: Partial<K['me']>): void {
    this.me = { ...this.me, ...change };
  }

  async become(change: Partial<K['me']>): Promise<void> {
    this.set(change);
    await this.tellOf();
  }

  /** Tells the stream's workflow, and who looks. One that is away for good is started again by `treeline apply`, and asks then. */
  async tellOf(): Promise<void> {
    upsertSearchAttributes([{ key: phaseAttribute, value: this.me.phase }]);
    const { note } = this.me;
    setCurrentDetails(`${this.details()}${note === undefined ? '' : `\n\n${note}`}`);
    await this.tellStream().catch(() => undefined);
  }

  /** Tells people something. Nothing waits for it: a mail server may be away. */
  protected send(step: string, title: string, news: Input<SigArgs>): void {
    const sent: Promise<unknown> = this.calls
      .call(step, title, publish.tellSig, news, tellLimit)
      .catch(() => undefined)
      .then(() => this.#telling.delete(sent));
    this.#telling.add(sent);
  }

  /** Ends when all that is to be told is told. */
  async silent(): Promise<void> {
    while (this.#telling.size > 0) await Promise.all(this.#telling);
  }

  /** Tells people what they are asked for, once, then at each interval. What was due before it began is not made up for. */
  #remind(): void {
    const asks = this.asks();
    if (asks?.key !== this.asked?.key) {
      this.asked = asks && { key: asks.key, since: asks.since ?? Date.now() };
      this.#reminded = undefined;
      asks?.begin?.();
    }
    this.#remindAt = Infinity;
    if (!asks || !this.asked) return;
    const due = Math.floor((Date.now() - this.asked.since) / asks.every);
    // Nobody knows yet how often, while the rules cannot be read.
    this.#reminded ??= this.rules ? due : 0;
    if (due > this.#reminded) asks.again(due);
    this.#reminded = Math.max(due, this.#reminded);
    this.#remindAt = this.asked.since + asks.every * (this.#reminded + 1);
  }

  /** Has nothing come that was not looked at? */
  protected quiet(): boolean {
    return !this.stale && !this.turn && !this.retry && this.news.length === 0;
  }

  /** Until something comes, or a date is reached; answers whether something came. */
  async #sleep(look: number): Promise<boolean> {
    const until = Math.min(this.#doubt?.until ?? Infinity, this.#remindAt, look, ...this.dates());
    const woken = await (until === Infinity
      ? condition(() => !this.quiet()).then(() => true)
      : condition(() => !this.quiet(), Math.max(until - Date.now(), 1)));
    // Rules may have changed meanwhile.
    if (!woken) this.stale = true;
    return woken;
  }
}
