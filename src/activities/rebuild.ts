/** The steps of a signed rebuild that are its own: everything else is the nightly's, with other inputs. */
import { cp, link, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComposeInput, RepoInput } from '../composers/composer.js';
import { downloadFrom, findSources, packagesDir } from '../composers/dnf/packages.js';
import { Failure } from '../domain/failures.js';
import { lockfile, type Lockfile } from '../domain/lockfile.js';
import type { RebuildSettings } from '../domain/rebuild-settings.js';
import { acceptedRun, rebuildPackages } from '../domain/rebuild-packages.js';
import { reworkChanges, type ReworkChanges } from '../domain/statement.js';
import { baseOf, signedLine, type Architecture, type Stream } from '../domain/stream.js';
import { findAccepted, lockfileOfRun, reworkedLockfile } from '../rebuild/accepted.js';
import { bySource, planRebuild, rebuildPlan, type PlannedSource } from '../rebuild/plan.js';
import { exists, needJson, readJson, writeJson, type Run } from '../store/store.js';
import { loadStream, readStreamFile, streamFolder } from '../streams/load.js';
import { asStep, frozenStream, type ArchStepArgs, type Host, type StepArgs } from './host.js';
import { planOf, type ChainPlan } from './prepare.js';

export interface LoadSignedArgs extends StepArgs {
  /** The accepted build. */
  readonly build: string;
  readonly attempt: number;
  readonly changes?: ReworkChanges | undefined;
}

/** What the workflow needs to know of the sources; all else is in `plan.json`. */
export interface SourcesToBuild {
  readonly sources: readonly PlannedSource[];
  /** Packages that are taken as they were accepted. */
  readonly accepted: number;
  /** Sources in work at a time. */
  readonly limit: number;
}

export const needRebuild = ({ name, release }: Stream): RebuildSettings => {
  if (release?.rebuild) return release.rebuild;
  throw new Failure('StreamInvalid', `${name}: release.rebuild: missing: add the section`);
};

export const rebuildActivities = (host: Host) => {
  const { store, settings } = host;
  const file = (args: Run & { arch: Architecture }, ...path: string[]) =>
    join(store.archDir(args, args.arch), ...path);
  /** Results of a source that were signed before, by the source RPM's digest and the dist tag. */
  const pool = (stream: Stream, digest: string) =>
    join(
      store.streamDir(stream.name),
      'pool',
      `${digest.replace('sha256:', '')}${needRebuild(stream).reimzul.disttag}`,
    );

  return {
    /**
     * Freezes the line of signed builds for the run: tree and images as they were accepted (or as they are now, if a rework says so),
     * everything else as the stream file says now. Fails with StreamInvalid, BuildNotReleasable.
     */
    loadSigned: asStep(host, async (step, args: LoadSignedArgs): Promise<ChainPlan> => {
      const base = baseOf(args.stream);
      const current = await loadStream(settings, base);
      const accepted = await findAccepted(step, host, current, args.build);
      const folder = store.runDir(args);
      const frozen = join(folder, 'stream.json');
      const [first] = Object.values(accepted);
      if (!(await exists(frozen)) && first) {
        const [source, own] = [join(folder, 'source'), args.changes?.files === 'current'];
        await rm(source, { recursive: true, force: true });
        await mkdir(folder, { recursive: true });
        await cp(own ? streamFolder(settings, base) : join(store.runDir(first), 'source'), source, {
          recursive: true,
        });
        const declared = await readStreamFile(settings, join(source, 'stream.yaml'), base);
        const { treefile, ref, osname, releasever, composer, architectures, images, bootTest } = declared;
        const tree = { treefile, ref, osname, releasever, composer, architectures, images, bootTest };
        const line = signedLine({ ...current, ...tree, repos: ownRepos(declared, current, folder) });
        if (!line)
          throw new Failure('StreamInvalid', `${base}: release.rebuild and publish.testing: add both`);
        for (const [arch, run] of Object.entries(accepted) as [Architecture, unknown][]) {
          await writeJson(file({ ...args, arch }, 'accepted-run.json'), run);
          if (args.changes) await writeJson(file({ ...args, arch }, 'changes.json'), args.changes);
          const { build, attempt } = args;
          await writeJson(file({ ...args, arch }, 'rebuild.json'), { accepted: build, attempt });
        }
        await cp(join(store.runDir(first), 'source.json'), join(folder, 'source.json'));
        await writeJson(frozen, line);
      }
      return planOf(await frozenStream(host, args));
    }),

    /**
     * The accepted packages (`accepted.json`, with a rework's changes), the plan of what is rebuilt (`plan.json`), its source RPMs
     * (`sources/`), and the RPMs that are taken as they are (`packages/`) or compared with later (`accepted-packages/`): all verified by
     * digest and signature. Fails with SourceMissing, PackageSignature, PackageChecksum, DepsolveFailed, RepoUnreachable.
     */
    collect: asStep(host, async (step, args: ArchStepArgs & { reuse: boolean }): Promise<SourcesToBuild> => {
      const stream = await frozenStream(host, args);
      const rebuild = needRebuild(stream);
      const run = await needJson(file(args, 'accepted-run.json'), acceptedRun);
      const accepted = await frozenStream(host, run);
      const changes = await readJson(file(args, 'changes.json'), reworkChanges);
      const input = await inputFor(accepted.repos, 'accepted', run.stream, { ...args, stream });
      const before = await lockfileOfRun(host, run, args.arch);
      const locked = changes ? await reworkedLockfile(step, input, stream.composer, before, changes) : before;
      await writeJson(file(args, 'accepted.json'), locked);
      await downloadFrom(step, input, input.repos, locked);

      const repos = rebuild.sources.map((repo) => ({ ...repo, metadataSigned: false }));
      const sourceInput = await inputFor(repos, 'sources', stream.name, { ...args, stream });
      const makes = Object.entries(locked.packages).flatMap(([name, { sourcerpm }]) =>
        sourcerpm === undefined ? [] : [[name, sourcerpm] as const],
      );
      const found = await findSources(
        step,
        sourceInput,
        [...bySource(locked).keys()],
        Object.fromEntries(makes),
      );
      const inPool = new Set<string>();
      for (const { digest } of Object.values(found))
        if (await exists(join(pool(stream, digest), 'result.json'))) inPool.add(digest);
      const sources = planRebuild(locked, found, rebuild, args.reuse, (digest) => inPool.has(digest));
      await writeJson(file(args, 'plan.json'), { sources });

      const fresh = sources.filter(({ reused }) => !reused);
      await downloadFrom(step, sourceInput, repos, sourceLockfile(fresh));
      await fill(file(args, 'sources'), fresh.map(({ name, srpm }) => [`${name}.rpm`, srpm]), packagesDir(sourceInput)); // prettier-ignore
      for (const { digest, srpm } of sources.filter(({ reused }) => reused))
        await copyWhole(pool(stream, digest), file(args, 'rebuilt', srpm.replace(/\.src\.rpm$/, '')));
      const remade = new Set(sources.flatMap(({ packages }) => packages.map(({ name }) => name)));
      const names = Object.entries(locked.packages).map(
        ([name, { evra }]) => [`${name}.rpm`, `${name}-${evra}.rpm`, remade.has(name)] as const,
      );
      for (const [folder, again] of [
        ['packages', false],
        ['accepted-packages', true],
      ] as const)
        // prettier-ignore
        await fill(
            file(args, folder),
            names.filter(([, , rebuilt]) => rebuilt === again),
            packagesDir(input),
          );
      const { limit } = rebuild.reimzul;
      return { sources, limit, accepted: names.filter(([, , rebuilt]) => !rebuilt).length };
    }),

    /**
     * Is what was resolved from the signed set just what was accepted? Also keeps the signed results for later attempts. Fails with
     * LockfileDrift.
     */
    strict: asStep(host, async (step, args: ArchStepArgs): Promise<{ packages: number }> => {
      const stream = await frozenStream(host, args);
      const wanted = await needJson(file(args, 'packages.json'), rebuildPackages);
      const accepted = await needJson(file(args, 'accepted.json'), lockfile);
      const resolved = await needJson(file(args, 'lockfile.json'), lockfile);
      const drift: string[] = [];
      for (const name of new Set([...Object.keys(accepted.packages), ...Object.keys(resolved.packages)])) {
        const [is, signed] = [resolved.packages[name], wanted[name]];
        if (accepted.packages[name] === undefined) drift.push(`${name}-${is?.evra ?? ''}: is not accepted`);
        else if (!is) drift.push(`${name}: is left out`);
        else if (is.evra !== signed?.evra || is.digest !== signed.digest)
          drift.push(`${name}-${is.evra}: instead of ${signed?.evra ?? 'none'}`);
      }
      if (drift.length > 0) throw new Failure('LockfileDrift', drift.slice(0, 20).join('; '), drift);
      const { sources } = await needJson(file(args, 'plan.json'), rebuildPlan);
      for (const { srpm, digest } of sources)
        await copyWhole(file(args, 'rebuilt', srpm.replace(/\.src\.rpm$/, '')), pool(stream, digest));
      step.note(`${Object.keys(resolved.packages).length} packages, as accepted`);
      return { packages: Object.keys(resolved.packages).length };
    }),
  };

  /** Folders for packages that come from other repos than the run's own. */
  async function inputFor(
    repos: readonly RepoInput[],
    name: string,
    cacheOf: string,
    args: Omit<ArchStepArgs, 'stream'> & { stream: Stream },
  ): Promise<ComposeInput> {
    const { stream, arch } = args;
    const work = store.work({ ...args, stream: stream.name }, name, arch);
    const cache = store.cache(cacheOf, arch);
    await Promise.all([work, cache].map((folder) => mkdir(folder, { recursive: true })));
    const { treefile, releasever } = stream;
    return { treefile, releasever, repos, arch, work, cache, repo: store.repo(stream.name) };
  }
};

/**
 * Every repo that the treefile may name is the run's own package set: what was accepted and what was signed, and nothing else. Its
 * metadata is signed with the key of the rebuilt packages.
 */
function ownRepos(accepted: Stream, current: Stream, runDir: string): Stream['repos'] {
  const { rpmKey } = needRebuild(current);
  const gpgKeys = [...new Set([rpmKey, ...accepted.repos.flatMap((repo) => repo.gpgKeys)])];
  const baseurl = `file://${runDir}/$basearch/packages`;
  return accepted.repos.map(({ id }) => ({ id, baseurl, gpgKeys, metadataSigned: true }));
}

/** Source RPMs as a lockfile, to fetch them by. */
const sourceLockfile = (sources: readonly PlannedSource[]): Lockfile => ({
  metadata: { generated: new Date(0).toISOString(), rpmmd_repos: {} },
  packages: Object.fromEntries(sources.map(({ name, evra, digest, repo }) => [name, { evra, digest, repo }])),
});

/** A folder with just these files, by hard links where that goes. `names`: as they are in `from`, and as they shall be. */
async function fill(
  folder: string,
  names: readonly (readonly [string, string, ...unknown[]])[],
  from: string,
): Promise<void> {
  const next = `${folder}.new`;
  await rm(next, { recursive: true, force: true });
  await mkdir(next, { recursive: true });
  for (const [name, as] of names)
    await link(join(from, name), join(next, as)).catch(() => cp(join(from, name), join(next, as)));
  await rm(folder, { recursive: true, force: true });
  await rename(next, folder);
}

/** A copy of a folder of files, whole or not at all; one that is there stays. */
async function copyWhole(from: string, to: string): Promise<void> {
  if (await exists(to)) return;
  await mkdir(join(to, '..'), { recursive: true });
  await fill(to, (await readdir(from)).map((name) => [name, name]), from); // prettier-ignore
}
