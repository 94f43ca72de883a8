/** What a security case knows while it waits for its group: what is to be done next, whom it reminds, and what the stream is told. */
import { continueAsNew, upsertSearchAttributes } from '@temporalio/workflow';
import type { Rules } from '../../activities/decide.js';
import type { CaseJudgement } from '../../domain/case-judgement.js';
import { isOpenCase, type SecurityCase } from '../../domain/security.js';
import { streamAttribute } from '../../search-attributes.js';
import { control } from '../activities.js';
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
import { Waiting, type Asks } from './waiting.js';

/** Milliseconds: rules that could not be read are read again after so long; a build that tells nothing is looked for as often. */
const lookAgain = 600_000;
/** What is to be done next. */
export type Next =
  /** From the current release; `why`: of one that is not the first. */
  | { readonly what: 'build'; readonly why?: string }
  /** Its build waits for these words. */
  | { readonly what: 'approve' | 'accept' }
  /** `accepted`: the accepted build of the release that it is made from. */
  | { readonly what: 'release'; readonly accepted: string }
  | { readonly what: 'end'; readonly why: string };

interface Kind {
  readonly me: SecurityCase;
  readonly judged: CaseJudgement;
  readonly news: FixNews;
  readonly turn: CaseTurn;
  readonly next: Next;
}

export class Case extends Waiting<Kind> {
  /** How its last build stands. */
  fix: FixState | undefined;
  /** The current release, told since its last build was begun. */
  #moved: string | null | undefined;
  #joined = false;
  /** The words that its build was last told of: it looks at the statements itself. */
  readonly #told = { approve: '', accept: '' };

  constructor({ stream, case: start, fix, asked }: SecurityInput) {
    super(stream, start, lookAgain);
    this.asked = asked;
    this.fix = fix ?? (start.attempt === 0 ? undefined : start.phase === 'releasing' ? 'built' : 'running');
    onSignal(caseTurn, (turn) => {
      this.turn = turn;
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

  protected wanted({ ended, approved }: CaseJudgement): boolean {
    return ended === undefined && approved;
  }

  protected readonly waits = 'waiting';

  protected get builds(): boolean {
    return isBuilding(this.fix);
  }

  protected go({ current, accepted }: CaseTurn): Next {
    return current !== null && current === this.me.plan?.base
      ? { what: 'release', accepted: accepted ?? current }
      : { what: 'build', why: isReleased(current) };
  }

  protected wish(): Next | undefined {
    const { me, judged, fix } = this;
    if (judged?.ended !== undefined) return { what: 'end', why: judged.ended };
    if (me.attempt === 0) {
      // It is in what is built first.
      this.#joined = false;
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

  /** Tells the security group, and the SIG unless nobody else may know. */
  tell(event: string, text: string, everybody = true): void {
    const { me } = this;
    const [subject = ''] = text.split('\n');
    const told = { event, key: `${event}-${me.id}-${Date.now()}`, subject, text };
    const audiences = everybody && !me.embargoed ? (['security', 'sig'] as const) : (['security'] as const);
    for (const audience of audiences)
      this.send('tell-security', `Tell people: ${event}`, { ...told, audience });
  }

  protected heard(news: FixNews): void {
    // One that has ended stays as it is.
    if (news.attempt !== this.me.attempt || !isBuilding(this.fix)) return;
    this.fix = news.state;
    this.me = withNews(this.me, news, new Date().toISOString());
  }

  protected asks(): Asks | undefined {
    const { me, stream, rules } = this;
    const text = isOpenCase(me.phase) ? asksFor(stream, me) : undefined;
    if (text === undefined) return undefined;
    const event = me.phase === 'building' ? 'waiting' : me.phase;
    return {
      ...{ key: `${me.attempt} ${event}`, every: (rules?.security?.remindEvery ?? Infinity) * 1000 },
      begin: () => this.tell(event, text),
      again: () => this.tell('reminder', text, false),
    };
  }

  protected dates(): readonly number[] {
    return this.me.attempt === 0 && this.rules ? [this.#joinUntil] : [];
  }

  protected continueAsNew(): Promise<never> {
    const { stream, me, fix, asked } = this;
    return continueAsNew<(input: SecurityInput) => Promise<SecurityCase>>({
      ...{ stream, case: me, fix },
      ...(asked ? { asked } : {}),
    });
  }

  protected details(): string {
    const { stream, me } = this;
    return `**${stream} ${me.id}** · ${subjectOf(me)} · ${me.phase} · ${me.approvals.length} of ${me.needed} approvals`;
  }

  protected tellStream(): Promise<void> {
    return this.entity.signal(caseChanged, this.me, this.answered);
  }

  get #joinUntil(): number {
    return Date.parse(this.me.times.detected) + (this.rules?.security?.join ?? 0) * 1000;
  }

  protected moved(current: string | null): void {
    // What is being released goes on, or is told its turn again.
    if (this.me.phase !== 'releasing') this.#moved = current;
  }

  protected override quiet(): boolean {
    return super.quiet() && !this.#joined && (this.#moved === undefined || !this.me.plan);
  }
}

const isReleased = (current: string | null) =>
  `${current ?? 'nothing'} is the release now: it is built and approved again`;
