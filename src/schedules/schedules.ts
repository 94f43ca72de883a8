/** Temporal Schedules of the streams, made to be as the stream files say. */
import {
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleDescription,
  type ScheduleOptions,
} from '@temporalio/client';
import { z } from 'zod';
import { watchCron } from '../domain/security-settings.js';
import type { Stream } from '../domain/stream.js';
import { nightlyId } from '../workflows/chains/nightly-messages.js';
import { candidateId, watchId } from '../workflows/decisions/stream-messages.js';

/** What a schedule is declared as; kept in the started workflow's memo, by which a change is known. */
const declaration = z.object({
  /** Type of the workflow that is started. */
  workflow: z.string(),
  cron: z.string(),
  timezone: z.string(),
  /** Seconds. */
  catchUp: z.number(),
  paused: z.boolean(),
});
export type Declaration = z.infer<typeof declaration>;

interface ScheduleKind {
  /** Id of the schedule. */
  readonly id: (stream: string) => string;
  readonly title: (stream: string) => string;
  /** What the stream file says; undefined for a stream that has no such schedule. */
  readonly declare: (stream: Stream) => Declaration | undefined;
}

/** The schedules that a stream can have; each starts its workflow with `{ stream }`. */
const kinds = {
  nightly: {
    id: nightlyId,
    title: (stream) => `Nightly of ${stream}`,
    declare: ({ schedule }) =>
      schedule && {
        workflow: 'scheduledNightly',
        cron: schedule.cron,
        timezone: schedule.timezone,
        catchUp: schedule.catchUp,
        paused: schedule.paused,
      },
  },
  candidate: {
    id: candidateId,
    title: (stream) => `Release dates of ${stream}`,
    // Release dates are days in UTC. A look that was missed for a day is as good as the next one.
    declare: ({ release }) =>
      release?.cadence && {
        workflow: 'candidate',
        ...{ cron: '10 * * * *', timezone: 'UTC', catchUp: 86_400, paused: false },
      },
  },
  watch: {
    id: watchId,
    title: (stream) => `Advisories of ${stream}`,
    // A look that was missed is as good as the next one.
    declare: ({ release }) =>
      release?.security && {
        workflow: 'securityWatch',
        ...{ cron: watchCron(release.security.watch) ?? '', timezone: 'UTC', catchUp: 3600, paused: false },
      },
  },
} as const satisfies Record<string, ScheduleKind>;

export type ScheduleType = keyof typeof kinds;
const types = Object.keys(kinds) as ScheduleType[];

export interface ScheduleChange {
  readonly stream: string;
  readonly type: ScheduleType;
  /** Id of the schedule, such as `nightly/sample`. */
  readonly id: string;
  readonly action: 'create' | 'update' | 'remove' | 'none';
  /** Field by field: `cron: 0 1 * * * → 30 2 * * *`. */
  readonly differences: readonly string[];
}

/** Compares the streams with the schedules on the server. */
export async function planSchedules(client: Client, streams: readonly Stream[]): Promise<ScheduleChange[]> {
  const changes: ScheduleChange[] = [];
  for (const stream of streams)
    for (const type of types) {
      const wanted = kinds[type].declare(stream);
      const actual = await currentDeclaration(client, stream.name, type);
      if (!wanted && !actual) continue;
      const action = !wanted ? 'remove' : !actual ? 'create' : undefined;
      const differences = compare(actual, wanted);
      changes.push({
        stream: stream.name,
        type,
        id: kinds[type].id(stream.name),
        action: action ?? (differences.length > 0 ? 'update' : 'none'),
        differences,
      });
    }
  for await (const { scheduleId } of client.schedule.list())
    for (const type of types) {
      const prefix = kinds[type].id('');
      const stream = scheduleId.startsWith(prefix) ? scheduleId.slice(prefix.length) : undefined;
      if (stream !== undefined && !streams.some(({ name }) => name === stream))
        changes.push({
          ...{ stream, type, id: scheduleId },
          action: 'remove',
          differences: ['the stream is gone'],
        });
    }
  return changes;
}

/** Carries the changes out. Idempotent: what is already so stays. A running workflow is never touched. */
export async function applySchedules(
  client: Client,
  streams: readonly Stream[],
  changes: readonly ScheduleChange[],
): Promise<void> {
  for (const { stream: name, type, id, action } of changes) {
    const handle = client.schedule.getHandle(id);
    if (action === 'remove') await handle.delete();
    const stream = streams.find((s) => s.name === name);
    const wanted = stream && kinds[type].declare(stream);
    if (!wanted) continue;
    const options = scheduleOptions(name, type, wanted);
    if (action === 'create') await client.schedule.create(options);
    if (action === 'update')
      await handle.update((previous) => ({
        ...options,
        state: { ...previous.state, paused: wanted.paused, note: note(wanted) },
      }));
  }
}

const note = ({ paused }: Declaration) => (paused ? 'paused in the stream file' : 'as the stream file says');

function scheduleOptions(
  stream: string,
  type: ScheduleType,
  wanted: Declaration,
): ScheduleOptions & { spec: NonNullable<ScheduleOptions['spec']> } {
  const { id, title } = kinds[type];
  return {
    scheduleId: id(stream),
    spec: { cronExpressions: [wanted.cron], timezone: wanted.timezone },
    action: {
      type: 'startWorkflow',
      workflowType: wanted.workflow,
      // Temporal puts the time of the start behind it.
      workflowId: `schedule/${id(stream)}`,
      taskQueue: 'control',
      args: [{ stream }],
      memo: { declaration: wanted },
      staticSummary: title(stream),
    },
    policies: {
      // A nightly that takes longer than a day is not overtaken by the next one.
      overlap: ScheduleOverlapPolicy.SKIP,
      catchupWindow: wanted.catchUp * 1000,
      // One bad night must not stop the following ones.
      pauseOnFailure: false,
    },
    state: { paused: wanted.paused, note: note(wanted) },
  };
}

/** The schedule as it is on the server; undefined if there is none. */
async function currentDeclaration(
  client: Client,
  stream: string,
  type: ScheduleType,
): Promise<Declaration | undefined> {
  const description = await describeSchedule(client, stream, type);
  if (!description) return undefined;
  const declared = declaration.partial().safeParse(description.action.memo?.declaration).data ?? {};
  return {
    workflow: description.action.workflowType,
    cron: declared.cron ?? '(unknown)',
    timezone: description.spec.timezone ?? 'UTC',
    catchUp: description.policies.catchupWindow / 1000,
    paused: description.state.paused,
  };
}

/** A stream's schedule on the server; undefined if there is none. */
export async function describeSchedule(
  client: Client,
  stream: string,
  type: ScheduleType = 'nightly',
): Promise<ScheduleDescription | undefined> {
  return client.schedule
    .getHandle(kinds[type].id(stream))
    .describe()
    .catch((error: unknown) => {
      if (error instanceof ScheduleNotFoundError) return undefined;
      throw error;
    });
}

function compare(actual: Declaration | undefined, wanted: Declaration | undefined): string[] {
  const fields = ['cron', 'timezone', 'catchUp', 'paused', 'workflow'] as const;
  const show = (declared: Declaration | undefined, field: (typeof fields)[number]) =>
    String(declared?.[field] ?? 'none');
  return fields
    .filter((field) => actual?.[field] !== wanted?.[field])
    .map((field) => `${field}: ${show(actual, field)} → ${show(wanted, field)}`);
}
