/** What a rebuild begins from, in its run's folders: source RPMs, packages that are taken as they are, packages that are compared. */
import { cp, link, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComposeInput, RepoInput } from '../composers/composer.js';
import { resolvedRepos } from '../composers/repos.js';
import { downloadFrom, findSources, packagesDir } from '../composers/dnf/packages.js';
import { Failure } from '../domain/failures.js';
import type { Lockfile } from '../domain/lockfile.js';
import type { RebuildSettings } from '../domain/rebuild-settings.js';
import type { Architecture, Stream } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { exists, type Store } from '../store/store.js';
import { bySource, planRebuild, type PlannedSource } from './plan.js';

/** A run for one architecture, with its frozen stream. */
export interface On {
  readonly stream: Stream;
  readonly run: string;
  readonly arch: Architecture;
}

/** Fails with StreamInvalid for a stream that rebuilds nothing. */
export const needRebuild = ({ name, release }: Pick<Stream, 'name' | 'release'>): RebuildSettings => {
  if (release?.rebuild) return release.rebuild;
  throw new Failure('StreamInvalid', `${name}: release.rebuild: missing: add the section`);
};

/**
 * Every repo that the treefile may name is the run's own package set: what was accepted and what was signed, and nothing else. Its
 * metadata is signed with the first of `keys`; all of them may sign packages, besides those of `repos`.
 */
export function ownRepos(
  repos: Stream['repos'],
  runDir: string,
  keys: readonly [string, ...string[]],
): Stream['repos'] {
  const gpgKeys = [...new Set([...keys, ...repos.flatMap((repo) => repo.gpgKeys)])];
  const baseurl = `file://${runDir}/$basearch/packages`;
  return repos.map(({ id }) => ({ id, baseurl, gpgKeys, metadataSigned: true }));
}

/** Results of a source that were signed before, by the source RPM's digest and the dist tag. */
export const poolOf = (store: Store, stream: Stream, digest: string): string =>
  join(
    store.streamDir(stream.name),
    'pool',
    `${digest.replace('sha256:', '')}${needRebuild(stream).reimzul.disttag}`,
  );

/** Folders for packages that come from other repos than the run's own. */
export async function inputFor(
  store: Store,
  { stream, run, arch }: On,
  repos: readonly RepoInput[],
  name: string,
  cacheOf: string,
): Promise<ComposeInput> {
  const work = store.work({ stream: stream.name, run }, name, arch);
  const cache = store.cache(cacheOf, arch);
  await Promise.all([work, cache].map((folder) => mkdir(folder, { recursive: true })));
  const { treefile, releasever } = stream;
  const resolved = await resolvedRepos(repos, { arch, releasever });
  return { treefile, releasever, repos: resolved, arch, work, cache, repo: store.repo(stream.name) };
}

/**
 * The plan for the sources of `locked`. Those that are to be built are then in `sources/`, verified; what was signed before of the others
 * is in `rebuilt/`. Fails with SourceMissing, PackageSignature, PackageChecksum, RepoUnreachable.
 */
export async function collectSources(
  step: Step,
  store: Store,
  on: On,
  locked: Lockfile,
  rebuild: RebuildSettings,
  reuse: boolean,
): Promise<PlannedSource[]> {
  const { stream, arch } = on;
  const folder = store.archDir({ ...on, stream: stream.name }, arch);
  const repos = rebuild.sources.map((repo) => ({ ...repo, metadataSigned: false }));
  const input = await inputFor(store, on, repos, 'sources', stream.name);
  const makes = Object.entries(locked.packages).flatMap(([name, { sourcerpm }]) =>
    sourcerpm === undefined ? [] : [[name, sourcerpm] as const],
  );
  const found = await findSources(step, input, [...bySource(locked).keys()], Object.fromEntries(makes));
  const inPool = new Set<string>();
  for (const { digest } of Object.values(found))
    if (await exists(join(poolOf(store, stream, digest), 'result.json'))) inPool.add(digest);
  const sources = planRebuild(locked, found, rebuild, reuse, (digest) => inPool.has(digest));
  const fresh = sources.filter(({ reused }) => !reused);
  await downloadFrom(step, input, repos, sourceLockfile(fresh));
  await fill(
    join(folder, 'sources'),
    fresh.map(({ name, srpm }) => [join(packagesDir(input), `${name}.rpm`), srpm]),
  );
  for (const { digest, srpm } of sources.filter(({ reused }) => reused))
    await copyWhole(poolOf(store, stream, digest), rebuiltDir(folder, srpm));
  return sources;
}

/** Where the results of a source RPM are, in the architecture's folder of a run. */
export const rebuiltDir = (folder: string, srpm: string): string =>
  join(folder, 'rebuilt', srpm.replace(/\.src\.rpm$/, ''));

/**
 * Puts each RPM (of `path(name)`) where its use is: of packages that `sources` make in `accepted-packages/`, of others in `packages/`.
 * Answers how many are taken as they are.
 */
export async function putPackages(
  folder: string,
  { packages }: Lockfile,
  sources: readonly PlannedSource[],
  path: (name: string) => string,
): Promise<number> {
  const remade = new Set(sources.flatMap((source) => source.packages.map(({ name }) => name)));
  const filesOf = (again: boolean) =>
    Object.entries(packages)
      .filter(([name]) => remade.has(name) === again)
      .map(([name, { evra }]) => [path(name), `${name}-${evra}.rpm`] as const);
  await fill(join(folder, 'packages'), filesOf(false));
  await fill(join(folder, 'accepted-packages'), filesOf(true));
  return filesOf(false).length;
}

/** Source RPMs as a lockfile, to fetch them by. */
const sourceLockfile = (sources: readonly PlannedSource[]): Lockfile => ({
  metadata: { generated: new Date(0).toISOString(), rpmmd_repos: {} },
  packages: Object.fromEntries(sources.map(({ name, evra, digest, repo }) => [name, { evra, digest, repo }])),
});

/** A folder with just these files, by hard links where that goes. `files`: where each is, and its name in the folder. */
export async function fill(
  folder: string,
  files: readonly (readonly [path: string, as: string])[],
): Promise<void> {
  const next = `${folder}.new`;
  await rm(next, { recursive: true, force: true });
  await mkdir(next, { recursive: true });
  for (const [path, as] of files) await link(path, join(next, as)).catch(() => cp(path, join(next, as)));
  await rm(folder, { recursive: true, force: true });
  await rename(next, folder);
}

/** A copy of a folder of files, whole or not at all; one that is there stays. */
export async function copyWhole(from: string, to: string): Promise<void> {
  if (await exists(to)) return;
  await mkdir(join(to, '..'), { recursive: true });
  await fill(to, (await readdir(from)).map((name) => [join(from, name), name])); // prettier-ignore
}
