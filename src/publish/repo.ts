/**
 * A published ostree repo: what is pushed to it, how its readers are switched, and what an independent client makes of it. The
 * same for nightly builds at buildlogs and for releases.
 */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  commitMetadata,
  initRepo,
  ostree,
  remoteCommands,
  resolveRef,
  withoutSummary,
} from '../ostree/repo.js';
import type { Host } from '../host.js';
import { Failure, meaning } from '../domain/failures.js';
import { releaseTargets, type Stream, type Target } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { exists, readText, writeWhole } from '../store/store.js';
import { objectFiles } from './push.js';
import { awaitReaders, fetchPublished, readPlaced } from './readers.js';
import { publishTo } from './targets/index.js';
import type { Pushed } from './targets/target.js';

/** A repo that readers see, and the folders of this instance that belong to it. */
export interface Place {
  readonly target: Target;
  /** The local ostree repo that is pushed. */
  readonly repo: string;
  /** What was published last: `refs/` (refs, summary), `objects` (a line each). */
  readonly published: string;
}

export const buildlogsPlace = ({ store }: Host, { name, publish }: Stream): Place => ({
  target: publish.buildlogs,
  repo: store.snapshot(name),
  published: store.published(name),
});

/** Where releases go: of a release by copy the repo's target is that of the files too, of a signed one they are mirror and cloud. */
export interface ReleasePlace extends Place {
  /** Images, documents, metadata and pages. */
  readonly files: Target;
}

/** Fails with StreamInvalid for a stream without a release location. */
export function releasePlace({ store }: Host, stream: Stream): ReleasePlace {
  const { name, release } = stream;
  const targets = releaseTargets(stream);
  if (!targets) {
    const missing =
      release?.mode === 'signed-rebuild' ? 'publish.mirror and publish.cloud' : 'publish.release';
    throw new Failure('StreamInvalid', `${name}: ${missing}: missing: add the release location`);
  }
  const { repo: target, files } = targets;
  return { target, files, repo: store.releaseRepo(name), published: store.releasePublished(name) };
}

/** Are there two targets to switch? */
export const isSplit = ({ target, files }: ReleasePlace): boolean => target !== files;

const objects = (place: Place) => join(place.published, 'objects');
const next = (place: Place, run: string) => join(place.published, `next-${run}`);

/** What a ref points to at the target itself, past all caches; undefined if there is no such ref. Fails with TargetUnreachable. */
export const headOf = async (step: Step, place: Place, ref: string): Promise<string | undefined> =>
  (await readPlaced(step, place.target, `repo/refs/heads/${ref}`))?.content.toString().trim();

/** What readers follow a repo by: the summary, its signature and these refs, as paths below the target. */
export const movingFiles = (refs: readonly string[]): string[] =>
  ['summary', 'summary.sig', ...refs.map((ref) => `refs/heads/${ref}`)].map((name) => `repo/${name}`);

/**
 * Copies a commit into the place's repo, whole and signed with the stream's key. Fails with CommitInvalid.
 */
export async function takeCommit(
  step: Step,
  place: Place,
  from: string,
  commit: string,
  { key, version }: { key: string; version: string },
): Promise<void> {
  const check = 'signing-key';
  await initRepo(step, place.repo);
  for (const command of remoteCommands(place.repo, check, place.target.url, [key])) await step.run(command);
  await step
    .run(ostree(place.repo, 'pull-local', `--remote=${check}`, '--gpg-verify', from, commit))
    .catch(meaning('CommitInvalid', `${commit}: is not whole, or not signed with the stream's key`));
  await step.run(ostree(place.repo, 'remote', 'delete', check));
  const found = await commitMetadata(step, place.repo, commit, 'version');
  if (found !== version)
    throw new Failure('CommitInvalid', `${commit}: version ${found ?? 'none'}, but the build is ${version}`);
  if (await exists(join(place.repo, 'state', `${commit}.commitpartial`)))
    throw new Failure('CommitInvalid', `${commit}: is not whole in ${place.repo}`);
}

/** Pushes objects and deltas that the target lacks. Nothing is deleted or replaced, nothing is visible yet. */
export async function pushObjects(step: Step, place: Place): Promise<Pushed> {
  // Only what the last publication did not have: rsync would else send and compare a list of every object.
  const known = new Set((await readText(objects(place)))?.split('\n'));
  const fresh = (await objectFiles(place.repo)).filter((file) => !known.has(file));
  const target = publishTo(place.target);
  await target.reach(step);
  return target.putFolder(step, place.repo, 'repo', 'new', { only: fresh });
}

/** The switch: refs, then summary and its signature, staged beside their place and renamed at the end. */
export async function switchRefs(step: Step, place: Place, run: string): Promise<void> {
  await stageRefs(place, run);
  await moveRefs(step, place, run);
}

/** What the switch is going to bring, beside this instance's record of what readers have. */
export async function stageRefs(place: Place, run: string): Promise<void> {
  const folder = next(place, run);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  // All of `refs`, with its empty folders: ostree commands at the target want them.
  for (const part of ['refs', 'summary', 'summary.sig'])
    await cp(join(place.repo, part), join(folder, part), { recursive: true });
}

/** The moment of the switch: brings what was staged. */
export async function moveRefs(step: Step, place: Place, run: string): Promise<void> {
  await publishTo(place.target).putFolder(step, next(place, run), 'repo', 'compared');
}

/** Has this run begun to switch, without having ended it? */
export const isStaged = (place: Place, run: string): Promise<boolean> => exists(next(place, run));

/** The switch of this run was taken back. */
export const dropStaged = (place: Place, run: string): Promise<void> =>
  rm(next(place, run), { recursive: true, force: true });

/** The target is not what it was taken for: the next push looks at every object. */
export const forgetPushed = (place: Place): Promise<void> => rm(objects(place), { force: true });

/** Returns readers to the refs and summary of the former publication (those in `former`), or to none if there was none. */
export async function restoreRefs(
  step: Step,
  place: Place,
  former = join(place.published, 'refs'),
): Promise<void> {
  await forgetPushed(place);
  await mkdir(former, { recursive: true });
  await publishTo(place.target).replace(step, former, 'repo', ['refs', 'summary', 'summary.sig']);
}

/** What readers have now is what a later failure returns them to. Idempotent. */
export async function keepSwitched(place: Place, run: string): Promise<void> {
  await writeWhole(objects(place), (await objectFiles(place.repo)).join('\n'));
  const folder = next(place, run);
  if (!(await exists(folder))) return;
  await rm(join(place.published, 'refs'), { recursive: true, force: true });
  await cp(folder, join(place.published, 'refs'), { recursive: true });
  await rm(folder, { recursive: true, force: true });
}

/** A fresh repo below `work`, with a remote `client` that verifies signatures; `unnamed`: those of commits alone. */
async function clientRepo(
  step: Step,
  target: Target,
  keys: readonly string[],
  work: string,
  unnamed: boolean,
): Promise<string> {
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const repo = join(work, 'repo');
  // `bare-user` spares compressing every object again.
  await initRepo(step, repo, 'bare-user');
  for (const command of remoteCommands(repo, 'client', `${target.url}/repo`, keys))
    await step.run(unnamed ? withoutSummary(command) : command);
  return repo;
}

/** Does the target have this commit with a signature of one of the keys? Fetches the commit object alone. Fails with TargetUnreachable. */
export async function hasSigned(
  step: Step,
  { target }: Place,
  commit: string,
  { keys, work }: { keys: readonly string[]; work: string },
): Promise<boolean> {
  await fetchPublished(step, target, 'repo/config');
  const repo = await clientRepo(step, target, keys, work, true);
  const pull = ostree(repo, 'pull', '--commit-metadata-only', 'client', commit);
  const { exitCode } = await step.run(pull, { okCodes: [0, 1] });
  await rm(work, { recursive: true, force: true });
  return exitCode === 0;
}

/**
 * An independent client: a fresh repo pulls from the readers' address with verification of signatures. `refs` are pulled by name
 * and must give these commits, as soon as caches before it give what the location has; with `unnamed` the commits are pulled by checksum,
 * before any ref or summary names them. Fails with VerificationFailed, ReadersBehind, TargetUnreachable.
 */
export async function pullAsClient(
  step: Step,
  { target }: Place,
  refs: Readonly<Record<string, string>>,
  { keys, work, unnamed = false }: { keys: readonly string[]; work: string; unnamed?: boolean },
): Promise<void> {
  const url = `${target.url}/repo`;
  // A readers' server that is away for a moment is waited for; one that has something else is not.
  if (unnamed) await fetchPublished(step, target, 'repo/config');
  else await awaitReaders(step, target, movingFiles(Object.keys(refs)));
  const repo = await clientRepo(step, target, keys, work, unnamed);
  for (const [ref, commit] of Object.entries(refs)) {
    await step
      .run(ostree(repo, 'pull', '--disable-fsync', 'client', unnamed ? commit : ref))
      .catch(meaning('VerificationFailed', `${url} ${ref}`));
    const head = unnamed ? commit : await resolveRef(step, repo, `client:${ref}`);
    if (head !== commit)
      throw new Failure(
        'VerificationFailed',
        `${url} ${ref}: a client got ${head ?? 'nothing'} instead of ${commit}`,
      );
  }
  await rm(work, { recursive: true, force: true });
}
