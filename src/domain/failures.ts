import { mask } from './secrets.js';

/**
 * Every way in which a step can fail: one table. The code is the failure's type in Temporal; a retryable one is
 * tried again with back-off, another is final. `docs/failures.md` is generated from this table.
 */
export interface FailureKind {
  /** Would another try help without a person's doing? */
  readonly retryable: boolean;
  readonly family:
    | 'input'
    | 'package'
    | 'rebuild'
    | 'compose'
    | 'image'
    | 'test'
    | 'signing'
    | 'decision'
    | 'publish'
    | 'machine';
  /** What happened, in general. */
  readonly meaning: string;
  /** What a person does about it. */
  readonly remedy: string;
}

const kind = (
  family: FailureKind['family'],
  retryable: boolean,
  meaning: string,
  remedy: string,
): FailureKind => ({ family, retryable, meaning, remedy });

export const failureKinds = {
  InputRefused: kind(
    'input',
    false,
    'A step or workflow was started, or a workflow asked, with an input that is not of its form.',
    'Correct the field that the message names. Treeline’s own workflows do not send such inputs: of anything else, find out who did.',
  ),
  StreamInvalid: kind(
    'input',
    false,
    'The stream file or its treefile is not valid.',
    'Mend the field that the message names, then start the nightly again.',
  ),
  TreefileUnsupported: kind(
    'input',
    false,
    'The treefile uses what the chosen composer does not do.',
    'Remove the key or choose `composer: rpm-ostree`.',
  ),
  PackageNotFound: kind(
    'package',
    false,
    'A package that the treefile names is in none of the repos.',
    'Correct the name in the treefile or add the repo that carries it.',
  ),
  DepsolveFailed: kind(
    'package',
    false,
    'The packages cannot be installed together.',
    'Read the problem list in the log of step `resolve`; fix the repos or the treefile.',
  ),
  PackageSignature: kind(
    'package',
    false,
    'A package or repo metadata is unsigned, damaged or signed with another key.',
    'Find out who made it. If the key is new and right, add it to `repos.<id>.gpgKeys`.',
  ),
  PackageChecksum: kind(
    'package',
    false,
    'A downloaded package is not the one that the lockfile names.',
    'The repo changed under the same name: have it repaired, then start again.',
  ),
  MetadataRefused: kind(
    'package',
    false,
    'A repo’s metadata names what no package can have, or takes more memory or time to read than it may.',
    'Nothing of it was used. The message names repo and package: have the repo repaired, or find out who changed it.',
  ),
  RepoUnreachable: kind(
    'package',
    true,
    'A package repo does not answer.',
    "Check the repo's URL and the network; the step goes on by itself when it is back.",
  ),
  RepoRefused: kind(
    'package',
    false,
    'A package repo refuses us (HTTP status 401 or 403).',
    'Check `repos.<id>.credentials`: user name and password file. Then start the nightly again.',
  ),
  RepoChanged: kind(
    'package',
    false,
    'A package repo changed during the run, more often than the run starts over.',
    'Start the nightly when the repo is quiet.',
  ),
  SourceMissing: kind(
    'rebuild',
    false,
    'A source package that is to be rebuilt is in none of the source repos.',
    'Add the repo that carries it to `release.rebuild.sources`, or take the package out of `list`.',
  ),
  ReimzulAway: kind(
    'rebuild',
    true,
    'The build system (its queue or its results) does not answer.',
    'Check `release.rebuild.reimzul`; the step goes on by itself when it is back.',
  ),
  RebuildFailed: kind(
    'rebuild',
    false,
    'A source package does not build.',
    'Read the builder’s log, which the message names; then decide `rework` or `abandon`.',
  ),
  RebuildLost: kind(
    'rebuild',
    false,
    'The build of a source package was lost more often than it is tried.',
    'Look after the builders; then decide `redo`.',
  ),
  RebuildWrong: kind(
    'rebuild',
    false,
    'A builder says success, but its results are missing or not what was asked for.',
    'Compare the results, which the message names, with the source package; then decide `redo`.',
  ),
  ResultsStuck: kind(
    'rebuild',
    true,
    'The repo of the results is not made again: its `.repolock` was left behind.',
    'Look whether createrepo still runs there; remove the lock if not. The step goes on by itself.',
  ),
  LockfileDrift: kind(
    'rebuild',
    false,
    'The packages of the rebuild are not those that were accepted.',
    'The message names them; decide `rework` with the package pinned or dropped, or `redo`.',
  ),
  NotEquivalent: kind(
    'rebuild',
    false,
    'The rebuilt tree differs from the accepted one in a way that nobody expected.',
    'Read the equivalence report; then decide `accept`, `rework`, `redo` or `abandon`.',
  ),
  TreeRefused: kind(
    'test',
    false,
    'The tree is not fit for a release: a package without the right signature, or a wrong update source.',
    'The message says which; fix the packages or the stream and decide `redo` or `rework`.',
  ),
  ComposeFailed: kind(
    'compose',
    false,
    'The composer ended with an error.',
    'Read the log of step `compose`.',
  ),
  PostprocessFailed: kind(
    'compose',
    false,
    'A post-process script of the treefile failed.',
    'Read the log of step `compose` and fix the script.',
  ),
  CommitInvalid: kind(
    'compose',
    false,
    'The commit is not what it must be (version, parent or content).',
    'Nothing was published. Report it with the log of step `commit`.',
  ),
  ContentMissing: kind(
    'compose',
    false,
    'The commit lacks something of its packages, or has it otherwise than they have it.',
    'The message names file and package. Drop the file in the treefile if that is meant; else look who removed or changed it in the log of step `compose`.',
  ),
  ParentInvalid: kind(
    'compose',
    false,
    'The last published commit does not verify.',
    'The published repo was damaged or tampered with: compare it with its backups before anything is published on top.',
  ),
  ImageFailed: kind('image', false, 'An image could not be made.', "Read the log of the image's step."),
  BootTestFailed: kind(
    'test',
    false,
    'The image did not boot into the commit that it was made from.',
    'Read the console log of the boot test; nothing was published.',
  ),
  SigningFailed: kind(
    'signing',
    false,
    'A signature could not be made.',
    'Check the key: `treeline doctor --roles signing`.',
  ),
  KeyMissing: kind(
    'signing',
    false,
    'A key that the stream names is missing, expired or unusable.',
    'Import the key or renew it; `treeline doctor --roles signing` shows its state.',
  ),
  KeyNotTrusted: kind(
    'signing',
    false,
    'The last published commit or summary is signed with a key that the stream does not list, or that has expired.',
    'After a change of keys, name the former key in `trustedKeys` (docs/operating.md, “Change the signing key”); renew an expired one. If nobody changed the key, somebody else wrote there: see ParentInvalid.',
  ),
  StatementRefused: kind(
    'decision',
    false,
    'A statement is not a valid decision of an approver.',
    'The message says why; make and sign a new one (`treeline promote`, `approve`, …).',
  ),
  BuildNotReleasable: kind(
    'decision',
    false,
    'The build cannot be released.',
    'Choose another build: `treeline builds STREAM` lists those that are published.',
  ),
  ReleaseUnfixed: kind(
    'decision',
    false,
    'The build lacks a fix that a security release has brought.',
    'Choose a build that has it, or rework the rebuild with the fixed packages (`treeline decide STREAM rework`); to release it all the same, sign with `--unfixed CASE`.',
  ),
  FixNotFound: kind(
    'decision',
    false,
    'There is no such advisory, package or source RPM, or the release has the fix already.',
    'The message says which; `treeline security STREAM` lists what is known.',
  ),
  AdvisoryInvalid: kind(
    'package',
    false,
    'Advisories of a repo or file are malformed, truncated, too large or hostile.',
    'What the message names was ignored; all other advisories count. Fix it or report it upstream.',
  ),
  BuildDamaged: kind(
    'decision',
    false,
    'The build is not what its metadata says: a checksum or signature does not fit.',
    'Nothing was released. Find out who changed it; release another build.',
  ),
  HeadMoved: kind(
    'decision',
    false,
    'The release location has moved since the approval.',
    'Look at what was released there; then approve again, or redo the signed rebuild where the message says so.',
  ),
  MailServerAway: kind(
    'publish',
    true,
    'The mail server does not answer.',
    'Check `release.mail`; the mail goes out by itself when the server is back.',
  ),
  MailRefused: kind(
    'publish',
    false,
    'The mail server refuses us, the sender or a recipient.',
    'Check `release.mail` and the addresses; then `treeline retry`.',
  ),
  MailInDoubt: kind(
    'publish',
    false,
    'It is not known whether the mail server took the mail.',
    'Look for its Message-ID on the list; then `treeline announce --sent` or `--again`.',
  ),
  PublishConflict: kind(
    'publish',
    false,
    'The target already has something else under this name.',
    'A build is immutable: find out who wrote there. Nothing was overwritten.',
  ),
  TargetUnreachable: kind(
    'publish',
    true,
    'The publish target does not answer.',
    'Check the target; the push goes on by itself when it is back.',
  ),
  PublishRefused: kind(
    'publish',
    false,
    'The publish target refuses us, or its readers’ address refuses everybody.',
    'The message says which: check account, key, module, folder and `url` of `publish`.',
  ),
  VerificationFailed: kind(
    'publish',
    false,
    'Readers do not get what was pushed.',
    "Readers were returned to the former build. The message names the address; read the step's log.",
  ),
  ReadersBehind: kind(
    'publish',
    false,
    'A cache or mirror before the publish target gives readers an older state for longer than Treeline waits.',
    'Let it ask for `summary`, `summary.sig`, `refs/` and `*.json` every few minutes at most (`max-age`), or clear it; then start again.',
  ),
  DiskFull: kind(
    'machine',
    true,
    'Too little free space.',
    'Free space or lower `retention`; the step goes on by itself.',
  ),
  ToolMissing: kind(
    'machine',
    false,
    'A program that the step needs is not installed.',
    'Run `treeline doctor`: it names the package.',
  ),
  WorkerLost: kind(
    'machine',
    false,
    'The worker of a step ended or lost its connection, and so did those of all further tries.',
    "Look at the worker's host and log (out of memory, stopped, no network); then start the run again.",
  ),
  NoWorker: kind(
    'machine',
    false,
    'No worker took a step in time.',
    'Start a worker of the role: `treeline status` shows which are there.',
  ),
  StepTimeout: kind(
    'machine',
    false,
    'A step took longer than it may, with all its tries.',
    "Read the step's log: it says what it was doing; a slow or overloaded machine is the usual reason.",
  ),
  CommandInvalid: kind(
    'machine',
    false,
    'A command cannot be started as it is: too many arguments, no such folder, or a file that is not a program.',
    "The message names the program and the reason; report it with the step's log.",
  ),
  CommandKilled: kind(
    'machine',
    true,
    'A command was killed by a signal: the machine was out of memory, somebody ended it, or it crashed.',
    'Look at memory and at the kernel log; the step goes on by itself, a few times.',
  ),
  ResourcesExhausted: kind(
    'machine',
    true,
    'The machine has no memory, processes or open files left for a command.',
    'Give it more, or run fewer steps at a time; the step goes on by itself, a few times.',
  ),
  CommandFailed: kind(
    'machine',
    true,
    'A command failed in a way that Treeline does not know.',
    "Read the step's log.",
  ),
  StoreDamaged: kind(
    'machine',
    false,
    'A file of the state folder is damaged or missing.',
    'Restore the file that the message names: docs/operating.md (“A damaged file”) says from where.',
  ),
  SettingInvalid: kind(
    'input',
    false,
    'A setting of the environment is not valid, or what it names is not there or taken.',
    'Correct the variable that the message names; docs/cli.md lists them all.',
  ),
  Busy: kind('machine', true, 'Another process holds a lock.', 'Wait; the step goes on by itself.'),
} as const satisfies Record<string, FailureKind>;

export type FailureCode = keyof typeof failureKinds;

/** A failure with a place in the table. Its message is short; whole outputs are in the step's log. Secrets are masked in it. */
export class Failure extends Error {
  override readonly name = 'Failure';
  /** The last lines of the command's output, bounded. */
  readonly tail: readonly string[];
  constructor(
    readonly code: FailureCode,
    message: string,
    tail: readonly string[] = [],
    /** So long the other side wants to be left alone, in milliseconds. Default: the step's own back-off. */
    readonly retryAfter?: number,
  ) {
    super(mask(message));
    this.tail = tail.map(mask);
  }
}

/**
 * For `.catch` of a command: gives its failure the meaning that it has here. A full disk, a missing tool, a command that was killed or
 * a cancellation stays what it is.
 */
export const meaning =
  (code: FailureCode, what: string) =>
  (error: unknown): never => {
    if (error instanceof Failure && error.code === 'CommandFailed')
      throw new Failure(code, `${what}: ${error.message}`, error.tail);
    throw error;
  };
