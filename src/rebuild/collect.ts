/** What a rebuild begins from, in its run's folders: source RPMs, packages that are taken as they are, packages that are compared. */
import { cp, link, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComposeInput, RepoInput } from '../composers/composer.js';
import { resolvedRepos } from '../composers/repos.js';
import { downloadFrom, findSources, packagesDir } from '../composers/dnf/packages.js';
import { Failure } from '../domain/failures.js';
import type { Lockfile } from '../domain/lockfile.js';
import type { RebuildSettings } from '../domain/rebuild-settings.js';
import type { Stream } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { writeJson, type Store } from '../store/store.js';
import { folderOf, type On } from './on.js';
import { bySource, planRebuild, type PlannedSource } from './plan.js';
import { earlierFile, firstWithAll, type Earlier, type ReusedPackages } from './reuse.js';

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
 * The plan for the sources of `locked`. Those that are to be built are then in `sources/`, verified; the others are taken from `earlier`
 * builds, the best first; without these, all are built. Fails with SourceMissing, PackageSignature, PackageChecksum, RepoUnreachable.
 */
export async function collectSources(
  step: Step,
  store: Store,
  on: On,
  locked: Lockfile,
  rebuild: RebuildSettings,
  earlier?: readonly Earlier[],
): Promise<PlannedSources> {
  const folder = folderOf(store, on);
  const repos = rebuild.sources.map((repo) => ({ ...repo, metadataSigned: false }));
  const input = await inputFor(store, on, repos, 'sources', on.stream.name);
  const makes = Object.entries(locked.packages).flatMap(([name, { sourcerpm }]) =>
    sourcerpm === undefined ? [] : [[name, sourcerpm] as const],
  );
  const found = await findSources(step, input, [...bySource(locked).keys()], Object.fromEntries(makes));
  const sources: PlannedSource[] = [];
  const reused: ReusedPackages = {};
  for (const source of planRebuild(locked, found, rebuild)) {
    const from = earlier && (await firstWithAll(store, on, source, earlier, rebuild.reimzul.disttag));
    const why = from
      ? `signed in ${from.build}, which is ${from.why}`
      : earlier
        ? 'not signed from this source in a build that is released or in testing'
        : 'all are rebuilt';
    step.note(`${source.srpm}: ${from ? 'reused' : 'rebuilt'}: ${why}`);
    sources.push({ ...source, reused: from !== undefined, why });
    if (from)
      for (const { name } of source.packages) {
        const { build, run, packages } = from;
        reused[name] = { build, run, file: packages[name]?.file ?? '' };
      }
  }
  const fresh = sources.filter(({ reused }) => !reused);
  await downloadFrom(step, input, repos, sourceLockfile(fresh));
  await fill(
    join(folder, 'sources'),
    fresh.map(({ name, srpm }) => [join(packagesDir(input), `${name}.rpm`), srpm]),
  );
  return { sources, reused };
}

/** The plan, and where its reused packages are. */
export interface PlannedSources {
  readonly sources: readonly PlannedSource[];
  readonly reused: ReusedPackages;
}

/**
 * Puts each RPM (of `path(name)`) where its use is: of packages that `sources` make in `accepted-packages/`, of others in `packages/`,
 * beside those that are reused as they were signed, which `reused.json` names. Answers how many are taken as they were accepted.
 */
export async function putPackages(
  store: Store,
  on: On,
  { packages }: Lockfile,
  { sources, reused }: PlannedSources,
  path: (name: string) => string,
): Promise<number> {
  const folder = folderOf(store, on);
  const remade = new Set(sources.flatMap((source) => source.packages.map(({ name }) => name)));
  const filesOf = (again: boolean) =>
    Object.entries(packages)
      .filter(([name]) => remade.has(name) === again)
      .map(([name, { evra }]) => [path(name), `${name}-${evra}.rpm`] as const);
  const signed = Object.values(reused).map(
    ({ run, file }) => [earlierFile(store, { ...on, run }, file), file] as const,
  );
  await writeJson(join(folder, 'reused.json'), reused);
  await fill(join(folder, 'packages'), [...filesOf(false), ...signed]);
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
