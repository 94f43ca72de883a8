/** All workflows, but of the signed rebuild and its release only what they say to others, with scripted steps. */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow';
import { describeFailure } from '../../../src/workflows/describe.js';
import {
  acceptSignal,
  rebuildNews,
  type RebuildInput,
  type RebuildNews,
  type RebuildResult,
} from '../../../src/workflows/chains/rebuild-messages.js';
import type { ReleaseInput } from '../../../src/workflows/chains/release-messages.js';
import { releaseEnded, releasesChanged } from '../../../src/workflows/decisions/signals.js';
import { promotionId, streamId } from '../../../src/workflows/decisions/stream-messages.js';

export * from '../../../src/workflows/index.js';

const steps = proxyActivities<{
  beginAttempt(input: RebuildInput): Promise<RebuildResult>;
  /** What differs, if anything. */
  compareAttempt(input: RebuildInput): Promise<string | undefined>;
  testAttempt(input: RebuildInput): Promise<void>;
  endAttempt(input: RebuildInput): Promise<void>;
  authorize(args: object): Promise<object>;
  tryRelease(input: ReleaseInput): Promise<void>;
  switchRelease(input: ReleaseInput): Promise<object>;
  releaseMetadata(input: ReleaseInput): Promise<void>;
}>({
  taskQueue: 'control',
  startToCloseTimeout: '1m',
  heartbeatTimeout: '20s',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { maximumAttempts: 1 },
});

export async function rebuild(input: RebuildInput): Promise<RebuildResult> {
  const { stream, build, onto, attempt, kind, reuse, changes } = input;
  let accepted = false;
  setHandler(acceptSignal, () => void (accepted = true));
  const promotion = getExternalWorkflowHandle(promotionId(stream, build));
  const say = (news: Omit<RebuildNews, 'attempt'>) =>
    promotion.signal(rebuildNews, { attempt, ...news }).catch(() => undefined);
  try {
    await steps.authorize({ stream, decision: 'promote', build, onto, begun: true });
    if (kind !== 'first')
      await steps.authorize({ stream, decision: kind, build, onto, attempt: attempt - 1, reuse, changes });
    const made = await steps.beginAttempt(input);
    await say({ state: 'began', build: made.build });
    const note = await steps.compareAttempt(input);
    if (note !== undefined) {
      await say({ state: 'differs', ...made, note });
      await condition(() => accepted);
      await steps.authorize({ stream, decision: 'accept', build, onto, attempt, commits: made.commits });
    }
    await steps.testAttempt(input);
    await say({ state: 'testing', ...made });
    return made;
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      await steps.endAttempt(input);
      const { code, message } = describeFailure(error);
      await say(
        isCancellation(error) ? { state: 'cancelled' } : { state: 'failed', note: `${code}: ${message}` },
      );
    });
    throw error;
  }
}

export async function release(input: Extract<ReleaseInput, { kind: 'rebuild' }>): Promise<void> {
  const { stream, build: signed, accepted: build, attempt, onto } = input;
  const promotion = getExternalWorkflowHandle(promotionId(stream, build));
  const ends = () => promotion.signal(releaseEnded).catch(() => undefined);
  try {
    const question = { stream, decision: 'release', build, onto, attempt, signed };
    await steps.authorize(question);
    await steps.tryRelease(input);
    await steps.authorize(question);
    await steps.switchRelease(input);
    await steps.releaseMetadata(input);
    await getExternalWorkflowHandle(streamId(stream)).signal(releasesChanged);
    await ends();
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      await ends();
    });
    throw error;
  }
}
