/** A workflow's failure for people. */
import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { z } from 'zod';
import { failureKinds, type FailureCode } from '../domain/failures.js';
import { describeFailure } from '../workflows/describe.js';
import { CliError, exitCodes } from './output.js';

const details = z.object({ tail: z.array(z.string()) });

/**
 * Turns what a run ended with into a message. The last line is the cause: code, step, what failed, and what to do. Before it stand the
 * last lines of the command's output and where the log is.
 */
export function failureOf(error: unknown, stream: string): unknown {
  if (!(error instanceof WorkflowFailedError)) return error;
  const causes = chain(error.cause);
  const last = causes.at(-1) ?? error;
  if (last instanceof CancelledFailure) return new CliError(`${stream}: cancelled. Nothing was published.`);
  const step = causes.find((cause) => cause instanceof ActivityFailure)?.activityId;
  // The innermost failure of a step: what is around it, such as a time-out of its last try, only follows from it.
  const failure = causes.findLast((cause) => cause instanceof ApplicationFailure);
  const { code, message } = describeFailure(failure ?? last);
  const remedy = Object.hasOwn(failureKinds, code) ? failureKinds[code as FailureCode].remedy : '';
  const tail = details.safeParse(failure?.details?.[0]).data?.tail ?? [];
  const [what = '', ...more] = message.split('\n');
  const [inStep, where] = step === undefined ? ['', ''] : [` in step ${step}`, ` ${step}`];
  const lines = [
    `${stream}: failed. Logs: \`treeline logs ${stream}${where}\``,
    ...[...tail, ...more].map((line) => `    ${line}`),
    `${stream}: ${code}${inStep}: ${what.replace(/\.$/, '')}. ${remedy}`.trimEnd(),
  ];
  return new CliError(lines.join('\n'), exitCodes.failed);
}

/** An error and its causes, the outermost first. */
function chain(error: unknown): Error[] {
  return error instanceof Error ? [error, ...chain(error.cause)] : [];
}
