/** What a log file gets of a run, and what its last line is. */
import assert from 'node:assert/strict';
import { WorkflowFailedError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  RetryState,
  TimeoutFailure,
  TimeoutType,
} from '@temporalio/common';
import { failureOf } from '../../src/cli/failure.js';
import { PlainView } from '../../src/cli/follow.js';
import { CliError } from '../../src/cli/output.js';
import type { ChainProgress, StepRecord } from '../../src/domain/run.js';

describe('a run without a terminal', () => {
  const { now } = Date;
  const { log } = console;
  const begun = Date.parse('2026-11-26T02:00:00Z');
  let lines: { at: number; line: string }[];
  let clock: number;
  beforeEach(() => {
    lines = [];
    clock = begun;
    Date.now = () => clock;
    console.log = (line: string) => void lines.push({ at: (clock - begun) / 1000, line });
  });
  afterEach(() => {
    Date.now = now;
    console.log = log;
  });

  const step = (id: string, more: Partial<StepRecord> = {}): StepRecord => ({
    ...{ id, title: `Title of ${id}`, state: 'running', started: new Date(begun).toISOString() },
    ...more,
  });
  const progress = (...steps: StepRecord[]): ChainProgress => ({
    ...{ stream: 'sample', run: 'r', phase: 'compose', steps },
  });
  /** Looks four times a second, as long as that. */
  function pass(seconds: number, look: () => void): void {
    for (const end = clock + seconds * 1000; clock < end; clock += 250) look();
  }
  /** The longest time between two lines. */
  const silence = () =>
    Math.max(
      ...[...lines.map(({ at }) => at), (clock - begun) / 1000].map((at, n) => at - (lines[n - 1]?.at ?? 0)),
    );

  it('says what a step is at after half a minute, and then once a minute', () => {
    const view = new PlainView();
    const live = new Map([
      [
        'compose',
        { attempt: 2, progress: { done: 40, total: 100, unit: 'packages' as const }, status: 'runs dracut' },
      ],
    ]);
    pass(240, () => view.show(progress(step('compose')), live));
    assert.deepEqual(
      lines.map(({ at }) => at),
      [30, 90, 150, 210],
    );
    assert.match(
      lines[1]?.line ?? '',
      /^▶ compose +Title of compose +1 min 30 s +attempt 2, 40 of 100 packages, runs dracut$/,
    );
    assert.ok(silence() <= 60);
  });

  it('prints each step that ends, in that order, and tells of those that go on beside it', () => {
    const view = new PlainView();
    const ended = (seconds: number) => new Date(begun + seconds * 1000).toISOString();
    const late = step('image-a', { state: 'done', ended: ended(40), result: '1 GiB' });
    const early = step('image-b', { state: 'done', ended: ended(20) });
    view.show(progress(step('image-a'), early), new Map());
    clock += 45_000;
    view.show(progress(late, early, step('image-c')), new Map());
    assert.deepEqual(
      lines.map(({ line }) => line.slice(0, 9)),
      ['✓ image-b', '✓ image-a', '▶ image-c'],
    );
  });

  it('is not silent where no step runs, no worker answers or the server is away', () => {
    const view = new PlainView();
    pass(130, () => view.show(progress(), new Map()));
    pass(130, () => view.waiting('waiting for a worker'));
    pass(130, () => view.waiting('waiting for the Temporal server, which does not answer'));
    assert.ok(silence() <= 60, JSON.stringify(lines));
    assert.deepEqual(
      lines.map(({ line }) => line),
      [
        ...['… compose', '… compose', 'waiting for a worker', 'still waiting for a worker', 'still waiting for a worker'],
        'waiting for the Temporal server, which does not answer',
        ...Array.from({ length: 2 }, () => 'still waiting for the Temporal server, which does not answer'),
      ],
    ); // prettier-ignore
  });
});

describe('the end of a failed run', () => {
  const ofStep = (cause: Error) =>
    new WorkflowFailedError(
      'Workflow execution failed',
      new ActivityFailure('Activity task failed', 'compose', 'compose', RetryState.NON_RETRYABLE_FAILURE, 'w', cause),
      RetryState.NON_RETRYABLE_FAILURE,
    ); // prettier-ignore
  const said = (error: Error) => {
    const failure = failureOf(error, 'sample');
    assert.ok(failure instanceof CliError);
    return failure.message.split('\n');
  };

  it('is the cause: the step, what failed and what to do; the output stands before it', () => {
    const tail = ['a line', 'the last line of the output'];
    const cause = ApplicationFailure.create({
      ...{ type: 'PostprocessFailed', message: 'fix.sh: exit code 3\nmore of it', details: [{ step: 'compose', tail }] },
    }); // prettier-ignore
    assert.deepEqual(said(ofStep(cause)), [
      'sample: failed. Logs: `treeline logs sample compose`',
      ...tail.map((line) => `    ${line}`),
      '    more of it',
      'sample: PostprocessFailed in step compose: fix.sh: exit code 3. Read the log of step `compose` and fix the script.',
    ]);
  });

  it('of a step that was out of time is what its last try ended with, not that the time was up', () => {
    const cause = ApplicationFailure.create({ type: 'RepoUnreachable', message: 'http://repo: no answer' });
    const outOfTime = new TimeoutFailure('activity timeout', undefined, TimeoutType.SCHEDULE_TO_CLOSE);
    Object.assign(outOfTime, { cause });
    assert.match(
      said(ofStep(outOfTime)).at(-1) ?? '',
      /^sample: RepoUnreachable in step compose: http:\/\/repo: no answer\. Check the repo's URL/,
    );
    const alone = new TimeoutFailure('activity timeout', undefined, TimeoutType.HEARTBEAT);
    assert.match(said(ofStep(alone)).at(-1) ?? '', /^sample: WorkerLost in step compose: /);
  });
});
