/** Time to fix: how long each part of a security case took. Pure. */
import type { CaseTimes } from './security.js';

/** Seconds. A part is absent until it is over, and where it is not known when it began. */
export interface TimeToFix {
  /** From the publication of its first advisory to the moment when it was found. */
  readonly detect?: number;
  /** From there to the tested build. */
  readonly build?: number;
  /** From there to the last approval: at the same time as the build. */
  readonly approve?: number;
  /** From the later of these two to the release. */
  readonly release?: number;
  /** From the publication, or where that is not known from the detection, to the release. */
  readonly total?: number;
}

export function timeToFix({ published, detected, built, approved, released }: CaseTimes): TimeToFix {
  const parts = {
    detect: between(published, detected),
    build: between(detected, built),
    approve: between(detected, approved),
    release: built && approved && between(built > approved ? built : approved, released),
    total: between(published ?? detected, released),
  };
  return Object.fromEntries(Object.entries(parts).filter(([, seconds]) => typeof seconds === 'number'));
}

/** Clocks differ: what ended before it began took no time. */
function between(from: string | undefined, to: string | undefined): number | undefined {
  const seconds = (Date.parse(to ?? '') - Date.parse(from ?? '')) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, Math.round(seconds));
}

/** The moments of a case that are known, in their order. */
export const momentsOf = (times: CaseTimes): { readonly what: Moment; readonly at: string }[] =>
  moments
    .flatMap((what) => (times[what] === undefined ? [] : [{ what, at: times[what] }]))
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at));

export const moments = ['published', 'detected', 'built', 'approved', 'released'] as const;
export type Moment = (typeof moments)[number];
