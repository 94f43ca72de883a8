/**
 * What a worker does for its machine beside the steps, at its start and once an hour. No run's end is needed for it: a stream that only
 * fails, or whose runs are killed, does not fill the disk.
 */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from './host.js';
import { sweepCaches } from './composers/rpm-ostree/workspace.js';
import { signedLine } from './domain/stream.js';
import { pruneRuns } from './publish/build-index.js';
import { writeInstancePage } from './publish/pages.js';
import { createStep } from './steps/run.js';
import { removeLeftovers } from './store/leftovers.js';
import { listStreams, loadStream } from './streams/load.js';
import { streamRun } from './domain/run.js';

/** Tells of what was removed, and of what could not be done; the rest is done all the same. */
export interface HousekeepingLog {
  info(message: string, meta?: Record<string, unknown>): void;
  warn(message: string, meta?: Record<string, unknown>): void;
}

/** Removes leftovers, runs beyond retention and what killed composers left, and writes the instance page as the store is now. */
export async function keepHouse(host: Host, client: Client, log: HousekeepingLog): Promise<void> {
  const attempt = async (what: string, task: () => Promise<void>) => {
    try {
      await task();
    } catch (error) {
      log.warn(`housekeeping: ${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  await attempt('runs', async () => {
    // Who does not know what is alive removes nothing.
    const alive = await runsAlive(client);
    const removed = await removeLeftovers(host.store, (run) => alive.has(run));
    if (removed.length > 0) log.info('removed what runs had left', { removed });
    for (const name of await listStreams(host.settings))
      await attempt(name, async () => {
        const stream = await loadStream(host.settings, name);
        for (const line of [stream, signedLine(stream)]) if (line) await pruneRuns(host, line, alive);
      });
  });
  await attempt('caches', () => sweepComposeCaches(host));
  await attempt('instance page', () => writeInstancePage(host));
}

/** Ids of the runs that go on, and of the first run of each: by that a reset one is known in the build store. */
async function runsAlive(client: Client): Promise<Set<string>> {
  const alive = new Set<string>([streamRun]);
  for await (const { workflowId, runId } of client.workflow.list({ query: "ExecutionStatus = 'Running'" })) {
    alive.add(runId);
    const description = await client.workflow
      .getHandle(workflowId, runId)
      .describe()
      .catch((error: unknown) => {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      });
    const first = description?.raw.workflowExecutionInfo?.firstRunId;
    if (first) alive.add(first);
  }
  return alive;
}

async function sweepComposeCaches({ settings, store }: Host): Promise<void> {
  const [home, logs] = [join(settings.state, 'home'), join(settings.state, 'logs')];
  for (const folder of [home, logs]) await mkdir(folder, { recursive: true });
  const log = createWriteStream(join(logs, 'housekeeping.log'), { flags: 'a' });
  const { signal } = new AbortController();
  const step = createStep({ signal, log, path: settings.path, home });
  try {
    for (const stream of await readdir(join(store.state, 'store')).catch((): string[] => [])) {
      const caches = join(store.streamDir(stream), 'cache');
      for (const arch of await readdir(caches).catch((): string[] => []))
        await sweepCaches(step, join(caches, arch));
    }
  } finally {
    log.end();
  }
}
