/** What a promotion knows while it waits for the SIG: what is to be done next, whom it reminds, and what the stream is told. */
import {
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Rules } from '../../activities/decide.js';
import type { Approval, Promotion } from '../../domain/promotion.js';
import type { Decided, PromotionJudgement } from '../../domain/promotion-judgement.js';
import { buildAttribute, phaseAttribute, streamAttribute } from '../../search-attributes.js';
import { control, publish } from '../activities.js';
import { rebuildNews, type RebuildNews } from '../chains/rebuild-messages.js';
import { isLong } from '../history.js';
import { onSignal } from '../messages.js';
import { allVotes, isBy, isRunning, lastAttempt, waitsFor, withNews } from './attempts.js';
import { unfixedText } from './cases.js';
import {
  askedOf,
  due,
  names,
  phaseOf,
  reminding,
  shown,
  waiting,
  waitingText,
  type Reminders,
} from './promotions.js';
import { promotionNews, type PromotionNews } from './security-messages.js';
import { goSignal, promotionChanged, supersededSignal, type Turn } from './signals.js';
import { streamId } from './stream-messages.js';
import { Waiting } from './waiting.js';

/** Rules that could not be read are read again this often; so often is looked for an attempt that tells nothing. */
const hourMs = 3_600_000;

/** What is to be done next. */
export type Next =
  | { readonly what: 'rebuild'; readonly asked?: Decided | undefined }
  | { readonly what: 'accept'; readonly by: readonly string[] }
  /** Nothing may be signed on the word of fewer. */
  | { readonly what: 'stop'; readonly why: string }
  | { readonly what: 'look' }
  | { readonly what: 'release' }
  | { readonly what: 'end'; readonly phase: Promotion['phase']; readonly note: string };

export class Sig extends Waiting<PromotionJudgement> {
  me: Promotion;
  /** The current release, when it was last told. */
  #current: string | null | undefined;
  #turn: Turn | undefined;
  #superseded: string | undefined;
  /** Another release is the current one than when it was last judged. */
  #isMoved = false;
  #accepted: string | undefined;
  #telling = 0;
  #asked: string | undefined;
  #reminders: Reminders | undefined;
  #reminded = 0;
  /** The attempt that runs as a child of this workflow: its end is known when it has really ended. */
  own: number | undefined;
  /** What attempts have told and was not looked at. */
  readonly news: RebuildNews[] = [];
  readonly #about: PromotionNews[] = [];
  readonly #entity;

  constructor(stream: string, start: Promotion) {
    super(stream, hourMs);
    this.me = start;
    this.#entity = getExternalWorkflowHandle(streamId(stream));
    this.#asked = askedOf(start);
    onSignal(goSignal, (turn) => {
      this.#turn = turn;
      this.stale = true;
      this.moved(turn.current);
    });
    onSignal(supersededSignal, ({ by }) => void (this.#superseded = by));
    onSignal(rebuildNews, (news) => {
      const ended = news.state !== 'began' && news.state !== 'differs';
      if (!ended || news.attempt !== this.own) this.news.push(news);
    });
    // Also while its release runs.
    onSignal(promotionNews, (one) => {
      this.#about.push(one);
      this.#tellOfCases('security-case', [one.case], one.text);
    });
    upsertSearchAttributes([
      { key: streamAttribute, value: stream },
      { key: buildAttribute, value: start.build },
    ]);
    this.listen();
  }

  /** Waits until there is something to do. */
  async decides(): Promise<Next> {
    for (;;) {
      if (this.stale || this.news.length > 0 || this.#about.length > 0 || this.retry) await this.judge();
      const next = this.#next();
      // What is done changes what is asked: it is judged again then.
      this.stale ||= next !== undefined;
      if (next) return next;
      await this.tellOf();
      await this.#tellSig();
      // Many reminders make a long history.
      if (isLong() && this.quiet() && this.#telling === 0)
        await continueAsNew<(input: { stream: string; promotion: Promotion }) => Promise<Promotion>>({
          ...{ stream: this.stream, promotion: this.me },
        });
      if (!(await this.#sleep()) && isRunning(lastAttempt(this.me))) return { what: 'look' };
    }
  }

  protected get hasFailed(): boolean {
    return this.me.phase === 'failed';
  }

  override async judge(): Promise<void> {
    for (let one = this.#about.shift(); one; one = this.#about.shift()) this.set({ note: one.text });
    this.takeNews();
    if (this.retry) this.set({ phase: waiting(this.me), note: 'is tried again' });
    this.retry = false;
    await super.judge();
  }

  protected ask() {
    const { build, proposedBy, onto, attempts } = this.me;
    return this.calls.call('judge', 'Read what the SIG has decided', control.judgePromotion, {
      promotion: { build, proposedBy, onto, attempts },
      current: this.#current,
    });
  }

  /** What runs, or has failed, stays in its phase. */
  protected take(judged: PromotionJudgement, rules: Rules): void {
    const note = this.#lacks(judged) ?? this.#noteOf(judged, rules) ?? this.cleared(this.me.note);
    this.#isMoved = false;
    this.set({ ...shown(this.me, judged, rules), note });
    this.set({ phase: phaseOf(this.me, judged, rules) });
  }

  protected doubt(note: string): void {
    this.set({ note, phase: this.me.phase === 'ready' ? waiting(this.me) : this.me.phase });
  }

  protected wanted({ ended, decided }: PromotionJudgement): boolean {
    return !ended && decided?.decision === (this.me.attempts ? 'release' : 'promote');
  }

  #next(): Next | undefined {
    const next = this.#wish();
    // Its turn is taken, or given back.
    const turn = this.#turn;
    this.#turn = undefined;
    if (turn) this.answered = turn.turn;
    return next ?? (turn && this.me.phase === 'ready' ? { what: 'release' } : undefined);
  }

  /** What is to be done besides a release. */
  #wish(): Next | undefined {
    const { me, rules } = this;
    const { ended, decided } = this.judged ?? {};
    const last = lastAttempt(me);
    if (this.#superseded !== undefined)
      return { what: 'end', phase: 'superseded', note: `${this.#superseded} was released first` };
    if (ended) return { what: 'end', ...ended };
    // What has begun does not end by itself.
    if (!last && Date.now() >= Date.parse(me.expires)) {
      const few = me.approvals.length < me.needed ? 'approvals' : 'passing test reports';
      return { what: 'end', phase: 'expired', note: `too few ${few} in time` };
    }
    if (!this.judged || !rules) return undefined;
    const approved = me.approvals.length >= me.needed;
    if (isRunning(last) && !approved) return { what: 'stop', why: 'too few approvals' };
    if (!last && rules.mode === 'signed-rebuild') return approved ? { what: 'rebuild' } : undefined;
    switch (decided?.decision) {
      case 'abandon': {
        const { by, vote } = decided;
        return {
          ...{ what: 'end', phase: 'abandoned' },
          note: `abandoned by ${by.join(', ')}: ${vote?.reason ?? ''}`,
        };
      }
      case 'redo':
      case 'rework':
        if (approved) return { what: 'rebuild', asked: decided };
        this.set({
          note: `${decided.decision} waits for approvals of the build: ${me.approvals.length} of ${me.needed}`,
        });
        return undefined;
      case 'accept': {
        // Each difference is accepted once: it looks at the statements itself.
        const word = allVotes(me.votes)
          .map(({ nonce }) => nonce)
          .join();
        if (word === this.#accepted) return undefined;
        this.#accepted = word;
        return { what: 'accept', by: decided.by };
      }
      default:
        return undefined;
    }
  }

  /** The release that was the current one when what is released was decided. */
  get onto(): string | null {
    const [vote] = this.me.votes?.release ?? [];
    return this.me.attempts && vote ? vote.onto : this.me.onto;
  }

  set(change: Partial<Promotion>): void {
    this.me = { ...this.me, ...change };
  }

  async become(change: Partial<Promotion>): Promise<void> {
    this.set(change);
    await this.tellOf();
  }

  async tellOf(): Promise<void> {
    const { me } = this;
    upsertSearchAttributes([{ key: phaseAttribute, value: me.phase }]);
    const last = lastAttempt(me);
    const attempt = last ? ` · attempt ${last.number} ${last.state}` : '';
    setCurrentDetails(
      `**${this.stream} ${me.build}** · ${me.phase}${attempt} · ${me.approvals.length} of ${me.needed} approvals${me.note === undefined ? '' : `\n\n${me.note}`}`,
    );
    // A stream workflow that is away for good is started again by `treeline apply`, and asks then.
    await this.#entity.signal(promotionChanged, me, this.answered).catch(() => undefined);
  }

  async tell(event: string, key: string, text: string): Promise<void> {
    await this.calls
      .call(
        'tell-sig',
        `Tell the SIG: ${event}`,
        publish.tellSig,
        { key, event, subject: text, text, build: this.me.build },
        { retry: { maximumAttempts: 5 } },
      )
      .catch(() => undefined);
  }

  /** Ends when all that is to be told is told. */
  async silent(): Promise<void> {
    await condition(() => this.#telling === 0);
  }

  /** Takes in what attempts have told. */
  takeNews(): void {
    for (let news = this.news.shift(); news; news = this.news.shift()) {
      this.stale = true;
      this.set(withNews(this.me, news, new Date().toISOString()));
    }
    if (this.me.phase === 'rebuilding' && !isRunning(lastAttempt(this.me)))
      this.set({ phase: 'deciding', note: undefined });
  }

  protected moved(current: string | null): void {
    // What is being released was decided on the release of then; it may be the current one itself by now.
    if (this.me.phase === 'releasing') return;
    this.#current = current;
    // What has begun was approved on the release of then.
    if (this.me.attempts) return;
    this.#isMoved ||= current !== this.me.onto;
    this.set({ onto: current });
  }

  protected quiet(): boolean {
    return (
      !this.stale &&
      !this.#turn &&
      !this.retry &&
      this.#superseded === undefined &&
      this.#about.length === 0 &&
      this.news.length === 0
    );
  }

  /** Tells the SIG what it is asked for: once when that begins, then at each interval. */
  async #tellSig(): Promise<void> {
    const { me, stream } = this;
    const last = lastAttempt(me);
    const text = waitsFor(stream, me);
    const asked = askedOf(me);
    if (last && asked !== this.#asked && text !== undefined)
      await this.tell(
        last.state === 'differs' ? 'differs' : 'deciding',
        `${last.state}-${me.build}-${last.number}`,
        text,
      );
    this.#asked = asked;
    const next = reminding(me, this.rules);
    if (next.key !== this.#reminders?.key) this.#reminded = this.rules ? due(next) : 0;
    this.#reminders = next;
    if (due(next) <= this.#reminded) return;
    this.#reminded = due(next);
    await this.tell('waiting', `${next.key}-${this.#reminded}`, waitingText(stream, me));
  }

  #sleep(): Promise<boolean> {
    const { me } = this;
    const { since, every } = this.#reminders ?? { since: Date.now(), every: Infinity };
    return this.sleep(
      since + every * (this.#reminded + 1),
      me.attempts ? Infinity : Date.parse(me.expires),
      isRunning(lastAttempt(me)) ? Date.now() + hourMs : Infinity,
    );
  }

  /** A fix was released that it lacks: the SIG is told once, and what can be done. */
  #lacks({ lacks }: PromotionJudgement): string | undefined {
    const news = lacks.map((lack) => lack.case).filter((id) => !this.me.unfixed?.includes(id));
    if (news.length === 0) return undefined;
    const options = news.map((id) => `--unfixed ${id}`).join(' ');
    const text = `${unfixedText(lacks)}; rework it with the fix, choose another build, or sign with ${options}`;
    this.#tellOfCases('unfixed', news, text);
    return text;
  }

  /** Nothing waits for it. */
  #tellOfCases(event: string, cases: readonly string[], text: string): void {
    const { build } = this.me;
    this.#telling++;
    void this.tell(event, `${event}-${build}-${cases.join('-')}`, `${this.stream} ${build}: ${text}`).then(
      () => this.#telling--,
    );
  }

  /** What is said of those who counted before and do not any more. */
  #noteOf(judged: PromotionJudgement, { approvers }: Rules): string | undefined {
    const { me } = this;
    const gone = me.approvals.filter((before) => !judged.approvals.some(isBy(before)));
    const silent = allVotes(me.votes).filter((before) => !allVotes(judged.votes).some(isBy(before)));
    const left = (all: readonly Approval[]) => names(all.filter((one) => !approvers.some(isBy(one))));
    const current = this.#current ?? 'nothing';
    if (left(gone)) return `no longer counts: the approval of ${left(gone)}`;
    if (left(silent)) return `no longer counts: what ${left(silent)} said of the attempt`;
    if (gone.length > 0)
      return this.#isMoved
        ? `${current} is the newest release now: approve again`
        : `${names(gone)} has withdrawn the approval`;
    const [vote] = silent;
    if (!vote) return undefined;
    return this.#current !== undefined && vote.onto !== this.#current
      ? `${current} is the newest release now: decide again`
      : `${names(silent)} has withdrawn the word on attempt ${lastAttempt(me)?.number ?? ''}`;
  }
}
