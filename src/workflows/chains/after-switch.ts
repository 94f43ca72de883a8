/** What follows when readers have a release: metadata, the comparison of what is published, mirrors, the announcement. */
import type { ReleasePlan } from '../../activities/release.js';
import { control, publish } from '../activities.js';
import { describeFailure } from '../describe.js';
import type { Forward } from './forward.js';
import type { Released, ReleasePlace } from './release-place.js';

/** A difference that so many repairs do not remove waits for a person. */
const maxRepairs = 3;
/** Looks at mirrors come after 10 s, 20 s, … up to every half hour. */
const [firstLook, lastLook] = [10_000, 1_800_000];
/** The SIG is told after so many looks that mirrors lag (some three hours), and asked after so many (a week). */
const [looksUntilTold, looksUntilAsked] = [12, 340];

/** Publishes metadata; compares what readers get with the release, and repairs that. */
export async function afterSwitch(forward: Forward, place: ReleasePlace, what: Released): Promise<void> {
  const { chain } = forward;
  const metadata = async (again: string) => {
    const title = 'Publish metadata and pages, releases.json last';
    await forward.step(`metadata${again}`, title, publish.releaseMetadata, what);
    chain.target({ metadata: 'published' });
  };
  chain.phase('metadata');
  await metadata('');
  for (let round = 1; ; round++) {
    chain.phase('drift check');
    const again = round === 1 ? '' : `-${round}`;
    const drift = await forward.step(
      `drift${again}`,
      'Compare published content with the release',
      publish.checkDrift,
      what,
      (found) => (found.length === 0 ? 'the same' : found.join('; ')),
    );
    const state = drift.length === 0 ? 'verified' : 'differs';
    chain.target({ ...place.state(state, state), metadata: state });
    if (drift.length === 0) return;
    if (round > maxRepairs) await forward.person('drift', drift.join('; '));
    chain.phase('repair');
    await forward.step(`repair${again}`, 'Push again what differs', publish.repairRelease, what);
    await metadata(`-${round + 1}`);
  }
}

/** Waits until enough mirrors of the mirror serve the release; a person's `retry` continues without them. */
export async function mirrorsFollow(forward: Forward, { mirrors: needed }: ReleasePlan): Promise<void> {
  if (needed === undefined) return;
  const { chain } = forward;
  chain.phase('mirrors');
  forward.forgetRetry();
  const title = 'Wait until enough mirrors serve the release';
  const check = () => chain.call('mirrors', title, publish.checkMirrors, {}, { activityId: 'mirrors' });
  const untilEnough = async () => {
    for (let look = 1; ; look++) {
      const { serving, behind } = await check();
      const state = `${serving.length} of ${needed} serve it${behind.length > 0 ? `; behind: ${behind.join(', ')}` : ''}`;
      chain.target({ mirrors: state });
      if (serving.length >= needed) return state;
      if (look === looksUntilTold) await forward.tell('mirrors', state);
      const pause = Math.min(firstLook * 2 ** Math.min(look - 1, 20), lastLook);
      if (await forward.retriedWithin(look < looksUntilAsked ? pause : undefined))
        return `continued without waiting: ${state}`;
    }
  };
  await forward.span('mirrors', title, untilEnough, (state) => state);
}

/** Tells the world, once. May wait until approvers have let it go. */
export async function announce(
  forward: Forward,
  { build, onto }: Released,
  { hold }: ReleasePlan,
): Promise<void> {
  const { chain } = forward;
  if (hold) await untilReleased(forward, { decision: 'announce', build, onto });
  chain.phase('announce');
  const title = 'Announce the release';
  const send = async () => {
    const { mail } = forward;
    if (mail !== undefined)
      await chain.call('announce', 'Resolve the mail in doubt', publish.resolveMail, { build, mail });
    return chain.call('announce', title, publish.announce, { build }, { activityId: 'announce' });
  };
  const { mail } = await forward.span(
    'announce',
    title,
    send,
    (told) => `mail ${told.mail}${told.webhook ? ', webhook told' : ''}`,
  );
  chain.target({ announcement: mail });
}

/** Waits until enough approvers have let the announcement go; each one's statement is looked at when it comes. */
async function untilReleased(
  forward: Forward,
  question: Pick<Released, 'build' | 'onto'> & { readonly decision: 'announce' },
): Promise<void> {
  const { chain } = forward;
  chain.phase('announcement held');
  for (let seen = 0; ;) {
    await forward.wait(() => forward.announcements > seen);
    seen = forward.announcements;
    try {
      await chain.call('go', 'Verify approvals of the announcement', control.authorize, question);
      return;
    } catch (error) {
      const { code, message } = describeFailure(error);
      if (code !== 'StatementRefused') await forward.person('go', message);
    }
  }
}
