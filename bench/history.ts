/** What the history and the step logs of a run say about its time. */
import type { Client } from '@temporalio/client';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

type Handle = ReturnType<Client['workflow']['getHandle']>;
type HistoryEvent = NonNullable<Awaited<ReturnType<Handle['fetchHistory']>>['events']>[number];

export interface ActivityTimes {
  readonly id: string;
  /** Seconds since 1970, of Temporal's events. */
  readonly scheduled: number;
  readonly completed: number;
  /** Seconds of the step itself, by its log; 0 for an activity that is no step (such as writing the run's record). */
  readonly seconds: number;
  /** Its answer, as JSON text. */
  readonly result: string;
}

export interface RunTimes {
  /** From the workflow's start to its close. */
  readonly wall: number;
  readonly activities: readonly ActivityTimes[];
  /** Sum of all steps: how long they would take one after the other. */
  readonly sum: number;
  /** The chain of steps that decided how long the run took, in order. */
  readonly criticalPath: readonly ActivityTimes[];
  readonly critical: number;
  /** Wall clock without the critical path's steps. */
  readonly overhead: number;
}

export async function runTimes(handle: Handle, logs: string): Promise<RunTimes> {
  const { events } = await handle.fetchHistory();
  const all = events ?? [];
  const [first, last] = [all[0], all.at(-1)];
  if (!first || !last) throw new Error('an empty history');
  const activities: ActivityTimes[] = [];
  for (const event of all) {
    const done = event.activityTaskCompletedEventAttributes;
    if (!done) continue;
    const scheduled = all.find(({ eventId }) => String(eventId) === String(done.scheduledEventId));
    const id = scheduled?.activityTaskScheduledEventAttributes?.activityId;
    if (!scheduled || typeof id !== 'string') continue;
    const payload = done.result?.payloads?.[0]?.data;
    const result = payload ? Buffer.from(payload).toString('utf8') : '';
    activities.push({
      id,
      scheduled: timeOf(scheduled),
      completed: timeOf(event),
      seconds: await stepSeconds(logs, id),
      result,
    });
  }
  const criticalPath = pathOf(activities);
  const wall = timeOf(last) - timeOf(first);
  const critical = total(criticalPath);
  return { wall, activities, sum: total(activities), criticalPath, critical, overhead: wall - critical };
}

/**
 * Backwards from the activity that ended last: before each, the one whose end let it be scheduled, which is the one that
 * ended last before that.
 */
function pathOf(activities: readonly ActivityTimes[]): ActivityTimes[] {
  const path: ActivityTimes[] = [];
  const latest = (before: number) =>
    activities
      .filter(({ completed }) => completed <= before)
      .reduce<ActivityTimes | undefined>((a, b) => (a && a.completed > b.completed ? a : b), undefined);
  for (let one = latest(Infinity); one; one = latest(one.scheduled)) path.unshift(one);
  return path;
}

const total = (activities: readonly ActivityTimes[]) =>
  activities.reduce((sum, { seconds }) => sum + seconds, 0);

const timeOf = ({ eventTime }: HistoryEvent) =>
  Number(eventTime?.seconds ?? 0) + (eventTime?.nanos ?? 0) / 1e9;

/** From the line that a step's log begins with to the one that says it is done. */
async function stepSeconds(logs: string, id: string): Promise<number> {
  const text = await readFile(join(logs, `${id}.log`), 'utf8').catch(() => '');
  const begun = /^# (\S+Z) .*, attempt \d+/m.exec(text)?.[1];
  const done = [...text.matchAll(/^# (\S+Z) done$/gm)].at(-1)?.[1];
  return begun && done ? (Date.parse(done) - Date.parse(begun)) / 1000 : 0;
}
