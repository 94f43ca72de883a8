/** Five cron fields, and the starts that a time zone's daylight saving leaves out. */

const weekDays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** First and last value of each field, and the names that stand for values. */
const fields: readonly [number, number, readonly string[]][] = [
  [0, 59, []],
  [0, 23, []],
  [1, 31, []],
  [1, 12, months],
  [0, 7, weekDays],
];

/** The values of a field, or undefined if it has one out of range. Values, ranges (`1-5`), steps (`*\/15`) and lists of them. */
function valuesOf(field: string, place: number): ReadonlySet<number> | undefined {
  const [first, last, names] = fields[place] ?? [0, 0, []];
  const valueOf = (word: string) => {
    const named = names.indexOf(word.toLowerCase());
    return named >= 0 ? named + first : /^[0-9]{1,2}$/.test(word) ? Number(word) : NaN;
  };
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const [range = '', step, ...more] = part.split('/');
    if (more.length > 0 || (step !== undefined && !/^[1-9][0-9]?$/.test(step))) return undefined;
    const ends = range === '*' ? [first, last] : range.split('-').map(valueOf);
    const [from = NaN, to = step === undefined ? from : last] = ends;
    if (ends.length > 2 || !(from >= first && to <= last && from <= to)) return undefined;
    for (let value = from; value <= to; value += Number(step ?? 1)) values.add(value);
  }
  return values;
}

/** The values of all fields: minute, hour, day of month, month, day of week (Sunday is 0). */
function parseCron(text: string): readonly ReadonlySet<number>[] | undefined {
  const values = text.split(/ +/).map(valuesOf);
  return values.length === fields.length && values.every((one) => one !== undefined) ? values : undefined;
}

export const isCron = (text: string): boolean => parseCron(text) !== undefined;

export function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

const hour = 3_600_000;
const day = 24 * hour;

/**
 * The first start within two years of `from` that does not happen, because the clock is put forward over its time: `2027-03-28 02:30`.
 * Undefined for a cron that starts every hour: what is left out there is an hour that nobody has.
 */
export function skippedStart(cron: string, timezone: string, from: Date): string | undefined {
  const [minutes, hours, days, monthsOf, weekdays] = parseCron(cron) ?? [];
  if (!minutes || !hours || !days || !monthsOf || !weekdays || hours.size === 24) return undefined;
  const offset = offsetsOf(timezone);
  for (let time = from.getTime(); time < from.getTime() + 730 * day; time += day) {
    const [before, after] = [offset(time), offset(time + day)];
    if (after <= before) continue;
    const change = changeIn(offset, time, time + day);
    // Local times as if they were UTC: those between the two are on no clock.
    for (let local = change + before; local < change + after; local += 60_000) {
      const at = new Date(local);
      const weekday = at.getUTCDay();
      if (
        minutes.has(at.getUTCMinutes()) &&
        hours.has(at.getUTCHours()) &&
        days.has(at.getUTCDate()) &&
        monthsOf.has(at.getUTCMonth() + 1) &&
        (weekdays.has(weekday) || (weekday === 0 && weekdays.has(7)))
      )
        return at.toISOString().slice(0, 16).replace('T', ' ');
    }
  }
  return undefined;
}

/** The instant, to the minute, of the one change of offset between two. */
function changeIn(offset: (time: number) => number, from: number, to: number): number {
  let [low, high] = [Math.floor(from / 60_000), Math.ceil(to / 60_000)];
  const before = offset(low * 60_000);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offset(middle * 60_000) === before) low = middle;
    else high = middle;
  }
  return high * 60_000;
}

/** Milliseconds that a zone's clocks are ahead of UTC, at an instant. */
function offsetsOf(timeZone: string): (time: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  return (time) => {
    const part = Object.fromEntries(
      format.formatToParts(time).map(({ type, value }) => [type, Number(value)]),
    );
    const { year = 0, month = 1, day: date = 1, hour: hours = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, date, hours, minute, second) - Math.floor(time / 1000) * 1000;
  };
}
