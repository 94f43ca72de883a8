/** The packages of builds and releases, from the build store. */
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { lockfile, type Lockfile } from '../domain/lockfile.js';
import { rebuildPackages } from '../domain/rebuild-packages.js';
import { baseOf, signedName, type Architecture, type Stream } from '../domain/stream.js';
import { exists, readJson, type Store } from '../store/store.js';

/** The folder with a build's records: as kept for a release, else as its run left them. */
async function recordsOf(
  store: Store,
  stream: string,
  build: string,
  arch: Architecture,
): Promise<string | undefined> {
  const run = await store.runOf(stream, build);
  const of = (line: string) =>
    run === undefined ? [] : [join(store.archDir({ stream: line, run }, arch), 'build')];
  const folders = [join(store.releaseDir(stream, build), arch), ...of(stream), ...of(signedName(stream))];
  for (const folder of folders) if (await exists(join(folder, 'lockfile.json'))) return folder;
  return undefined;
}

/** Packages of a build; undefined where nothing is known of them. */
export async function lockfileOf(
  store: Store,
  stream: string,
  build: string,
  arch: Architecture,
): Promise<Lockfile | undefined> {
  const folder = await recordsOf(store, stream, build, arch);
  return folder === undefined ? undefined : readJson(join(folder, 'lockfile.json'), lockfile);
}

/** The same with a rebuilt package as the one that it was rebuilt for: its own dist tag says nothing about repos and advisories. */
async function comparedOf(
  store: Store,
  stream: string,
  build: string,
  arch: Architecture,
): Promise<Lockfile | undefined> {
  const folder = await recordsOf(store, stream, build, arch);
  const locked = folder === undefined ? undefined : await readJson(join(folder, 'lockfile.json'), lockfile);
  if (folder === undefined || !locked) return undefined;
  const records = new Map(
    Object.entries((await readJson(join(folder, 'packages.json'), rebuildPackages)) ?? {}),
  );
  const packages = Object.entries(locked.packages).map(([name, one]) => [
    name,
    { ...one, evra: records.get(name)?.accepted ?? one.evra },
  ]);
  return { ...locked, packages: Object.fromEntries(packages) as Lockfile['packages'] };
}

/**
 * The packages of a build or release, of all architectures that there are, to compare their versions with those of repos and advisories. Fails with BuildNotReleasable where nothing is known of
 * them, such as of a build that is pruned.
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
