/**
 * Words of security rebuilds: advisories, cases and their plans. A case is opened by the advisory watch or by a person, makes one
 * security release, and ends with it. Free of schemas, so that workflows may import it.
 */
import type { Approval } from './promotion.js';
import type { ReworkChanges } from './statement.js';

/** Least severe first. */
export const severities = ['none', 'low', 'moderate', 'important', 'critical'] as const;
export type Severity = (typeof severities)[number];
export const isAtLeast = (severity: Severity, least: Severity): boolean =>
  severities.indexOf(severity) >= severities.indexOf(least);

/** An advisory, from `updateinfo`, OSV or CSAF. */
export interface SecurityAdvisory {
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  readonly cves: readonly string[];
  /** ISO 8601, UTC: when it was published; absent where it does not say. */
  readonly issued?: string | undefined;
  /** Repo id, or the file or address that it was read from. */
  readonly source: string;
}

/** A package of the release that is to be replaced: by this version or, of an advisory, a later one. */
export interface Fix {
  readonly name: string;
  /** `[epoch:]version-release` */
  readonly evr: string;
  /** Ids of the advisories that ask for it; none for one that a person named. */
  readonly advisories: readonly string[];
}

/** What the watch found for one advisory that is at work for the release of now. */
export interface Affecting {
  readonly advisory: SecurityAdvisory;
  readonly fixes: readonly Fix[];
}

/** An advisory as the last look judged it. */
export interface Considered extends SecurityAdvisory {
  /**
   * `acted`: a case is opened, or was; `fixed`: the release has it; `absent`: none of its packages are in the release; `below`: less
   * severe than the stream asks for; `not-core`: none of its packages is among the stream's `core`.
   */
  readonly verdict: 'acted' | 'fixed' | 'absent' | 'below' | 'not-core';
  /** One line for people. */
  readonly reason: string;
  /** Packages of the release that lack the fix: name, what is released, what fixes it. Empty unless the release lacks it. */
  readonly lacking: readonly { readonly name: string; readonly released: string; readonly fixed: string }[];
}

/** One package that a security release changes. */
export interface PlannedChange {
  readonly name: string;
  /** `[epoch:]version-release.arch` in the release of now; null for one that is added. */
  readonly from: string | null;
  /** Null for one that goes. */
  readonly to: string | null;
  /** `fix`: it was asked for; `needed`: a fix cannot be installed without it. */
  readonly why: 'fix' | 'needed';
}

/** What an approver of a case approves, word for word. */
export interface FixPlan {
  /** The release that it is made from. */
  readonly base: string;
  /** The base's commits. */
  readonly commits: Readonly<Record<string, string>>;
  readonly changes: ReworkChanges;
  /** For people. */
  readonly packages: readonly PlannedChange[];
}

/**
 * `joining`: waits a moment for advisories that come together; `building`: planned, rebuilt and tested as far as that goes without an
 * approval; `waiting`: nothing is left but the approval; `differs`: something else than the fix changed, and waits for `accept-fix`;
 * `ready`: tested and approved, waits until another release has ended; `failed`: waits for a retry. The others are ends.
 */
export type CasePhase =
  | 'joining'
  | 'building'
  | 'waiting'
  | 'differs'
  | 'ready'
  | 'releasing'
  | 'failed'
  | 'released'
  | 'dismissed'
  | 'fixed';

export const isOpenCase = (phase: CasePhase): boolean => !['released', 'dismissed', 'fixed'].includes(phase);

/** When each came about; ISO 8601, UTC. Time to fix is counted from these. */
export interface CaseTimes {
  /** The earliest of its advisories. */
  readonly published?: string | undefined;
  readonly detected: string;
  readonly planned?: string | undefined;
  readonly approved?: string | undefined;
  /** Built and tested. */
  readonly built?: string | undefined;
  readonly released?: string | undefined;
}

export interface SecurityCase {
  /** `<yyyymmdd>-<n>`, counted by the stream. */
  readonly id: string;
  readonly phase: CasePhase;
  /** `watch`, or the approver who asked for it. */
  readonly openedBy: string;
  readonly advisories: readonly SecurityAdvisory[];
  readonly fixes: readonly Fix[];
  /** Source RPMs that a person gave: `sha256` by file name. Their packages are fixes too. */
  readonly srpms?: Readonly<Record<string, string>> | undefined;
  /** Nothing of it is shown or told in public before its release. */
  readonly embargoed: boolean;
  /** Counted from 1: builds that were begun for it. */
  readonly attempt: number;
  /** From when it is known. */
  readonly plan?: FixPlan | undefined;
  /** The build that it has made. */
  readonly build?: string | undefined;
  readonly buildCommits?: Readonly<Record<string, string>> | undefined;
  readonly approvals: readonly Approval[];
  readonly needed: number;
  /** Names of those of the security group who have not approved. */
  readonly missing: readonly string[];
  readonly times: CaseTimes;
  /** Nonce of the last decision that it has taken in. */
  readonly heard?: string | undefined;
  /** Why it waits, failed or ended; for people. */
  readonly note?: string | undefined;
}

/** What a release is told of the case that makes it. */
export interface SecurityRelease {
  /** Id of the case. */
  readonly case: string;
  readonly advisories: readonly SecurityAdvisory[];
}

/** The CVEs of these advisories, each once, by name. */
export const cvesOf = (advisories: readonly Pick<SecurityAdvisory, 'cves'>[]): string[] =>
  [...new Set(advisories.flatMap(({ cves }) => cves))].sort();

/** How grave the gravest of these is. */
export const gravest = (advisories: readonly Pick<SecurityAdvisory, 'severity'>[]): Severity =>
  severities[Math.max(0, ...advisories.map(({ severity }) => severities.indexOf(severity)))] ?? 'none';

/** A fix that a release has brought: what is built or released later must not lose it. */
export interface ReleasedFix {
  /** Id of the case. */
  readonly case: string;
  readonly advisories: readonly string[];
  readonly cves: readonly string[];
  /** The release that brought it. */
  readonly build: string;
  /** By package name: the lowest `[epoch:]version-release` that has it. */
  readonly packages: Readonly<Record<string, string>>;
}

/** A fix that a package set lacks. */
export interface Lack {
  /** Id of the case that brought it. */
  readonly case: string;
  readonly advisories: readonly string[];
  readonly packages: readonly { readonly name: string; readonly is: string; readonly fixed: string }[];
}
