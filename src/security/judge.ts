/** What advisories mean for a release: which of its packages lack which fix. */
import { splitEvra, type Lockfile } from '../domain/lockfile.js';
import { isAtLeast, type Affecting, type Considered, type Fix } from '../domain/security.js';
import type { SecuritySettings } from '../domain/security-settings.js';
import type { Architecture } from '../domain/stream.js';
import { sourceName, versionOrder, type CompareVersions } from '../rpm/versions.js';
import type { Step } from '../steps/step.js';
import type { FixedVersion, ReadAdvisory } from './advisory.js';

/** Packages by architecture. */
export type PackageSets = Readonly<Partial<Record<Architecture, Lockfile>>>;

/** An advisory as it was judged. */
export interface Judged {
  readonly considered: Considered;
  /** What the release needs of it, whatever the verdict; sorted by name. */
  readonly fixes: readonly Fix[];
}

export const affecting = ({ considered, fixes }: Judged): Affecting => {
  const { verdict: _verdict, reason: _reason, lacking: _lacking, ...advisory } = considered;
  return { advisory, fixes };
};

interface Installed {
  readonly name: string;
  readonly evr: string;
  readonly arch: Architecture;
  /** Name of the source package, and is its version the source's too? */
  readonly source?: string | undefined;
}

/** A package that an advisory names, with the versions that have its fix. */
type Named = Installed & { readonly fixed: readonly FixedVersion[] };

/** Judges all of them by RPM's own order of versions: one question to librpm. */
export async function judge(
  step: Step,
  advisories: readonly ReadAdvisory[],
  sets: PackageSets,
  settings: Pick<SecuritySettings, 'severity' | 'core'>,
): Promise<Judged[]> {
  const find = finder(sets);
  const named = advisories.map((advisory) => ({ advisory, packages: find(advisory.fixed) }));
  const versions = named.flatMap(({ packages }) =>
    packages.flatMap(({ evr, fixed }) => [
      evr,
      ...fixed.flatMap((one) => [one.evr, ...(one.since === undefined ? [] : [one.since])]),
    ]),
  );
  const order = await versionOrder(step, versions);
  return named.map(({ advisory, packages }) => judged(advisory, packages, order, settings));
}

/** Finds the packages that fixed versions are about: of the same architecture or none, and of the same distribution where several are named. */
function finder(sets: PackageSets): (fixed: readonly FixedVersion[]) => Named[] {
  const byName = new Map<string, Installed[]>();
  const bySource = new Map<string, Installed[]>();
  const add = (to: Map<string, Installed[]>, key: string, one: Installed) =>
    void to.set(key, [...(to.get(key) ?? []), one]);
  for (const [arch, { packages }] of Object.entries(sets) as [Architecture, Lockfile][])
    for (const [name, { evra, sourcerpm }] of Object.entries(packages)) {
      const { evr } = splitEvra(evra);
      const one = { name, evr, arch };
      add(byName, name, one);
      // A package that is numbered in its own way says nothing of its source's version.
      if (sourcerpm?.endsWith(`-${evr.replace(/^\d+:/, '')}.src.rpm`))
        add(bySource, sourceName(sourcerpm), one);
    }
  const installed = ({ name, arch }: FixedVersion) =>
    (byName.get(name) ?? (arch === undefined ? bySource.get(name) : undefined) ?? []).filter(
      (one) => arch === undefined || arch === 'noarch' || arch === one.arch,
    );
  return (fixed) => {
    const found = new Map<Installed, FixedVersion[]>();
    for (const version of fixed)
      for (const one of installed(version)) found.set(one, [...(found.get(one) ?? []), version]);
    return [...found].map(([one, versions]) => ({ ...one, fixed: sameDistribution(one, versions) }));
  };
}

const distTag = (evr: string): string | undefined => /\.(?:el|fc|amzn|ol|oe|cm|azl|mga)\d+/.exec(evr)?.[0];

/** An advisory may be about several distributions; those of this one are told by their dist tags, where these say something. */
function sameDistribution({ evr }: Installed, fixed: readonly FixedVersion[]): readonly FixedVersion[] {
  const tag = distTag(evr);
  const same = fixed.filter((one) => distTag(one.evr) === tag);
  return tag !== undefined && same.length > 0 ? same : fixed;
}

function judged(
  { fixed: _fixed, ...advisory }: ReadAdvisory,
  named: readonly Named[],
  order: CompareVersions,
  { severity, core }: Pick<SecuritySettings, 'severity' | 'core'>,
): Judged {
  const byName = new Map<string, Considered['lacking'][number]>();
  for (const { name, evr, fixed } of named) {
    const wanted = fixed
      .filter((one) => order(evr, one.evr) < 0 && (one.since === undefined || order(evr, one.since) >= 0))
      .map((one) => one.evr)
      // With the highest of them it has all.
      .reduce<string | undefined>(
        (best, one) => (best === undefined || order(best, one) < 0 ? one : best),
        undefined,
      );
    if (wanted !== undefined && !byName.has(name)) byName.set(name, { name, released: evr, fixed: wanted });
  }
  const lacking = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const fixes = lacking.map(({ name, fixed }) => ({ name, evr: fixed, advisories: [advisory.id] }));
  const of = (verdict: Considered['verdict'], reason: string): Judged => ({
    considered: { ...advisory, verdict, reason, lacking },
    fixes,
  });
  const names = some(lacking.map(({ name }) => name));
  if (named.length === 0) return of('absent', 'none of its packages is in the release');
  if (lacking.length === 0)
    return of('fixed', `the release has it: ${some(named.map(({ name, evr }) => `${name}-${evr}`))}`);
  if (!isAtLeast(advisory.severity, severity))
    return of(
      'below',
      `${advisory.severity === 'none' ? 'no severity is given' : advisory.severity}, and the stream acts from ${severity} on; the release lacks it: ${names}`,
    );
  if (core !== 'any' && !lacking.some(({ name }) => core.includes(name)))
    return of('not-core', `none of the stream's core packages; the release lacks it: ${names}`);
  return of('acted', `the release lacks it: ${names}`);
}

/** The first few of a list. */
const some = (all: readonly string[]): string => {
  const unique = [...new Set(all)];
  return unique.slice(0, 5).join(', ') + (unique.length > 5 ? ` and ${unique.length - 5} more` : '');
};

/** Names of all packages of these sets. */
export const namesIn = (sets: PackageSets): string[] => [
  ...new Set(Object.values(sets).flatMap(({ packages }) => Object.keys(packages))),
];
