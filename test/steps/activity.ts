/** Runs a real activity as Temporal would, without a server. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';

export const runActivity = <A, R>(activity: (args: A) => Promise<R>, args: A, attempt = 1): Promise<R> =>
  new MockActivityEnvironment({ attempt }, { logger: new DefaultLogger('ERROR') }).run(
    activity as (args: unknown) => Promise<R>,
    args,
  );
