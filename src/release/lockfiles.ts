/** The packages of builds and releases, from the build store. */
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { lockfile, type Lockfile } from '../domain/lockfile.js';
import { baseOf, signedName, type Architecture, type Stream } from '../domain/stream.js';
import { readJson, type Store } from '../store/store.js';

/** Packages of a build: as kept for a release, else as its run left them. */
export async function lockfileOf(
  store: Store,
  stream: string,
  build: string,
  arch: Architecture,
): Promise<Lockfile | undefined> {
  const kept = await readJson(join(store.releaseDir(stream, build), arch, 'lockfile.json'), lockfile);
  if (kept) return kept;
  const run = await store.runOf(stream, build);
  if (run === undefined) return undefined;
  const of = (line: string) =>
    readJson(join(store.archDir({ stream: line, run }, arch), 'build', 'lockfile.json'), lockfile);
  return (await of(stream)) ?? of(signedName(stream));
}

/**
 * The packages of a build or release, of all architectures that there are. Fails with BuildNotReleasable where nothing is known of
 * them, such as of a build that is pruned.
 */
export async function packageSetsOf(
  store: Store,
  { name, architectures }: Pick<Stream, 'name' | 'architectures'>,
  build: string,
): Promise<Partial<Record<Architecture, Lockfile>>> {
  const found = await Promise.all(
    architectures.map(async (arch) => [arch, await lockfileOf(store, baseOf(name), build, arch)] as const),
  );
  const known = found.filter(([, packages]) => packages !== undefined);
  if (known.length === 0)
    throw new Failure('BuildNotReleasable', `${build}: its packages are not known (any more)`);
  return Object.fromEntries(known);
}
