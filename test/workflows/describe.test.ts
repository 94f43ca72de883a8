/** What people read of a step's failure: a code of the table, also where Temporal ended the step. */
import assert from 'node:assert/strict';
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  RetryState,
  TimeoutFailure,
  type TimeoutType,
} from '@temporalio/common';
import { failureKinds } from '../../src/domain/failures.js';
import { describeFailure } from '../../src/workflows/describe.js';

const inStep = (cause: Error) =>
  new ActivityFailure('Activity task failed', 'compose', 'compose', RetryState.TIMEOUT, undefined, cause);

describe('a failure', () => {
  it('of a step has its code, message and step', () => {
    const cause = ApplicationFailure.create({ type: 'DiskFull', message: 'no space' });
    const wanted = { code: 'DiskFull', message: 'no space', step: 'compose' };
    assert.deepEqual(describeFailure(inStep(cause)), wanted);
    const child = new ChildWorkflowFailure(
      'n',
      { workflowId: 'w', runId: 'r' },
      'nightly',
      RetryState.TIMEOUT,
      inStep(cause),
    );
    assert.deepEqual(describeFailure(child), wanted);
  });

  const codes = {
    HEARTBEAT: 'WorkerLost',
    SCHEDULE_TO_START: 'NoWorker',
    START_TO_CLOSE: 'StepTimeout',
    SCHEDULE_TO_CLOSE: 'StepTimeout',
  } as const satisfies Record<NonNullable<TimeoutType>, keyof typeof failureKinds>;
  for (const [type, code] of Object.entries(codes))
    it(`by ${type} is ${code}`, () => {
      const timeout = new TimeoutFailure('activity timed out', undefined, type as TimeoutType);
      const { code: found, message } = describeFailure(inStep(timeout));
      assert.equal(found, code);
      assert.ok(code in failureKinds);
      assert.doesNotMatch(message, /activity/);
    });

  it('before a time-out is told with it', () => {
    const timeout = new TimeoutFailure('activity timed out', undefined, 'SCHEDULE_TO_CLOSE');
    timeout.failure = { cause: { message: 'base does not answer' } };
    assert.deepEqual(describeFailure(inStep(timeout)), {
      ...{ code: 'StepTimeout', step: 'compose' },
      message: 'was not done within its total time; before that: base does not answer',
    });
  });

  it('that nobody knows is CommandFailed with its own words', () => {
    assert.deepEqual(describeFailure(new Error('odd')), { code: 'CommandFailed', message: 'odd' });
    assert.deepEqual(describeFailure('odd'), { code: 'CommandFailed', message: 'odd' });
  });
});
