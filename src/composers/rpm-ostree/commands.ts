/**
 * The command lines of `rpm-ostree compose tree`, as pure functions: the steps run what `--dry-run` shows.
 * Options take the form `--name=value`, so that no value can be read as an option.
 */
export type Argv = readonly [string, ...string[]];

/** Where one command works. All paths are absolute. */
export interface Place {
  /** The staging repo. */
  readonly repo: string;
  /** The key set's cache folder; exists. */
  readonly cache: string;
  /** The treefile in this run's own copy of its folder, with the repo files beside it. */
  readonly treefile: string;
}

export interface CommitOptions {
  /** Lockfile in rpm-ostree's own shape. */
  readonly lockfile: string;
  /** Checksum of the parent, which is in the staging repo; without one the commit has none. */
  readonly parent: string | undefined;
  /** String metadata by key, `version` among it. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Files that the run writes. */
  readonly commitId: string;
  readonly composeJson: string;
  readonly touch: string;
}

const composeTree = ['rpm-ostree', 'compose', 'tree'] as const;

const common = ({ repo, cache }: Place) => [`--repo=${repo}`, `--cachedir=${cache}`, '--unified-core'];

/** Strict alone, without a lockfile, is silently ignored: the two options only exist together. */
const locked = (lockfile: string) => [`--ex-lockfile=${lockfile}`, '--ex-lockfile-strict'];

/** Lists the options that this rpm-ostree has. */
export const helpCommand: Argv = [...composeTree, '--help'];

/** Prints the treefile as JSON, includes and variables expanded. Touches neither network nor cache. */
export const printCommand = (place: Place): Argv => [
  ...composeTree,
  ...common(place),
  '--print-only',
  place.treefile,
];

/** Depsolves and writes the lockfile; fetches metadata but no package. */
export const resolveCommand = (place: Place, lockfile: string): Argv => [
  ...composeTree,
  ...common(place),
  '--dry-run',
  `--ex-write-lockfile-to=${lockfile}`,
  place.treefile,
];

/**
 * Fetches the locked packages into the cache and verifies digest and signature. `--force-nocache` because a run that
 * finds "no apparent changes" ends before it has fetched anything.
 */
export const downloadCommand = (place: Place, lockfile: string): Argv => [
  ...composeTree,
  ...common(place),
  '--download-only',
  '--force-nocache',
  ...locked(lockfile),
  place.treefile,
];

/**
 * Makes the tree and its commit. `--cache-only`: what `download` verified is what is used, also when the repos have
 * moved on or are down by now. `--write-commitid-to` leaves the ref where it is. The previous commit keeps user ids
 * and SELinux labels stable; it is always the parent.
 */
export const commitCommand = (place: Place, options: CommitOptions): Argv => [
  ...composeTree,
  ...common(place),
  '--cache-only',
  '--force-nocache',
  ...locked(options.lockfile),
  ...(options.parent === undefined
    ? ['--no-parent']
    : [`--parent=${options.parent}`, `--previous-commit=${options.parent}`]),
  ...Object.entries(options.metadata).map(([key, value]) => `--add-metadata-string=${key}=${value}`),
  `--touch-if-changed=${options.touch}`,
  `--write-composejson-to=${options.composeJson}`,
  `--write-commitid-to=${options.commitId}`,
  place.treefile,
];

/** Options that an rpm-ostree must have to be used. The oldest that was tried is 2023.4. */
export const requiredOptions = [
  '--repo',
  '--cachedir',
  '--unified-core',
  '--print-only',
  '--dry-run',
  '--download-only',
  '--cache-only',
  '--force-nocache',
  '--ex-write-lockfile-to',
  '--ex-lockfile',
  '--ex-lockfile-strict',
  '--parent',
  '--no-parent',
  '--previous-commit',
  '--add-metadata-string',
  '--touch-if-changed',
  '--write-composejson-to',
  '--write-commitid-to',
] as const;

/** The required options that a `--help` text does not list. */
export function missingOptions(help: string): readonly string[] {
  const has = new Set([...help.matchAll(/(?<=^|\s)--[a-z][a-z-]*/gm)].map(([option]) => option));
  return requiredOptions.filter((option) => !has.has(option));
}

/** Exit code of `exclusively` when another process has the cache. No exit code of rpm-ostree's own. */
export const busyCode = 75;

/** The command while nobody else works on the cache: rpm-ostree itself takes no lock. */
export const exclusively = (cache: string, argv: Argv): Argv => [
  'flock',
  '--nonblock',
  '--close',
  `--conflict-exit-code=${busyCode}`,
  `${cache}.lock`,
  ...argv,
];
