/** Runs a real activity as Temporal would, without a server. Calls of one `activityId` are tries of the same step. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';

export const runActivity = <A, R>(
  activity: (args: A) => Promise<R>,
  args: A,
  attempt = 1,
  activityId: string = randomUUID(),
): Promise<R> =>
  new MockActivityEnvironment({ attempt, activityId }, { logger: new DefaultLogger('ERROR') }).run(
    activity as (args: unknown) => Promise<R>,
    args,
  );
