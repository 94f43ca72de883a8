/**
 * The scheduled look for advisories: what affects the current release goes to the stream workflow, which opens cases. Each look stands for
 * itself: what one could not do, the next one does.
 */
import { ApplicationFailure } from '@temporalio/common';
import { proxyActivities, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { candidateActivities } from '../../activities/candidate.js';
import type { StepArgs } from '../../domain/inputs.js';
import type { watchActivities, WatchResult } from '../../activities/advisory-watch.js';
import { streamAttribute } from '../../search-attributes.js';
import { callerOf } from '../call.js';
import { sideBySide, troubleSignal } from '../chains/chain.js';
import { Attempts, lookLimits, signalStream } from './scheduled-check.js';
import { advisoriesSignal } from '../decisions/signals.js';
import { z } from 'zod';
import { name } from '../../domain/names.js';
import { onSignal, workflow } from '../messages.js';

/** The next look comes soon. */
const limits = { ...lookLimits, scheduleToCloseTimeout: '10m' } as const;
/** The metadata of all repos, over a slow line. */
const { lookForAdvisories, rememberVerdicts } = proxyActivities<ReturnType<typeof watchActivities>>({
  ...limits,
  startToCloseTimeout: '1h',
  scheduleToCloseTimeout: '90m',
  taskQueue: 'control',
});
const { untold, rememberTold } = proxyActivities<ReturnType<typeof candidateActivities>>({
  ...limits,
  taskQueue: 'control',
});
const { tellSig } = proxyActivities<{ tellSig(args: StepArgs & News): Promise<unknown> }>({
  ...limits,
  taskQueue: 'publish',
});

/** What people are told. */
interface News {
  readonly key: string;
  readonly event: string;
  readonly subject: string;
  readonly text: string;
  /** Default: the SIG. */
  readonly audience?: 'security';
}

const watchInput = z.object({ stream: name });

/** Answers what it found. Fails if a source could not be read or somebody could not be told, after all else was done. */
export const securityWatch = workflow(
  'securityWatch',
  watchInput,
  async ({ stream }): Promise<WatchResult> => {
    upsertSearchAttributes([{ key: streamAttribute, value: stream }]);
    onSignal(troubleSignal, (text) => setCurrentDetails(`**${stream}**\n\n> ⚠ ${text}`));
    const calls = callerOf(stream);
    const result = await calls.call(
      'look-for-advisories',
      'Check for advisories',
      lookForAdvisories,
      {},
      { activityId: 'look' },
    );
    const attempts = new Attempts();
    const tell = (whom: string, message: News) =>
      calls.call(`tell-${message.event}`, `Tell ${whom}: ${message.subject}`, tellSig, message, {
        activityId: `tell-${message.key}`,
      });
    const { found, news: open } = result;
    if (found.length > 0)
      await attempts.do(signalStream(stream, advisoriesSignal, [{ found }], 'advisories could not be told'));
    if (open.length > 0 && (await attempts.do(tell('the security group', openNews(stream, result)))))
      await attempts.do(
        calls.call(
          'told-verdicts',
          'Record what the security group was told',
          rememberVerdicts,
          { told: open.map(({ id, verdict }) => ({ id, verdict })) },
          { activityId: 'told-verdicts' },
        ),
      );
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
    const due = news.filter(({ key }) => fresh.includes(key));
    const told = await sideBySide(due, (message) => attempts.do(tell('the SIG', message)));
    const done = due.filter((_, i) => told[i]).map(({ key }) => key);
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
  },
);

/** The security group alone: while a case is under embargo, nobody else is told of advisories about its packages. */
function openNews(stream: string, { news, looked, release }: WatchResult): News {
  const [unfixed, others] = [news.filter(({ verdict }) => verdict === 'unfixed'), news.length];
  const subject = [
    ...(unfixed.length > 0 ? [`${unfixed.length} without a known fix`] : []),
    ...(others > unfixed.length ? [`${others - unfixed.length} not fully judged`] : []),
  ].join(', ');
  const lines = news.map(
    ({ id, severity, title, cves, reason }) =>
      `${[id, severity, ...cves.slice(0, 5)].join(', ')}: ${title}\n  ${reason}\n`,
  );
  return {
    key: `open-advisories-${looked.replace(/[^\dT]/g, '')}`,
    event: 'open-advisories',
    audience: 'security',
    subject: `[${stream}] Advisories: ${subject}`,
    text: `Advisories that are or may be affecting ${stream} ${release ?? ''}, and have no fix to build:\n\n${lines.join('\n')}\nNo case is opened for them. When a fix is published, one is opened as usual. To ask for one with a fix of your own:\ntreeline security ${stream} --advisory ID --srpm FILE\n`,
  };
}

/** Once a day for each source, whatever is wrong with it. */
function unreadable(stream: string, line: string, now: Date): News {
  const source = line.split(': ', 1)[0] ?? '';
  return {
    key: `unreadable-${now.toISOString().slice(0, 10)}-${source.replace(/[^\w.-]+/g, '-').slice(-80)}`,
    event: 'unreadable-advisories',
    subject: `[${stream}] Advisories cannot be read: ${source}`,
    text: `${line}\n\nWhat it says is not watched for until that is fixed; the other sources are.\n`,
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
