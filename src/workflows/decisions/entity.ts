/** What the stream workflow knows, and how it changes. No calls: those are in dispatch.ts, decide.ts and find-lost.ts. */
import {
  acceptedOf,
  isOpen,
  keptReleases,
  releasedAs,
  type Approval,
  type DecisionRecord,
  type Promotion,
  type Released,
  type StreamView,
} from '../../domain/promotion.js';
import { z } from 'zod';
import { buildId } from '../../domain/build-id.js';
import { approval, streamView } from '../../domain/shapes.js';
import { isOpenCase, type SecurityCase } from '../../domain/security.js';
import { callerOf, type Caller } from '../call.js';
import { allAdvisories, allFixes } from './cases.js';

/** A rollback that is asked for. */
const rollback = z.object({
  build: buildId,
  /** Empty of one that was found running. */
  to: z.union([buildId, z.literal('')]),
  reason: z.string().optional(),
});
export type Rollback = Readonly<z.infer<typeof rollback>>;

/** Carried over when the workflow continues as new. */
export const entityState = z.object({
  view: streamView,
  /** Number of the next request: makes the ids of its steps. */
  requests: z.int().min(0),
  /** Rollback that is approved or collects approvals. */
  asked: rollback.extend({ approvals: z.array(approval).readonly(), enough: z.boolean() }).optional(),
  rollingBack: rollback.optional(),
  turn: z.string().optional(),
  unsaved: z.boolean().optional(),
});
export type EntityState = Readonly<z.infer<typeof entityState>>;

const keptHistory = 100;
/** Of those that have ended: their advisories open no other case. */
const keptCases = 100;

export class Entity {
  ready = false;
  changed = false;
  current: string | null = null;
  inWork: string | null = null;
  promotions: Promotion[] = [];
  /** Newest first. */
  security: readonly SecurityCase[] = [];
  asked: EntityState['asked'];
  rollingBack: Rollback | undefined;
  /** The build store does not have all of it yet. */
  unsaved = false;
  /** Why something that is tried again and again does not work at the moment. */
  trouble: string | undefined;
  #turn: string | undefined;
  #released: Released[] = [];
  #vetoes: StreamView['vetoes'] = [];
  #history: DecisionRecord[] = [];
  #attempted: Readonly<Record<string, number>> = {};
  #requests = 0;
  /** What readers have is to be looked up. */
  looking = false;
  /** Milliseconds until it is looked up again, while a rollback runs that was said to end. */
  pause: number | undefined;
  /** Readers have another release, and not everybody knows; `case`: the security case that has brought it. */
  #moved: { readonly case?: string | undefined } | undefined;
  readonly #superseded = new Set<string>();
  /** Calls activities for the stream. */
  readonly calls: Caller;

  constructor(
    readonly stream: string,
    state: EntityState | undefined,
  ) {
    this.calls = callerOf(stream);
    if (!state) return;
    this.recall(state.view);
    this.inWork = state.view.inWork;
    this.#requests = state.requests;
    this.asked = state.asked;
    this.rollingBack = state.rollingBack;
    this.#turn = state.turn;
    this.unsaved = state.unsaved ?? false;
    this.changed = this.unsaved;
    // Messages came while it continued.
    this.looking = true;
  }

  /** Begins from what the build store knows; nothing is taken to be in progress. */
  recall(view: StreamView): void {
    this.current = view.current;
    this.promotions = view.promotions.filter(({ phase }) => isOpen(phase));
    this.#released = [...view.released];
    this.#vetoes = view.vetoes;
    this.#attempted = view.attempted ?? {};
    this.security = view.security ?? [];
    this.#history = [...view.history];
    this.ready = true;
    this.changed = true;
  }

  view(): StreamView {
    return {
      stream: this.stream,
      current: this.current,
      promotions: this.promotions,
      inWork: this.inWork,
      released: this.#released,
      vetoes: this.#vetoes,
      ...(this.security.length > 0 ? { security: this.security } : {}),
      ...(Object.keys(this.#attempted).length > 0 ? { attempted: this.#attempted } : {}),
      history: this.#history,
    };
  }

  state(): EntityState {
    return {
      view: this.view(),
      requests: this.#requests,
      asked: this.asked,
      rollingBack: this.rollingBack,
      turn: this.#turn,
      unsaved: this.unsaved,
    };
  }

  takeChanged(): boolean {
    const { changed } = this;
    this.changed = false;
    return changed;
  }

  nextRequest(): number {
    return ++this.#requests;
  }

  promotion(build: string): Promotion | undefined {
    return this.promotions.find((promotion) => promotion.build === build);
  }
  /** By the build that readers get; of a signed rebuild also by the accepted build. */
  promotionOf(build: string): Promotion | undefined {
    return this.promotion(build) ?? this.promotions.find((promotion) => releasedAs(promotion) === build);
  }
  /** By the build that was promoted, or that readers got. */
  release(build: string): Released | undefined {
    return this.#released.find((released) => released.build === build || released.accepted === build);
  }
  /** When the current release was released; ISO 8601. */
  get currentSince(): string | undefined {
    return this.#released.find(({ build }) => build === this.current)?.at;
  }
  /** A release that readers had before they got this build, and could have again. */
  former(to: string, build: string): Released | undefined {
    const place = this.#released.findIndex((released) => released.build === build);
    return this.#released.slice(place + 1).find((released) => released.build === to && !released.rolledBack);
  }
  /** What other builds are compared with: the current release, of a signed one the accepted build. */
  get accepted(): string | null {
    return this.current === null ? null : acceptedOf(this.#released, this.current);
  }
  /** Attempts of earlier promotions of the build. */
  attemptsOf(build: string): number {
    return this.#attempted[build] ?? 0;
  }
  vetoOf(build: string): StreamView['vetoes'][number] | undefined {
    return this.#vetoes.find((veto) => veto.build === build);
  }

  /** `turn`: which one was given to its promotion; unknown for what was found in progress. */
  work(build: string | null, turn?: string): void {
    this.inWork = build;
    this.#turn = turn;
    this.changed = true;
  }

  /** A new promotion, or a known one as it is now: it keeps its place. */
  propose(promotion: Promotion): void {
    const at = this.promotions.findIndex(({ build }) => build === promotion.build);
    this.promotions = at < 0 ? [...this.promotions, promotion] : this.promotions.with(at, promotion);
    this.changed = true;
  }

  veto(build: string, approval: Approval): void {
    this.#vetoes = [
      ...this.#vetoes.filter((veto) => veto.build !== build),
      { build, by: approval.approver, fingerprint: approval.fingerprint },
    ];
    this.changed = true;
  }
  liftVeto(build: string): void {
    this.#vetoes = this.#vetoes.filter((veto) => veto.build !== build);
    this.changed = true;
  }

  remember(record: DecisionRecord): void {
    this.#history = [record, ...this.#history].slice(0, keptHistory);
    this.changed = true;
  }
  /** Something that nobody decided. */
  note(what: string, build: string, reason: string, about?: Pick<SecurityCase, 'id'>): void {
    const of = about ? { case: about.id } : {};
    this.remember({ at: now(), decision: what, build, by: 'treeline', reason, ...of });
  }

  get openCases(): readonly SecurityCase[] {
    return this.security.filter(({ phase }) => isOpenCase(phase));
  }
  caseOf(id: string): SecurityCase | undefined {
    return this.security.find((one) => one.id === id);
  }
  /** May a build lack a released fix? */
  get hasFixes(): boolean {
    return this.security.some(({ phase }) => phase === 'released');
  }
  /** The next id of a case, `<yyyymmdd>-<n>`. */
  nextCase(): string {
    const day = now().slice(0, 10).replaceAll('-', '');
    const used = this.security.flatMap(({ id }) => (id.startsWith(`${day}-`) ? Number(id.slice(9)) : []));
    return `${day}-${Math.max(0, ...used) + 1}`;
  }
  /** A new case, or a known one as it is now. */
  setCase(one: SecurityCase): void {
    const at = this.security.findIndex(({ id }) => id === one.id);
    const all = at < 0 ? [one, ...this.security] : this.security.with(at, one);
    let ended = 0;
    this.security = all.filter(({ phase }) => isOpenCase(phase) || ++ended <= keptCases);
    this.changed = true;
  }

  /** A case tells of itself. What it was given meanwhile stays. One that is not released now leaves the way for the next. */
  caseChanged(change: SecurityCase, turn?: string): void {
    const known = this.caseOf(change.id);
    if (known && !isOpenCase(known.phase)) return;
    // Its build is another one perhaps than when it was given its turn.
    const mine = this.#turn !== undefined && this.#turn === turn;
    const left = mine ? this.inWork : this.#turn === undefined ? known?.build : undefined;
    if (change.phase !== 'releasing' && left != null) this.#leave(left);
    this.setCase({
      ...change,
      advisories: allAdvisories(known?.advisories ?? [], change.advisories),
      fixes: allFixes(known?.fixes ?? [], change.fixes),
    });
    if (!isOpenCase(change.phase))
      this.note(
        change.phase,
        change.build ?? change.plan?.base ?? this.current ?? '',
        change.note ?? '',
        change,
      );
  }

  /** What was released since this was last asked. */
  takeMoved(): { readonly case?: string | undefined } | undefined {
    const moved = this.#moved;
    this.#moved = undefined;
    return moved;
  }

  /** A promotion tells of itself. One that has ended leaves the list, and the way for the next. */
  promotionChanged(change: Promotion, turn?: string): void {
    const known = this.promotion(change.build);
    // Its release was told of already; only its end is news.
    const phase = this.release(change.build) && isOpen(change.phase) ? 'releasing' : change.phase;
    const mine = this.#turn === undefined || this.#turn === turn;
    if (!isOpen(phase) || (mine && phase !== 'releasing')) this.#leave(change.build);
    if (isOpen(phase)) this.propose({ ...change, phase });
    else {
      this.promotions = this.promotions.filter(({ build }) => build !== change.build);
      this.#keepAttempts(change);
      if (known) this.note(phase, change.build, change.note ?? '');
    }
    this.changed = true;
  }

  /** Of a build that may be proposed again: its attempts are counted on. */
  #keepAttempts({ build, attempts, attemptsBefore = 0 }: Promotion): void {
    if (!attempts) return;
    const { accepted } = this;
    const all = { ...this.#attempted, [build]: attemptsBefore + attempts.length };
    this.#attempted = Object.fromEntries(
      Object.entries(all).filter(([id]) => !this.release(id) && (accepted === null || id > accepted)),
    );
  }

  /** A release that is not in progress any more makes way for the next, unless it is being taken back. */
  #leave(build: string): void {
    if (this.inWork === build && this.rollingBack?.build !== build) this.inWork = null;
  }

  /** What releases.json lists, newest first. What is new there is in progress no more. */
  published(released: readonly Released[]): void {
    const kept = released.slice(0, keptReleases);
    for (const { build, accepted = build } of kept)
      if (!this.#released.some((known) => known.build === build))
        for (const one of [build, accepted]) this.#leave(one);
    this.#released = kept;
    const current = released.find(({ rolledBack }) => !rolledBack)?.build ?? null;
    if (current === this.current) return;
    this.#moved = { case: this.openCases.find(({ build }) => build === current)?.id };
    this.current = current;
    this.changed = true;
  }

  /** Its workflow has ended, as the server says; what readers have, `published` knows. */
  rollbackEnded(build: string, failure: string | undefined): void {
    if (this.inWork === build) this.inWork = null;
    this.rollingBack = undefined;
    this.pause = undefined;
    if (failure === undefined)
      this.note('rolled back', build, `readers are back on ${this.current ?? 'none'}`);
    else this.note('rollback failed', build, failure);
  }

  /** One that was begun before this workflow was; its end tells the rest. */
  foundRollback(build: string): void {
    this.rollingBack = { build, to: '' };
    this.work(build);
  }

  /** The approved rollback, which goes before every release. */
  nextRollback(): Rollback | undefined {
    if (!this.asked?.enough) return undefined;
    const { build, to, reason } = this.asked;
    this.asked = undefined;
    // Of a release that was stopped before releases.json listed it, that has `to` still.
    if (build !== this.current && to !== this.current) {
      this.note('rollback failed', build, `readers have ${this.current ?? 'no release'} now`);
      return undefined;
    }
    this.rollingBack = { build, to, ...(reason === undefined ? {} : { reason }) };
    return this.rollingBack;
  }

  /** The oldest security case that is built and approved. */
  nextReadyCase(): SecurityCase | undefined {
    return this.security.findLast(({ phase }) => phase === 'ready');
  }

  /** The oldest promotion that is approved. */
  nextReady(): Promotion | undefined {
    return this.promotions.find(({ phase }) => phase === 'ready');
  }

  /** Promotions of builds that are older than what was released meanwhile; each is told once. */
  superseded(): Promotion[] {
    const { accepted } = this;
    if (accepted === null) return [];
    const old = this.promotions.filter(
      ({ build, phase }) => build < accepted && phase !== 'releasing' && !this.#superseded.has(build),
    );
    for (const { build } of old) this.#superseded.add(build);
    return old;
  }
}

/** Time of the workflow: `Date` is replaced by the workflow's own clock in the sandbox. */
export const now = () => new Date().toISOString();
