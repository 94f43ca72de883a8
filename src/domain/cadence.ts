/** When releases are due, and which release was made for which date. */
import { fromDay, inDays, toDay } from './days.js';
import type { ReleaseIndex } from './release.js';
import type { CadenceSettings } from './release-settings.js';
import { upstreamOf, type UpstreamBuild, type UpstreamChoice } from './upstream.js';

/** One release date. Dates are `YYYY-MM-DD`, UTC. */
export interface CadenceRow {
  readonly due: string;
  /** First day whose builds may become the candidate; the due date is the last. */
  readonly windowFrom: string;
  /** The upstream build that it is downstream of, and where that is known from. */
  readonly upstream?: UpstreamChoice;
  /** The release that was made for it: the newest that was not rolled back. */
  readonly release?: string;
  /** Set where the first release for it came after the date. */
  readonly late?: true;
  /** `due`: the next one. `missed`: its date has passed (at the end of that day, UTC) without a release. */
  readonly state: 'released' | 'missed' | 'due' | 'coming';
}

/** A release, as far as the cadence looks at it. */
export interface CadenceRelease {
  readonly build: string;
  /** Of a signed rebuild: the accepted build. */
  readonly accepted?: string | undefined;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** One that was taken back does not count. */
  readonly rolledBack?: boolean;
}

/** The releases of `releases.json`. */
export const releasesOf = ({ releases }: ReleaseIndex): CadenceRelease[] =>
  releases.map(({ version, treeline }) => ({
    build: version,
    accepted: treeline.accepted,
    at: treeline.released,
    rolledBack: treeline['rolled-back'] !== undefined,
  }));

/** Due dates are numbered from the anchor, which is 0; earlier ones are negative. */
const dueDay = (settings: CadenceSettings, n: number) => toDay(settings.anchor) + n * inDays(settings.every);

/**
 * The date that a release made at `time` (ISO 8601, UTC) belongs to: that whose candidate window was the last to open. A release
 * belongs to a date from the opening of its window until the opening of the next one's, so also when it is late.
 */
export const dueDateOf = (settings: CadenceSettings, time: string): string =>
  fromDay(dueDay(settings, indexOf(settings, toDay(time))));

const indexOf = (settings: CadenceSettings, day: number) =>
  Math.floor((day - toDay(settings.anchor) + inDays(settings.window)) / inDays(settings.every));

/**
 * The table of release dates, oldest first: the last `past` dates that have passed and the next `coming` ones. The anchor is the
 * first date that counts; an earlier one has a row only if a release was made for it.
 */
export function cadenceRows(
  settings: CadenceSettings,
  input: {
    readonly now: Date;
    readonly past: number;
    readonly coming: number;
    readonly releases: readonly CadenceRelease[];
    readonly upstream?: readonly UpstreamBuild[] | undefined;
  },
): CadenceRow[] {
  const today = toDay(input.now.toISOString());
  const next = Math.max(0, Math.ceil((today - toDay(settings.anchor)) / inDays(settings.every)));
  const rows: CadenceRow[] = [];
  let dueSeen = false;
  for (let n = next - input.past; n < next + input.coming; n++) {
    const day = dueDay(settings, n);
    const made = input.releases
      .filter(({ at, rolledBack }) => rolledBack !== true && indexOf(settings, toDay(at)) === n)
      .sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
    const [first, last] = [made[0], made.at(-1)];
    if (n < 0 && !last) continue;
    const state: CadenceRow['state'] = last ? 'released' : n < next ? 'missed' : dueSeen ? 'coming' : 'due';
    dueSeen ||= state === 'due';
    const due = fromDay(day);
    const upstream = settings.upstream && upstreamOf(settings.upstream, due, input.upstream);
    rows.push({
      due,
      windowFrom: fromDay(day - inDays(settings.window)),
      ...(upstream ? { upstream } : {}),
      ...(last ? { release: last.build } : {}),
      ...(first && toDay(first.at) > day ? { late: true } : {}),
      state,
    });
  }
  return rows;
}

/** Longest time between two dates. */
const maxDays = 366;

/** What the schema alone cannot say of `release.cadence`: a line per mistake, `field: what is wrong`. Pure; reads no list. */
export function checkCadence(settings: CadenceSettings): string[] {
  const { every, window, soak, reminders, upstream } = settings;
  const problems: string[] = [];
  const wholeDays = (field: string, seconds: number) => {
    if (seconds % 86_400 !== 0) problems.push(`${field}: write whole days, such as \`14d\``);
    else if (seconds > maxDays * 86_400) problems.push(`${field}: at most \`${maxDays}d\``);
  };
  wholeDays('every', every);
  wholeDays('window', window);
  if (window > every)
    problems.push('window: is longer than `every`: the windows of two releases would overlap');
  if (soak > window) problems.push('soak: is longer than `window`: no build would ever be old enough');
  reminders.forEach((seconds, i) => {
    if (seconds > every)
      problems.push(`reminders.${i}: is longer than \`every\`: it would come before the release before`);
    if (reminders.indexOf(seconds) < i) problems.push(`reminders.${i}: is there twice: keep one`);
  });
  if (!upstream) return problems;
  wholeDays('upstream.every', upstream.every);
  wholeDays('upstream.lag', upstream.lag);
  upstream.skipped.forEach((number, i) => {
    if (number === upstream.anchor.number)
      problems.push(
        `upstream.skipped.${i}: ${number} is the anchor: anchor another build, one that came out`,
      );
    if (upstream.skipped.indexOf(number) < i)
      problems.push(`upstream.skipped.${i}: ${number} is there twice: keep one`);
  });
  if (every <= maxDays * 86_400)
    for (const [date, number] of Object.entries(upstream.overrides))
      for (const text of checkOverride(settings, upstream, date, number))
        problems.push(`upstream.overrides.${date}: ${text}`);
  return problems;
}

function* checkOverride(
  settings: CadenceSettings,
  upstream: NonNullable<CadenceSettings['upstream']>,
  date: string,
  number: number,
): Generator<string> {
  const every = inDays(settings.every);
  const n = Math.floor((toDay(date) - toDay(settings.anchor)) / every);
  const before = dueDay(settings, n);
  if (before !== toDay(date))
    yield `no release is due then: the nearest dates are ${fromDay(before)} and ${fromDay(before + every)}`;
  if (upstream.skipped.includes(number)) yield `${number} is in \`skipped\``;
  // The rule may be some builds wrong, which is what overrides are for, but not by a digit.
  const byRule = toDay(upstream.anchor.date) + (number - upstream.anchor.number) * inDays(upstream.every);
  if (Math.abs(byRule - toDay(date)) > maxDays / 2)
    yield `build ${number} is more than half a year away by the rule: correct the number, or move \`upstream.anchor\``;
}
