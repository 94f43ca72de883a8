/**
 * Types for security releases: advisories, cases and their plans. A case is opened by the advisory watch or by a person, makes one
 * security release, and ends with it. Free of schemas, so that workflows may import it.
 */
import type { Approval } from './promotion.js';
import type { ReworkChanges } from './rework-changes.js';

/** What a stream may ask for; least severe first. `none` is a rating too: CVSS gives it to a score of 0. */
export const severities = ['none', 'low', 'moderate', 'important', 'critical'] as const;
export type Rating = (typeof severities)[number];
/** `unknown`: the advisory gives none that is understood. */
export type Severity = Rating | 'unknown';
/** All of them in the order in which people should look at them: what has no rating may be anything. */
export const bySeverity = ['none', 'low', 'moderate', 'unknown', 'important', 'critical'] as const;

/** An unknown severity counts as at the limit. */
export const isAtLeast = (severity: Severity, least: Rating): boolean =>
  severity === 'unknown' || severities.indexOf(severity) >= severities.indexOf(least);

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

/** What the watch found for one advisory that affects the current release. */
export interface Affecting {
  readonly advisory: SecurityAdvisory;
  readonly fixes: readonly Fix[];
}

/** How a package of the release stands to an advisory that is not settled for it. */
export type AffectedPackage = {
  readonly name: string;
  /** `[epoch:]version-release` that is released. */
  readonly released: string;
} & (
  | { readonly state: 'lacks'; readonly fixed: string }
  /** Affected, and no version with a fix is known. `why`: what else is said of a fix. */
  | { readonly state: 'unfixed'; readonly why: string }
  | { readonly state: 'unclear'; readonly why: string }
);

/** `bash 5.1-1, fixed in 5.1-2` */
export const affectedText = (one: AffectedPackage): string =>
  `${one.name} ${one.released}, ${one.state === 'lacks' ? `fixed in ${one.fixed}` : one.why}`;

/** Verdicts that leave something for people to look at although there is nothing to build. */
export const openVerdicts = ['unfixed', 'unclear'] as const;
export const isOpenVerdict = (verdict: Verdict): boolean =>
  (openVerdicts as readonly Verdict[]).includes(verdict);

/**
 * `acted`: a case is opened, or was; `fixed`: the release has the fix; `unaffected`: its packages are in the release in versions or of
 * a module stream that the advisory is not about; `absent`: none of its packages are in the release; `below`: less severe than the
 * stream asks for; `not-core`: none of its packages is among the stream's `core`; `unfixed`: the release is affected, and no fix is
 * known; `unclear`: it cannot be judged; `withdrawn`: its publisher has taken it back, or not issued it yet.
 */
export const verdicts = [
  ...(['acted', 'fixed', 'unaffected', 'absent', 'below', 'not-core'] as const),
  ...openVerdicts,
  'withdrawn',
] as const;
export type Verdict = (typeof verdicts)[number];

/** For people. */
export const verdictWords: Readonly<Record<Verdict, string>> = {
  acted: 'acted on',
  fixed: 'fixed',
  unaffected: 'not affected',
  absent: 'not affected',
  below: 'too slight',
  'not-core': 'not core',
  unfixed: 'affected, no fix known',
  unclear: 'cannot be judged',
  withdrawn: 'withdrawn',
};

/** `2 affect the release and have no known fix, 1 cannot be judged` */
export function openText(considered: readonly Pick<Considered, 'verdict'>[]): string {
  const count = (of: Verdict) => considered.filter(({ verdict }) => verdict === of).length;
  const [unfixed, unclear] = [count('unfixed'), count('unclear')];
  return [
    ...(unfixed > 0 ? [`${unfixed} affect the release and have no known fix`] : []),
    ...(unclear > 0 ? [`${unclear} cannot be judged`] : []),
  ].join(', ');
}

/** An advisory as the last check judged it. */
export interface Considered extends SecurityAdvisory {
  readonly verdict: Verdict;
  /** One line for people. */
  readonly reason: string;
  /** Packages of the release that it leaves unsettled: at most one entry for each package and state. */
  readonly affected: readonly AffectedPackage[];
}

/** One package that a security release changes. */
export interface PlannedChange {
  readonly name: string;
  /** `[epoch:]version-release.arch` in the current release; null for one that is added. */
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
  /** Time of the newest statement that it has looked at; ISO 8601, UTC. */
  readonly judgedTo?: string | undefined;
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
  bySeverity.findLast((severity) => advisories.some((one) => one.severity === severity)) ?? 'unknown';

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

/** `Important`, as advisories write it. */
export const severityWord = (severity: Severity) => severity.slice(0, 1).toUpperCase() + severity.slice(1);
