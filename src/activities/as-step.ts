/** How a function becomes a step that Temporal can run. */
import { activityInfo, Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { z } from 'zod';
import { Failure, failureKinds, type FailureCode } from '../domain/failures.js';
import { mask } from '../domain/secrets.js';
import type { Host } from '../host.js';
import { createStep } from '../steps/run.js';
import type { Beat, Step } from '../steps/step.js';
import { exists } from '../store/store.js';
import type { StepArgs } from '../domain/inputs.js';

/** Well below the heartbeat time-out, so that a busy machine does not look like a dead one. */
const heartbeatMs = 3000;
/** These are tried so often only, as they may be the step's own fault; other retryable ones until the step's total time is up. */
const fewAttempts = 3;
const triedAFewTimes: readonly FailureCode[] = ['CommandFailed', 'CommandKilled', 'ResourcesExhausted'];

/** An activity, and what it takes. */
export type Checked<S extends z.ZodType, R> = ((input: z.input<S>) => Promise<R>) & { readonly schema: S };

/**
 * Makes an activity of a step: its input checked by the schema, log file (appended, one per step of a run), heartbeats with progress,
 * cancellation, and failures by the table of `domain/failures.ts`. An input that does not fit fails with InputRefused, before anything
 * is written.
 */
export function asStep<S extends z.ZodType<StepArgs>, R>(
  host: Host,
  schema: S,
  body: (step: Step, args: z.output<S>) => Promise<R>,
): Checked<S, R> {
  const run = async (input: z.input<S>) => {
    const args = checked(schema, input);
    const context = Context.current();
    const { attempt } = activityInfo();
    const logs = host.store.logs(args);
    const home = join(host.settings.state, 'home');
    await Promise.all([mkdir(logs, { recursive: true }), mkdir(home, { recursive: true })]);
    const file = join(logs, `${args.step}.log`);
    // A killed attempt may have left half a line.
    const separator = (await exists(file)) ? '\n' : '';
    const log = createWriteStream(file, { flags: 'a' });
    // A log that cannot be written (a full disk) must not end the worker.
    log.on('error', () => undefined);
    log.write(
      `${separator}# ${new Date().toISOString()} ${args.step}, attempt ${attempt}, on ${host.settings.host}\n`,
    );
    let beat: Beat = { step: args.step };
    const timer = setInterval(() => context.heartbeat(beat), heartbeatMs);
    const step = createStep({
      signal: context.cancellationSignal,
      log,
      path: host.settings.path,
      home,
      onProgress: (progress) => {
        beat = { ...beat, progress };
        context.heartbeat(beat);
      },
      onStatus: (status) => {
        const { status: _, ...rest } = beat;
        beat = status === undefined ? rest : { ...rest, status };
        context.heartbeat(beat);
      },
    });
    try {
      const result = await body(step, args);
      log.write(`# ${new Date().toISOString()} done\n`);
      return result;
    } catch (error) {
      context.cancellationSignal.throwIfAborted();
      const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.write(`# ${new Date().toISOString()} failed: ${mask(told)}\n`);
      throw await toApplicationFailure(error, args.step, attempt);
    } finally {
      clearInterval(timer);
      log.end();
      await finished(log).catch(() => undefined);
    }
  };
  return Object.assign(run, { schema });
}

/** Makes an activity that is no step, and has no log: its input is checked as a step's. */
export const asTask = <S extends z.ZodType, R>(
  schema: S,
  body: (input: z.output<S>) => Promise<R>,
): Checked<S, R> => Object.assign(async (input: z.input<S>) => body(checked(schema, input)), { schema });

/** The values of a refused input are not repeated: they may be anybody's. */
function checked<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const { activityType } = activityInfo();
  const issues = parsed.error.issues.slice(0, 5).map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw ApplicationFailure.nonRetryable(
    `${activityType}: ${issues.join('; ')}`.slice(0, 1000),
    'InputRefused',
  );
}

async function toApplicationFailure(
  error: unknown,
  step: string,
  attempt: number,
): Promise<ApplicationFailure> {
  const failure = error instanceof Failure ? error : new Failure('CommandFailed', messageOf(error));
  const kind = failureKinds[failure.code];
  const retryable = kind.retryable && (attempt < fewAttempts || !triedAFewTimes.includes(failure.code));
  if (retryable) await tellTrouble(step, failure, attempt);
  return ApplicationFailure.create({
    type: failure.code,
    message: failure.message.slice(0, 2000),
    nonRetryable: !retryable,
    ...(failure.retryAfter === undefined ? {} : { nextRetryDelay: failure.retryAfter }),
    details: [{ step, remedy: kind.remedy, tail: failure.tail }],
  });
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Lets the workflow show in its current details that a step will be tried again. The first few times are enough. */
async function tellTrouble(step: string, failure: Failure, attempt: number): Promise<void> {
  if (attempt > 5) return;
  const text = `${step}: ${failure.code}: ${failure.message.split('\n')[0] ?? ''} (attempt ${attempt}, is tried again)`;
  try {
    const { client, info } = Context.current();
    const { workflowId, runId } = info.workflowExecution ?? {};
    if (workflowId !== undefined)
      await client.workflow.getHandle(workflowId, runId).signal('trouble', text.slice(0, 400));
  } catch {
    // Only for people's eyes: never a reason to fail.
  }
}
