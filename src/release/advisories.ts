/** The advisories that a release fixes, from the `updateinfo` of the stream's package repos. */
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { PackageChange } from '../domain/metadata.js';
import type { Advisory } from '../domain/release.js';
import type { Architecture, Stream } from '../domain/stream.js';
import { versionOrder } from '../rpm/versions.js';
import { isPassedOver } from '../security/advisory.js';
import { readUpdateinfo, type RepoAdvisory } from '../security/updateinfo.js';
import type { Step } from '../steps/step.js';

/**
 * The advisories of all repos that `changes` fix: the former version is below the fixed one, the new one is not. A repo without
 * advisories is usual. One that cannot be read is noted in the step's log and adds none: the release does not wait for it.
 * `work` is a scratch folder of its own, emptied first.
 */
export async function fixedAdvisories(
  step: Step,
  { repos, releasever }: Pick<Stream, 'repos' | 'releasever'>,
  arch: Architecture,
  changes: readonly PackageChange[],
  work: string,
): Promise<Advisory[]> {
  const upgrades = new Map(
    changes.flatMap(([name, kind, { NewPackage: fresh, PreviousPackage: old }]) =>
      kind === 2 && fresh && old ? [[name, { arch: fresh[2], old: old[1], new: fresh[1] }]] : [],
    ),
  );
  if (upgrades.size === 0) return [];
  const read: RepoAdvisory[] = [];
  for (const repo of repos) {
    const question = {
      repo,
      releasever,
      arch,
      names: [...upgrades.keys()],
      cache: join(work, 'cache'),
      work,
    };
    try {
      const { advisories } = await readUpdateinfo(step, question);
      read.push(...advisories.filter(({ status = '' }) => !isPassedOver(status)));
    } catch (error) {
      if (!(error instanceof Failure) || error.code === 'ToolMissing') throw error;
      step.note(`${repo.id}: no advisories from this repo: ${error.message}`);
    }
  }
  const named = read.flatMap((advisory) =>
    advisory.packages.flatMap(({ name, evr, arch: of }) => {
      const upgrade = upgrades.get(name);
      return upgrade?.arch === of ? [{ advisory, name, evr, ...upgrade }] : [];
    }),
  );
  const order = await versionOrder(
    step,
    named.flatMap(({ evr, old, new: fresh }) => [old, fresh, evr]),
  );
  const found = new Map<string, Advisory>();
  for (const { advisory, name, evr, old, new: fresh } of named)
    if (order(old, evr) < 0 && order(fresh, evr) >= 0) {
      const { id, title, type, severity, references } = advisory;
      const entry = { id, title, type, ...(severity === undefined ? {} : { severity }), references };
      // The same advisory may be in two repos, such as one per part of a distribution.
      const { packages, ...known } = found.get(id) ?? { ...entry, packages: [] };
      found.set(id, { ...known, packages: [...new Set([...packages, name])].sort() });
    }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
