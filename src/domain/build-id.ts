/**
 * Build ids: `YYYYMMDD_NN`, the UTC date and a counter of that day and stream, from `_01`. They sort as text within
 * a day of up to 99 builds, which is also their limit.
 */
import { z } from 'zod';

/** The source of the pattern, for patterns of paths that have an id in them. */
export const buildIdPattern = '[0-9]{8}_(?:0[1-9]|[1-9][0-9])';
export const buildId = z.string().regex(new RegExp(`^${buildIdPattern}$`), {
  error: 'write a build id such as `20261123_01`',
});

/** The ids of a day in their order: `20261123_01` … `20261123_99`. */
export function* idsOfDay(date: Date): Generator<string> {
  const day = date.toISOString().slice(0, 10).replaceAll('-', '');
  for (let n = 1; n <= 99; n++) yield `${day}_${String(n).padStart(2, '0')}`;
}

/** Newest first. */
export const compareIds = (a: string, b: string) => (a < b ? 1 : a > b ? -1 : 0);
