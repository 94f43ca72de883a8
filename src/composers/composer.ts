/**
 * What a composer does: from a treefile and package repos to a commit in the staging repo. Two implement it: `dnf`
 * (embedded) and `rpm-ostree`. All four steps are idempotent: a second try after a crash gives the same result.
 */
import type { Architecture } from '../domain/names.js';
import type { RepoCredentials } from '../domain/repos.js';
import type { FailureCode } from '../domain/failures.js';
import type { Lockfile } from '../domain/lockfile.js';
import type { Argv, Step } from '../steps/step.js';

export interface RepoInput {
  readonly id: string;
  /** `http://`, `https://` or `file://`, its variables filled in. */
  readonly baseurl: string;
  /** Absolute paths of the ASCII-armoured public keys that may sign packages and metadata. */
  readonly gpgKeys: readonly string[];
  /** Is repomd.xml signed (detached, `repomd.xml.asc`) and to be verified? Packages always are. */
  readonly metadataSigned: boolean;
  /** Of a repo that asks for user and password; the value is in the file only. */
  readonly credentials?: RepoCredentials | undefined;
  /** dnf's: of a package that two repos have, that of the lower number counts. */
  readonly priority?: number | undefined;
  /** dnf's: of the same package in two repos, that of the lower cost is taken. */
  readonly cost?: number | undefined;
}

export interface ComposeInput {
  /** Absolute path of the treefile. */
  readonly treefile: string;
  readonly arch: Architecture;
  readonly releasever: string;
  readonly repos: readonly RepoInput[];
  /** Scratch folder of this run on a local disk; exists. */
  readonly work: string;
  /** Cache folder of this stream and architecture, kept between runs; exists. */
  readonly cache: string;
  /** The staging ostree repo (archive mode), initialised. */
  readonly repo: string;
}

/** What is known before a run. */
export interface CheckInput extends Pick<ComposeInput, 'treefile' | 'arch' | 'releasever' | 'repos'> {
  readonly ref: string;
  /** Are builds also made from the accepted packages alone, without the groups of the repos (signed rebuilds, fixes)? */
  readonly rebuilt: boolean;
}

/** One mistake in what a stream is composed from. */
export interface Problem {
  readonly code: FailureCode;
  /** Names file, line and field; for a field of the stream file, what is wrong with it. */
  readonly text: string;
  /** The field of the stream file that is wrong. */
  readonly field?: readonly PropertyKey[];
}

export interface CommitInput {
  readonly ref: string;
  /** The ref of releases: the commit is bound to it too, so that clients accept it there. */
  readonly releaseRef?: string;
  /** The build id; becomes the commit's `version`. */
  readonly version: string;
  /** Checksum of the parent commit, or none for a first build. */
  readonly parent: string | undefined;
  /** String metadata to add, by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Seconds since the epoch: the commit's time stamp and SOURCE_DATE_EPOCH of what is made. */
  readonly timestamp: number;
}

/** What a composer says of its tree, by which the check of the content knows what is meant. Paths are absolute, as packaged. */
export interface Composed {
  /** Are files marked as documentation installed? */
  readonly documentation: boolean;
  /** Are only files of some languages installed? */
  readonly languages: boolean;
  /** What was removed, and by whom: a key of the treefile, `scriptlet`, or `composer`. */
  readonly removed: Readonly<Record<string, string>>;
  /** What was changed after the installation, and by whom. */
  readonly changed: Readonly<Record<string, string>>;
  /** For a composer that cannot tell: patterns (regular expressions of Python's) of what the treefile removes. */
  readonly mayRemove: readonly {
    readonly by: string;
    readonly package?: string | undefined;
    readonly patterns: readonly string[];
  }[];
  /** For a composer that cannot tell: what all else that is missing or changed is put down to. */
  readonly presumed: string | null;
}

/** Commands of each step; what is known only at run time stands in angle brackets. */
export type ComposeCommands = Readonly<
  Record<'resolve' | 'download' | 'compose' | 'commit', readonly Argv[]>
>;

export interface Composer {
  /** What the steps run, for `--dry-run`. */
  commands(input: ComposeInput, commit: CommitInput): ComposeCommands;
  /** Everything that can be found wrong without network and tools. */
  check(input: CheckInput): Promise<readonly Problem[]>;
  /**
   * Depsolves against fresh, verified repo metadata and keeps a copy of that metadata in `work`.
   * Fails with PackageNotFound, DepsolveFailed, PackageSignature, RepoUnreachable, StreamInvalid, TreefileUnsupported.
   */
  resolve(step: Step, input: ComposeInput): Promise<Lockfile>;
  /** Fetches the locked packages and verifies digest and signature of each. Fails with PackageChecksum, PackageSignature, RepoUnreachable. */
  download(step: Step, input: ComposeInput, lockfile: Lockfile): Promise<void>;
  /**
   * Makes the tree in `work` from the locked packages and from nothing else. `parent`: checksum of the parent commit, whose accounts
   * keep their numbers.
   */
  compose(step: Step, input: ComposeInput, lockfile: Lockfile, parent: string | undefined): Promise<Composed>;
  /** Commits the tree, without moving any ref; answers the checksum. */
  commit(step: Step, input: ComposeInput, commit: CommitInput): Promise<string>;
}
