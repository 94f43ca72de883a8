/** Where readers are: the release that the repo's ref and the files' `stream.json` name. */
import { isDeepStrictEqual } from 'node:util';
import type { Host } from '../host.js';
import { commitFacts, resolveRef, summaryRefs } from '../ostree/repo.js';
import { Failure } from '../domain/failures.js';
import { streamMetadata, type StreamMetadata } from '../domain/release.js';
import { releasedLine, releaseRefOf, type Stream } from '../domain/stream.js';
import { headOf, isSplit, releasePlace, type ReleasePlace } from '../publish/repo.js';
import { readPlaced } from '../publish/readers.js';
import type { Step } from '../steps/step.js';
import { metasOf, releaseRefs } from './check.js';
import { releaseOf } from './documents.js';
import { currentRelease } from '../store/releases.js';
import { readReleases } from '../publish/published-releases.js';

/** A release that is going to be, and the one that readers have until then. */
export interface Heads {
  readonly build: string;
  readonly onto: string | null;
}

/** Commits of a release per ref, from the index. Fails with HeadMoved for one that is not in it. */
export async function refsOf(
  step: Step,
  host: Host,
  stream: Stream,
  build: string,
): Promise<Record<string, string>> {
  const index = await readReleases(host, stream, step.signal);
  const entry = index.releases.find(({ version }) => version === build);
  if (!entry) throw new Failure('HeadMoved', `${build}: is not in releases.json`);
  return Object.fromEntries(
    entry.commits.map(({ architecture, checksum }) => [releaseRefOf(stream, architecture), checksum]),
  );
}

/** `stream.json` at its location, past all caches; undefined if there is none. Fails with HeadMoved for one that is none of ours. */
export async function pointerAt(step: Step, { files }: ReleasePlace): Promise<StreamMetadata | undefined> {
  const placed = await readPlaced(step, files, 'stream.json');
  if (placed === undefined) return undefined;
  try {
    return streamMetadata.parse(JSON.parse(placed.content.toString('utf8')));
  } catch {
    throw new Failure('HeadMoved', `${files.url}/stream.json: is no stream metadata`);
  }
}

/** `stream.json` as it is while a release is the newest: its `release.json`. */
export async function pointerOf(
  step: Step,
  host: Host,
  stream: Stream,
  build: string,
): Promise<StreamMetadata> {
  const found = await releaseOf(step, host, stream, build);
  if (!found) throw new Failure('HeadMoved', `${build}: has no release.json`);
  return found;
}

/** The commits that a `stream.json` names, by ref. */
export const pointedRefs = (stream: Stream, metadata: StreamMetadata | undefined): Record<string, string> =>
  Object.fromEntries(
    stream.architectures.flatMap((arch) => {
      const commit = metadata?.architectures[arch]?.commit;
      return commit === undefined ? [] : [[releaseRefOf(stream, arch), commit]];
    }),
  );

/** Commits per ref of a build that is released or is going to be; of a former release there may be no files any more. */
const refsOfBuild = (
  step: Step,
  host: Host,
  stream: Stream,
  build: string,
): Promise<Record<string, string>> =>
  refsOf(step, host, stream, build).catch(async (error: unknown) => {
    if (!(error instanceof Failure) || error.code !== 'HeadMoved') throw error;
    const { metas } = await metasOf(host, releasedLine(stream), build, step.signal);
    return releaseRefs(stream, metas);
  });

/** Do readers have the build: is it what every ref at the release location names? */
export async function isSwitched(
  step: Step,
  host: Host,
  stream: Stream,
  { build }: Pick<Heads, 'build'>,
): Promise<boolean> {
  const place = releasePlace(host, stream);
  for (const [ref, commit] of Object.entries(await refsOfBuild(step, host, stream, build)))
    if ((await headOf(step, place, ref)) !== commit) return false;
  return true;
}

/** Is it the current release, by the index? Fails with HeadMoved. */
export async function requireCurrent(
  step: Step,
  host: Host,
  stream: Stream,
  build: string | null,
): Promise<void> {
  const current = currentRelease(await readReleases(host, stream, step.signal))?.version;
  if (current !== build)
    throw new Failure('HeadMoved', `${build ?? 'none'}: the current release is ${current ?? 'none'}`);
}

/** Is the build what a switch would bring: what refs and summary of the release repo name? Fails with HeadMoved. */
export async function requireTaken(
  step: Step,
  host: Host,
  stream: Stream,
  { build }: Pick<Heads, 'build'>,
): Promise<void> {
  const { repo } = releasePlace(host, stream);
  const summary = await summaryRefs(step, repo);
  for (const [ref, commit] of Object.entries(await refsOfBuild(step, host, stream, build)))
    for (const found of [await resolveRef(step, repo, ref), summary[ref]])
      if (found !== commit)
        throw new Failure('HeadMoved', `${repo} ${ref}: is ${found ?? 'nothing'}, not ${commit} of ${build}`);
}

/** The release location must still be where it was when the approvals were given. Fails with HeadMoved. */
export async function requireHead(
  step: Step,
  host: Host,
  stream: Stream,
  line: Stream,
  { build, onto }: Heads,
): Promise<void> {
  const place = releasePlace(host, stream);
  const former = onto === null ? {} : await refsOf(step, host, stream, onto);
  const { metas } = await metasOf(host, line, build, step.signal);
  const own = releaseRefs(stream, metas);
  // It may be there already: a try that was killed right after its switch.
  for (const [ref, commit] of Object.entries(own)) {
    const head = await headOf(step, place, ref);
    if (head !== former[ref] && head !== commit)
      throw new Failure(
        'HeadMoved',
        `${place.target.url}/repo ${ref}: is ${head ?? 'nothing'}; the approval was given on ${former[ref] ?? 'nothing'}`,
      );
  }
  if (!isSplit(place)) return;
  // Else a release of between would be missing in the history that readers have.
  for (const [ref, commit] of Object.entries(own)) {
    const { parent } = await commitFacts(step, host.store.repo(line.name), commit);
    if (parent !== former[ref])
      throw new Failure(
        'HeadMoved',
        `${build}: was made on ${parent ?? 'nothing'}, not on ${former[ref] ?? 'nothing'} of ${onto ?? 'no release'}: redo it`,
      );
  }
  const pointed = pointedRefs(stream, await pointerAt(step, place));
  if (!isDeepStrictEqual(pointed, former) && !isDeepStrictEqual(pointed, own))
    throw new Failure(
      'HeadMoved',
      `${place.files.url}/stream.json: names ${Object.values(pointed).join(', ') || 'nothing'}; the approval was given on ${onto ?? 'nothing'}`,
    );
}
