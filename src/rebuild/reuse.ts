/**
 * Packages that were rebuilt and signed before and need not be made again. Taken from Treeline's own copy of them, as they were signed: the
 * build system may have cleaned up long ago.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { buildId } from '../domain/build-id.js';
import { evrFits } from '../domain/rebuild.js';
import { packageName, runId } from '../domain/names.js';
import { splitEvra } from '../domain/lockfile.js';
import { rebuildPackages, rebuildRecord, type RebuildPackages } from '../domain/rebuild-packages.js';
import { baseOf, type Stream } from '../domain/stream.js';
import type { Host } from '../host.js';
import { readReleases } from '../publish/published-releases.js';
import { storedIndex } from '../publish/stored-builds.js';
import type { Step } from '../steps/step.js';
import { currentRelease } from '../store/releases.js';
import { exists, readJson, type Store } from '../store/store.js';
import { folderOf, type On } from './on.js';
import type { PlannedSource } from './plan.js';

/** A signed build whose packages may be taken. */
export interface Earlier {
  readonly build: string;
  readonly run: string;
  readonly why: 'released' | 'in testing';
  readonly packages: RebuildPackages;
}

/** `reused.json`: by package name, the build that it is taken from, and its file there. */
export const reusedPackages = z.record(
  packageName,
  z.object({ build: buildId, run: runId, file: z.string().regex(/^[^/\0-][^/\0]*\.rpm$/) }),
);
export type ReusedPackages = z.infer<typeof reusedPackages>;

/** Attempts of one promotion: of `accepted`, from the number `since` on, before `attempt`. */
export interface Attempts {
  readonly accepted: string;
  readonly since: number;
  readonly attempt: number;
}

/**
 * The builds to take packages from, the best first: attempts of the promotion that are in testing, newest first, then the current release.
 * What was abandoned, failed its tests or was taken back is none of them.
 */
export async function earlierBuilds(
  step: Step,
  host: Host,
  on: On,
  attempts: Attempts | undefined,
): Promise<Earlier[]> {
  const released = await currentBuild(step, host, on.stream);
  const tested = attempts ? await testedBuilds(host, on, attempts) : [];
  const found = await Promise.all([
    ...tested.map((build) => earlier(host, on, build, 'in testing')),
    ...(released === undefined ? [] : [earlier(host, on, released, 'released')]),
  ]);
  return found.filter((one) => one !== undefined);
}

/** The release that readers have now. */
export async function currentBuild(step: Step, host: Host, { name, ...stream }: Stream) {
  const index = await readReleases(host, { ...stream, name: baseOf(name) }, step.signal);
  return currentRelease(index)?.version;
}

/** Builds at the testing location that were made from the accepted build, newest first, by attempts of these numbers. */
export async function testedBuilds(
  { store }: Host,
  on: On,
  { accepted, since, attempt }: Attempts,
): Promise<string[]> {
  const tested: string[] = [];
  for (const { id } of (await storedIndex(store, on.stream.name))?.builds ?? []) {
    const run = await store.runOf(on.stream.name, id);
    if (run === undefined) continue;
    const file = join(folderOf(store, { ...on, run }), 'rebuild.json');
    const made = await readJson(file, rebuildRecord);
    if (made?.accepted === accepted && made.attempt >= since && made.attempt < attempt) tested.push(id);
  }
  return tested;
}

async function earlier(
  { store }: Host,
  on: On,
  build: string,
  why: Earlier['why'],
): Promise<Earlier | undefined> {
  const run = await store.runOf(on.stream.name, build);
  if (run === undefined) return undefined;
  const file = join(folderOf(store, { ...on, run }), 'packages.json');
  const packages = await readJson(file, rebuildPackages);
  return packages && { build, run, why, packages };
}

/** Where a package of an earlier build, `on`, is. */
export const earlierFile = (store: Store, on: On, file: string): string =>
  join(folderOf(store, on), 'packages', file);

/** The first build that has all packages of a source, made of just this source RPM and still there. */
export async function firstWithAll(
  store: Store,
  on: On,
  { digest, packages }: Pick<PlannedSource, 'digest' | 'packages'>,
  builds: readonly Earlier[],
  disttag: string,
): Promise<Earlier | undefined> {
  for (const one of builds) {
    const records = packages.map(({ name, evr }) => {
      const record = Object.hasOwn(one.packages, name) ? one.packages[name] : undefined;
      const fits = record && evrFits(evr, splitEvra(record.evra).evr, disttag);
      return record?.origin === 'rebuilt' && record.source === digest && fits ? record : undefined;
    });
    const there = await Promise.all(
      records.map(
        async (record) => record && (await exists(earlierFile(store, { ...on, run: one.run }, record.file))),
      ),
    );
    if (packages.length > 0 && there.every(Boolean)) return one;
  }
  return undefined;
}
