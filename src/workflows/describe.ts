/** A failure of a step or workflow as the table of failures knows it: for workflows, and for people at the command line. */
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
  type TimeoutType,
} from '@temporalio/common';
import type { FailureCode } from '../domain/failures.js';
import type { RunRecord } from '../domain/run.js';

const timeouts: Readonly<Record<NonNullable<TimeoutType>, readonly [FailureCode, string]>> = {
  HEARTBEAT: ['WorkerLost', 'its worker was not heard of any more'],
  SCHEDULE_TO_START: ['NoWorker', 'no worker took it in time'],
  START_TO_CLOSE: ['StepTimeout', 'took longer than it may'],
  SCHEDULE_TO_CLOSE: ['StepTimeout', 'was not done within its total time'],
};

/** Code, message, and the step where it is one's. What came before a time-out is in the message. */
export function describeFailure(error: unknown): NonNullable<RunRecord['failure']> {
  if (error instanceof ActivityFailure) {
    const step = error.activityId === undefined ? {} : { step: error.activityId };
    return { ...describeFailure(error.cause ?? new Error(error.message)), ...step };
  }
  if (error instanceof ChildWorkflowFailure) return describeFailure(error.cause ?? new Error(error.message));
  if (error instanceof ApplicationFailure)
    return { code: error.type ?? 'CommandFailed', message: error.message };
  if (error instanceof TimeoutFailure) {
    const [code, text] = timeouts[error.timeoutType ?? 'SCHEDULE_TO_CLOSE'];
    // The SDK makes no `cause` of what the last try ended with.
    const before = error.failure?.cause?.message;
    return { code, message: before ? `${text}; before that: ${before}` : text };
  }
  return { code: 'CommandFailed', message: error instanceof Error ? error.message : String(error) };
}
