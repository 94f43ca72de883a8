/** The package set of a security case: the released one, with the fixes and what these strictly need, and nothing else. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../host.js';
import type { ComposeInput } from '../composers/composer.js';
import { planFixes, resolveWanted, wantedBy } from '../composers/dnf/packages.js';
import { readTreefile } from '../composers/dnf/treefile.js';
import { Failure } from '../domain/failures.js';
import type { Lockfile } from '../domain/lockfile.js';
import type { AcceptedRun } from '../domain/rebuild-packages.js';
import type { Fix, PlannedChange } from '../domain/security.js';
import { baseOf } from '../domain/stream.js';
import { checkoutCommand } from '../rpm/difference.js';
import { indexRepo } from '../rpm/index-repo.js';
import type { Step } from '../steps/step.js';
import { comparedVersions, lockfileOfRun } from './accepted.js';
import { fill, inputFor } from './collect.js';
import type { On } from './on.js';
import { givenId, localRepo } from './fix-run.js';
import { type FixRecord } from '../store/fix-record.js';
import { givenFolder, type Given } from './fix-sources.js';
import { rpmsOf } from './sign-rpms.js';

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
  const repos = fix.repos.filter(({ id }) => chosen.length === 0 || chosen.includes(id.replace(/^now:/, '')));
  const input = await inputFor(store, on, repos, 'fix', baseOf(stream.name));
  // Of metadata of its own: the folder is this run's.
  const all = isGiven
    ? {
        ...input,
        cache: join(input.work, 'cache'),
        repos: [...input.repos, localRepo(givenId, await givenFolder(step, input, given))],
      }
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

/**
 * The plan without what a fix does without, and nothing else asks for: the compose depsolves the treefile from the planned packages, and would
 * leave it out. `folders`: where their RPMs are. rpm-ostree's own reading of its treefile comes too late for that.
 */
export async function withoutLeftOut(
  step: Step,
  { stream, arch }: On,
  plan: CasePlan,
  folders: readonly string[],
): Promise<CasePlan> {
  if (stream.composer !== 'dnf') return plan;
  const work = join(plan.input.work, 'whole');
  const files = (
    await Promise.all(
      folders.map(async (folder) =>
        (await rpmsOf(folder)).map((name) => [join(folder, name), name] as const),
      ),
    )
  ).flat();
  const folder = join(work, 'packages');
  await fill(folder, files);
  await indexRepo(step, folder);
  const repos = [localRepo('planned', folder)];
  const wanted = wantedBy(await readTreefile(stream.treefile, arch));
  const input = { ...plan.input, work, cache: join(work, 'cache'), repos };
  const found = await resolveWanted(step, input, { ...wanted, repos });
  const left = Object.keys(plan.locked.packages).filter((name) => !Object.hasOwn(found.packages, name));
  const lost = left.filter((name) => Object.hasOwn(plan.changed.packages, name));
  if (lost.length > 0)
    throw new Failure('DepsolveFailed', `planned, but the tree asks for it no more: ${lost.join(', ')}`);
  const kept = Object.entries(plan.locked.packages).filter(([name]) => !left.includes(name));
  const going = left.map((name) => goes(name, plan.locked.packages[name]?.evra ?? null));
  return {
    ...plan,
    locked: { ...plan.locked, packages: Object.fromEntries(kept) },
    gone: [...plan.gone, ...left].sort(),
    packages: sorted([...plan.packages, ...going]),
  };
}

const goes = (name: string, from: string | null): PlannedChange => ({ name, from, to: null, why: 'needed' });
const sorted = (changes: readonly PlannedChange[]): PlannedChange[] =>
  [...changes].sort((a, b) => (a.why === b.why ? (a.name < b.name ? -1 : 1) : a.why === 'fix' ? -1 : 1));

function changesOf(
  base: Lockfile,
  { changed, gone, fixes }: { changed: Lockfile; gone: readonly string[]; fixes: readonly string[] },
): PlannedChange[] {
  const from = (name: string) => base.packages[name]?.evra ?? null;
  const changes = Object.entries(changed.packages).map(([name, { evra }]): PlannedChange => {
    const why = fixes.includes(name) ? 'fix' : 'needed';
    return { name, from: from(name), to: evra, why };
  });
  return sorted([...changes, ...gone.map((name) => goes(name, from(name)))]);
}
