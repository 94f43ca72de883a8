/** How workflows call activities: by their own input, without what every step is told (whose it is, and where it logs). */
import type { ActivityOptions } from '@temporalio/workflow';
import type { StepArgs } from '../domain/inputs.js';
import { streamRun } from '../domain/run.js';

/** An activity of `activities.ts`. */
export interface Activity<A, R> {
  executeWithOptions(options: ActivityOptions, args: [A]): Promise<R>;
}

/** What a call itself has to say. */
export type Input<A, Given = StepArgs> = Omit<A, keyof Given>;

/** Options of a single call; the others are those of the activity's role. */
export type CallOptions = Pick<ActivityOptions, 'scheduleToCloseTimeout' | 'retry'>;

/** Options of what the work does not depend on: given up early. */
export const shortly = { scheduleToCloseTimeout: '5m', retry: { maximumAttempts: 3 } } as const;
/** Options of calls whose failure the caller survives. */
export const fewTimes = { retry: { maximumAttempts: 3 } } as const;

/** Calls the activities of a run, or of a stream's long-lived workflows. */
export class Caller {
  constructor(
    readonly stream: string,
    /** The run's key in the build store. */
    readonly run: string,
  ) {}

  /** Calls an activity that is shown in Temporal alone; `step` names its log. */
  async call<A extends StepArgs, R>(
    step: string,
    summary: string,
    activity: Activity<A, R>,
    input: Input<A>,
    options: CallOptions & { readonly activityId?: string } = {},
  ): Promise<R> {
    const args = { ...input, stream: this.stream, run: this.run, step } as unknown as A;
    return activity.executeWithOptions({ summary, ...options }, [args]);
  }
}

/** Calls of what belongs to no run of a chain. */
export const callerOf = (stream: string) => new Caller(stream, streamRun);
