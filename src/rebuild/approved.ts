/** What the SIG approved, as the signing host can see it for itself: statements → commit → hash of its inputs → packages. */
import { join } from 'node:path';
import { hashInputs, inputHashKey } from '../composers/input-hash.js';
import { frozenStream, type Host } from '../host.js';
import type { ApprovedArgs, FixApproval } from '../domain/inputs.js';
import { commitMetadata } from '../ostree/repo.js';
import { sha256 } from '../store/checksums.js';
import { needRelease, baseOf, type Architecture, type Stream } from '../domain/stream.js';
import { Failure } from '../domain/failures.js';
import { lockfile, type Lockfile } from '../domain/lockfile.js';
import { acceptedRun, firstOf, lockfileDrift, type AcceptedRun } from '../domain/rebuild-packages.js';
import type { RebuildSettings } from '../domain/rebuild-settings.js';
import { authority } from '../release/authority.js';
import type { Step } from '../steps/step.js';
import { needJson } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { needRebuild } from './collect.js';
import { fixRepos } from './fix-run.js';

export interface Approved {
  /** `accepted.json`: the lockfile of the rebuild. */
  readonly accepted: Lockfile;
  /** Names of the packages that an approved rework has pinned or added: the accepted build's commit does not vouch for these. */
  readonly pinned: ReadonlySet<string>;
  /** As the stream file on this host is now. */
  readonly rebuild: RebuildSettings;
  /** The repos whose keys vouch for pinned packages. */
  readonly repos: Stream['repos'];
  /** Of a security case: source RPMs that were given and approved, `sha256` by file name. */
  readonly srpms: Readonly<Record<string, string>>;
}

/**
 * Verifies that the SIG's statements (of a case: the security group's), as this host's stream file counts them, are about the commit that
 * `accepted.json` was made from. Fails with StatementRefused, LockfileDrift, StreamInvalid.
 */
export async function approvedPackages(step: Step, host: Host, args: ApprovedArgs): Promise<Approved> {
  const { settings, store } = host;
  const folder = store.archDir(args, args.arch);
  const current = await loadStream(settings, baseOf(args.stream));
  const rebuild = needRebuild(current);
  const run = await needJson(join(folder, 'accepted-run.json'), acceptedRun);
  const { build, fix } = args;
  // Of a case the line itself: what it has released.
  const from = fix ? args.stream : current.name;
  if (run.stream !== from || run.build !== build || (fix && fix.base !== build))
    throw drift(`the rebuild is of ${run.stream} ${run.build}, not of ${from} ${build}`);
  const changes = fix ? fix.changes : args.changes;
  if (fix) await approvedFix(step, host, current, args, fix);
  else await approvedAttempt(step, host, current, args, run);

  const committed = await committedInputs(step, store.repo(run.stream), run);
  const stream = await frozenStream(host, run);
  const approved = await needJson(join(store.archDir(run, args.arch), 'lockfile.json'), lockfile);
  const inputs = await hashInputs(stream, args.arch, join(store.runDir(run), 'source'), approved);
  if (inputs !== committed)
    throw drift(
      `the lockfile of ${build} is not the one that its commit was made from: its inputs are ${inputs}, the commit's ${committed}`,
    );

  const accepted = await needJson(join(folder, 'accepted.json'), lockfile);
  const lines = lockfileDrift(approved, accepted, changes);
  if (lines.length > 0) throw drift(`${build}: not as it was approved: ${firstOf(lines)}`);
  const pinned = Object.keys(accepted.packages).filter(
    (name) => approved.packages[name]?.digest !== accepted.packages[name]?.digest,
  );
  const { repos } = fix ? { repos: fixRepos(current, true) } : stream;
  return { accepted, pinned: new Set(pinned), rebuild, repos, srpms: fix?.srpms ?? {} };
}

/** Have enough approvers promoted the accepted build, and asked for this attempt? */
async function approvedAttempt(
  step: Step,
  { store }: Host,
  current: Stream,
  args: ApprovedArgs,
  run: AcceptedRun,
): Promise<void> {
  const { build, onto, attempt, kind, reuse, changes } = args;
  const release = needRelease(current);
  const work = store.work(args, 'statements', args.arch);
  const promoted = {
    decision: 'promote',
    build,
    onto,
    begun: true,
    commits: { [args.arch]: run.commit },
  } as const;
  await authority(step, store, current.name, release, promoted, work);
  if (kind !== undefined && kind !== 'first') {
    const again = { decision: kind, build, onto, attempt: attempt - 1, reuse, changes } as const;
    await authority(step, store, current.name, release, again, work);
  } else if (changes) throw drift(`${build}: a first attempt has no changes`);
}

/** Has the security group approved the case's plan, word for word, on the commits of its base? */
async function approvedFix(
  step: Step,
  host: Host,
  current: Stream,
  args: ApprovedArgs,
  { case: about, base, changes, srpms }: FixApproval,
): Promise<void> {
  const { store } = host;
  const commits: Partial<Record<Architecture, string>> = {};
  for (const arch of (await frozenStream(host, args)).architectures) {
    const run = await needJson(join(store.archDir(args, arch), 'accepted-run.json'), acceptedRun);
    commits[arch] = run.commit;
  }
  const question = {
    decision: 'approve-fix',
    build: base,
    onto: base,
    ...{ case: about, commits, changes, srpms },
  } as const;
  const work = store.work(args, 'statements', args.arch);
  await authority(step, store, current.name, needRelease(current), question, work);
}

const drift = (why: string) => new Failure('LockfileDrift', why);

/** The input hash in the commit's metadata, from the commit object whose checksum was approved. */
async function committedInputs(
  step: Step,
  repo: string,
  { commit, stream, build }: AcceptedRun,
): Promise<string> {
  // ostree does not look at a commit's checksum when it reads one.
  const object = join(repo, 'objects', commit.slice(0, 2), `${commit.slice(2)}.commit`);
  const actual = await sha256(object).catch((error: unknown) => {
    throw drift(`commit ${commit} of ${build} cannot be read: ${String(error)}`);
  });
  if (actual !== commit) throw drift(`commit ${commit} of ${build} was altered: it is ${actual}`);
  const [version, of, inputs] = await Promise.all(
    ['version', 'treeline.stream', inputHashKey].map((key) => commitMetadata(step, repo, commit, key)),
  );
  if (version !== build || of !== stream || inputs === undefined)
    throw drift(`commit ${commit} is of ${of ?? 'no stream'} ${version ?? ''}, not of ${stream} ${build}`);
  return inputs;
}
