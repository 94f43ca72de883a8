/** The accepted build that a signed rebuild begins from, and the package set that it asks for. */
import { join } from 'node:path';
import type { Host } from '../host.js';
import type { ComposeInput } from '../composers/composer.js';
import { resolveWanted } from '../composers/dnf/packages.js';
import { readTreefile } from '../composers/dnf/treefile.js';
import { Failure } from '../domain/failures.js';
import { lockfile, type Lockfile } from '../domain/lockfile.js';
import { comparedEvra, rebuildPackages, type AcceptedRun } from '../domain/rebuild-packages.js';
import type { ReworkChanges } from '../domain/rework-changes.js';
import type { Architecture, Stream } from '../domain/stream.js';
import { metasOf } from '../release/check.js';
import type { Step } from '../steps/step.js';
import { needJson, readJson, type Run } from '../store/store.js';

/** The run of a published build, and its commit for each architecture. Fails with BuildNotReleasable. */
export async function findAccepted(
  step: Step,
  host: Host,
  stream: Stream,
  build: string,
): Promise<Partial<Record<Architecture, AcceptedRun>>> {
  const { run, metas } = await metasOf(host, stream, build, step.signal);
  return Object.fromEntries(
    metas.map((meta) => [meta.architecture, { ...run, build, commit: meta['ostree-commit'] }]),
  );
}

export const lockfileOfRun = (host: Host, run: Run, arch: Architecture): Promise<Lockfile> =>
  needJson(join(host.store.archDir(run, arch), 'lockfile.json'), lockfile);

/** What the packages of a run count as where versions are compared with those of repos: `[epoch:]version-release.arch` by name. */
export async function comparedVersions(
  host: Host,
  run: Run,
  arch: Architecture,
): Promise<Record<string, string>> {
  const at = (name: string) => join(host.store.archDir(run, arch), name);
  const { packages } = await lockfileOfRun(host, run, arch);
  const records = await readJson(at('packages.json'), rebuildPackages);
  const accepted = await readJson(at('accepted.json'), lockfile);
  return Object.fromEntries(
    Object.entries(packages).map(([name, one]) => [name, comparedEvra(name, one, records, accepted)]),
  );
}

/**
 * The accepted package set with the changes of a rework: depsolved again from the accepted repos, in which no version counts but
 * the accepted ones and those that are pinned. Fails with DepsolveFailed, PackageNotFound.
 */
export async function reworkedLockfile(
  step: Step,
  input: ComposeInput,
  composer: Stream['composer'],
  accepted: Lockfile,
  { pin, drop, files }: ReworkChanges,
): Promise<Lockfile> {
  const strange = Object.keys(pin).filter((name) => drop.includes(name));
  if (strange.length > 0)
    throw new Failure('StreamInvalid', `both pinned and dropped: ${strange.join(', ')}: do one of them`);
  const kept = Object.entries(accepted.packages).filter(([name]) => !drop.includes(name));
  const limit = { ...Object.fromEntries(kept.map(([name, { evra }]) => [name, evra])), ...pin };
  // The current treefile may ask for more than was accepted; rpm-ostree's own reading of it comes with the compose, which then refuses.
  const asked =
    files === 'current' && composer === 'dnf'
      ? await readTreefile(input.treefile, input.arch)
      : { packages: kept.map(([name]) => name), excludePackages: [], recommends: false };
  return resolveWanted(step, input, {
    repos: input.repos,
    packages: asked.packages.filter((name) => !drop.includes(name)),
    exclude: [...asked.excludePackages, ...drop],
    recommends: asked.recommends,
    limit,
  });
}
