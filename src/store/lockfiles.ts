/** The packages of builds and releases, from the build store. */
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { lockfile, type Lockfile } from '../domain/lockfile.js';
import { comparedEvra, rebuildPackages } from '../domain/rebuild-packages.js';
import { baseOf, signedName, type Architecture, type Stream } from '../domain/stream.js';
import { readJson, type Store } from './store.js';

interface Recorded {
  readonly locked: Lockfile;
  readonly folder: string;
}

/** A build's records: as its run left them, else as kept for a release. Undefined where nothing is known of it. */
async function recordsOf(
  store: Store,
  stream: string,
  build: string,
  arch: Architecture,
): Promise<Recorded | undefined> {
  const run = await store.runOf(stream, build);
  const of = (line: string) =>
    run === undefined ? [] : [join(store.archDir({ stream: line, run }, arch), 'build')];
  for (const folder of [
    ...of(stream),
    ...of(signedName(stream)),
    join(store.releaseDir(stream, build), arch),
  ]) {
    const locked = await readJson(join(folder, 'lockfile.json'), lockfile);
    if (locked) return { locked, folder };
  }
  return undefined;
}

/** Packages of a build; undefined where nothing is known of them. */
export const lockfileOf = async (
  store: Store,
  stream: string,
  build: string,
  arch: Architecture,
): Promise<Lockfile | undefined> => (await recordsOf(store, stream, build, arch))?.locked;

/** The same as the packages count where they are compared. */
async function comparedOf(
  store: Store,
  stream: string,
  build: string,
  arch: Architecture,
): Promise<Lockfile | undefined> {
  const found = await recordsOf(store, stream, build, arch);
  if (!found) return undefined;
  const { locked, folder } = found;
  const records = await readJson(join(folder, 'packages.json'), rebuildPackages);
  const accepted = await readJson(join(folder, '..', 'accepted.json'), lockfile);
  const packages = Object.entries(locked.packages).map(([name, one]) => [
    name,
    { ...one, evra: comparedEvra(name, one, records, accepted) },
  ]);
  return { ...locked, packages: Object.fromEntries(packages) as Lockfile['packages'] };
}

/**
 * The packages of a build or release, of all architectures that there are, to compare their versions with those of repos and
 * advisories. Fails with BuildNotReleasable where nothing is known of them, such as of a build that is pruned.
 */
export async function packageSetsOf(
  store: Store,
  { name, architectures }: Pick<Stream, 'name' | 'architectures'>,
  build: string,
): Promise<Partial<Record<Architecture, Lockfile>>> {
  const found = await Promise.all(
    architectures.map(async (arch) => [arch, await comparedOf(store, baseOf(name), build, arch)] as const),
  );
  const known = found.filter(([, packages]) => packages !== undefined);
  if (known.length === 0)
    throw new Failure('BuildNotReleasable', `${build}: its packages are not known (any more)`);
  return Object.fromEntries(known);
}
