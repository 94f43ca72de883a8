/**
 * The scheduled look at a stream's release dates: proposes a candidate, reminds the SIG, tells of missed dates. Each look stands for
 * itself: what one could not do, the next one does.
 */
import {
  ActivityCancellationType,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { candidateActivities } from '../activities/candidate.js';
import type { StepArgs } from '../activities/host.js';
import type { CadenceTell } from '../domain/cadence-notices.js';
import type { CadenceActions } from '../domain/candidate.js';
import { buildAttribute, streamAttribute } from '../search-attributes.js';
import { sideBySide, troubleSignal } from './chain.js';
import { streamId, streamRun, type PromoteRequest } from './stream-messages.js';

/** Limits of its own: the next look comes within the hour, and does again what this one gave up. */
const limits = {
  heartbeatTimeout: '20s',
  startToCloseTimeout: '2m',
  scheduleToCloseTimeout: '45m',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '5s', backoffCoefficient: 2, maximumInterval: '2m' },
} as const;
const control = proxyActivities<ReturnType<typeof candidateActivities>>({
  ...limits,
  taskQueue: 'control',
});
const { tellSig } = proxyActivities<{ tellSig(args: StepArgs & CadenceTell): Promise<unknown> }>({
  ...limits,
  taskQueue: 'publish',
});

export interface CandidateInput {
  readonly stream: string;
}

/** Answers what it found to do. Fails if any of it could not be done, after all of it was tried. */
export async function candidate({ stream }: CandidateInput): Promise<CadenceActions> {
  upsertSearchAttributes([{ key: streamAttribute, value: stream }]);
  setHandler(troubleSignal, (text) => setCurrentDetails(`**${stream}**\n\n> ⚠ ${text}`));
  const args = { stream, run: streamRun };
  const actions = await control.lookAtCadence.executeWithOptions(
    { activityId: 'look', summary: 'Look at the release dates' },
    [{ ...args, step: 'look-at-cadence', now: new Date().toISOString() }],
  );
  const failures: unknown[] = [];
  /** Was it done? Keeps a failure for the end. */
  const attempt = async (work: Promise<unknown>): Promise<boolean> => {
    try {
      await work;
      return true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      failures.push(error);
      return false;
    }
  };
  const proposed = actions.propose && (await attempt(propose(stream, actions.propose.build)));
  // A candidate that could not be proposed is none to tell of.
  const tell = actions.tell.filter(({ event }) => event !== 'candidate' || proposed);
  const told = await sideBySide(tell, (message) =>
    attempt(
      tellSig.executeWithOptions(
        { activityId: `tell-${message.key}`, summary: `Tell the SIG: ${message.subject}` },
        [{ ...args, step: `tell-${message.event}`, ...message }],
      ),
    ),
  );
  const keys = tell.filter((_, i) => told[i]).map(({ key }) => key);
  if (keys.length > 0)
    await control.rememberTold.executeWithOptions(
      { activityId: 'told', summary: 'Keep what the SIG was told' },
      [{ ...args, step: 'told', keys, now: new Date().toISOString() }],
    );
  setCurrentDetails(summary(stream, actions));
  if (failures.length > 0) throw failures[0];
  return actions;
}

/** Proposes a build to the stream workflow, which decides whether it takes it. */
async function propose(stream: string, build: string): Promise<void> {
  upsertSearchAttributes([{ key: buildAttribute, value: build }]);
  const request: PromoteRequest = { build, by: 'schedule' };
  try {
    await getExternalWorkflowHandle(streamId(stream)).signal('promote', request);
  } catch (error) {
    if (isCancellation(error)) throw error;
    throw ApplicationFailure.nonRetryable(
      `${build} could not be proposed: there is no workflow ${streamId(stream)}: run \`treeline apply\``,
      'StreamInvalid',
    );
  }
}

const summary = (stream: string, { propose, tell }: CadenceActions) =>
  [
    `**${stream}** · ${propose ? `proposed ${propose.build} for ${propose.due}` : 'nothing to propose'}`,
    '',
    ...tell.map(({ subject }) => `- ${subject}`),
  ].join('\n');
