/** How one package stands to what an advisory says of it, by OSV's rules (ossf.github.io/osv-schema/#evaluation). Pure. */
import type { CompareVersions } from '../rpm/versions.js';
import { plainEvr, type Change, type Statement } from './advisory.js';

export type Standing =
  | { readonly state: 'lacks'; readonly fixed: string }
  | { readonly state: 'unfixed' | 'unclear'; readonly why: string }
  | { readonly state: 'fixed' | 'unaffected' };

type Said = Pick<Statement, 'ranges' | 'versions' | 'unclear' | 'note'>;

/** `released`: `[epoch:]version-release`, where no epoch is 0. */
export function standingOf(released: string, said: Said, order: CompareVersions): Standing {
  const [standing, other] = readings(released, said).map((one) => standingAt(released, one, order));
  if (!standing || !other || standing.state === other.state) return standing ?? { state: 'unaffected' };
  const [written = ''] = versionsIn(said).filter(isEpochless);
  return { state: 'unclear', why: `${written} is written without an epoch, and ${released} has one` };
}

/** All versions that `order` is asked about. */
export const comparedBy = (released: string, said: Said): string[] => [
  released,
  ...readings(released, said)
    .flatMap(versionsIn)
    .flatMap((evr) => [evr, plainEvr(evr)]),
];

const versionsIn = ({ ranges, versions = [] }: Pick<Said, 'ranges' | 'versions'>): string[] => [
  ...ranges.flat().flatMap(({ evr }) => (evr === '0' ? [] : [evr])),
  ...versions,
];

/**
 * Some write versions without their epochs. Where the released one has an epoch, such a version may be of the same epoch or, as RPM
 * reads it, of epoch 0: what both readings agree in is sure.
 */
function readings(released: string, said: Said): Said[] {
  const [epoch] = /^\d+:/.exec(plainEvr(released)) ?? [];
  if (epoch === undefined || !versionsIn(said).some(isEpochless)) return [said];
  const full = (evr: string) => (isEpochless(evr) ? epoch + evr : evr);
  const ranges = said.ranges.map((range) =>
    range.map(({ kind, evr }) => ({ kind, evr: evr === '0' ? evr : full(evr) })),
  );
  return [said, { ...said, ranges, versions: said.versions?.map(full) }];
}
const isEpochless = (evr: string) => !evr.includes(':');

function standingAt(
  released: string,
  { ranges, versions = [], unclear, note }: Said,
  order: CompareVersions,
): Standing {
  const found = ranges.map((range) => standingIn(released, range, order));
  const affected = found.filter((one) => one.affected);
  const isListed = versions.some((one) => order(one, released) === 0);
  if (affected.length > 0 || isListed) {
    // What lists single versions may say in its ranges where they are fixed.
    const fixes = (affected.length > 0 ? affected : found).flatMap(({ next }) => next ?? []);
    // With the highest of them it has all.
    const [fixed] = fixes.sort((a, b) => order(b, a));
    if (fixed !== undefined) return { state: 'lacks', fixed: plainEvr(fixed) };
    // What was not understood may be the fix.
    return unclear === undefined || isListed
      ? { state: 'unfixed', why: note ?? 'no fix is known' }
      : { state: 'unclear', why: unclear };
  }
  if (unclear !== undefined) return { state: 'unclear', why: unclear };
  return { state: found.some((one) => one.fixed) ? 'fixed' : 'unaffected' };
}

/** `next`: the fix that ends the affected versions in which it is, or the first one after it; `fixed`: it has a fix. */
function standingIn(released: string, range: readonly Change[], order: CompareVersions) {
  const limits = range.filter(({ kind }) => kind === 'limit');
  const isIn = limits.length === 0 || limits.some(({ evr }) => evr !== '0' && order(released, evr) < 0);
  const changes = range
    .filter(({ kind }) => kind !== 'limit')
    .sort((a, b) => compared(a, b, order) || ranks[a.kind] - ranks[b.kind]);
  // What ends without a beginning has begun with the first version.
  let affected = isIn && changes[0] !== undefined && changes[0].kind !== 'introduced';
  let [fixed, closed, ended] = [false, false, false];
  let next: string | undefined;
  for (const { kind, evr } of changes) {
    const place = evr === '0' ? 1 : order(released, evr);
    if (kind === 'introduced' && place >= 0) affected = isIn;
    if (kind === 'introduced' && place < 0) ended = closed;
    if (kind === 'last' && place > 0) affected = false;
    if (kind === 'last' && place <= 0) closed = affected;
    if (kind === 'fixed' && place >= 0) [affected, fixed] = [false, true];
    if (kind === 'fixed' && place < 0 && !ended) next ??= evr;
  }
  return { affected, fixed, next };
}

/** Of changes at one version the affected ones come last, but for those that end with it. */
const ranks: Readonly<Record<Change['kind'], number>> = { fixed: 0, introduced: 1, last: 2, limit: 3 };

function compared(a: Change, b: Change, order: CompareVersions): number {
  if (a.evr === '0' || b.evr === '0') return (a.evr === '0' ? 0 : 1) - (b.evr === '0' ? 0 : 1);
  return order(a.evr, b.evr);
}
