/** Histories of runs, for replay. `TREELINE_SAVE_HISTORIES=1` writes those of this test run over the committed ones. */
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import type { Client } from '@temporalio/client';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { packageRoot } from '../../src/settings.js';
import { workflowBundle } from '../../src/workflows/bundle.js';

export const historiesFolder = join(packageRoot, 'test/histories');

/** Replays the history that a test has just made, and answers it. */
export async function replayRun(client: Client, workflowId: string, runId?: string): Promise<History> {
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  await Worker.runReplayHistory({ workflowBundle: { codePath: workflowBundle } }, history, workflowId);
  return history;
}

/** Replays it, and keeps it under this name if asked to. */
export async function saveHistory(
  client: Client,
  workflowId: string,
  runId: string | undefined,
  name: string,
): Promise<void> {
  const history = await replayRun(client, workflowId, runId);
  await mkdir(historiesFolder, { recursive: true });
  if (process.env.TREELINE_SAVE_HISTORIES)
    await writeFile(join(historiesFolder, `${name}.json`), historyToJSON(history));
}
