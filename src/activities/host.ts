/** What an activity has to hand, and how a function becomes a step that Temporal can run. */
import { activityInfo, Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { z } from 'zod';
import { Failure, failureKinds, type FailureCode } from '../domain/failures.js';
import { mask } from '../domain/secrets.js';
import type { Architecture, Stream } from '../domain/stream.js';
import type { Settings } from '../settings.js';
import { createStep } from '../steps/run.js';
import type { Progress, Step } from '../steps/step.js';
import { exists, needJson, type Run, type Store } from '../store/store.js';

export interface Host {
  readonly settings: Settings;
  readonly store: Store;
}

/** Every step's arguments: whose step it is, and under which id it is logged. */
export interface StepArgs extends Run {
  /** Id of the step: the activity's id in Temporal and the name of its log. */
  readonly step: string;
}
export interface ArchStepArgs extends StepArgs {
  readonly arch: Architecture;
}

/** What a running step tells by its heartbeats. */
export interface Beat {
  readonly step: string;
  readonly progress?: Progress;
  /** What it does now, in a few words. */
  readonly status?: string;
}

/** Well below the heartbeat time-out, so that a busy machine does not look like a dead one. */
const heartbeatMs = 3000;
/** These are tried so often only, as they may be the step's own fault; other retryable ones until the step's total time is up. */
const fewAttempts = 3;
const triedAFewTimes: readonly FailureCode[] = ['CommandFailed', 'CommandKilled', 'ResourcesExhausted'];

/**
 * Makes an activity of a step: log file (appended, one per step of a run), heartbeats with progress, cancellation, and failures
 * by the table of `domain/failures.ts`.
 */
export function asStep<A extends StepArgs, R>(
  host: Host,
  body: (step: Step, args: A) => Promise<R>,
): (args: A) => Promise<R> {
  return async (args) => {
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

/** The stream as it was frozen at the start of the run (written by `load`, in its parsed form). */
export const frozenStream = (host: Host, run: Run): Promise<Stream> =>
  needJson(join(host.store.runDir(run), 'stream.json'), z.custom<Stream>());
