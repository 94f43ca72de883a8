/** What is known of a stream's promotions: the answer of the stream workflow's `view` query, and what its pages show. */

/** The author of what happened without anybody's decision, such as the end of a release. */
export const treeline = 'treeline';

/** One decision, or an attempt at one, as the history keeps it. */
export interface DecisionRecord {
  /** ISO 8601, UTC: when it was taken in. */
  readonly at: string;
  readonly decision: string;
  readonly build: string;
  /** Approver's name; `schedule` or `unsigned` for a proposal without a statement; `treeline` for what just happened. */
  readonly by: string;
  /** Absent for one without a statement. */
  readonly fingerprint?: string | undefined;
  readonly nonce?: string | undefined;
  readonly reason?: string | undefined;
  /** Why it was refused; absent for one that counts. */
  readonly refused?: string | undefined;
}

/** An approval that counts at the moment. */
export interface Approval {
  readonly approver: string;
  readonly fingerprint: string;
  readonly nonce: string;
  readonly at: string;
}

/**
 * `proposed`: waits for approvals. `ready`: approved, waits until another release has ended. `releasing`: the release workflow runs.
 * `failed`: the release failed before its point of no return and was compensated; waits for a retry. The others are ends.
 */
export type PromotionPhase =
  | 'proposed'
  | 'ready'
  | 'releasing'
  | 'failed'
  | 'released'
  | 'rejected'
  | 'withdrawn'
  | 'expired'
  | 'superseded';

/** Does it still wait for something? */
export const isOpen = (phase: PromotionPhase): boolean =>
  phase === 'proposed' || phase === 'ready' || phase === 'releasing' || phase === 'failed';

export interface Promotion {
  readonly build: string;
  readonly phase: PromotionPhase;
  readonly proposedBy: string;
  /** ISO 8601, UTC. */
  readonly proposedAt: string;
  /** The newest release at that time; null before the first. */
  readonly onto: string | null;
  readonly approvals: readonly Approval[];
  /** Approvals that are needed. */
  readonly needed: number;
  /** Names of the approvers who have not approved yet. */
  readonly missing: readonly string[];
  /** ISO 8601, UTC: when the proposal ends by itself. */
  readonly expires: string;
  /** Why it waits or failed, for people. */
  readonly note?: string | undefined;
}

/** A release as the stream knows it. */
export interface Released {
  readonly build: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly commits: Readonly<Record<string, string>>;
  /** Set when it was taken back. */
  readonly rolledBack?:
    { readonly at: string; readonly to: string; readonly reason?: string | undefined } | undefined;
}

export interface StreamView {
  readonly stream: string;
  /** Build id of the release that readers have now. */
  readonly current: string | null;
  /** Open promotions, oldest first. */
  readonly promotions: readonly Promotion[];
  /** Build whose release or rollback runs now. */
  readonly inWork: string | null;
  /** The newest 50, newest first; releases.json has all. */
  readonly released: readonly Released[];
  /** Builds that an approver has rejected, with the veto's author. */
  readonly vetoes: readonly { readonly build: string; readonly by: string; readonly fingerprint: string }[];
  /** The newest 100, newest first; the build store has every statement. */
  readonly history: readonly DecisionRecord[];
}
