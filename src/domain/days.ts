/** Whole days, UTC: a date is `YYYY-MM-DD`, a day its number since 1970-01-01. */

/** Day of a date or of an ISO 8601 time in UTC. */
export const toDay = (time: string): number => Math.floor(Date.parse(time) / 86_400_000);

export const fromDay = (day: number): string => new Date(day * 86_400_000).toISOString().slice(0, 10);

/** Seconds as whole days, rounded up. */
export const inDays = (seconds: number): number => Math.ceil(seconds / 86_400);
