/** All workflows, but of the build of a security case only what it says to others, with scripted steps. */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow';
import type { FixPlan } from '../../../src/domain/security.js';
import { describeFailure } from '../../../src/workflows/describe.js';
import { acceptSignal } from '../../../src/workflows/chains/rebuild-messages.js';
import {
  approvedSignal,
  fixNews,
  sayAgainSignal,
  type FixInput,
  type FixNews,
  type FixResult,
} from '../../../src/workflows/decisions/security-messages.js';
import { securityId } from '../../../src/workflows/decisions/stream-messages.js';

export * from '../../../src/workflows/index.js';

const steps = proxyActivities<{
  planCase(input: FixInput): Promise<FixPlan>;
  beginCase(input: FixInput): Promise<FixResult>;
  /** What differs, if anything. */
  compareCase(input: FixInput): Promise<string | undefined>;
  testCase(input: FixInput): Promise<void>;
  authorize(args: object): Promise<object>;
}>({
  taskQueue: 'control',
  startToCloseTimeout: '1m',
  heartbeatTimeout: '20s',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { maximumAttempts: 1 },
});

export async function fix(input: FixInput): Promise<FixResult> {
  const { stream, case: id, attempt, signed } = input;
  let [approved, accepted] = [0, 0];
  setHandler(approvedSignal, () => {
    approved++;
  });
  setHandler(acceptSignal, () => {
    accepted++;
  });
  let last: FixNews = { attempt, state: 'running' };
  const security = getExternalWorkflowHandle(securityId(stream, id));
  const tell = async (news: Omit<FixNews, 'attempt'>) => {
    last = { ...last, note: undefined, ...news };
    await security.signal(fixNews, last).catch(() => undefined);
  };
  setHandler(sayAgainSignal, () => void security.signal(fixNews, last).catch(() => undefined));
  try {
    const plan = await steps.planCase(input);
    await tell({ state: 'running', plan });
    const made = await steps.beginCase(input);
    const about = { stream, build: plan.base, onto: plan.base, case: id };
    if (signed) {
      if (approved === 0) await tell({ state: 'waits' });
      await condition(() => approved > 0);
      await steps.authorize({
        ...about,
        decision: 'approve-fix',
        changes: plan.changes,
        commits: plan.commits,
      });
      await tell({ state: 'running' });
    }
    const note = await steps.compareCase(input);
    if (note !== undefined) {
      await tell({ state: 'differs', ...made, note });
      await condition(() => accepted > 0);
      await steps.authorize({ ...about, decision: 'accept-fix', commits: made.commits });
      await tell({ state: 'running', ...made });
    }
    await steps.testCase(input);
    await tell({ state: 'built', ...made });
    return made;
  } catch (error) {
    const { code, message } = describeFailure(error);
    await CancellationScope.nonCancellable(() =>
      tell(isCancellation(error) ? { state: 'cancelled' } : { state: 'failed', note: `${code}: ${message}` }),
    );
    throw error;
  }
}
