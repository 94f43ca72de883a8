/** Puts a build's `meta.json` together from what its steps left in the build store. */
import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  commitRecord,
  bootAttempt,
  buildMeta,
  imageMeta,
  type BootAttempt,
  type BootTestResult,
  type BuildMeta,
} from '../domain/metadata.js';
import { frozenStream, type Host } from '../host.js';
import { checksumsFile } from '../store/checksums.js';
import { countReasons } from '../domain/content.js';
import { rebuildPackages, rebuildRecord } from '../domain/rebuild-packages.js';
import type { StepRecord } from '../domain/run.js';
import { refOf, type Architecture } from '../domain/stream.js';
import { contentFile, contentRecord, type ContentRecord } from '../rpm/content.js';
import { packageDifferenceRecord } from '../rpm/difference.js';
import { readFix } from '../store/fix-record.js';
import { exists, needJson, readJson, writeWhole, type Run, type Store } from '../store/store.js';

/** A boot test passed, passed only on a retry (flaky), or failed. */
export function bootOutcome(attempts: readonly BootAttempt[]): BootTestResult['outcome'] {
  if (!attempts.at(-1)?.passed) return 'failed';
  return attempts.length > 1 ? 'flaky' : 'passed';
}

/** `steps` are the run's steps so far; those that have ended are listed with their times. */
export async function assembleMeta(
  host: Host,
  args: Run & { build: string },
  arch: Architecture,
  commit: string,
  steps: readonly StepRecord[],
): Promise<BuildMeta> {
  const stream = await frozenStream(host, args);
  const folder = host.store.archDir(args, arch);
  const file = (name: string) => join(folder, name);
  const [record, diff, source] = await Promise.all([
    needJson(file('commit.json'), commitRecord),
    needJson(file('pkgdiff.json'), packageDifferenceRecord),
    needJson(join(host.store.runDir(args), 'source.json'), z.object({ commit: z.string().optional() })),
  ]);
  const signed = await needJson(file('signed.json'), z.object({ key: z.string() }));
  const rebuilt = await readJson(file('rebuild.json'), rebuildRecord);
  const fix = await readFix(host.store, args);
  const content = await readJson(file(contentFile), contentRecord);
  const images: BuildMeta['images'] = {};
  const boot: BuildMeta['treeline']['tests']['boot'] = {};
  for (const { kind } of stream.images) {
    const image = await needJson(file(`image-${kind}.json`), imageMeta);
    images[kind] = { ...image, signature: `${image.path}.asc` };
    const attempts = await readJson(file(`boot-${kind}.json`), z.array(bootAttempt));
    if (attempts) boot[kind] = { outcome: bootOutcome(attempts), attempts };
  }
  return {
    name: stream.name,
    buildid: args.build,
    architecture: arch,
    ref: refOf(stream, arch),
    'ostree-commit': commit,
    ...(record.parent === undefined ? {} : { 'ostree-parent': record.parent }),
    'ostree-version': args.build,
    'ostree-timestamp': record.timestamp,
    images,
    ...(diff.pkgdiff === undefined ? {} : { pkgdiff: diff.pkgdiff }),
    treeline: {
      'input-hash': record.inputHash,
      ...(source.commit === undefined ? {} : { 'source-commit': source.commit }),
      composer: stream.composer,
      key: signed.key,
      ...(rebuilt ? { rebuild: { ...rebuilt, ...(await rebuiltPackages(folder)) } } : {}),
      ...(fix ? { fix: { case: fix.case, base: fix.base } } : {}),
      packages: diff.packages,
      ...(content ? { content: contentMeta(content) } : {}),
      tests: { boot },
      steps: stepTimes(steps),
      lockfile: 'lockfile.json',
      ...((await exists(file(`build/${checksumsFile}.asc`))) ? { checksums: `${checksumsFile}.asc` } : {}),
      logs: (await readdir(host.store.logs(args))).sort(),
    },
  };
}

/** Puts lockfile and packages.json beside the images. */
export async function putRecords(store: Store, run: Run, arch: Architecture): Promise<void> {
  const folder = store.archDir(run, arch);
  await mkdir(join(folder, 'build'), { recursive: true });
  // Only a signed rebuild has packages.json.
  for (const name of ['lockfile.json', 'packages.json', contentFile])
    if (await exists(join(folder, name))) await cp(join(folder, name), join(folder, 'build', name));
}

/** Puts the logs and, last, meta.json beside the images. */
export async function putMeta(host: Host, run: Run, arch: Architecture, meta: BuildMeta): Promise<void> {
  const folder = join(host.store.archDir(run, arch), 'build');
  await cp(host.store.logs(run), join(folder, 'logs'), { recursive: true });
  await writeWhole(join(folder, 'meta.json'), `${JSON.stringify(buildMeta.parse(meta), null, 2)}\n`);
}

async function rebuiltPackages(folder: string) {
  const packages = await needJson(join(folder, 'packages.json'), rebuildPackages);
  const rebuilt = Object.values(packages).filter(({ origin }) => origin === 'rebuilt').length;
  return { rebuilt, packages: 'packages.json', equivalence: 'equivalence.html' };
}

const contentMeta = ({ entries, leftOut, changed }: ContentRecord) => ({
  ...{ entries, list: contentFile },
  leftOut: countReasons(leftOut),
  changed: countReasons(changed),
});

/** Seconds of each step that has ended; of one that was done again, the last time. */
function stepTimes(steps: readonly StepRecord[]): BuildMeta['treeline']['steps'] {
  const times = new Map<string, number>();
  for (const { id, started, ended } of steps)
    if (ended !== undefined) times.set(id, (Date.parse(ended) - Date.parse(started)) / 1000);
  return [...times].map(([name, seconds]) => ({ name, seconds }));
}
