/** Which source packages of an accepted package set are rebuilt, and which packages are taken as they are. Pure. */
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { splitEvra, type Lockfile } from '../domain/lockfile.js';
import type { RebuildSettings } from '../domain/rebuild-settings.js';
import type { FoundSources } from '../composers/dnf/packages.js';

export const plannedSource = z.object({
  /** File name of the source RPM. */
  srpm: z.string(),
  name: z.string(),
  /** `[epoch:]version-release.src` */
  evra: z.string(),
  /** `sha256:<hex>` of the source RPM. */
  digest: z.string(),
  /** Id of the source repo. */
  repo: z.string(),
  /** Are all that come out of it noarch? */
  noarch: z.boolean(),
  /** Is what an earlier build has signed of it taken? */
  reused: z.boolean(),
  /** Why it is reused or not, for people. */
  why: z.string(),
  /** Sources of one wave need none of the same or a later one. */
  wave: z.int(),
  /** The accepted packages that must come out of it. */
  packages: z.array(z.object({ name: z.string(), evr: z.string(), arch: z.string() })),
});
export type PlannedSource = z.infer<typeof plannedSource>;
/** `plan.json` */
export const rebuildPlan = z.object({ sources: z.array(plannedSource) });

/** The accepted packages of each source RPM. */
export function bySource({ packages }: Lockfile): Map<string, PlannedSource['packages']> {
  const found = new Map<string, PlannedSource['packages']>();
  for (const [name, { evra, sourcerpm }] of Object.entries(packages)) {
    if (sourcerpm === undefined) continue;
    found.set(sourcerpm, [...(found.get(sourcerpm) ?? []), { name, ...splitEvra(evra) }]);
  }
  return found;
}

/**
 * The plan by the stream's policy: which sources, in which wave. Nothing is reused yet. Fails with SourceMissing where the stream lists a
 * source that the accepted set or the source repos do not have.
 */
export function planRebuild(
  locked: Lockfile,
  found: FoundSources,
  { packages: policy, list, reimzul: { waves } }: RebuildSettings,
): PlannedSource[] {
  const made = bySource(locked);
  const listed = Object.entries(found).filter(([, { name }]) => policy !== 'list' || list.includes(name));
  const missing = list.filter(
    (name) => policy === 'list' && !listed.some(([, source]) => source.name === name),
  );
  if (missing.length > 0)
    throw new Failure('SourceMissing', `no source RPM of the accepted version: ${missing.join(', ')}`);
  const waveOf = wavesOf(Object.fromEntries(listed.map(([srpm, { needs }]) => [srpm, needs])));
  return listed
    .map(([srpm, { name, evra, digest, repo }]) => {
      const packages = made.get(srpm) ?? [];
      return {
        ...{ srpm, name, evra, digest, repo, packages },
        noarch: packages.every(({ arch }) => arch === 'noarch'),
        ...{ reused: false, why: '' },
        wave: waves ? (waveOf[srpm] ?? 0) : 0,
      };
    })
    .sort((a, b) => a.wave - b.wave || (a.srpm < b.srpm ? -1 : 1));
}

/** The wave of each: one more than that of what it needs; sources that need each other share one. */
function wavesOf(needs: Readonly<Record<string, readonly string[]>>): Record<string, number> {
  const waves: Record<string, number> = {};
  const visit = (srpm: string, path: readonly string[]): number => {
    const known = waves[srpm];
    if (known !== undefined) return known;
    if (path.includes(srpm)) return 0;
    const before = (needs[srpm] ?? []).filter((other) => other in needs);
    return (waves[srpm] = Math.max(-1, ...before.map((other) => visit(other, [...path, srpm]))) + 1);
  };
  for (const srpm of Object.keys(needs).sort()) visit(srpm, []);
  return waves;
}
