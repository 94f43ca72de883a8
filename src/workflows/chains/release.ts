/**
 * The release of an approved build. Read it from top to bottom. Bulk data is pushed first, unreferenced; then there is one point of no
 * return, the switch of ref and summary; of a signed rebuild, which goes to mirror and cloud, that of both. Before it every failure is
 * compensated; after it repair only goes forward (after-switch.ts).
 */
import { CancellationScope, getExternalWorkflowHandle, isCancellation } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { ReleasePlan } from '../../activities/release.js';
import { buildSteps } from '../../domain/build-steps.js';
import { cvesOf } from '../../domain/security.js';
import type { Question } from '../../domain/statement.js';
import { control, publish, signing } from '../activities.js';
import { afterSwitch, announce, mirrorsFollow } from './after-switch.js';
import { pushedText } from './build.js';
import { Chain } from './chain.js';
import { describeFailure } from '../describe.js';
import { Forward } from './forward.js';
import { releaseInput, type ReleaseInput } from './release-messages.js';
import { workflow } from '../messages.js';
import { mirrorAndCloud, oneTarget, undo, type Released, type ReleasePlace } from './release-place.js';
import type { CaseToRelease } from '../decisions/security-messages.js';
import { releaseEnded, releasesChanged } from '../decisions/signals.js';
import { promotionId, securityId, streamId } from '../decisions/stream-messages.js';

export const release = workflow('release', releaseInput, async (input): Promise<void> => {
  const { stream, build } = input;
  const chain = new Chain(stream);
  chain.built(build);
  const forward = new Forward(chain, build);
  const origin = originOf(input);
  const asker = getExternalWorkflowHandle(origin.asker);
  const ends = () => asker.signal(releaseEnded).catch(() => undefined);
  try {
    const { plan, what } = await stage(chain, input, origin);
    await CancellationScope.nonCancellable(async () => {
      await switchOver(chain, forward, origin.place, what);
      await forward.finish(() => afterSwitch(forward, origin.place, what));
      await forward.finish(() => recordFix(forward, build, origin.fix));
      await getExternalWorkflowHandle(streamId(stream))
        .signal(releasesChanged)
        .catch(() => undefined);
      await forward.finish(() => mirrorsFollow(forward, plan));
      await forward.finish(() => announce(forward, what, plan));
      const note = forward.stopped ? 'stopped: a rollback was approved' : undefined;
      await forward.finish(() => forward.insist('record', () => finish(chain, 'released', { note })));
      await ends();
    });
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      await finishFailed(chain, error);
      await ends();
    });
    throw error;
  }
});

/** What follows from the kind of a release. */
interface Origin {
  readonly place: ReleasePlace;
  /** The workflow that waits for the release. */
  readonly asker: string;
  /** What the signed statements must have decided. */
  readonly question: Question;
  /** What the steps need to know beside the build. */
  readonly facts: Pick<Released, 'accepted' | 'security'>;
  readonly fix?: CaseToRelease;
}

function originOf(input: ReleaseInput): Origin {
  const { stream, build, onto } = input;
  switch (input.kind) {
    case 'copy':
      return {
        place: oneTarget,
        asker: promotionId(stream, build),
        question: { decision: 'promote', build, onto },
        facts: {},
      };
    case 'rebuild': {
      const { accepted, attempt } = input;
      return {
        place: mirrorAndCloud,
        asker: promotionId(stream, accepted),
        question: { decision: 'release', build: accepted, onto, signed: build, attempt },
        facts: { accepted },
      };
    }
    case 'fix': {
      const { fix, signed } = input;
      const { case: id, advisories, plan, srpms, accepted } = fix;
      return {
        place: signed ? mirrorAndCloud : oneTarget,
        asker: securityId(stream, id),
        // Enough of the security group must have signed for the plan that this build is made by.
        question: {
          ...{ decision: 'approve-fix', build: plan.base, onto: plan.base, signed: build },
          ...{ case: id, commits: plan.commits, changes: plan.changes, srpms },
        },
        facts: { accepted, security: { case: id, advisories } },
        fix,
      };
    }
    default:
      // Anyone who reaches Temporal can start one.
      throw ApplicationFailure.nonRetryable('the kind of the release is missing', 'StatementRefused');
  }
}

/** All that can be done before readers see anything. What it has pushed is removed again if it fails. */
async function stage(
  chain: Chain,
  { build, onto }: ReleaseInput,
  { place, question, facts }: Origin,
): Promise<{ plan: ReleasePlan; what: Released }> {
  chain.phase('verify');
  await chain.step('load', buildSteps.load.title, control.load, {});
  const names = (answer: { approvers: readonly string[] }) => answer.approvers.join(', ');
  await chain.step('authorize', 'Verify approvals', control.authorize, question, names);
  const what = { build, onto, decided: question, ...facts };
  try {
    await place.precheck(chain, what);
    const compared = 'Compare the build with its metadata and signatures';
    const plan = await chain.step('check-build', compared, publish.checkBuild, what);
    await chain.step('take', 'Copy the commit into the release repo and check it', publish.takeRelease, what);
    const written = 'Write release notes, wiki text and announcement';
    await chain.step('documents', written, publish.documents, what);
    chain.phase('sign');
    await chain.step('sign-summary', 'Sign the summary', signing.signReleaseSummary, {});
    await chain.step('sign-announcement', 'Sign the announcement', signing.signAnnouncement, { build });
    chain.phase('push');
    await chain.step('push-repo', 'Push objects', publish.pushReleaseRepo, what, pushedText);
    chain.target(place.state('pushed'));
    const files = 'Push images, checksums, signatures and documents';
    await chain.step('push-files', files, publish.pushReleaseFiles, what, pushedText);
    chain.target(place.state('pushed', 'pushed'));
    await chain.step('try', place.titles.try, publish.tryRelease, what);
    const again = 'Verify approvals again before the switch';
    await chain.step('authorize-again', again, control.authorize, question);
    await chain.step('head', 'Check that the release location has not moved', publish.checkHead, what);
    return { plan, what };
  } catch (error) {
    // Why it failed counts, not that what it pushed could not be removed: the next try does that.
    await CancellationScope.nonCancellable(() => undo(chain, place, what).catch(() => undefined));
    throw error;
  }
}

/** The point of no return. If the switch itself fails, readers are returned to the former release. */
async function switchOver(
  chain: Chain,
  forward: Forward,
  place: ReleasePlace,
  what: Released,
): Promise<void> {
  chain.phase('switch');
  const { titles, switching } = place;
  try {
    await chain.step('switch', titles.switch, publish.switchRelease, what, undefined, switching);
  } catch (error) {
    await place.restore(chain, forward, what);
    throw error;
  }
  chain.target(place.switched);
}

/** No later build may lose the fix. */
async function recordFix(forward: Forward, build: string, fix: CaseToRelease | undefined): Promise<void> {
  if (!fix) return;
  const { case: id, advisories } = fix;
  const what = { case: id, advisories: advisories.map((one) => one.id), cves: cvesOf(advisories), build };
  await forward.step('record-fix', 'Record what it fixes', control.recordFix, what);
}

/** Records how a release or a rollback has ended. */
export async function finish(
  chain: Chain,
  outcome: 'released' | 'rolled-back' | 'failed' | 'cancelled',
  extra: Parameters<Chain['record']>[1],
): Promise<void> {
  await control.record.executeWithOptions({ activityId: 'record', summary: 'Record the run' }, [
    chain.record(outcome, extra),
  ]);
  await publish.cleanUpRelease.executeWithOptions(
    { activityId: 'clean-up', summary: 'Remove scratch files' },
    [{ stream: chain.stream, run: chain.run }],
  );
}

export const finishFailed = (chain: Chain, error: unknown): Promise<void> =>
  isCancellation(error)
    ? finish(chain, 'cancelled', {})
    : finish(chain, 'failed', { failure: describeFailure(error) });
