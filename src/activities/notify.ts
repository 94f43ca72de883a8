/** Tells of outcomes. */
import { Failure } from '../domain/failures.js';
import type { RunRecord } from '../domain/run.js';
import { asStep, frozenStream, type Host, type StepArgs } from './host.js';

export const notifyActivities = (host: Host) => ({
  /** POSTs the run's outcome to each webhook of the stream that asks for it. At least once: receivers tell repeats by `run`. */
  notify: asStep(host, async (step, args: StepArgs & { record: RunRecord }): Promise<void> => {
    const stream = await frozenStream(host, args);
    const { outcome, build, failure, note, run } = args.record;
    const body = JSON.stringify({
      stream: stream.name,
      run,
      outcome,
      build,
      failure,
      note,
      url: stream.publish.buildlogs.url,
    });
    for (const { webhook, on } of stream.notify) {
      if (webhook === undefined || !on.some((wanted) => wanted === outcome)) continue;
      const response = await fetch(webhook, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.any([step.signal, AbortSignal.timeout(30_000)]),
      });
      step.note(`${webhook}: HTTP status ${response.status}`);
      if (!response.ok) throw new Failure('TargetUnreachable', `${webhook}: HTTP status ${response.status}`);
    }
  }),
});
