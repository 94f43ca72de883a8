/** What a security case knows while it waits for its group: what is to be done next, whom it reminds, and what the stream is told. */
import {
  continueAsNew,
  getExternalWorkflowHandle,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Rules } from '../../activities/decide.js';
import type { CaseJudgement } from '../../domain/case-judgement.js';
import { isOpenCase, type SecurityCase } from '../../domain/security.js';
import { phaseAttribute, streamAttribute } from '../../search-attributes.js';
import { control, publish } from '../activities.js';
import { isLong } from '../history.js';
import { onSignal } from '../messages.js';
import {
  asksFor,
  begun,
  counted,
  groupOf,
  isBuilding,
  joined,
  phaseOf,
  subjectOf,
  withNews,
} from './cases.js';
import {
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

/** Milliseconds: rules that could not be read are read again after so long; a build that tells nothing is looked for as often. */
const lookAgain = 600_000;
/** Mails that could not be sent within this time are given up: the next reminder comes. */
const tellLimit = { scheduleToCloseTimeout: '1h', retry: { maximumAttempts: 5 } } as const;

/** What is to be done next. */
export type Next =
  /** From the current release; `why`: of one that is not the first. */
  | { readonly what: 'build'; readonly why?: string }
  /** Its build waits for these words. */
  | { readonly what: 'approve' | 'accept' }
  | { readonly what: 'look' }
  /** `accepted`: the accepted build of the release that it is made from. */
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
  /** The current release, told since its last build was begun. */
  #moved: string | null | undefined;
  #joined = false;
  /** The words that its build was last told of: it looks at the statements itself. */
  readonly #told = { approve: '', accept: '' };
  /** Of what it asks people for they are told once, then reminded. */
  #asked: SecurityInput['asked'];
  readonly #telling = new Set<Promise<unknown>>();
  readonly #entity;

  constructor({ stream, case: start, fix, asked }: SecurityInput) {
    super(stream, lookAgain);
    this.me = start;
    this.#asked = asked;
    this.fix = fix ?? (start.attempt === 0 ? undefined : start.phase === 'releasing' ? 'built' : 'running');
    this.#entity = getExternalWorkflowHandle(streamId(stream));
    onSignal(caseTurn, (turn) => {
      this.#turn = turn;
      this.stale = true;
    });
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
      if (this.stale || this.news.length > 0 || this.retry) await this.judge();
      const next = this.#next();
      // What is done changes what is asked: it is judged again then.
      this.stale ||= next !== undefined;
      if (next) return next;
      await this.tellOf();
      // Many reminders make a long history.
      if (isLong() && this.quiet() && this.#moved === undefined && this.#telling.size === 0)
        await continueAsNew<(input: SecurityInput) => Promise<SecurityCase>>({
          ...{ stream: this.stream, case: this.me, fix: this.fix },
          ...(this.#asked ? { asked: this.#asked } : {}),
        });
      this.#tellGroup();
      const look = isBuilding(this.fix) ? Date.now() + lookAgain : Infinity;
      const joins = this.me.attempt === 0 && this.rules ? this.#joinUntil : Infinity;
      const remind = this.#asked?.remindAt ?? Infinity;
      if (!(await this.sleep(remind, joins, look)) && Date.now() >= look) return { what: 'look' };
    }
  }

  protected get hasFailed(): boolean {
    return this.me.phase === 'failed';
  }

  override async judge(): Promise<void> {
    this.takeNews();
    if (this.retry && this.#isOfUse) {
      this.retry = false;
      this.me = { ...this.me, phase: 'waiting', note: 'is tried again' };
    }
    await super.judge();
  }

  protected ask() {
    const { id, openedBy, times, plan, buildCommits, srpms } = this.me;
    return this.calls.call('judge-case', 'Read what the security group has decided', control.judgeCase, {
      case: { id, openedBy, detected: times.detected, plan, buildCommits, srpms },
    });
  }

  /** What is released, or has failed to be, stays in its phase. */
  protected take(judged: CaseJudgement, rules: Rules): void {
    const note = this.cleared(this.me.note);
    this.me = counted({ ...this.me, note }, judged, rules, new Date().toISOString());
    const { attempt, phase } = this.me;
    if (attempt === 0 || phase === 'releasing' || (phase === 'failed' && this.fix === 'built')) return;
    this.me = { ...this.me, phase: phaseOf(this.fix, judged.approved) };
  }

  protected doubt(note: string): void {
    this.me = { ...this.me, note, phase: this.me.phase === 'ready' ? 'waiting' : this.me.phase };
  }

  protected wanted({ ended, approved }: CaseJudgement): boolean {
    return ended === undefined && approved;
  }

  #next(): Next | undefined {
    const next = this.#wish();
    // Its turn is taken, or given back.
    const turn = this.#turn;
    this.#turn = undefined;
    if (turn) this.answered = turn.turn;
    if (next || !turn || this.me.phase !== 'ready') return next;
    const { current, accepted } = turn;
    return current !== null && current === this.me.plan?.base
      ? { what: 'release', accepted: accepted ?? current }
      : { what: 'build', why: isReleased(current) };
  }

  /** What is to be done besides a release. */
  #wish(): Next | undefined {
    const { me, judged, fix } = this;
    if (judged?.ended !== undefined) return { what: 'end', why: judged.ended };
    if (me.attempt === 0) {
      const waits = me.openedBy === 'watch' && Date.now() < this.#joinUntil;
      return this.rules && !waits ? { what: 'build' } : undefined;
    }
    // Built while nobody listened.
    if (fix === 'built' && !me.plan) return { what: 'build', why: 'what was planned is not known' };
    if (this.#joined)
      return { what: 'build', why: 'another advisory has joined: it is built and approved again' };
    if (me.plan && this.#moved !== undefined) {
      const current = this.#moved;
      this.#moved = undefined;
      if (current !== me.plan.base) return { what: 'build', why: isReleased(current) };
    }
    if (this.retry && !this.#isOfUse) return { what: 'build', why: 'is tried again' };
    if (fix === 'differs' && judged?.accepted && this.#isNew('accept', judged.acceptances))
      return { what: 'accept' };
    return (fix === 'running' || fix === 'waits') &&
      judged?.approved &&
      this.#isNew('approve', judged.approvals)
      ? { what: 'approve' }
      : undefined;
  }

  /** Its build is told once of the same words. */
  #isNew(what: 'approve' | 'accept', said: CaseJudgement['approvals']): boolean {
    const words = said.map(({ nonce }) => nonce).join();
    const isNew = words !== this.#told[what];
    this.#told[what] = words;
    return isNew;
  }

  /** Can what it has built be released once more? A build that the release location does not take is of no use. */
  get #isOfUse(): boolean {
    return this.fix === 'built' && this.me.plan !== undefined && !this.me.note?.startsWith('HeadMoved');
  }

  /** What was found or asked until now goes into the next build. */
  takesAll(): void {
    this.#joined = false;
    this.#moved = undefined;
    this.retry = false;
  }

  /** A new build is begun. */
  async begins(rules: Rules, why: string | undefined): Promise<void> {
    this.fix = 'running';
    this.#told.approve = this.#told.accept = '';
    const missing = groupOf(rules).map(({ name }) => name);
    await this.become({ ...begun(this.me, why), missing });
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

  #tellGroup(): void {
    const { me, stream } = this;
    const text = isOpenCase(me.phase) ? asksFor(stream, me) : undefined;
    const event = me.phase === 'building' ? 'waiting' : me.phase;
    if (text === undefined) {
      this.#asked = undefined;
      return;
    }
    const what = `${me.attempt} ${event}`;
    const isNew = what !== this.#asked?.what;
    if (!isNew && Date.now() < (this.#asked?.remindAt ?? 0)) return;
    this.#asked = { what, remindAt: Date.now() + this.#every };
    if (isNew) this.tell(event, text);
    else this.tell('reminder', text, false);
  }

  /** Milliseconds between reminders. */
  get #every(): number {
    return (this.rules?.security?.remindEvery ?? Infinity) * 1000;
  }
  get #joinUntil(): number {
    return Date.parse(this.me.times.detected) + (this.rules?.security?.join ?? 0) * 1000;
  }

  protected moved(current: string | null): void {
    // What is being released goes on, or is told its turn again.
    if (this.me.phase !== 'releasing') this.#moved = current;
  }

  protected quiet(): boolean {
    return (
      !this.stale &&
      !this.#turn &&
      !this.retry &&
      !this.#joined &&
      (this.#moved === undefined || !this.me.plan) &&
      this.news.length === 0
    );
  }
}

const isReleased = (current: string | null) =>
  `${current ?? 'nothing'} is the release now: it is built and approved again`;
