/** May a build be released? Looks at what the build store has of it; checksums and signatures are verified at the release. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../host.js';
import { buildId } from '../domain/build-id.js';
import { Failure } from '../domain/failures.js';
import { buildMeta, type BuildMeta } from '../domain/metadata.js';
import { runRecord } from '../domain/run.js';
import { signedName, type Architecture, type Stream } from '../domain/stream.js';
import { readKey } from '../keys/gpg.js';
import type { Step } from '../steps/step.js';
import { exists, readJson, type Run } from '../store/store.js';
import { rebuildRecord } from '../domain/rebuild-packages.js';
import { keptBuild, storedIndex } from './stored-builds.js';

/** Its metadata per architecture. Throws `BuildNotReleasable` with the reason. */
export async function releasableBuild(
  host: Host,
  step: Step,
  stream: Stream,
  build: string,
): Promise<BuildMeta[]> {
  const no = (why: string) => new Failure('BuildNotReleasable', `${stream.name} ${build}: ${why}`);
  const run = buildId.safeParse(build).success ? await host.store.runOf(stream.name, build) : undefined;
  if (run === undefined) throw no('no such build');
  const own = { stream: stream.name, run };
  const index = await storedIndex(host.store, stream.name);
  const entry =
    index?.builds.find(({ id }) => id === build) ?? (await keptBuild(host.store, stream.name, build));
  if (!entry) {
    if (index?.['tombstone-builds'].some(({ id }) => id === build)) throw no('was pruned');
    const accepted = await acceptedFor(host, stream, run);
    if (accepted !== undefined)
      throw no(`is a signed build, made from the accepted build ${accepted}: what is decided names that one`);
    throw no(await whyUnpublished(host, own));
  }
  const absent = stream.architectures.filter((arch) => !entry.arches.includes(arch));
  if (absent.length > 0) throw no(`was not built for ${absent.join(', ')}`);
  const key = await readKey(step, stream.signingKey);
  const metas: BuildMeta[] = [];
  for (const arch of stream.architectures) {
    const meta = await completeMeta(host, own, arch).catch((error: unknown) => {
      throw error instanceof Incomplete ? no(error.message) : error;
    });
    if (meta.buildid !== build || meta.name !== stream.name)
      throw no(`its ${arch} metadata is of ${meta.name} ${meta.buildid}`);
    const failed = Object.entries(meta.treeline.tests.boot).filter(([, test]) => test.outcome === 'failed');
    if (failed.length > 0) throw no(`boot test failed: ${failed.map(([kind]) => kind).join(', ')} (${arch})`);
    if (meta.treeline.key !== key.fingerprint)
      throw no(`is signed with ${meta.treeline.key}, but the stream's key is ${key.fingerprint} now`);
    metas.push(meta);
  }
  return metas;
}

/** Its commit per architecture. Throws `BuildNotReleasable` with the reason. */
export const releasableCommits = async (
  host: Host,
  step: Step,
  stream: Stream,
  build: string,
): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await releasableBuild(host, step, stream, build)).map((meta) => [
      meta.architecture,
      meta['ostree-commit'],
    ]),
  );

/** Of a run of the stream's line of signed builds: the accepted build that it redoes. */
async function acceptedFor({ store }: Host, stream: Stream, run: string): Promise<string | undefined> {
  for (const arch of stream.architectures) {
    const folder = store.archDir({ stream: signedName(stream.name), run }, arch);
    const record = await readJson(join(folder, 'rebuild.json'), rebuildRecord);
    if (record) return record.accepted;
  }
  return undefined;
}

async function whyUnpublished(host: Host, run: Run): Promise<string> {
  const record = await readJson(join(host.store.runDir(run), 'run.json'), runRecord);
  if (!record) return 'its run has not ended, or is pruned';
  const why = record.failure ? ` (${record.failure.code}: ${record.failure.message})` : '';
  return `was not published: its run ended as ${record.outcome}${why}`;
}

class Incomplete extends Error {}

/** meta.json of an architecture, when everything that it names is there. */
async function completeMeta(host: Host, run: Run, arch: Architecture): Promise<BuildMeta> {
  const folder = join(host.store.archDir(run, arch), 'build');
  const meta = await readJson(join(folder, 'meta.json'), buildMeta).catch(() => {
    throw new Incomplete(`its ${arch} meta.json is damaged`);
  });
  if (!meta) throw new Incomplete(`its ${arch} files are gone: pruned from the build store`);
  const { lockfile, checksums } = meta.treeline;
  const images = Object.entries(meta.images);
  const missing: string[] = [];
  for (const [kind, image] of images) {
    if ((await sizeOf(join(folder, image.path))) !== image.size) missing.push(image.path);
    if (image.signature === undefined) missing.push(`signature of ${kind}`);
    else if (!(await exists(join(folder, image.signature)))) missing.push(image.signature);
  }
  if (images.length > 0 && checksums === undefined) missing.push('checksums');
  for (const file of [lockfile, ...(checksums === undefined ? [] : [checksums])])
    if (!(await exists(join(folder, file)))) missing.push(file);
  const commit = meta['ostree-commit'];
  const object = join('objects', commit.slice(0, 2), `${commit.slice(2)}.commit`);
  if (!(await exists(join(host.store.repo(run.stream), object)))) missing.push(`commit ${commit}`);
  if (missing.length > 0) throw new Incomplete(`is incomplete (${arch}): ${missing.join(', ')}`);
  return meta;
}

const sizeOf = (file: string) =>
  stat(file).then(
    ({ size }) => size,
    () => undefined,
  );
