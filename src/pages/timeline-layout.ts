/** Where everything stands in the timeline: per cent across, pixels down. */
import type { CadenceRow } from '../domain/cadence.js';
import type { ReleaseEntry } from '../domain/release.js';
import { dayOf, dayStart, monthName } from './marks.js';

export interface TimelineInput {
  /** Oldest first. */
  readonly releases: readonly ReleaseEntry[];
  readonly current: string | null;
  readonly calendar: readonly CadenceRow[];
  /** ISO 8601, UTC. */
  readonly generated: string;
}

export type MarkKind = 'current' | 'former' | 'back' | 'due' | 'missed';

/** A release, whose label stands above the line, or a due date without one, whose label stands below it. */
export interface TimelineMark {
  readonly kind: MarkKind;
  readonly label: string;
  readonly x: number;
  /** Base line of the label. */
  readonly y: number;
}

export interface TimelineLayout {
  /** The line that all marks stand on. */
  readonly axis: number;
  /** Base line of the months' names. */
  readonly foot: number;
  readonly height: number;
  readonly releases: readonly TimelineMark[];
  readonly dates: readonly TimelineMark[];
  readonly months: readonly { readonly x: number; readonly label: string }[];
  readonly now: { readonly x: number; readonly label: string };
  /** Of the next due date. */
  readonly window?: { readonly x: number; readonly width: number };
}

/** Older releases are in the table alone. */
export const maxReleases = 12;
/** Pixels. */
const laneHeight = 20;
/** Per cent; the room is that of a label in the picture's least width. */
const margin = 8;
const labelRoom = 14;

export function layOut({ releases, current, calendar, generated }: TimelineInput): TimelineLayout {
  const shown = releases.slice(-maxReleases);
  const released = shown.map(({ treeline }) => Date.parse(treeline.released));
  const now = Date.parse(generated);
  const first = Math.min(now, ...released);
  const rows = calendar.filter(
    ({ due, state }) => state === 'due' || (state === 'missed' && dayStart(due) >= first),
  );
  const dates = rows.map(({ due }) => dayStart(due));
  const last = Math.max(now, ...released, ...dates);
  const place = (at: number) =>
    Number((margin + ((100 - 2 * margin) * (at - first)) / Math.max(1, last - first)).toFixed(2));

  const above = lanes(released.map(place));
  const below = lanes(dates.map(place));
  const axis = 42 + laneHeight * above.count;
  const foot = axis + 37 + laneHeight * below.count;
  const due = rows.find(({ state }) => state === 'due');
  const open = due && Math.max(0, place(dayStart(due.windowFrom)));
  return {
    axis,
    foot,
    height: foot + 5,
    releases: shown.map(({ version, treeline }, index) => ({
      kind: treeline['rolled-back'] ? 'back' : version === current ? 'current' : 'former',
      label: version,
      ...above.at(index, (lane) => axis - 22 - laneHeight * lane),
    })),
    dates: rows.map(({ due, state }, index) => ({
      kind: state === 'due' ? 'due' : 'missed',
      label: `${state} ${due}`,
      ...below.at(index, (lane) => axis + 26 + laneHeight * lane),
    })),
    months: monthStarts(first, last).map((date) => ({
      x: place(dayStart(date)),
      label: date.slice(5, 7) === '01' ? date.slice(0, 4) : monthName(date),
    })),
    now: { x: place(now), label: dayOf(now) },
    ...(due && open !== undefined ? { window: { x: open, width: place(dayStart(due.due)) - open } } : {}),
  };
}

/** Gives each label the lane nearest to the line in which it does not touch the one before it. */
function lanes(places: readonly number[]) {
  const ends: number[] = [];
  const taken = places.map((x) => {
    const free = ends.findIndex((end) => end <= x);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = x + labelRoom;
    return lane;
  });
  return {
    count: ends.length,
    at: (index: number, y: (lane: number) => number) => ({ x: places[index] ?? 0, y: y(taken[index] ?? 0) }),
  };
}

/** First days of the months in a span of time, at most a dozen of them. */
function monthStarts(from: number, to: number): string[] {
  const days: string[] = [];
  const at = new Date(from);
  for (let month = at.getUTCMonth() + 1; ; month++) {
    const start = Date.UTC(at.getUTCFullYear(), month, 1);
    if (!(start <= to)) break;
    days.push(dayOf(start));
  }
  const step = Math.ceil(days.length / 12);
  return days.filter((_, index) => index % step === 0);
}
