/** Tells of outcomes. */
import { runRecord } from '../domain/run.js';
import { notify } from '../notify/notify.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { stepArgs } from '../domain/inputs.js';

export const notifyActivities = (host: Host) => ({
  /** POSTs the run's outcome to each webhook of the stream that asks for it. At least once: receivers tell repeats by `run`. */
  notify: asStep(host, stepArgs.extend({ record: runRecord }), async (step, args): Promise<void> => {
    const stream = await frozenStream(host, args);
    const { outcome, build, failure, note, run } = args.record;
    const url = stream.publish.buildlogs.url;
    const body = { stream: stream.name, run, outcome, build, failure, note, url };
    const news = { key: `outcome-${run}`, data: () => Promise.resolve(body) };
    for (const { webhook, on } of stream.notify)
      if (on.some((wanted) => wanted === outcome))
        await notify(step, host, { stream: stream.name }, { webhook, inDoubt: 'again' }, news);
  }),
});
