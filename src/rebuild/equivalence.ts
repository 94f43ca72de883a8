/** Reads the accepted and the rebuilt packages and trees, and compares them; see `domain/equivalence.ts` for what is expected. */
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { ArchStepArgs } from '../domain/inputs.js';
import { Failure } from '../domain/failures.js';
import {
  comparePackage,
  comparePackages,
  comparePlan,
  compareTrees,
  type Difference,
  type Equivalence,
  type TreeDifference,
} from '../domain/equivalence.js';
import { lockfile } from '../domain/lockfile.js';
import { acceptedRun, rebuildPackages, type AcceptedRun } from '../domain/rebuild-packages.js';
import { reworkChanges, type ReworkChanges } from '../domain/rework-changes.js';
import type { Stream } from '../domain/stream.js';
import { checkoutCommand } from '../rpm/difference.js';
import { readDatabaseDetails, readDetails, type RpmDetails } from '../rpm/headers.js';
import { packageRoot } from '../settings.js';
import type { Argv, Step } from '../steps/step.js';
import { needJson, readJson, type Store } from '../store/store.js';
import { readFix } from '../store/fix-record.js';

const entry = z.object({
  ...{ type: z.string(), mode: z.string(), owner: z.string(), xattrs: z.string() },
  ...{ content: z.string(), link: z.string() },
});
const entries = z.array(z.object({ path: z.string(), old: entry.nullable(), new: entry.nullable() }));

const treesCommand = (repos: readonly [string, string], commits: readonly [string, string]): Argv => [
  ...(['python3', '-I', join(packageRoot, 'src/rebuild/trees.py')] as const),
  ...[repos[0], commits[0], repos[1], commits[1]],
];

/** So many differences of each sort are kept. */
const most = 5000;

/**
 * Compares the new commit and its packages with the accepted ones; of a security case also with the release that it is made from, from
 * which nothing may differ but what was planned. `work` is a scratch folder of its own, emptied first. Fails with LockfileDrift where
 * an RPM that is compared is missing.
 */
export async function readEquivalence(
  step: Step,
  store: Store,
  stream: Stream,
  args: ArchStepArgs & { readonly commit: string },
  work: string,
): Promise<Equivalence> {
  const at = (...parts: string[]) => join(store.archDir(args, args.arch), ...parts);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const run = await needJson(at('accepted-run.json'), acceptedRun);
  const accepted = await needJson(at('accepted.json'), lockfile);
  const fix = await readFix(store, args);
  const changes = (await readJson(at('changes.json'), reworkChanges)) ?? { pin: {}, drop: [] };
  const settings = stream.release?.rebuild;
  const disttag = settings?.reimzul.disttag ?? '';
  // A tree that is composed from its lockfile directly has none that were rebuilt.
  const packages = fix?.rebuilds === false ? {} : await needJson(at('packages.json'), rebuildPackages);

  const differences: Difference[] = [];
  if (fix) {
    const base = await needJson(join(store.archDir(run, args.arch), 'lockfile.json'), lockfile);
    const found = fix.rebuilds ? packages : (await needJson(at('lockfile.json'), lockfile)).packages;
    differences.push(...comparePlan(base, found, changes, fix.rebuilds ? disttag : undefined));
  }
  if (fix?.rebuilds !== false) differences.push(...comparePackages(accepted, packages, disttag));
  const both = Object.entries(packages).flatMap(([name, { origin, file, digest }]) => {
    const old = accepted.packages[name];
    return origin === 'rebuilt' && old !== undefined && old.digest !== digest
      ? [{ old: at('accepted-packages', `${name}-${old.evra}.rpm`), fresh: at('packages', file) }]
      : [];
  });
  const before = await details(
    step,
    both.map(({ old }) => old),
    work,
  );
  const after = await details(
    step,
    both.map(({ fresh }) => fresh),
    work,
  );
  for (const [i, old] of before.entries()) {
    const fresh = after[i];
    if (fresh) differences.push(...comparePackage(old, fresh));
  }
  differences.push(
    ...compareTrees(await treeDifferences(step, store, run, args), {
      rebuiltPaths: [...before, ...after].flatMap(({ files }) => files.map(({ path }) => path)),
      renewed: before.map((old, i) => [old.evra, after[i]?.evra ?? old.evra]),
      reworkedPaths: await reworkedPaths(step, store, run, args, changes, work),
      expected: settings?.expected ?? [],
    }),
  );
  await rm(work, { recursive: true, force: true });
  const [unexpected, expected] = [false, true].map((is) => differences.filter((one) => one.expected === is));
  return {
    ...{ stream: run.stream, architecture: args.arch },
    accepted: { build: run.build, commit: run.commit },
    rebuilt: { commit: args.commit, packages: both.length },
    counts: { expected: expected?.length ?? 0, unexpected: unexpected?.length ?? 0 },
    differences: [...(unexpected ?? []).slice(0, most), ...(expected ?? []).slice(0, most)],
  };
}

/** Headers of RPM files. Fails with LockfileDrift for one that is none. */
async function details(step: Step, files: readonly string[], work: string): Promise<RpmDetails[]> {
  return (await readDetails(step, files, work)).map((header, i) => {
    if ('failure' in header)
      throw new Failure(
        'LockfileDrift',
        `${basename(files[i] ?? '')}: cannot be compared: ${header.failure}`,
      );
    return header;
  });
}

async function treeDifferences(
  step: Step,
  store: Store,
  { stream, commit }: AcceptedRun,
  args: ArchStepArgs & { readonly commit: string },
): Promise<TreeDifference[]> {
  const repos = [store.repo(stream), store.repo(args.stream)] as const;
  const { stdout } = await step.run(treesCommand(repos, [commit, args.commit]), { capture: 'all' });
  return z.object({ entries }).parse(JSON.parse(stdout)).entries;
}

/** What packages that were pinned or dropped have in either tree. */
async function reworkedPaths(
  step: Step,
  store: Store,
  run: AcceptedRun,
  args: ArchStepArgs & { readonly commit: string },
  { pin, drop }: Pick<ReworkChanges, 'pin' | 'drop'>,
  work: string,
): Promise<string[]> {
  const names = new Set([...Object.keys(pin), ...drop]);
  if (names.size === 0) return [];
  const paths: string[] = [];
  const commits = [
    [store.repo(run.stream), run.commit],
    [store.repo(args.stream), args.commit],
  ] as const;
  for (const [repo, commit] of commits) {
    const folder = join(work, `rpmdb-${commit}`);
    await step.run(checkoutCommand(repo, commit, folder));
    const own = (await readDatabaseDetails(step, folder, work)).filter(({ name }) => names.has(name));
    paths.push(...own.flatMap(({ files }) => files.map(({ path }) => path)));
  }
  return paths;
}
