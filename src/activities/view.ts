/** What the stream workflow reads and keeps outside of itself. */
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, CancelledFailure, TerminatedFailure } from '@temporalio/common';
import { keptReleases, type Released, type StreamView } from '../domain/promotion.js';
import { readReleases } from '../publish/published-releases.js';
import { readView, recalledView, releasedOf, saveView } from '../store/releases.js';
import { loadStream } from '../streams/load.js';
import type { RebuildResult } from '../workflows/chains/rebuild-messages.js';
import { asStep } from './as-step.js';
import { type Host } from '../host.js';
import { stepArgs, streamView, workflowId } from '../domain/inputs.js';
import { z } from 'zod';

export const viewActivities = (host: Host) => ({
  /** What a stream workflow begins with. Fails with StreamInvalid, TargetUnreachable. */
  recall: asStep(host, stepArgs, async (step, args): Promise<StreamView> => {
    const stream = await loadStream(host.settings, args.stream);
    const index = await readReleases(host, stream, step.signal);
    return recalledView(args.stream, await readView(host.store, args.stream), index);
  }),

  /**
   * The newest of what releases.json lists, newest first: what a message says of releases is not believed. Fails with StreamInvalid,
   * TargetUnreachable.
   */
  released: asStep(host, stepArgs, async (step, args): Promise<Released[]> => {
    const stream = await loadStream(host.settings, args.stream);
    return releasedOf(await readReleases(host, stream, step.signal)).slice(0, keptReleases);
  }),

  /** Keeps the view for pages, the cadence and a stream workflow that begins again. */
  saveView: asStep(host, stepArgs.extend({ view: streamView }), async (_step, args): Promise<void> =>
    saveView(host.store, { ...args.view, stream: args.stream }),
  ),

  /** Which of these workflows run? */
  running: asStep(
    host,
    stepArgs.extend({ ids: z.array(workflowId).max(1000).readonly() }),
    async (_step, args): Promise<string[]> => {
      const { client } = Context.current();
      const running: string[] = [];
      for (const id of args.ids) {
        const found = await client.workflow
          .getHandle(id)
          .describe()
          .catch((error: unknown) => {
            if (error instanceof WorkflowNotFoundError) return undefined;
            throw error;
          });
        if (found?.status.name === 'RUNNING') running.push(id);
      }
      return running;
    },
  ),

  /** How a workflow has ended, asked of the server; undefined while it runs. One that left no trace has failed. */
  workflowEnd: asStep(
    host,
    stepArgs.extend({ id: workflowId }),
    (_step, { id }): Promise<WorkflowEnd | undefined> => endOf(Context.current().client, id),
  ),
});

export interface WorkflowEnd {
  readonly state: 'completed' | 'failed' | 'cancelled';
  /** Of a rebuild or fix that has completed: what it has made. */
  readonly made?: RebuildResult | undefined;
  /** Why it failed. */
  readonly note?: string;
}

/** How the newest run of a workflow has ended; undefined while it runs. */
export async function endOf(client: Client, id: string): Promise<WorkflowEnd | undefined> {
  const handle = client.workflow.getHandle<() => Promise<RebuildResult | undefined>>(id);
  const failed = (note: string) => ({ state: 'failed', note }) as const;
  try {
    if ((await handle.describe()).status.name === 'RUNNING') return undefined;
    return { state: 'completed', made: await handle.result() };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return failed('its workflow was gone');
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof CancelledFailure) return { state: 'cancelled' };
    if (cause instanceof TerminatedFailure) return failed('its workflow was terminated');
    const code = cause instanceof ApplicationFailure ? cause.type : undefined;
    // That of the step that it failed with.
    const step = cause instanceof ActivityFailure ? cause.cause : undefined;
    const inner = step instanceof ApplicationFailure ? step.type : undefined;
    return failed(`${inner ?? code ?? 'CommandFailed'}: ${step?.message ?? cause?.message ?? error.message}`);
  }
}
