/** The long-lived workflow of each stream that has releases: `stream/<stream>`. */
import { WorkflowNotFoundError, type Client, type WorkflowStartOptions } from '@temporalio/client';
import type { Stream } from '../domain/stream.js';
import { streamId, workflowTaskTimeout } from '../workflows/decisions/stream-messages.js';

export interface EntityChange {
  readonly stream: string;
  readonly id: string;
  readonly action: 'create' | 'remove' | 'none';
  readonly differences: readonly string[];
}

/** How it is started, where it is not running; one that runs is found. */
export const entityOptions = (stream: string) =>
  ({
    workflowId: streamId(stream),
    taskQueue: 'control',
    args: [{ stream }],
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowTaskTimeout,
    staticSummary: `Releases of ${stream}`,
  }) as const satisfies WorkflowStartOptions;

/** Compares the streams with the workflows on the server. */
export async function planEntities(client: Client, streams: readonly Stream[]): Promise<EntityChange[]> {
  const changes: EntityChange[] = [];
  for (const { name: stream, release } of streams) {
    const id = streamId(stream);
    const running = await isRunning(client, id);
    if (release) changes.push({ ...{ stream, id, differences: [] }, action: running ? 'none' : 'create' });
    else if (running)
      changes.push({ ...{ stream, id, differences: ['no `release` any more'] }, action: 'remove' });
  }
  const prefix = streamId('');
  for await (const { workflowId } of client.workflow.list({
    query: `WorkflowType = 'stream' AND ExecutionStatus = 'Running'`,
  })) {
    const stream = workflowId.startsWith(prefix) ? workflowId.slice(prefix.length) : undefined;
    if (stream !== undefined && !streams.some(({ name }) => name === stream))
      changes.push({ stream, id: workflowId, action: 'remove', differences: ['the stream is gone'] });
  }
  return changes;
}

/** Carries the changes out. Idempotent. What a removed one knew is in the build store; its running releases go on. */
export async function applyEntities(client: Client, changes: readonly EntityChange[]): Promise<void> {
  for (const { stream, id, action } of changes) {
    if (action === 'create') await client.workflow.start('stream', entityOptions(stream));
    if (action === 'remove') await client.workflow.getHandle(id).cancel();
  }
}

async function isRunning(client: Client, id: string): Promise<boolean> {
  const description = await client.workflow
    .getHandle(id)
    .describe()
    .catch((error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    });
  return description?.status.name === 'RUNNING';
}
