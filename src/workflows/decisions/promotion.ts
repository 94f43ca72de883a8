/**
 * One promotion of a build: waits until the SIG has approved it, has it rebuilt and signed where the stream asks for that, as often as the
 * SIG says, and releases in its turn what the SIG has decided on. It may wait for weeks. What is decided is read from the archive of signed
 * statements (`sig.ts`), never counted here. It tells the stream's workflow of every change.
 */
import { z } from 'zod';
import { name } from '../../domain/names.js';
import { isOpen, releasedAs } from '../../domain/promotion.js';
import { promotion as promotionShape } from '../../domain/shapes.js';
import { publish } from '../activities.js';
import { troubleSignal } from '../chains/chain.js';
import { describeFailure } from '../describe.js';
import { onSignal, workflow } from '../messages.js';
import { lastAttempt } from './attempts.js';
import { proposalText } from './promotions.js';
import { RunningAttempts } from './running-attempt.js';
import { RunningRelease } from './running-release.js';
import { Sig, type Next } from './sig.js';

const promotionInput = z.object({ stream: name, promotion: promotionShape });

export const promotion = workflow('promotion', promotionInput, async ({ stream, promotion: start }) => {
  const sig = new Sig(stream, start);
  const attempts = new RunningAttempts(sig);
  const release = new RunningRelease(stream);
  // Steps that are tried again: nothing to show here, they are small.
  onSignal(troubleSignal, () => undefined);
  // Begun again by its stream workflow: what runs, or has ended meanwhile, is found.
  if (start.phase === 'releasing') await releaseIt(sig, release);
  else await attempts.look();
  await sig.judge();
  // The scheduled look tells of its own proposals.
  if (start.proposedBy !== 'schedule' && start.phase === 'proposed')
    sig.tell(
      'proposed',
      `proposed-${start.build}-${Date.parse(start.proposedAt)}`,
      proposalText(stream, sig.me),
    );
  while (isOpen(sig.me.phase)) {
    const next = await sig.decides();
    switch (next.what) {
      case 'rebuild':
        if (next.asked) await attempts.stop(`${next.asked.decision} by ${next.asked.by.join(', ')}`);
        await attempts.begin(next.asked);
        break;
      case 'accept':
        await attempts.accept(next.by);
        break;
      case 'stop':
        await attempts.stop(next.why);
        break;
      case 'look':
        await attempts.look();
        break;
      case 'release':
        await releaseIt(sig, release);
        break;
      case 'end':
        await attempts.stop(next.note);
        await end(sig, next);
    }
  }
  await sig.silent();
  return sig.me;
});

/** Runs the release and says how it ended. Once too few want it, it is cancelled; past its point of no return it goes on. */
async function releaseIt(sig: Sig, running: RunningRelease): Promise<void> {
  const { stream, me, onto } = sig;
  const build = releasedAs(me);
  const attempt = lastAttempt(me);
  await sig.become({ phase: 'releasing', note: undefined });
  const failure = await running.run(
    {
      ...{ stream, build, onto },
      ...(attempt ? { kind: 'rebuild', accepted: me.build, attempt: attempt.number } : { kind: 'copy' }),
    },
    sig,
  );
  if (failure === undefined) return sig.become({ phase: 'released', note: undefined });
  await sig.become({ phase: 'failed', note: failure });
  sig.tell(
    'failed',
    `failed-${me.build}-${Date.now()}`,
    `${stream} ${build}: the release failed: ${failure}`,
  );
}

/** Ends without a release; the testing location is cleaned as the stream says. */
async function end(sig: Sig, { phase, note }: Extract<Next, { what: 'end' }>): Promise<void> {
  const { stream, me } = sig;
  const builds = me.attempts?.flatMap(({ build }) => build ?? []) ?? [];
  const left = builds.length === 0 ? undefined : await clearTesting(sig, builds);
  await sig.become({
    phase,
    note: left === undefined ? note : `${note}; the testing location was not cleaned: ${left}`,
  });
  if (phase === 'expired')
    sig.tell(
      'expired',
      `expired-${me.build}-${Date.parse(me.proposedAt)}`,
      `${stream} ${me.build}: the proposal has expired`,
    );
}

/** Answers why the testing location could not be cleaned, if so. */
const clearTesting = ({ calls }: Sig, builds: readonly string[]): Promise<string | undefined> =>
  calls
    .call(
      'clear-testing',
      'Clean the testing location',
      publish.clearTesting,
      { builds },
      { retry: { maximumAttempts: 5 } },
    )
    .then(() => undefined)
    .catch((error: unknown) => describeFailure(error).message);
