/** The package set of a security case: the released one, with the fixes and what these strictly need, and nothing else. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../activities/host.js';
import type { ComposeInput } from '../composers/composer.js';
import { planFixes } from '../composers/dnf/packages.js';
import { readTreefile } from '../composers/dnf/treefile.js';
import { Failure } from '../domain/failures.js';
import type { Lockfile } from '../domain/lockfile.js';
import type { AcceptedRun } from '../domain/rebuild-packages.js';
import type { Fix, PlannedChange } from '../domain/security.js';
import { baseOf } from '../domain/stream.js';
import { checkoutCommand } from '../rpm/difference.js';
import type { Step } from '../steps/step.js';
import { comparedVersions, lockfileOfRun } from './accepted.js';
import { inputFor, type On } from './collect.js';
import { givenId, givenRepo, type FixRecord } from './fix-run.js';
import { givenFolder, type Given } from './fix-sources.js';

export interface CasePlan {
  /** The whole set. */
  readonly locked: Lockfile;
  /** What is changed or added in it. */
  readonly changed: Lockfile;
  /** Names of those that go. */
  readonly gone: readonly string[];
  /** For people, the fixes first. */
  readonly packages: readonly PlannedChange[];
  /** What fixes are downloaded from. */
  readonly input: ComposeInput;
}

/** Fails with DepsolveFailed, FixNotFound, LockfileDrift, PackageSignature, RepoUnreachable. */
export async function planCase(
  step: Step,
  host: Host,
  on: On,
  of: {
    readonly fix: FixRecord;
    readonly run: AcceptedRun;
    readonly given: Given;
    readonly fixes: readonly Fix[];
  },
): Promise<CasePlan> {
  const { store } = host;
  const { stream, arch } = on;
  const { fix, run, given, fixes } = of;
  const isGiven = given.sources.length > 0;
  if (fixes.length === 0 && !isGiven)
    throw new Failure('FixNotFound', `case ${fix.case}: has nothing to fix`);
  // rpm-ostree's own reading of its treefile comes with the compose.
  const tree = stream.composer === 'dnf' ? await readTreefile(stream.treefile, arch) : undefined;
  const chosen = tree?.repos ?? [];
  const repos = fix.repos
    .filter(({ id }) => chosen.length === 0 || chosen.includes(id.replace(/^now:/, '')))
    .map((repo) => ({ ...repo, baseurl: repo.baseurl.replaceAll('$basearch', arch) }));
  const input = await inputFor(store, on, repos, 'fix', baseOf(stream.name));
  const all = isGiven
    ? { ...input, repos: [...repos, givenRepo(await givenFolder(step, input, given))] }
    : input;

  const database = join(input.work, 'rpmdb');
  await rm(database, { recursive: true, force: true });
  await step.run(checkoutCommand(store.repo(run.stream), run.commit, database));
  const base = await lockfileOfRun(host, run, arch);
  const plan = await planFixes(step, all, {
    database,
    exclude: tree?.excludePackages ?? [],
    released: await comparedVersions(host, run, arch),
    // Who named a version means that one.
    fixes: fixes.map(({ name, evr, advisories }) => ({ name, evr, exact: advisories.length === 0 })),
    given: isGiven ? givenId : null,
  });
  const { changed, gone } = plan;
  const kept = Object.entries(base.packages).filter(([name]) => !gone.includes(name));
  const packages = { ...Object.fromEntries(kept), ...changed.packages };
  const locked = {
    metadata: {
      generated: changed.metadata.generated,
      rpmmd_repos: { ...base.metadata.rpmmd_repos, ...changed.metadata.rpmmd_repos },
    },
    packages: Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  return { locked, changed, gone, packages: changesOf(base, plan), input };
}

function changesOf(
  base: Lockfile,
  { changed, gone, fixes }: { changed: Lockfile; gone: readonly string[]; fixes: readonly string[] },
): PlannedChange[] {
  const from = (name: string) => base.packages[name]?.evra ?? null;
  const changes = Object.entries(changed.packages).map(([name, { evra }]): PlannedChange => {
    const why = fixes.includes(name) ? 'fix' : 'needed';
    return { name, from: from(name), to: evra, why };
  });
  const going = gone.map((name): PlannedChange => ({ name, from: from(name), to: null, why: 'needed' }));
  return [...changes, ...going].sort((a, b) =>
    a.why === b.why ? (a.name < b.name ? -1 : 1) : a.why === 'fix' ? -1 : 1,
  );
}
