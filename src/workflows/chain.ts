/** What all chains share: steps with their state, phases, the live view, the record of the run. */
import {
  CancellationScope,
  defineQuery,
  defineSignal,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { StepArgs } from '../activities/host.js';
import type { ChainProgress, Outcome, RunRecord, StepRecord } from '../domain/run.js';
import { buildAttribute, outcomeAttribute, phaseAttribute, streamAttribute } from '../search-attributes.js';

/** Where the chain is, step by step. */
export const progressQuery = defineQuery<ChainProgress>('progress');
/** Sent by a step that failed and will be tried again: one line for people. */
export const troubleSignal = defineSignal<[string]>('trouble');

/** How an activity is called as a step: under the step's id and title. */
export interface StepCall {
  readonly activityId: string;
  readonly summary: string;
}

export class Chain {
  readonly steps: StepRecord[] = [];
  readonly #started = now();
  #phase = 'starting';
  #build: string | undefined;
  #trouble: string | undefined;
  #targets: Readonly<Record<string, string>> | undefined;

  constructor(readonly stream: string) {
    setHandler(progressQuery, () => this.#progress());
    setHandler(troubleSignal, (text) => {
      this.#trouble = text;
      this.#show();
    });
    upsertSearchAttributes([{ key: streamAttribute, value: stream }]);
  }

  /** The run's key in the build store. It stays the same when the run is reset. */
  readonly run = workflowInfo().firstExecutionRunId;

  phase(phase: string): void {
    this.#phase = phase;
    upsertSearchAttributes([{ key: phaseAttribute, value: phase }]);
    this.#show();
  }

  /** The state of what a release writes to: recorded, and shown. */
  target(states: Readonly<Record<string, string>>): void {
    this.#targets = { ...this.#targets, ...states };
    this.#show();
  }

  built(build: string): void {
    this.#build = build;
    upsertSearchAttributes([{ key: buildAttribute, value: build }]);
  }

  /** Runs one step. `result` says in a few words what came of it. */
  async step<T>(
    id: string,
    title: string,
    call: (call: StepCall, args: StepArgs) => Promise<T>,
    result?: (value: T) => string,
  ): Promise<T> {
    const record: StepRecord = { id, title, state: 'running', started: now() };
    this.steps.push(record);
    this.#show();
    try {
      const value = await call(
        { activityId: id, summary: title },
        { stream: this.stream, run: this.run, step: id },
      );
      record.state = 'done';
      if (result) record.result = result(value);
      return value;
    } catch (error) {
      record.state = isCancellation(error) ? 'cancelled' : 'failed';
      throw error;
    } finally {
      record.ended = now();
      if (this.#trouble?.startsWith(`${id}: `)) this.#trouble = undefined;
      this.#show();
    }
  }

  /** The record of the run, for its end. */
  record(outcome: Outcome, extra: Pick<RunRecord, 'failure' | 'note'> = {}): RunRecord {
    upsertSearchAttributes([{ key: outcomeAttribute, value: outcome }]);
    this.phase(outcome);
    return {
      ...this.#progress(),
      ...extra,
      workflow: workflowInfo().workflowId,
      started: this.#started,
      ended: now(),
      outcome,
    };
  }

  #progress(): ChainProgress {
    return {
      stream: this.stream,
      run: this.run,
      phase: this.#phase,
      steps: this.steps,
      ...(this.#build === undefined ? {} : { build: this.#build }),
      ...(this.#trouble === undefined ? {} : { trouble: this.#trouble }),
      ...(this.#targets === undefined ? {} : { targets: this.#targets }),
    };
  }

  #show(): void {
    const marks = { running: '▶', done: '✓', failed: '✗', cancelled: '–' };
    const lines = this.steps.map(
      (s) => `- ${marks[s.state]} **${s.id}** ${s.title}${s.result ? `: ${s.result}` : ''}`,
    );
    const trouble = this.#trouble === undefined ? [] : [`> ⚠ ${this.#trouble}`, ''];
    const targets = Object.entries(this.#targets ?? {}).map(([name, state]) => `${name} ${state}`);
    const where = targets.length === 0 ? [] : [targets.join(' · '), ''];
    setCurrentDetails(
      [`**${this.stream}** ${this.#build ?? ''} · ${this.#phase}`, '', ...trouble, ...where, ...lines].join(
        '\n',
      ),
    );
  }
}

/**
 * Runs a function for each item side by side. The first failure cancels the others, and all have ended when this returns
 * or throws: none lives on beside the rest of the workflow.
 */
export async function sideBySide<T, R>(items: readonly T[], body: (item: T) => Promise<R>): Promise<R[]> {
  return CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    const runs = items.map((item) => body(item));
    try {
      return await Promise.all(runs);
    } catch (error) {
      scope.cancel();
      await Promise.allSettled(runs);
      throw error;
    }
  });
}

/** Like `sideBySide`, with at most so many at a time. */
export async function limited<T>(
  limit: number,
  items: readonly T[],
  body: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  await sideBySide(Array.from({ length: Math.min(limit, items.length) }), async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await body(item);
  });
}

/** Like `sideBySide`, for different things. */
export async function together<const T extends readonly (() => Promise<unknown>)[]>(
  starts: T,
): Promise<{ -readonly [K in keyof T]: Awaited<ReturnType<T[K]>> }> {
  return (await sideBySide(starts, (start) => start())) as {
    -readonly [K in keyof T]: Awaited<ReturnType<T[K]>>;
  };
}

/** Time of the workflow, ISO 8601: `Date` is replaced by the workflow's own clock in the sandbox. */
const now = () => new Date().toISOString();
