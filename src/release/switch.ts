/**
 * The switch of a release with two targets: `stream.json`, which points to the newest images, at one (cloud), ref and summary at the
 * other (mirror). The shortest time lies between the two, and whatever breaks off there is led to one end: both new, or both as before.
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Host } from '../host.js';
import { Failure } from '../domain/failures.js';
import type { StreamMetadata } from '../domain/release.js';
import { acceptedKeys, releaseRefOf, type Stream } from '../domain/stream.js';
import {
  headOf,
  moveRefs,
  movingFiles,
  pullAsClient,
  releasePlace,
  restoreRefs,
  stageRefs,
  type ReleasePlace,
} from '../publish/repo.js';
import { awaitReaders, readPlaced } from '../publish/readers.js';
import { publishTo } from '../publish/targets/index.js';
import type { Step } from '../steps/step.js';
import { exists, writeJson, writeWhole } from '../store/store.js';
import { pointedRefs, pointerAt, pointerOf, type Heads } from './head.js';

/** What readers had right before the switch of a run: `repo/` (refs, summary), `stream.json`. */
const former = (place: Pick<ReleasePlace, 'published'>, run: string) =>
  join(place.published, `former-${run}`);

/** Puts `stream.json` there, or takes it away. Staged beside its place and renamed. */
async function placePointer(step: Step, place: ReleasePlace, file: string | undefined): Promise<void> {
  const target = publishTo(place.files);
  if (file === undefined) await target.remove(step, '', ['stream.json']);
  else await target.putFile(step, file, 'stream.json', 'compared');
}

/** The same for metadata that is no file yet. */
async function pointTo(step: Step, place: ReleasePlace, to: StreamMetadata | undefined): Promise<void> {
  const file = join(place.published, 'stream.json');
  if (to !== undefined) await writeJson(file, to);
  await placePointer(step, place, to && file);
}

/** Keeps what readers have, once per run: a second try must not take for it what the first has left half-way. */
async function keepFormer(
  step: Step,
  host: Host,
  stream: Stream,
  { build, onto }: Heads,
  run: string,
): Promise<void> {
  const place = releasePlace(host, stream);
  const kept = former(place, run);
  if (await exists(kept)) return;
  const making = `${kept}.tmp`;
  await rm(making, { recursive: true, force: true });
  await mkdir(join(making, 'repo'), { recursive: true });
  for (const name of ['summary', 'summary.sig']) {
    const placed = await readPlaced(step, place.target, `repo/${name}`);
    if (placed) await writeWhole(join(making, 'repo', name), placed.content);
  }
  for (const arch of stream.architectures) {
    const ref = releaseRefOf(stream, arch);
    const head = await headOf(step, place, ref);
    if (head === undefined) continue;
    await writeWhole(join(making, 'repo/refs/heads', ref), `${head}\n`);
    // Ostree commands at the target want its empty folders too.
    for (const empty of ['mirrors', 'remotes'])
      await mkdir(join(making, 'repo/refs', empty), { recursive: true });
  }
  const pointer = await pointerAt(step, place);
  const own = await pointerOf(step, host, stream, build);
  // A run that was terminated between the two switches may have left ours there.
  const before = !isDeepStrictEqual(pointer, own)
    ? pointer
    : onto === null
      ? undefined
      : await pointerOf(step, host, stream, onto);
  if (before !== undefined) await writeJson(join(making, 'stream.json'), before);
  await rename(making, kept);
}

/**
 * Switches both. If that fails both are returned to what they were as far as that goes, so that a later try, or `returnBoth`, does not
 * find readers between two releases for long.
 */
export async function switchBoth(
  step: Step,
  host: Host,
  stream: Stream,
  heads: Heads,
  run: string,
): Promise<void> {
  const place = releasePlace(host, stream);
  await keepFormer(step, host, stream, heads, run);
  await stageRefs(place, run);
  const began = Date.now();
  try {
    await pointTo(step, place, await pointerOf(step, host, stream, heads.build));
    await moveRefs(step, place, run);
    step.note(`both are switched, within ${Date.now() - began} ms`);
  } catch (error) {
    await returnReaders(step, place, run).catch((again: unknown) =>
      step.note(`not returned to the former release yet: ${String(again)}`),
    );
    throw error;
  }
}

/** Brings both forward, for a repair: nothing is taken back. */
export async function switchForward(
  step: Step,
  host: Host,
  stream: Stream,
  build: string,
  run: string,
): Promise<void> {
  const place = releasePlace(host, stream);
  await pointTo(step, place, await pointerOf(step, host, stream, build));
  await stageRefs(place, run);
  await moveRefs(step, place, run);
}

/** Side by side: one target that is away does not keep the other from being returned. */
async function returnReaders(step: Step, place: ReleasePlace, run: string): Promise<void> {
  const kept = former(place, run);
  const file = join(kept, 'stream.json');
  const pointer = (await exists(file)) ? file : undefined;
  const ends = await Promise.allSettled([
    restoreRefs(step, place, join(kept, 'repo')),
    placePointer(step, place, pointer),
  ]);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/**
 * Returns both to what they were before this run's switch; nothing for a run that has not begun it. Idempotent. `stream.json` of a run
 * that was terminated between the two switches is taken back too.
 */
export async function returnBoth(
  step: Step,
  host: Host,
  stream: Stream,
  { build, onto }: Heads,
  run: string,
): Promise<void> {
  const place = releasePlace(host, stream);
  if (await exists(former(place, run))) {
    await returnReaders(step, place, run);
    return;
  }
  const own = await pointerOf(step, host, stream, build).catch(() => undefined);
  const pointer = own && (await pointerAt(step, place));
  if (pointer !== undefined && isDeepStrictEqual(pointer, own))
    await pointTo(step, place, onto === null ? undefined : await pointerOf(step, host, stream, onto));
}

/** The switch has come to its end, this way or that: what was kept for its return goes. */
export async function forgetFormer(place: Pick<ReleasePlace, 'published'>, run: string): Promise<void> {
  for (const kept of [former(place, run), `${former(place, run)}.tmp`])
    await rm(kept, { recursive: true, force: true });
}

/**
 * Do readers have the release `to` at both targets, or before a first one nothing? A client pulls its commits by their refs. Fails with
 * VerificationFailed, ReadersBehind, TargetUnreachable.
 */
export async function verifyReaders(
  step: Step,
  host: Host,
  stream: Stream,
  to: string | null,
  work: string,
): Promise<void> {
  const place = releasePlace(host, stream);
  const wrong = (what: string) => new Failure('VerificationFailed', what);
  // From here on they get what the locations have.
  await awaitReaders(step, place.files, ['stream.json']);
  const pointer = await pointerAt(step, place);
  const expected = to === null ? undefined : await pointerOf(step, host, stream, to);
  if (!isDeepStrictEqual(pointer, expected))
    throw wrong(`${place.files.url}/stream.json: is not that of ${to ?? 'before the first release'}`);
  if (expected !== undefined) {
    await pullAsClient(step, place, pointedRefs(stream, expected), { keys: acceptedKeys(stream), work });
    return;
  }
  const refs = stream.architectures.map((arch) => releaseRefOf(stream, arch));
  await awaitReaders(step, place.target, movingFiles(refs));
  for (const ref of refs) {
    const head = await headOf(step, place, ref);
    if (head !== undefined) throw wrong(`${place.target.url}/repo: still has ${head}`);
  }
  if (await readPlaced(step, place.target, 'repo/summary'))
    throw wrong(`${place.target.url}/repo/summary: is still there`);
}
