/** What the stream workflow reads and keeps outside of itself. */
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure } from '@temporalio/common';
import type { StreamView } from '../domain/promotion.js';
import { readReleases, readView, recalledView, saveView } from '../release/release-index.js';
import { loadStream } from '../streams/load.js';
import type { RebuildNews, RebuildResult } from '../workflows/rebuild-messages.js';
import { asStep, type Host, type StepArgs } from './host.js';

export const viewActivities = (host: Host) => ({
  /** What a stream workflow begins with. Fails with StreamInvalid, TargetUnreachable. */
  recall: asStep(host, async (step, args: StepArgs): Promise<StreamView> => {
    const stream = await loadStream(host.settings, args.stream);
    const index = await readReleases(host, stream, step.signal);
    return recalledView(args.stream, await readView(host.store, args.stream), index);
  }),

  /** Keeps the view for pages, the cadence and a stream workflow that begins again. */
  saveView: asStep(host, async (_step, args: StepArgs & { view: StreamView }): Promise<void> =>
    saveView(host.store, args.view),
  ),

  /** Which of these workflows run? */
  running: asStep(host, async (_step, args: StepArgs & { ids: readonly string[] }): Promise<string[]> => {
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
  }),

  /** How this attempt at a rebuild has ended; undefined while it runs. One that left no trace has failed. */
  rebuildEnd: asStep(
    host,
    async (
      _step,
      { id, attempt }: StepArgs & { id: string; attempt: number },
    ): Promise<RebuildNews | undefined> => {
      const handle: WorkflowHandle = Context.current().client.workflow.getHandle(id);
      try {
        if ((await handle.describe()).status.name === 'RUNNING') return undefined;
        return { attempt, state: 'testing', ...((await handle.result()) as RebuildResult) };
      } catch (error) {
        const gone = { attempt, state: 'failed', note: 'its workflow was gone' } as const;
        if (error instanceof WorkflowNotFoundError) return gone;
        if (!(error instanceof WorkflowFailedError)) throw error;
        const { cause } = error;
        if (cause instanceof CancelledFailure) return { attempt, state: 'cancelled' };
        if (cause instanceof TerminatedFailure) return { ...gone, note: 'its workflow was terminated' };
        const code = cause instanceof ApplicationFailure ? (cause.type ?? 'CommandFailed') : 'CommandFailed';
        return { ...gone, note: `${code}: ${cause?.message ?? error.message}` };
      }
    },
  ),
});
