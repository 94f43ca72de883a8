/** What all chains share: steps with their state, phases, the live view, the record of the run. */
import {
  CancellationScope,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ArchStepArgs, StepArgs } from '../../domain/inputs.js';
import type { ChainPlan } from '../../activities/prepare.js';
import type { ChainProgress, Outcome, RunRecord, StepRecord } from '../../domain/run.js';
import type { Architecture } from '../../domain/stream.js';
import {
  buildAttribute,
  outcomeAttribute,
  phaseAttribute,
  streamAttribute,
} from '../../search-attributes.js';
import { Caller, type Activity, type CallOptions, type Input } from '../call.js';
import { z } from 'zod';
import { onQuery, onSignal, query, signal } from '../messages.js';

/** Where the chain is, step by step. */
export const progressQuery = query<ChainProgress>('progress');
/** Sent by a step that failed and will be tried again: one line for people. */
export const troubleSignal = signal('trouble', z.string().max(1000));

export class Chain extends Caller {
  readonly steps: StepRecord[] = [];
  readonly #started = now();
  #phase = 'starting';
  #build: string | undefined;
  #trouble: string | undefined;
  #targets: Readonly<Record<string, string>> | undefined;
  /** What the run builds, once that is known. */
  plan: ChainPlan | undefined;

  constructor(stream: string) {
    // The run's key stays the same when the run is reset.
    super(stream, workflowInfo().firstExecutionRunId);
    onQuery(progressQuery, () => this.#progress());
    onSignal(troubleSignal, (text) => {
      this.#trouble = text;
      this.#show();
    });
    upsertSearchAttributes([{ key: streamAttribute, value: stream }]);
  }

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

  /** The steps of one architecture. */
  at(arch: Architecture): ArchChain {
    return new ArchChain(this, arch, (this.plan?.architectures.length ?? 1) > 1 ? `-${arch}` : '');
  }

  /** Runs an activity as a step of the chain. `result` puts what it answers into a few words. */
  async step<A extends StepArgs, R>(
    id: string,
    title: string,
    activity: Activity<A, R>,
    input: Input<A>,
    result?: (value: R) => string,
    options?: CallOptions,
  ): Promise<R> {
    return this.span(
      id,
      title,
      () => this.call(id, title, activity, input, { activityId: id, ...options }),
      result,
    );
  }

  /** Records as one step what takes several calls. */
  async span<T>(
    id: string,
    title: string,
    body: () => Promise<T>,
    result?: (value: T) => string,
  ): Promise<T> {
    const record: StepRecord = { id, title, state: 'running', started: now() };
    this.steps.push(record);
    this.#show();
    try {
      const value = await body();
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

/** The steps of one architecture: their ids have it behind them where there are several. */
export class ArchChain {
  constructor(
    readonly whole: Chain,
    readonly arch: Architecture,
    readonly suffix: string,
  ) {}

  /** See `Chain.step`. */
  async step<A extends ArchStepArgs, R>(
    id: string,
    title: string,
    activity: Activity<A, R>,
    input: Input<A, ArchStepArgs>,
    result?: (value: R) => string,
    options?: CallOptions,
  ): Promise<R> {
    const args = { ...input, arch: this.arch } as unknown as Input<A>;
    return this.whole.step(`${id}${this.suffix}`, title, activity, args, result, options);
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
