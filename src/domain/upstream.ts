/**
 * The upstream map: which upstream build a release is downstream of.
 *
 * The rule: upstream builds come every `every` from `anchor`, numbered on; a number in `skipped` keeps its place, but nothing
 * came. A release that is due at D follows the newest upstream build that is dated at most D − `lag` and was not skipped. A list of
 * builds as they really were takes the rule's place from its first to its last build; before and after these the rule counts on
 * from that end of the list. An override for D wins over both.
 */
import { fromDay, inDays, toDay } from './days.js';
import type { CadenceSettings } from './release-settings.js';

export type UpstreamSettings = NonNullable<CadenceSettings['upstream']>;

/** One upstream build as it really was. */
export interface UpstreamBuild {
  readonly number: number;
  /** `YYYY-MM-DD`, UTC. */
  readonly date: string;
  readonly version?: string | undefined;
}

/** The upstream build of a release. */
export interface UpstreamChoice {
  readonly number: number;
  readonly date: string;
  /** Where that is known from. */
  readonly from: 'rule' | 'list' | 'override';
  /** Newer numbers whose time had come by then, but which are in `skipped`. */
  readonly skipped?: readonly number[];
}

/**
 * The upstream build that a release due at a date follows; undefined where the rule would have to go below number 0.
 * `builds`: the list as `loadUpstream` gives it, oldest first.
 */
export function upstreamOf(
  settings: UpstreamSettings,
  due: string,
  builds: readonly UpstreamBuild[] = [],
): UpstreamChoice | undefined {
  const override = settings.overrides[due];
  if (override !== undefined)
    return { number: override, date: dateOf(settings, override, builds), from: 'override' };
  const limit = toDay(due) - inDays(settings.lag);
  const every = inDays(settings.every);
  const base = builds.findLast(({ date }) => toDay(date) <= limit) ?? builds[0];
  const { number, date } = base ?? settings.anchor;
  // Inside the list there is nothing to count: the next build is in it, and is too late.
  const inside = base !== undefined && base !== builds.at(-1) && toDay(date) <= limit;
  const newest = Math.floor((limit - toDay(date)) / every);
  const isSkipped = (steps: number) => settings.skipped.includes(number + steps);
  let steps = inside ? 0 : newest;
  while (steps !== 0 && isSkipped(steps)) steps--;
  if (number + steps < 0) return undefined;
  const next = inside ? (builds.find((build) => build.number > number)?.number ?? Infinity) : Infinity;
  const skipped = settings.skipped
    .filter((n) => n > number + steps && n <= number + newest && n < next)
    .sort((a, b) => a - b);
  return {
    number: number + steps,
    date: fromDay(toDay(date) + steps * every),
    from: base && steps === 0 ? 'list' : 'rule',
    ...(skipped.length > 0 ? { skipped } : {}),
  };
}

/** The date of an upstream build: the list's, or by the rule from the list's nearest end. */
function dateOf(settings: UpstreamSettings, wanted: number, builds: readonly UpstreamBuild[]): string {
  const { number, date } = builds.findLast((build) => build.number <= wanted) ?? builds[0] ?? settings.anchor;
  return fromDay(toDay(date) + (wanted - number) * inDays(settings.every));
}

/**
 * Numbers builds that are known by their dates only: in order of date, from the one nearest to the anchor's date, which has the
 * anchor's number; `skipped` numbers are left out. Builds that would come before number 0 are dropped. Answers a message instead if
 * no build is within one `every` of the anchor.
 */
export function numberByDate(
  { anchor, every, skipped }: UpstreamSettings,
  builds: readonly Omit<UpstreamBuild, 'number'>[],
): UpstreamBuild[] | string {
  // One of each date: an image per architecture, or a respin, is no build of its own.
  const byDate = new Map(builds.map((build) => [build.date, build]));
  const sorted = [...byDate.values()].sort((a, b) => toDay(a.date) - toDay(b.date));
  const far = ({ date }: { date: string }) => Math.abs(toDay(date) - toDay(anchor.date));
  const nearest = sorted.reduce((best, build, i) => (far(build) < far(sorted[best] ?? build) ? i : best), 0);
  const start = sorted[nearest];
  if (!start) return 'has no builds';
  if (far(start) > inDays(every))
    return `has no build near the anchor ${anchor.date} to count from (the nearest is of ${start.date}): set \`upstream.anchor\` to one of the list`;
  const count = (from: number, direction: 1 | -1) => {
    let number = from + direction;
    while (skipped.includes(number)) number += direction;
    return number;
  };
  const numbered: UpstreamBuild[] = [];
  let number = anchor.number;
  for (const build of sorted.slice(nearest)) {
    numbered.push({ ...build, number });
    number = count(number, 1);
  }
  number = count(anchor.number, -1);
  for (const build of sorted.slice(0, nearest).reverse()) {
    if (number >= 0) numbered.unshift({ ...build, number });
    number = count(number, -1);
  }
  return numbered;
}
