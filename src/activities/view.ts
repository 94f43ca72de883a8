/** What the stream workflow reads and keeps outside of itself. */
import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { StreamView } from '../domain/promotion.js';
import { readReleases, readView, recalledView, saveView } from '../release/release-index.js';
import { loadStream } from '../streams/load.js';
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
});
