/** Which packages of a release an advisory is about. Pure. */
import { splitEvra, type Lockfile, type PackageSets } from '../domain/lockfile.js';
import type { Architecture } from '../domain/names.js';
import { sourceName } from '../rpm/versions.js';
import type { Statement } from './advisory.js';

/** Names of all packages of these sets. */
export const namesIn = (sets: PackageSets): string[] => [
  ...new Set(Object.values(sets).flatMap(({ packages }) => Object.keys(packages))),
];

export interface Installed {
  readonly name: string;
  readonly evr: string;
  readonly arch: Architecture;
  /** Name of the source package. */
  readonly source?: string | undefined;
  /** `version-release` of the source package, if it is another. */
  readonly sourceEvr?: string | undefined;
}

/** A package of the release, and what an advisory says of it. `bySource`: it says so of the source package. */
export interface Named {
  readonly installed: Installed;
  readonly statement: Statement;
  readonly bySource: boolean;
}

/** Finds the packages that statements are about: of the same architecture or none, and of the same distribution where several are named. */
export function finder(sets: PackageSets): (statements: readonly Statement[]) => Named[] {
  const byName = new Map<string, Installed[]>();
  const bySource = new Map<string, Installed[]>();
  const add = (to: Map<string, Installed[]>, key: string, one: Installed) =>
    void to.set(key, [...(to.get(key) ?? []), one]);
  for (const [arch, { packages }] of Object.entries(sets) as [Architecture, Lockfile][])
    for (const [name, { evra, sourcerpm }] of Object.entries(packages)) {
      const { evr } = splitEvra(evra);
      const source = sourcerpm === undefined ? undefined : sourceName(sourcerpm);
      const sourceEvr = sourcerpm?.slice((source ?? '').length + 1).replace(/\.src\.rpm$/, '');
      const isSame = sourceEvr === undefined || sourceEvr === evr.replace(/^\d+:/, '');
      const one = { name, evr, arch, source, sourceEvr: isSame ? undefined : sourceEvr };
      add(byName, name, one);
      if (source !== undefined) add(bySource, source, one);
    }
  const find = (statement: Statement): Named[] => {
    const { name, arch } = statement;
    const isSource = arch === 'src' || arch === 'nosrc' || arch === 'source';
    const binaries = isSource ? undefined : byName.get(name);
    if (binaries || !(isSource || arch === undefined))
      return (binaries ?? [])
        .filter((one) => arch === undefined || arch === 'noarch' || arch === one.arch)
        .map((installed) => ({ installed, statement, bySource: false }));
    const made = bySource.get(name) ?? [];
    // A fix of those that have the source's version brings the others along.
    const same = made.filter((one) => one.sourceEvr === undefined);
    return (same.length > 0 ? same : made).map((installed) => ({ installed, statement, bySource: true }));
  };
  return (statements) => {
    const found = new Map<Installed, Named[]>();
    for (const one of statements.flatMap(find))
      found.set(one.installed, [...(found.get(one.installed) ?? []), one]);
    return [...found.values()].flatMap(sameDistribution);
  };
}

/** Number of the distribution that a version was built for. */
const distribution = (evr: string): string | undefined =>
  /[.+_](?:el|fc|amzn|ol|oe|cm|azl|mga)(\d+)/.exec(evr)?.[1];

/** An advisory may be about several distributions: where it speaks of the package's own, what it says of others is left out. */
function sameDistribution(named: readonly Named[]): readonly Named[] {
  const own = distribution(named[0]?.installed.evr ?? '');
  const of = ({ statement: { ranges, versions = [], platform } }: Named): string | undefined =>
    [...ranges.flat().map(({ evr }) => evr), ...versions].map(distribution).find((tag) => tag) ?? platform;
  if (own === undefined || !named.some((one) => of(one) === own)) return named;
  return named.filter((one) => [own, undefined].includes(of(one)));
}

/** The version that is compared, with what. Epochs of a source package are in no file name. */
export function compared({ installed, statement, bySource }: Named): [string, Statement] {
  const { evr, sourceEvr } = installed;
  if (!bySource || sourceEvr === undefined) return [evr, statement];
  const bare = (text: string) => text.replace(/^\d+:/, '');
  const ranges = statement.ranges.map((range) => range.map((one) => ({ ...one, evr: bare(one.evr) })));
  return [sourceEvr, { ...statement, ranges, versions: statement.versions?.map(bare) }];
}
