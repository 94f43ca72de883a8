/** What a security case knows while it waits for its group: what is to be done next, whom it reminds, and what the stream is told. */
import { continueAsNew, getExternalWorkflowHandle, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { Rules } from '../../activities/decide.js';
import type { CaseJudgement } from '../../domain/case-judgement.js';
import { isOpenCase, type SecurityCase } from '../../domain/security.js';
import { phaseAttribute, streamAttribute } from '../../search-attributes.js';
import { control, publish } from '../activities.js';
import { isLong } from '../history.js';
import { onSignal } from '../messages.js';
import { asksFor, counted, isBuilding, joined, phaseOf, subjectOf, withNews } from './cases.js';
import {
  baseMovedSignal,
  caseChanged,
  caseTurn,
  fixNews,
  joinSignal,
  type CaseTurn,
  type FixNews,
  type FixState,
  type SecurityInput,
} from './security-messages.js';
import { streamId } from './stream-messages.js';
import { Waiting } from './waiting.js';

/** Milliseconds. */
const lookAgain = 600_000;
/** Mails that could not be sent within this time are given up: the next reminder comes. */
const tellLimit = { scheduleToCloseTimeout: '1h', retry: { maximumAttempts: 5 } } as const;

/** What is to be done next. */
export type Next =
  /** Another build, from the current release; `why`, if it is not the first. */
  | { readonly what: 'build'; readonly why?: string }
  | { readonly what: 'approve' | 'accept' | 'look' }
  | { readonly what: 'release'; readonly accepted: string }
  | { readonly what: 'end'; readonly why: string };

export class Case extends Waiting<CaseJudgement> {
  me: SecurityCase;
  /** How its last build stands. */
  fix: FixState | undefined;
  /** The build that runs as a child of this workflow: its end is known when it has really ended. */
  own: number | undefined;
  /** What builds have told and was not looked at. */
  readonly news: FixNews[] = [];
  #turn: CaseTurn | undefined;
  #moved: string | null | undefined;
  #joined = false;
  /** Words that its build was last told of: it looks at the statements itself. */
  #signalled = '';
  /** Of what it asks people for they are told once, then reminded. */
  #asked: string | undefined;
  #remindAt = Infinity;
  readonly #telling = new Set<Promise<unknown>>();
  readonly #entity;

  constructor({ stream, case: start, fix }: SecurityInput) {
    super(stream, lookAgain);
    this.me = start;
    this.fix = fix ?? (start.attempt > 0 ? 'running' : undefined);
    this.#entity = getExternalWorkflowHandle(streamId(stream));
    onSignal(caseTurn, (turn) => {
      this.#turn = turn;
      this.stale = true;
    });
    onSignal(baseMovedSignal, ({ current }) => void (this.#moved = current));
    onSignal(joinSignal, (found) => {
      this.me = joined(this.me, found);
      this.#joined = true;
    });
    onSignal(fixNews, (news) => {
      const ended = ['built', 'failed', 'cancelled'].includes(news.state);
      if (!ended || news.attempt !== this.own) this.news.push(news);
    });
    upsertSearchAttributes([{ key: streamAttribute, value: stream }]);
    this.listen();
  }

  /** Waits until there is something to do. */
  async decides(): Promise<Next> {
    for (;;) {
      if (isLong() && this.quiet() && this.#telling.size === 0)
        await continueAsNew<(input: SecurityInput) => Promise<SecurityCase>>({
          ...{ stream: this.stream, case: this.me, fix: this.fix },
        });
      if (this.stale || this.news.length > 0 || this.retry) await this.judge();
      const next = this.#next();
      if (next) return next;
      await this.tellOf();
      this.#tellGroup();
      const wait = this.me.attempt === 0 && this.rules ? this.#joinUntil : Infinity;
      const look = isBuilding(this.fix) ? Date.now() + lookAgain : Infinity;
      if (!(await this.sleep(this.#remindAt, wait, look)) && Date.now() >= look) return { what: 'look' };
    }
  }

  override async judge(): Promise<void> {
    this.takeNews();
    await super.judge();
  }

  protected get hasFailed(): boolean {
    return this.me.phase === 'failed';
  }

  protected ask() {
    const { id, openedBy, plan, buildCommits, srpms } = this.me;
    return this.calls.call('judge-case', 'Read what the security group has decided', control.judgeCase, {
      case: { id, openedBy, plan, buildCommits, srpms },
    });
  }

  protected take(judged: CaseJudgement, rules: Rules): void {
    this.me = counted({ ...this.me, note: this.cleared(this.me.note) }, judged, rules, new Date().toISOString());
    if (this.me.attempt === 0 || !isOpenCase(this.me.phase) || this.me.phase === 'releasing') return;
    // A release that has failed waits for a retry, although its build is there.
    if (this.me.phase === 'failed' && this.fix === 'built' && !this.retry) return;
    this.me = { ...this.me, phase: phaseOf(this.fix, judged.approved) };
  }

  protected doubt(note: string): void {
    this.me = { ...this.me, note, phase: this.me.phase === 'ready' ? 'waiting' : this.me.phase };
  }

  protected wanted({ ended, approved }: CaseJudgement): boolean {
    return ended === undefined && approved;
  }

  #next(): Next | undefined {
    const { me, judged, fix } = this;
    const { retry } = this;
    this.retry = false;
    if (judged?.ended !== undefined) return { what: 'end', why: judged.ended };
    // Built while nobody listened, and what was planned is not known.
    if (fix === 'built' && !me.plan) return { what: 'build', why: 'what was planned is not known' };
    const joins = this.#joined;
    this.#joined = false;
    if (me.attempt === 0) {
      const waits = me.openedBy === 'watch' && Date.now() < this.#joinUntil;
      return this.rules && !waits ? { what: 'build' } : undefined;
    }
    if (joins) return { what: 'build', why: 'another advisory has joined: it is built and approved again' };
    const moved = this.#moved;
    this.#moved = undefined;
    if (moved !== undefined && moved !== me.plan?.base) return { what: 'build', why: onto(moved) };
    const told = this.#tellsBuild(judged);
    if (told) return told;
    if (this.#turn) return this.#myTurn(this.#turn);
    // A build that the release location does not take is of no use.
    return retry && (fix !== 'built' || me.note?.startsWith('HeadMoved'))
      ? { what: 'build', why: 'is tried again' }
      : undefined;
  }

  /** Its build is told once of each new word. */
  #tellsBuild(judged: CaseJudgement | undefined): Next | undefined {
    const { fix } = this;
    const word = `${this.me.attempt} ${fix ?? ''} ${this.me.approvals.map(({ nonce }) => nonce).join()}`;
    if (!judged || word === this.#signalled) return undefined;
    const what =
      fix === 'differs' && judged.accepted
        ? 'accept'
        : (fix === 'running' || fix === 'waits') && judged.approved
          ? 'approve'
          : undefined;
    if (!what) return undefined;
    this.#signalled = word;
    return { what };
  }

  /** It takes its turn, or gives it back; on another release it is built again. */
  #myTurn({ current, accepted, turn }: CaseTurn): Next | undefined {
    this.#turn = undefined;
    this.answered = turn;
    if (this.me.phase !== 'ready') return undefined;
    return current !== null && current === this.me.plan?.base
      ? { what: 'release', accepted: accepted ?? current }
      : { what: 'build', why: onto(current) };
  }

  async become(change: Partial<SecurityCase>): Promise<void> {
    this.me = { ...this.me, ...change };
    await this.tellOf();
  }

  async tellOf(): Promise<void> {
    const { me, stream } = this;
    upsertSearchAttributes([{ key: phaseAttribute, value: me.phase }]);
    setCurrentDetails(
      `**${stream} ${me.id}** · ${subjectOf(me)} · ${me.phase} · ${me.approvals.length} of ${me.needed} approvals${me.note === undefined ? '' : `\n\n${me.note}`}`,
    );
    // A stream workflow that is away for good is started again by `treeline apply`, and asks then.
    await this.#entity.signal(caseChanged, me, this.answered).catch(() => undefined);
  }

  /** Tells the security group, and the SIG unless nobody else may know. Nothing waits for it: a mail server may be away. */
  tell(event: string, text: string, everybody = true): void {
    const { me } = this;
    const [subject = ''] = text.split('\n');
    const told = { event, key: `${event}-${me.id}-${Date.now()}`, subject, text };
    const audiences = everybody && !me.embargoed ? (['security', 'sig'] as const) : (['security'] as const);
    for (const audience of audiences) {
      const sent: Promise<unknown> = this.calls
        .call('tell-security', `Tell people: ${event}`, publish.tellSig, { ...told, audience }, tellLimit)
        .catch(() => undefined)
        .then(() => this.#telling.delete(sent));
      this.#telling.add(sent);
    }
  }

  /** Ends when all that is to be told is told. */
  async silent(): Promise<void> {
    await Promise.all(this.#telling);
  }

  /** Takes in what its build has told. */
  takeNews(): void {
    for (let news = this.news.shift(); news; news = this.news.shift()) {
      this.stale = true;
      // One that has ended stays as it is.
      if (news.attempt !== this.me.attempt || !isBuilding(this.fix)) continue;
      this.fix = news.state;
      this.me = withNews(this.me, news, new Date().toISOString());
    }
  }

  /** A new build is begun: it has all that was found so far. */
  begins(): void {
    this.#joined = false;
    this.#moved = undefined;
    this.#signalled = '';
    this.fix = 'running';
  }

  #tellGroup(): void {
    const { me, stream } = this;
    const text = asksFor(stream, me);
    const kind = me.phase === 'building' ? 'waiting' : me.phase;
    const what = text === undefined ? undefined : `${me.attempt} ${kind}`;
    const now = Date.now();
    if (what !== this.#asked) {
      this.#asked = what;
      this.#remindAt = text === undefined ? Infinity : now + this.#every;
      if (text !== undefined) this.tell(kind, text);
    } else if (text !== undefined && now >= this.#remindAt) {
      this.#remindAt = now + this.#every;
      this.tell('reminder', text, false);
    }
  }

  get #every(): number {
    return (this.rules?.security?.remindEvery ?? Infinity) * 1000;
  }
  get #joinUntil(): number {
    return Date.parse(this.me.times.detected) + (this.rules?.security?.join ?? 0) * 1000;
  }

  protected quiet(): boolean {
    return (
      !this.stale &&
      !this.#turn &&
      !this.retry &&
      this.#moved === undefined &&
      !this.#joined &&
      this.news.length === 0
    );
  }
}

const onto = (current: string | null) =>
  `${current ?? 'nothing'} is the release now: it is built and approved again`;
