/** One Temporal Schedule per stream, made to be as the stream files say. */
import {
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleDescription,
  type ScheduleOptions,
} from '@temporalio/client';
import { z } from 'zod';
import type { Stream } from '../domain/stream.js';
import { nightlyId, type NightlyInput } from '../workflows/nightly-messages.js';

/** What a schedule is declared as; kept in the started workflow's memo, by which a change is known. */
const declaration = z.object({
  cron: z.string(),
  timezone: z.string(),
  /** Seconds. */
  catchUp: z.number(),
  paused: z.boolean(),
});
export type Declaration = z.infer<typeof declaration>;

export interface ScheduleChange {
  readonly stream: string;
  readonly action: 'create' | 'update' | 'remove' | 'none';
  /** Field by field: `cron: 0 1 * * * → 30 2 * * *`. */
  readonly differences: readonly string[];
}

const prefix = 'nightly/';
const declare = ({ schedule }: Stream): Declaration | undefined =>
  schedule && {
    cron: schedule.cron,
    timezone: schedule.timezone,
    catchUp: schedule.catchUp,
    paused: schedule.paused,
  };

/** Compares the streams with the schedules on the server. */
export async function planSchedules(client: Client, streams: readonly Stream[]): Promise<ScheduleChange[]> {
  const changes: ScheduleChange[] = [];
  for (const stream of streams) {
    const wanted = declare(stream);
    const actual = await currentDeclaration(client, stream.name);
    if (!wanted && !actual) continue;
    const action = !wanted ? 'remove' : !actual ? 'create' : undefined;
    const differences = compare(actual, wanted);
    changes.push({
      stream: stream.name,
      action: action ?? (differences.length > 0 ? 'update' : 'none'),
      differences,
    });
  }
  for await (const { scheduleId } of client.schedule.list()) {
    const name = scheduleId.startsWith(prefix) ? scheduleId.slice(prefix.length) : undefined;
    if (name !== undefined && !streams.some((stream) => stream.name === name))
      changes.push({ stream: name, action: 'remove', differences: ['the stream is gone'] });
  }
  return changes;
}

/** Carries the changes out. Idempotent: what is already so stays. A running nightly is never touched. */
export async function applySchedules(
  client: Client,
  streams: readonly Stream[],
  changes: readonly ScheduleChange[],
): Promise<void> {
  for (const { stream: name, action } of changes) {
    const handle = client.schedule.getHandle(nightlyId(name));
    if (action === 'remove') await handle.delete();
    const stream = streams.find((s) => s.name === name);
    const wanted = stream && declare(stream);
    if (!wanted) continue;
    const options = scheduleOptions(name, wanted);
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
  wanted: Declaration,
): ScheduleOptions & { spec: NonNullable<ScheduleOptions['spec']> } {
  const input: NightlyInput = { stream };
  return {
    scheduleId: nightlyId(stream),
    spec: { cronExpressions: [wanted.cron], timezone: wanted.timezone },
    action: {
      type: 'startWorkflow',
      workflowType: 'nightly',
      workflowId: nightlyId(stream),
      taskQueue: 'control',
      args: [input],
      memo: { declaration: wanted },
      staticSummary: `Nightly of ${stream}`,
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
async function currentDeclaration(client: Client, stream: string): Promise<Declaration | undefined> {
  const description = await describeSchedule(client, stream);
  if (!description) return undefined;
  const declared = declaration.partial().safeParse(description.action.memo?.declaration).data ?? {};
  return {
    cron: declared.cron ?? '(unknown)',
    timezone: description.spec.timezone ?? 'UTC',
    catchUp: description.policies.catchupWindow / 1000,
    paused: description.state.paused,
  };
}

export async function describeSchedule(
  client: Client,
  stream: string,
): Promise<ScheduleDescription | undefined> {
  return client.schedule
    .getHandle(nightlyId(stream))
    .describe()
    .catch((error: unknown) => {
      if (error instanceof ScheduleNotFoundError) return undefined;
      throw error;
    });
}

function compare(actual: Declaration | undefined, wanted: Declaration | undefined): string[] {
  const fields = ['cron', 'timezone', 'catchUp', 'paused'] as const;
  const show = (declared: Declaration | undefined, field: (typeof fields)[number]) =>
    String(declared?.[field] ?? 'none');
  return fields
    .filter((field) => actual?.[field] !== wanted?.[field])
    .map((field) => `${field}: ${show(actual, field)} → ${show(wanted, field)}`);
}
