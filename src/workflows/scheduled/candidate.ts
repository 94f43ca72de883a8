/**
 * The scheduled look at a stream's release dates: proposes a candidate, reminds the SIG, tells of missed dates. Each look stands for
 * itself: what one could not do, the next one does.
 */
import { proxyActivities, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { candidateActivities } from '../../activities/candidate.js';
import type { StepArgs } from '../../domain/inputs.js';
import type { CadenceTell } from '../../domain/cadence-notices.js';
import type { CadenceActions } from '../../domain/candidate.js';
import { buildAttribute, streamAttribute } from '../../search-attributes.js';
import { callerOf } from '../call.js';
import { sideBySide, troubleSignal } from '../chains/chain.js';
import { Attempts, lookLimits, signalStream } from './scheduled-check.js';
import { promoteSignal } from '../decisions/signals.js';
import { z } from 'zod';
import { name } from '../../domain/names.js';
import { onSignal, workflow } from '../messages.js';

/** The next look comes within the hour. */
const limits = { ...lookLimits, scheduleToCloseTimeout: '45m' } as const;
const control = proxyActivities<ReturnType<typeof candidateActivities>>({
  ...limits,
  taskQueue: 'control',
});
const { tellSig } = proxyActivities<{ tellSig(args: StepArgs & CadenceTell): Promise<unknown> }>({
  ...limits,
  taskQueue: 'publish',
});

const candidateInput = z.object({ stream: name });

/** Answers what it found to do. Fails if any of it could not be done, after all of it was tried. */
export const candidate = workflow(
  'candidate',
  candidateInput,
  async ({ stream }): Promise<CadenceActions> => {
    upsertSearchAttributes([{ key: streamAttribute, value: stream }]);
    onSignal(troubleSignal, (text) => setCurrentDetails(`**${stream}**\n\n> ⚠ ${text}`));
    const calls = callerOf(stream);
    const now = () => new Date().toISOString();
    const actions = await calls.call(
      'look-at-cadence',
      'Check the release dates',
      control.lookAtCadence,
      { now: now() },
      { activityId: 'look' },
    );
    const attempts = new Attempts();
    const proposed = actions.propose && (await attempts.do(propose(stream, actions.propose.build)));
    // A candidate that could not be proposed is none to tell of.
    const tell = actions.tell.filter(({ event }) => event !== 'candidate' || proposed);
    const told = await sideBySide(tell, (message) =>
      attempts.do(
        calls.call(`tell-${message.event}`, `Tell the SIG: ${message.subject}`, tellSig, message, {
          activityId: `tell-${message.key}`,
        }),
      ),
    );
    const keys = tell.filter((_, i) => told[i]).map(({ key }) => key);
    if (keys.length > 0)
      await calls.call(
        'told',
        'Record what the SIG was told',
        control.rememberTold,
        { keys, now: now() },
        { activityId: 'told' },
      );
    setCurrentDetails(summary(stream, actions));
    attempts.end();
    return actions;
  },
);

/** Proposes a build to the stream workflow, which decides whether it takes it. */
async function propose(stream: string, build: string): Promise<void> {
  upsertSearchAttributes([{ key: buildAttribute, value: build }]);
  await signalStream(stream, promoteSignal, [{ build, by: 'schedule' }], `${build} could not be proposed`);
}

const summary = (stream: string, { propose, tell }: CadenceActions) =>
  [
    `**${stream}** · ${propose ? `proposed ${propose.build} for ${propose.due}` : 'nothing to propose'}`,
    '',
    ...tell.map(({ subject }) => `- ${subject}`),
  ].join('\n');
