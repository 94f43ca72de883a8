/** The fixes that security releases have brought, `store/<stream>/security/fixes.json`, and which of them a package set lacks. */
import { join } from 'node:path';
import { z } from 'zod';
import { splitEvra } from '../domain/lockfile.js';
import type { Fix, Lack, ReleasedFix } from '../domain/security.js';
import type { Stream } from '../domain/stream.js';
import { packageSetsOf } from './lockfiles.js';
import { versionOrder } from '../rpm/versions.js';
import type { Step } from '../steps/step.js';
import { readJson, writeJson, type Store } from './store.js';
import type { PackageSets } from '../domain/lockfile.js';

const releasedFix = z.object({
  case: z.string(),
  advisories: z.array(z.string()),
  cves: z.array(z.string()),
  build: z.string(),
  packages: z.record(z.string(), z.string()),
});

const ledgerFile = (store: Store, stream: string) => join(store.security(stream), 'fixes.json');

/** Oldest first. */
export const releasedFixes = async (store: Store, stream: string): Promise<ReleasedFix[]> =>
  (await readJson(ledgerFile(store, stream), z.array(releasedFix))) ?? [];

/** Adds a fix; one of the same case is replaced. */
export async function keepFixed(store: Store, stream: string, fix: ReleasedFix): Promise<void> {
  const others = (await releasedFixes(store, stream)).filter((other) => other.case !== fix.case);
  await writeJson(ledgerFile(store, stream), [...others, fix]);
}

/** `[epoch:]version-release` of the packages that are in both sets, but not in the same version. */
export function upgraded(base: PackageSets, fresh: PackageSets): Record<string, string> {
  const found = new Map<string, string>();
  for (const [arch, { packages }] of Object.entries(fresh))
    for (const [name, { evra }] of Object.entries(packages)) {
      const before = new Map(Object.entries(base[arch as keyof PackageSets]?.packages ?? {})).get(name);
      if (before && before.evra !== evra && !found.has(name)) found.set(name, splitEvra(evra).evr);
    }
  return Object.fromEntries([...found].sort());
}

/** Fixes of released cases that a build of the stream, of either line, lacks. Fails with BuildNotReleasable. */
export async function lackingInBuild(
  step: Step,
  store: Store,
  stream: Stream,
  build: string,
): Promise<Lack[]> {
  const fixes = await releasedFixes(store, stream.name);
  return fixes.length === 0 ? [] : lackingIn(step, fixes, await packageSetsOf(store, stream, build));
}

/** Which of these fixes do the sets lack? */
export async function stillLacking(step: Step, fixes: readonly Fix[], sets: PackageSets): Promise<Fix[]> {
  const asked = fixes.map(({ name, evr }, i) => ({
    ...{ case: String(i), advisories: [], cves: [], build: '' },
    packages: { [name]: evr },
  }));
  const lacks = new Set((await lackingIn(step, asked, sets)).map((lack) => lack.case));
  return fixes.filter((_, i) => lacks.has(String(i)));
}

/** The fixes that lack in these sets: a package that is there is older than the fix. One that is not there lacks nothing. */
export async function lackingIn(
  step: Step,
  fixes: readonly ReleasedFix[],
  sets: PackageSets,
): Promise<Lack[]> {
  const versions = Object.values(sets).flatMap(({ packages }) =>
    Object.entries(packages).map(([name, { evra }]) => ({ name, is: splitEvra(evra).evr })),
  );
  const compared = fixes.map(({ packages, ...fix }) => ({
    fix,
    packages: versions.flatMap(({ name, is }) => {
      const fixed = new Map(Object.entries(packages)).get(name);
      return fixed === undefined ? [] : [{ name, is, fixed }];
    }),
  }));
  const all = compared.flatMap(({ packages }) => packages.flatMap(({ is, fixed }) => [is, fixed]));
  const order = await versionOrder(step, all);
  return compared.flatMap(({ fix, packages }) => {
    const older = packages.filter(({ is, fixed }) => order(is, fixed) < 0);
    // One line for a package, of however many architectures.
    const unique = [...new Map(older.map((one) => [one.name, one])).values()];
    return unique.length === 0 ? [] : [{ case: fix.case, advisories: fix.advisories, packages: unique }];
  });
}
