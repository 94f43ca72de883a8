/** What advisories mean for a release: which of its packages lack which fix, and what cannot be said. */
import {
  isAtLeast,
  type AffectedPackage,
  type Affecting,
  type Considered,
  type Fix,
  type Verdict,
} from '../domain/security.js';
import type { SecuritySettings } from '../domain/security-settings.js';
import { versionOrder, type CompareVersions } from '../rpm/versions.js';
import type { Step } from '../steps/step.js';
import { oneLine, type ReadAdvisory } from './advisory.js';
import { moduleChecker, type ModuleStreams } from './modules.js';
import { compared, finder, type Installed, type Named } from './named.js';
import { type PackageSets } from '../domain/lockfile.js';
import { comparedBy, standingOf, type Standing } from './standing.js';

/** An advisory as it was judged. */
export interface Judged {
  readonly considered: Considered;
  /** What the release needs of it, whatever the verdict; sorted by name. */
  readonly fixes: readonly Fix[];
  /** Are core packages left affected without a known fix, or not judged, at a severity that the stream acts on? */
  readonly open: boolean;
}

export const affecting = ({ considered, fixes }: Judged): Affecting => {
  const { verdict: _verdict, reason: _reason, affected: _affected, ...advisory } = considered;
  return { advisory, fixes };
};

/** Judges all of them by RPM's own order of versions: one question to librpm. */
export async function judge(
  step: Step,
  { advisories, modules }: { advisories: readonly ReadAdvisory[]; modules: ModuleStreams },
  sets: PackageSets,
  settings: Pick<SecuritySettings, 'severity' | 'core'>,
): Promise<Judged[]> {
  const find = finder(sets);
  const all = advisories.map((advisory) => ({
    advisory,
    named: advisory.withdrawn === undefined ? find(advisory.statements) : [],
  }));
  const versions = all.flatMap(({ named }) => named.flatMap((one) => comparedBy(...compared(one))));
  const order = await versionOrder(step, versions);
  return all.map(({ advisory, named }) => judged(advisory, named, { order, modules, settings }));
}

interface Rules {
  readonly order: CompareVersions;
  readonly modules: ModuleStreams;
  readonly settings: Pick<SecuritySettings, 'severity' | 'core'>;
}

function judged(
  { statements: _statements, problems, withdrawn, ...advisory }: ReadAdvisory,
  named: readonly Named[],
  { order, modules, settings: { severity, core } }: Rules,
): Judged {
  const standings = standingsOf(named, order, modules);
  const affected = affectedPackages(standings, order);
  const isCore = ({ name }: { name: string }) => core === 'any' || core.includes(name);
  const isSevere = isAtLeast(advisory.severity, severity);
  const inState = <S extends AffectedPackage['state']>(state: S) =>
    affected.filter((one): one is Extract<AffectedPackage, { state: S }> => one.state === state);
  const [lacks, unfixed, unclear] = [inState('lacks'), inState('unfixed'), inState('unclear')];
  const parts = [
    ...(lacks.length > 0 ? [`the release lacks it: ${some(lacks.map(({ name }) => name))}`] : []),
    ...(unfixed.length > 0 ? [`affected, no fix known: ${explained(unfixed)}`] : []),
    ...(unclear.length > 0 ? [`cannot be judged: ${explained(unclear)}`] : []),
    ...(problems.length > 0 ? [`not understood: ${some(problems)}`] : []),
  ];
  const of = (verdict: Verdict, ...reasons: readonly string[]): Judged => ({
    considered: { ...advisory, verdict, reason: oneLine([...reasons, ...parts].join('; '), 1000), affected },
    fixes: lacks.map(({ name, fixed }) => ({ name, evr: fixed, advisories: [advisory.id] })),
    open: isSevere && ([...unfixed, ...unclear].some(isCore) || problems.length > 0),
  });
  if (withdrawn !== undefined) return { ...of('withdrawn', `passed over: ${withdrawn}`), open: false };
  if (lacks.length > 0 && !isSevere)
    return of('below', `${advisory.severity}, and the stream acts from ${severity} on`);
  if (lacks.some(isCore)) return of('acted');
  if (unfixed.some(isCore)) return of('unfixed');
  if (unclear.some(isCore) || problems.length > 0) return of('unclear');
  if (affected.length > 0) return of('not-core', `none of the stream's core packages`);
  if (named.length === 0) return of('absent', 'none of its packages is in the release');
  const all = some(named.map(({ installed: { name, evr } }) => `${name}-${evr}`));
  if (standings.some(({ state }) => state === 'fixed')) return of('fixed', `the release has it: ${all}`);
  const [stranger] = standings.flatMap((one) => (one.state === 'unaffected' ? (one.module ?? []) : []));
  return of(
    'unaffected',
    stranger === undefined
      ? `not among the affected versions: ${all}`
      : `not applicable: it is about module stream ${stranger}, and the release has ${all}`,
  );
}

/** `module`: the stream that it would have to be of. */
type PackageStanding = Installed & Standing & { readonly module?: string | undefined };

const standingsOf = (
  named: readonly Named[],
  order: CompareVersions,
  modules: ModuleStreams,
): PackageStanding[] => {
  const applies = moduleChecker(named, modules);
  return named.map((one): PackageStanding => {
    const { installed, statement } = one;
    const { source = '', sourceEvr } = installed;
    const unclear = (why: string) => ({ ...installed, state: 'unclear' as const, why });
    if (applies(one) === false) return { ...installed, state: 'unaffected', module: statement.module };
    const standing = standingOf(...compared(one), order);
    const { state } = standing;
    if (state === 'fixed' || state === 'unaffected') return { ...installed, ...standing };
    if (applies(one) === undefined)
      return unclear(
        `it may be of another module stream than ${statement.module === '?' ? 'the advisory' : (statement.module ?? '')}`,
      );
    if (state === 'lacks' && one.bySource && sourceEvr !== undefined)
      return unclear(`its source ${source} is fixed in ${standing.fixed}; its own versions are others`);
    return { ...installed, ...standing };
  });
};

/** One entry for each package and state, by name; with the highest fixed version, it has all. */
function affectedPackages(standings: readonly PackageStanding[], order: CompareVersions): AffectedPackage[] {
  const found = new Map<string, AffectedPackage>();
  for (const one of standings) {
    const { name, evr: released } = one;
    const known = found.get(`${name} ${one.state}`);
    const about = { name, released: known?.released ?? released };
    if (one.state === 'lacks') {
      const isHighest = known?.state !== 'lacks' || order(known.fixed, one.fixed) < 0;
      if (isHighest) found.set(`${name} lacks`, { ...about, state: 'lacks', fixed: one.fixed });
    } else if (!known && (one.state === 'unfixed' || one.state === 'unclear'))
      found.set(`${name} ${one.state}`, { ...about, state: one.state, why: one.why });
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const explained = (all: readonly { name: string; released: string; why: string }[]): string =>
  some(all.map(({ name, released, why }) => `${name}-${released} (${why})`));

/** The first few of a list. */
const some = (all: readonly string[]): string => {
  const unique = [...new Set(all)];
  return unique.slice(0, 5).join(', ') + (unique.length > 5 ? ` and ${unique.length - 5} more` : '');
};
