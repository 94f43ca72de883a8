/** Runs nightlies on a real server and worker, and measures them. */
import { Store } from '../src/store/store.js';
import type { Settings } from '../src/settings.js';
import { nightlyId } from '../src/workflows/chains/nightly-messages.js';
import type { ChainResult } from '../src/domain/run.js';
import { streamName, type Running } from './instance.js';
import { runTimes, type RunTimes } from './history.js';

/** One nightly; fails when its outcome is another than this one. */
export async function runNightly(
  settings: Settings,
  { client }: Running,
  expected: ChainResult['outcome'],
): Promise<RunTimes> {
  const handle = await client.workflow.start('nightly', {
    workflowId: nightlyId(streamName),
    taskQueue: 'control',
    args: [{ stream: streamName, force: false }],
  });
  const result = (await handle.result()) as ChainResult;
  if (result.outcome !== expected) throw new Error(`the nightly answered ${result.outcome}, not ${expected}`);
  const run = { stream: streamName, run: result.run };
  return runTimes(
    client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId),
    new Store(settings.state).logs(run),
  );
}
