/** What a promotion knows while it waits for the SIG: what is to be done next, whom it reminds, and what the stream is told. */
import { continueAsNew, upsertSearchAttributes } from '@temporalio/workflow';
import type { Rules } from '../../activities/decide.js';
import type { Approval, Promotion } from '../../domain/promotion.js';
import type { Decided, PromotionJudgement } from '../../domain/promotion-judgement.js';
import { buildAttribute, streamAttribute } from '../../search-attributes.js';
import { control } from '../activities.js';
import { rebuildNews, type RebuildNews } from '../chains/rebuild-messages.js';
import { onSignal } from '../messages.js';
import { allVotes, isBy, isRunning, lastAttempt, waitsFor, withNews } from './attempts.js';
import { unfixedText } from './cases.js';
import { asking, names, phaseOf, shown, waiting, waitingText } from './promotions.js';
import { promotionNews, type PromotionNews } from './security-messages.js';
import { goSignal, promotionChanged, supersededSignal, type Turn } from './signals.js';
import { Waiting, type Asks } from './waiting.js';

/** Rules that could not be read are read again this often; so often is looked for an attempt that tells nothing. */
const hourMs = 3_600_000;

/** What is to be done next. */
export type Next =
  | { readonly what: 'rebuild'; readonly asked?: Decided | undefined }
  | { readonly what: 'accept'; readonly by: readonly string[] }
  /** Nothing may be signed on the word of fewer. */
  | { readonly what: 'stop'; readonly why: string }
  | { readonly what: 'release' }
  | { readonly what: 'end'; readonly phase: Promotion['phase']; readonly note: string };

interface Kind {
  readonly me: Promotion;
  readonly judged: PromotionJudgement;
  readonly news: RebuildNews;
  readonly turn: Turn;
  readonly next: Next;
}

export class Sig extends Waiting<Kind> {
  /** The current release, when it was last told. */
  #current: string | null | undefined;
  #superseded: string | undefined;
  /** Another release is the current one than when it was last judged. */
  #isMoved = false;
  #accepted: string | undefined;
  /** What was told of security cases and was not looked at. */
  readonly #about: PromotionNews[] = [];

  constructor(stream: string, start: Promotion) {
    super(stream, start, hourMs);
    // That was told before.
    this.asked = asking(start);
    onSignal(goSignal, (turn) => {
      this.turn = turn;
      this.stale = true;
      this.moved(turn.current);
    });
    onSignal(supersededSignal, ({ by }) => {
      this.#superseded = by;
      this.stale = true;
    });
    onSignal(rebuildNews, (news) => {
      const ended = news.state !== 'began' && news.state !== 'differs';
      if (!ended || news.attempt !== this.own) this.news.push(news);
    });
    // Also while its release runs.
    onSignal(promotionNews, (one) => {
      this.#about.push(one);
      this.stale = true;
      this.#tellOfCases('security-case', [one.case], one.text);
    });
    upsertSearchAttributes([
      { key: streamAttribute, value: stream },
      { key: buildAttribute, value: start.build },
    ]);
    this.listen();
  }

  override async judge(): Promise<void> {
    for (let one = this.#about.shift(); one; one = this.#about.shift()) this.set({ note: one.text });
    this.takeNews();
    if (this.retry) this.set({ phase: this.waits, note: 'is tried again' });
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

  protected wanted({ ended, decided }: PromotionJudgement): boolean {
    return !ended && decided?.decision === (this.me.attempts ? 'release' : 'promote');
  }

  protected get waits(): Promotion['phase'] {
    return waiting(this.me);
  }

  protected get builds(): boolean {
    return isRunning(lastAttempt(this.me));
  }

  protected go(): Next {
    return { what: 'release' };
  }

  protected wish(): Next | undefined {
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

  tell(event: string, key: string, text: string): void {
    const news = { key, event, subject: text, text, build: this.me.build };
    this.send('tell-sig', `Tell the SIG: ${event}`, news);
  }

  protected heard(news: RebuildNews): void {
    this.set(withNews(this.me, news, new Date().toISOString()));
  }

  override takeNews(): void {
    super.takeNews();
    if (this.me.phase === 'rebuilding' && !this.builds) this.set({ phase: 'deciding', note: undefined });
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

  /** Of an attempt the SIG is told once; a proposal is told by who proposes. */
  protected asks(): Asks | undefined {
    const { me, stream, rules } = this;
    const asked = asking(me);
    if (!asked) return undefined;
    const last = lastAttempt(me);
    const every = last ? rules?.decisionRemindEvery : rules?.remindEvery;
    const begin = () => {
      const [text, event] = [waitsFor(stream, me), last?.state === 'differs' ? 'differs' : 'deciding'];
      if (last && text !== undefined) this.tell(event, `${last.state}-${me.build}-${last.number}`, text);
    };
    return {
      ...{ ...asked, begin, every: (every ?? Infinity) * 1000 },
      again: (n) => this.tell('waiting', `${asked.key}-${n}`, waitingText(stream, me)),
    };
  }

  protected dates(): readonly number[] {
    return this.me.attempts ? [] : [Date.parse(this.me.expires)];
  }

  protected continueAsNew(): Promise<never> {
    return continueAsNew<(input: { stream: string; promotion: Promotion }) => Promise<Promotion>>({
      ...{ stream: this.stream, promotion: this.me },
    });
  }

  protected details(): string {
    const { stream, me } = this;
    const last = lastAttempt(me);
    const attempt = last ? ` · attempt ${last.number} ${last.state}` : '';
    return `**${stream} ${me.build}** · ${me.phase}${attempt} · ${me.approvals.length} of ${me.needed} approvals`;
  }

  protected tellStream(): Promise<void> {
    return this.entity.signal(promotionChanged, this.me, this.answered);
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

  #tellOfCases(event: string, cases: readonly string[], text: string): void {
    const { build } = this.me;
    this.tell(event, `${event}-${build}-${cases.join('-')}`, `${this.stream} ${build}: ${text}`);
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
