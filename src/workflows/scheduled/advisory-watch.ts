/**
 * The scheduled look for advisories: what affects the release of now goes to the stream workflow, which opens cases. Each look stands for
 * itself: what one could not do, the next one does.
 */
import { ApplicationFailure } from '@temporalio/common';
import { proxyActivities, setCurrentDetails, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import type { candidateActivities } from '../../activities/candidate.js';
import type { StepArgs } from '../../activities/inputs.js';
import type { watchActivities, WatchResult } from '../../activities/advisory-watch.js';
import { streamAttribute } from '../../search-attributes.js';
import { callerOf } from '../call.js';
import { sideBySide, troubleSignal } from '../chains/chain.js';
import { Attempts, lookLimits, signalStream } from './scheduled-check.js';
import { advisoriesSignal } from '../decisions/signals.js';

/** The next look comes soon. */
const limits = { ...lookLimits, scheduleToCloseTimeout: '10m' } as const;
/** The metadata of all repos, over a slow line. */
const { lookForAdvisories } = proxyActivities<ReturnType<typeof watchActivities>>({
  ...limits,
  startToCloseTimeout: '1h',
  scheduleToCloseTimeout: '90m',
  taskQueue: 'control',
});
const { untold, rememberTold } = proxyActivities<ReturnType<typeof candidateActivities>>({
  ...limits,
  taskQueue: 'control',
});
const { tellSig } = proxyActivities<{ tellSig(args: StepArgs & Unreadable): Promise<unknown> }>({
  ...limits,
  taskQueue: 'publish',
});

/** What the SIG is told of a source that cannot be read. */
interface Unreadable {
  readonly key: string;
  readonly event: string;
  readonly subject: string;
  readonly text: string;
}

export interface WatchInput {
  readonly stream: string;
}

/** Answers what it found. Fails if a source could not be read or somebody could not be told, after all else was done. */
export async function securityWatch({ stream }: WatchInput): Promise<WatchResult> {
  upsertSearchAttributes([{ key: streamAttribute, value: stream }]);
  setHandler(troubleSignal, (text) => setCurrentDetails(`**${stream}**\n\n> ⚠ ${text}`));
  const calls = callerOf(stream);
  const result = await calls.call(
    'look-for-advisories',
    'Check for advisories',
    lookForAdvisories,
    {},
    { activityId: 'look' },
  );
  const attempts = new Attempts();
  const { found } = result;
  if (found.length > 0)
    await attempts.do(signalStream(stream, advisoriesSignal, [{ found }], 'advisories could not be told'));
  const news = result.failed.map((line) => unreadable(stream, line, new Date()));
  const keys = news.map(({ key }) => key);
  const fresh =
    keys.length === 0
      ? []
      : await calls.call(
          'untold',
          'Find what the SIG was not told yet',
          untold,
          { keys },
          { activityId: 'untold' },
        );
  const tell = news.filter(({ key }) => fresh.includes(key));
  const told = await sideBySide(tell, (message) =>
    attempts.do(
      calls.call('tell-unreadable', `Tell the SIG: ${message.subject}`, tellSig, message, {
        activityId: `tell-${message.key}`,
      }),
    ),
  );
  const done = tell.filter((_, i) => told[i]).map(({ key }) => key);
  if (done.length > 0)
    await calls.call(
      'told',
      'Record what the SIG was told',
      rememberTold,
      { keys: done, now: new Date().toISOString() },
      { activityId: 'told' },
    );
  setCurrentDetails(summary(stream, result));
  attempts.end();
  if (result.failed.length > 0)
    throw ApplicationFailure.nonRetryable(
      `could not be read: ${result.failed.join('; ')}`.slice(0, 2000),
      'AdvisoryInvalid',
    );
  return result;
}

/** Once a day for each source, whatever is wrong with it. */
function unreadable(stream: string, line: string, now: Date): Unreadable {
  const source = line.split(': ', 1)[0] ?? '';
  return {
    key: `unreadable-${now.toISOString().slice(0, 10)}-${source.replace(/[^\w.-]+/g, '-').slice(-80)}`,
    event: 'unreadable-advisories',
    subject: `[${stream}] Advisories cannot be read: ${source}`,
    text: `${line}\n\nWhat it says is not watched for until that is mended; the other sources are.\n`,
  };
}

const summary = (stream: string, { release, found, failed }: WatchResult) =>
  [
    release === null
      ? `**${stream}** · nothing is released yet: nothing to compare with`
      : `**${stream}** · ${release} lacks ${found.length === 0 ? 'no fix' : `${found.length} fixes`} that the stream acts on`,
    '',
    ...found.map(
      ({ advisory: { id, severity }, fixes }) =>
        `- ${id} (${severity}): ${fixes.map(({ name }) => name).join(', ')}`,
    ),
    ...failed.map((line) => `- ⚠ ${line}`),
  ].join('\n');
