/** A workflow's failure for people. */
import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common';
import { z } from 'zod';
import { failureKinds, type FailureCode } from '../domain/failures.js';
import { describeFailure } from '../workflows/describe.js';
import { CliError, clean, exitCodes } from './output.js';

const details = z.object({ tail: z.array(z.string()) });

/** Turns what a run ended with into a message: code, step, last lines of the output, remedy, where the log is. */
export function failureOf(error: unknown, stream: string): unknown {
  if (!(error instanceof WorkflowFailedError)) return error;
  const cause = error.cause;
  if (cause instanceof CancelledFailure) return new CliError(`${stream}: cancelled. Nothing was published.`);
  const step = cause instanceof ActivityFailure ? cause.activityId : undefined;
  const failure = cause instanceof ActivityFailure ? cause.cause : cause;
  if (failure instanceof CancelledFailure)
    return new CliError(`${stream}: cancelled. Nothing was published.`);
  if (!(failure instanceof ApplicationFailure || failure instanceof TimeoutFailure))
    return new CliError(`${stream}: ${failure?.message ?? error.message}`);
  const { code, message } = describeFailure(failure);
  const kind = code in failureKinds ? failureKinds[code as FailureCode] : undefined;
  const last = failure instanceof ApplicationFailure ? failure.details?.[0] : undefined;
  const tail = details.safeParse(last).data?.tail ?? [];
  const lines = [
    `${stream}: ${code}${step === undefined ? '' : ` in step ${step}`}: ${message}`,
    ...tail.map((line) => `    ${line}`),
    ...(kind ? [kind.remedy] : []),
    `Logs: \`treeline logs ${stream}${step === undefined ? '' : ` ${step}`}\``,
  ];
  return new CliError(clean(lines.join('\n')), exitCodes.failed);
}
