/** What is known of a stream's promotions: the answer of the stream workflow's `view` query, and what its pages show. */
import type { SecurityCase } from './security.js';
import { changesText, type ReworkChanges } from './rework-changes.js';
import type { RebuildDecision } from './statement.js';

/** The author of what happened without anybody's decision, such as the end of a release. */
export const treeline = 'treeline';

/** One decision, or an attempt at one, as the history keeps it. */
export interface DecisionRecord {
  /** ISO 8601, UTC: when it was accepted. */
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
  /** Of a decision about a security release: its case. `build` is the release that it is made from. */
  readonly case?: string | undefined;
}

/** An approval that counts at the moment. */
export interface Approval {
  readonly approver: string;
  readonly fingerprint: string;
  readonly nonce: string;
  readonly at: string;
}

/** What a person's test of a build has come to, by their last signed report on it. */
export interface TestReport {
  /** The build that was tested. */
  readonly build: string;
  /** Name of the approver or tester. */
  readonly by: string;
  readonly result: 'pass' | 'fail';
  readonly note?: string | undefined;
  /** ISO 8601, UTC: when it was signed. */
  readonly at: string;
}

/** What an approver says of the last attempt; each has one word on it. */
export interface Vote extends Approval {
  /** The newest release when it was signed. */
  readonly onto: string | null;
  /** Of `release`: the signed build. */
  readonly signed?: string | undefined;
  readonly reuse?: boolean | undefined;
  readonly changes?: ReworkChanges | undefined;
  readonly reason?: string | undefined;
}
export type Votes = Readonly<Partial<Record<RebuildDecision, readonly Vote[]>>>;

/**
 * `proposed`: waits for approvals. `ready`: approved, waits until another release has ended. `releasing`: the release workflow runs.
 * `failed`: the release failed before its point of no return and was compensated; waits for a retry. Of a stream with signed rebuilds:
 * `rebuilding`: an attempt runs; `deciding`: it has ended, and the SIG decides; then `ready`. The others are ends.
 */
export type PromotionPhase =
  | 'proposed'
  | 'rebuilding'
  | 'deciding'
  | 'ready'
  | 'releasing'
  | 'failed'
  | 'released'
  | 'rejected'
  | 'withdrawn'
  | 'expired'
  | 'abandoned'
  | 'superseded';

/** Does it still wait for something? */
export const isOpen = (phase: PromotionPhase): boolean =>
  ['proposed', 'rebuilding', 'deciding', 'ready', 'releasing', 'failed'].includes(phase);

/** One attempt at the signed rebuild of an accepted build. */
export interface Attempt {
  /** Counted from 1. */
  readonly number: number;
  /** What asked for it. */
  readonly kind: 'first' | 'redo' | 'rework';
  readonly reuse?: boolean | undefined;
  readonly changes?: ReworkChanges | undefined;
  /**
   * `running`; `differs`: its tree differs in a way that nobody expected, and waits for `accept`; `testing`: published at the testing
   * location; `failed`; `cancelled`: by a decision.
   */
  readonly state: 'running' | 'differs' | 'testing' | 'failed' | 'cancelled';
  /** ISO 8601, UTC. */
  readonly began: string;
  readonly ended?: string | undefined;
  /** The signed build's id, from when it has one. */
  readonly build?: string | undefined;
  readonly commits?: Readonly<Record<string, string>> | undefined;
  /** Why it failed, or what differs; for people. */
  readonly note?: string | undefined;
}

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
  /** Names of the approvers who have not approved yet; of a signed rebuild that has begun: who have said nothing of the last attempt. */
  readonly missing: readonly string[];
  /** ISO 8601, UTC: when the proposal ends by itself. */
  readonly expires: string;
  /** Why it waits or failed, for people. */
  readonly note?: string | undefined;
  /** Time of the newest statement that it has looked at; ISO 8601, UTC. */
  readonly judgedTo?: string | undefined;
  /** Test reports on the build that would be released, oldest first. */
  readonly reports?: readonly TestReport[] | undefined;
  /** Passing test reports that its release needs. */
  readonly reportsNeeded?: number | undefined;
  /** Security cases whose released fixes it lacks: statements have to name them. */
  readonly unfixed?: readonly string[] | undefined;
  /** Of a stream with signed rebuilds: every attempt, oldest first. */
  readonly attempts?: readonly Attempt[] | undefined;
  /** Attempts that earlier promotions of the build have made: their numbers are not used again. */
  readonly attemptsBefore?: number | undefined;
  /** What the SIG says of the last attempt, by decision. Only those of a decision count together that say the same. */
  readonly votes?: Votes | undefined;
  /** Distinct approvers that each decision about the rebuild needs. */
  readonly votesNeeded?: Readonly<Record<RebuildDecision, number>> | undefined;
}

/** The build that readers get by a promotion: of a signed rebuild what the last attempt has made. */
export const releasedAs = ({ build, attempts }: Pick<Promotion, 'build' | 'attempts'>): string =>
  attempts?.at(-1)?.build ?? build;

/** Passing test reports that the release still lacks. */
export const reportsLacking = ({
  reports = [],
  reportsNeeded = 0,
}: Pick<Promotion, 'reports' | 'reportsNeeded'>) =>
  Math.max(0, reportsNeeded - reports.filter(({ result }) => result === 'pass').length);

/** Two words on an attempt count together if they ask for the very same. */
const sameVote = ({ onto, signed, reuse, changes }: Vote, decision: RebuildDecision): string =>
  JSON.stringify([
    // Which release was the newest matters only for the next one.
    ...(decision === 'release' ? [onto, signed] : []),
    reuse,
    changes && changesText(changes),
  ]);

/** The largest group of approvers who ask for the very same by a decision; the first of those that are as large. */
export function agreed(votes: Votes | undefined, decision: RebuildDecision): readonly Vote[] {
  const groups = new Map<string, Vote[]>();
  for (const vote of votes?.[decision] ?? []) {
    const said = sameVote(vote, decision);
    groups.set(said, [...(groups.get(said) ?? []), vote]);
  }
  return [...groups.values()].reduce((most, group) => (group.length > most.length ? group : most), []);
}

/** A release as the stream knows it. */
export interface Released {
  readonly build: string;
  /** Of a signed rebuild or a security release: the accepted build. */
  readonly accepted?: string | undefined;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly commits: Readonly<Record<string, string>>;
  /** Set when it was taken back. */
  readonly rolledBack?:
    { readonly at: string; readonly to: string; readonly reason?: string | undefined } | undefined;
}

/** The accepted build of a release: what it is compared with others by. A build of before it may be signed after it. */
export const acceptedOf = (released: readonly Released[], build: string): string =>
  released.find((release) => release.build === build)?.accepted ?? build;

/** So many releases, the newest, are in a stream's view; releases.json has all. */
export const keptReleases = 50;

export interface StreamView {
  readonly stream: string;
  /** Build id of the release that readers have now. */
  readonly current: string | null;
  /** Open promotions, oldest first. */
  readonly promotions: readonly Promotion[];
  /** Build whose release or rollback runs now. */
  readonly inWork: string | null;
  /** The newest, newest first: `keptReleases`. */
  readonly released: readonly Released[];
  /** Builds that an approver has rejected, with the veto's author. */
  readonly vetoes: readonly { readonly build: string; readonly by: string; readonly fingerprint: string }[];
  /** Security cases: the open ones, and the newest 100 that have ended; newest first. Not for the public: embargoed ones are among them. */
  readonly security?: readonly SecurityCase[] | undefined;
  /** How many attempts promotions of a build have made that ended without a release. */
  readonly attempted?: Readonly<Record<string, number>> | undefined;
  /** The newest 100, newest first; the build store has every statement. */
  readonly history: readonly DecisionRecord[];
  /** Signals that were no messages: a line for each of the first 20, oldest first. */
  readonly refused?: readonly string[] | undefined;
}
