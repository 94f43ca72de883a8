/** What the stream workflow knows, and how it changes. No calls: those are in stream.ts and decisions.ts. */
import {
  isOpen,
  type Approval,
  type DecisionRecord,
  type Promotion,
  type Released,
  type StreamView,
} from '../domain/promotion.js';

/** A rollback that is asked for. */
export interface Rollback {
  readonly build: string;
  readonly to: string;
  readonly reason?: string | undefined;
}

/** Carried over when the workflow continues as new. */
export interface EntityState {
  readonly view: StreamView;
  /** Number of the next request: makes the ids of its steps. */
  readonly requests: number;
  /** Rollback that is approved or collects approvals. */
  readonly asked?:
    (Rollback & { readonly approvals: readonly Approval[]; readonly enough: boolean }) | undefined;
  readonly rollingBack?: Rollback | undefined;
}

const keptReleases = 50;
const keptHistory = 100;

export class Entity {
  ready = false;
  changed = false;
  current: string | null = null;
  inWork: string | null = null;
  promotions: Promotion[] = [];
  asked: EntityState['asked'];
  rollingBack: Rollback | undefined;
  #released: Released[] = [];
  #vetoes: StreamView['vetoes'] = [];
  #history: DecisionRecord[] = [];
  #requests = 0;
  readonly #superseded = new Set<string>();

  constructor(
    readonly stream: string,
    state: EntityState | undefined,
  ) {
    if (!state) return;
    this.recall(state.view);
    this.inWork = state.view.inWork;
    this.#requests = state.requests;
    this.asked = state.asked;
    this.rollingBack = state.rollingBack;
    this.changed = false;
  }

  /** Begins from what the build store knows; nothing is taken to be in work. */
  recall(view: StreamView): void {
    this.current = view.current;
    this.promotions = view.promotions.filter(({ phase }) => isOpen(phase));
    this.#released = [...view.released];
    this.#vetoes = view.vetoes;
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
      history: this.#history,
    };
  }

  state(): EntityState {
    return {
      view: this.view(),
      requests: this.#requests,
      asked: this.asked,
      rollingBack: this.rollingBack,
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
  release(build: string): Released | undefined {
    return this.#released.find((released) => released.build === build);
  }
  vetoOf(build: string): StreamView['vetoes'][number] | undefined {
    return this.#vetoes.find((veto) => veto.build === build);
  }

  work(build: string | null): void {
    this.inWork = build;
    this.changed = true;
  }

  propose(promotion: Promotion): void {
    this.promotions = [...this.promotions.filter(({ build }) => build !== promotion.build), promotion];
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
  note(what: string, build: string, reason: string): void {
    this.remember({ at: now(), decision: what, build, by: 'treeline', reason });
  }

  /** A promotion tells of itself. One that has ended leaves the list, and the way for the next. */
  promotionChanged(change: Promotion): void {
    const known = this.promotion(change.build);
    // Its release was told of already; only its end is news.
    const phase = this.release(change.build) && isOpen(change.phase) ? 'releasing' : change.phase;
    if (this.inWork === change.build && phase !== 'releasing') this.inWork = null;
    if (isOpen(phase)) this.propose({ ...change, phase });
    else {
      this.promotions = this.promotions.filter(({ build }) => build !== change.build);
      if (known) this.note(phase, change.build, change.note ?? '');
    }
    this.changed = true;
  }

  released({ build, commits }: { build: string; commits: Readonly<Record<string, string>> }): void {
    if (this.inWork === build) this.inWork = null;
    if (!this.release(build)) {
      this.#released = [{ build, at: now(), commits }, ...this.#released].slice(0, keptReleases);
      this.current = build;
    }
    this.changed = true;
  }

  rollbackEnded({ build, to, failure, reason }: Rollback & { failure?: string | undefined }): void {
    if (this.inWork === build) this.inWork = null;
    this.rollingBack = undefined;
    if (failure !== undefined) this.note('rollback failed', build, failure);
    else {
      this.current = to;
      const rolledBack = { at: now(), to, reason };
      this.#released = this.#released.map((released) =>
        released.build === build ? { ...released, rolledBack } : released,
      );
      this.note('rolled back', build, `readers are back on ${to}`);
    }
  }

  /** The approved rollback, which goes before every release. */
  nextRollback(): Rollback | undefined {
    if (!this.asked?.enough) return undefined;
    const { build, to, reason } = this.asked;
    this.asked = undefined;
    this.rollingBack = { build, to, ...(reason === undefined ? {} : { reason }) };
    return this.rollingBack;
  }

  /** The oldest promotion that is approved. */
  nextReady(): Promotion | undefined {
    return this.promotions.find(({ phase }) => phase === 'ready');
  }

  /** Promotions of builds that are older than what was released meanwhile; each is told once. */
  superseded(): Promotion[] {
    const { current } = this;
    if (current === null) return [];
    const old = this.promotions.filter(
      ({ build, phase }) => build < current && phase !== 'releasing' && !this.#superseded.has(build),
    );
    for (const { build } of old) this.#superseded.add(build);
    return old;
  }
}

/** Time of the workflow: `Date` is replaced by the workflow's own clock in the sandbox. */
export const now = () => new Date().toISOString();
