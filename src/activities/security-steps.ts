/** The steps of security releases, as workflows call them. */
import type { Affecting, Fix, FixPlan, Lack, PlannedChange } from '../domain/security.js';
import type { FixRequest, ReworkChanges } from '../domain/statement.js';
import type { Architecture } from '../domain/stream.js';
import type { ArchStepArgs, StepArgs } from './host.js';
import type { ChainPlan } from './prepare.js';
import type { SourcesToBuild } from './rebuild.js';

/** What the watch answers. All that it considered is in `store/<stream>/security/watch.json`. */
export interface WatchResult {
  /** To act on; the stream workflow knows which of them have a case. */
  readonly found: readonly Affecting[];
  /** Sources that could not be read, with the reason: one line each. */
  readonly failed: readonly string[];
}

/** On the control role. */
export interface WatchSteps {
  /** Reads all advisories and judges them by the release of now. Fails with BuildNotReleasable where nothing is released. */
  lookForAdvisories(args: StepArgs): Promise<WatchResult>;
  /**
   * What a person has asked for, as fixes of packages of the release of now. Also checks that given source RPMs are there, and answers the
   * names of the packages of the release that each makes. Fails with FixNotFound.
   */
  findFix(
    args: StepArgs & { request: FixRequest; srpms?: Readonly<Record<string, string>> | undefined },
  ): Promise<{ affecting: readonly Affecting[]; fixes: readonly Fix[] }>;
  /** Fixes of released cases that the build (of either line) lacks. */
  lacking(args: StepArgs & { build: string }): Promise<readonly Lack[]>;
  /** The same of a run whose packages are resolved (`lockfile.json`); for the nightly. */
  lackingInRun(args: ArchStepArgs): Promise<readonly Lack[]>;
  /** Which of these fixes does the release of now lack? */
  lackingNow(args: StepArgs & { fixes: readonly Fix[] }): Promise<readonly Fix[]>;
  /** Remembers what a security release has brought. Idempotent. */
  recordFix(
    args: StepArgs & { case: string; advisories: readonly string[]; cves: readonly string[]; build: string },
  ): Promise<void>;
}

export interface FixArgs extends ArchStepArgs {
  readonly case: string;
}

/** `loadFix` on the control role, `keepFix` on publish, the others on compose, on the run's host. */
export interface FixSteps {
  /**
   * Freezes the run: files, repos and packages of the release of now, in the line that it is of. Answers also that release. Fails with
   * BuildNotReleasable, StreamInvalid.
   */
  loadFix(args: StepArgs & { case: string; attempt: number }): Promise<
    ChainPlan & {
      base: string;
      commits: Readonly<Record<string, string>>;
      /** Are packages rebuilt and signed? Otherwise the tree is composed from the overridden lockfile. */
      rebuilds: boolean;
    }
  >;
  /** Puts given source RPMs where the builders' step finds them (`<arch>/sources/`). Only where packages are rebuilt. */
  collectSrpms(args: FixArgs & { srpms: Readonly<Record<string, string>> }): Promise<SourcesToBuild>;
  /**
   * The package set: that of the base, with the fixes and what these strictly need; writes `accepted.json`, `changes.json`, and where
   * packages are rebuilt `plan.json` and what `collect` puts there. Fails with DepsolveFailed, FixNotFound, SourceMissing.
   */
  planFix(
    args: FixArgs & { fixes: readonly Fix[]; srpms?: Readonly<Record<string, string>> | undefined },
  ): Promise<SourcesToBuild & { changes: ReworkChanges; packages: readonly PlannedChange[] }>;
  /** Where nothing is rebuilt: `accepted.json` becomes the run's lockfile. */
  overrideLockfile(args: FixArgs): Promise<{ packages: number }>;
  /** Writes the build's metadata, and keeps it in the build store alone, where a release finds it. Idempotent. */
  keepFix(
    args: StepArgs & {
      case: string;
      build: string;
      commits: Readonly<Partial<Record<Architecture, string>>>;
      steps: readonly unknown[];
    },
  ): Promise<void>;
}

/** What the signing role gets besides. */
export interface FixApproval {
  readonly case: string;
  readonly base: string;
  readonly changes: ReworkChanges;
  readonly srpms?: Readonly<Record<string, string>> | undefined;
  readonly plan?: FixPlan;
}
