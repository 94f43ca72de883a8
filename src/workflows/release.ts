/**
 * The release of an approved build, and the way back. Read from top to bottom. All that is bulky is pushed first and seen by nobody;
 * then one point of no return, the switch of ref and summary; of a signed rebuild, which goes to mirror and cloud, that of both. Before
 * it every failure is compensated; after it repair only goes forward.
 */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import type { ReleaseArgs, ReleasePlan } from '../activities/release.js';
import type { Approval } from '../domain/promotion.js';
import { cvesOf } from '../domain/security.js';
import type { Question } from '../release/authority.js';
import { control, publish, signing } from './activities.js';
import { Chain, type StepCall } from './chain.js';
import { describeFailure } from './describe.js';
import type { StepArgs } from '../activities/host.js';
import type { CaseToRelease } from './security-messages.js';
import {
  announceSignal,
  releaseDone,
  releaseEnded,
  retrySignal,
  rollbackEnded,
  stopSignal,
} from './signals.js';
import { promotionId, securityId, streamId } from './stream-messages.js';

export interface ReleaseInput {
  readonly stream: string;
  /** Of a signed rebuild: the signed build. */
  readonly build: string;
  /** The release that the approvals were given on; null before the first. Who approved is told by their statements alone. */
  readonly onto: string | null;
  /** Of a signed rebuild: the accepted build, which the decision is about. */
  readonly accepted?: string | undefined;
  /** Of a signed rebuild: the attempt that has made it. */
  readonly attempt?: number | undefined;
  /** Of a security release: its approvals are those of the case. */
  readonly fix?: CaseToRelease | undefined;
}

/** A difference that repair does not mend so often waits for a person. */
const maxRepairs = 3;
/** So long is tried to switch two targets, one of which is away; then the other returns for good. */
const switchPatience = '1h';
/** Looks at mirrors come after 10 s, 20 s, … up to every half hour. */
const [firstLook, lastLook] = [10_000, 1_800_000];
/** The SIG is told after so many looks that mirrors lag (some three hours), and asked after so many (a week). */
const [looksUntilTold, looksUntilAsked] = [12, 340];

export async function release(input: ReleaseInput): Promise<void> {
  const chain = new Chain(input.stream);
  chain.built(input.build);
  const forward = new Forward(chain, input.build);
  const goes: Approval[] = [];
  setHandler(announceSignal, (approval) => {
    if (!goes.some(({ fingerprint }) => fingerprint === approval.fingerprint)) goes.push(approval);
  });
  const { stream, build, accepted, fix } = input;
  const asked = getExternalWorkflowHandle(
    fix ? securityId(stream, fix.case) : promotionId(stream, accepted ?? build),
  );
  const say = (end: { failure?: string }) => asked.signal(releaseEnded, end).catch(() => undefined);
  try {
    const { plan, what } = await stage(chain, input);
    await CancellationScope.nonCancellable(async () => {
      await switchOver(chain, forward, what);
      await forward.finish(() => afterSwitch(chain, forward, what, plan));
      await forward.finish(() => remember(forward, build, fix));
      const done = fix
        ? { accepted: fix.accepted, case: fix.case }
        : accepted === undefined
          ? {}
          : { accepted };
      await getExternalWorkflowHandle(streamId(stream))
        .signal(releaseDone, { build, ...done, commits: plan.commits })
        .catch(() => undefined);
      await forward.finish(() => mirrorsFollow(chain, forward, plan));
      await forward.finish(() => announce(chain, forward, what, plan, goes));
      const note = forward.stopped ? 'stopped: the SIG goes back' : undefined;
      await forward.finish(() => forward.insist('record', () => finish(chain, 'released', note)));
      await say({});
    });
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      const failure = describeFailure(error);
      await finish(chain, isCancellation(error) ? 'cancelled' : 'failed', undefined, failure);
      await say({
        failure: isCancellation(error)
          ? 'cancelled before anything was visible'
          : `${failure.code}: ${failure.message}`,
      });
    });
    throw error;
  }
}

type Release = Omit<ReleaseArgs, keyof StepArgs>;

/** Shows the state of the repo and of the other files, under the names that people know them by. */
function shown(chain: Chain, { accepted }: Release, repo: string, files: string): void {
  chain.target(accepted === undefined ? { repo, files } : { mirror: repo, cloud: files });
}

/** Of the two, only what is known. */
function shownRepo(chain: Chain, { accepted }: Release, repo: string): void {
  chain.target(accepted === undefined ? { repo } : { mirror: repo });
}

/** All that can be done before readers see anything. What it has pushed is removed again if it fails. */
async function stage(
  chain: Chain,
  { build, onto, accepted, attempt, fix }: ReleaseInput,
): Promise<{ plan: ReleasePlan; what: Release }> {
  const question = fix
    ? fixQuestion(build, fix)
    : accepted === undefined
      ? ({ decision: 'promote', build, onto } as const)
      : ({ decision: 'release', build: accepted, onto, signed: build, attempt } as const);
  chain.phase('verify');
  await chain.step('load', 'Read the stream file', (call, args) =>
    control.load.executeWithOptions(call, [args]),
  );
  const { approvers } = await chain.step(
    'authorize',
    'Have enough approvers signed for it?',
    (call, args) => control.authorize.executeWithOptions(call, [{ ...args, ...question }]),
    (answer) => answer.approvers.join(', '),
  );
  const security = fix && { case: fix.case, advisories: fix.advisories };
  const what = {
    ...{ build, onto, approvers },
    ...(accepted === undefined ? {} : { accepted }),
    ...(security ? { security } : {}),
  };
  try {
    if (accepted !== undefined)
      await chain.step(
        'precheck',
        'Are mirror and cloud reachable, roomy, and on the former release?',
        (call, args) => publish.precheckRelease.executeWithOptions(call, [{ ...args, ...what }]),
        ({ mirror, cloud }) => `mirror: ${mirror}, cloud: ${cloud}`,
      );
    const plan = await chain.step(
      'check-build',
      'Compare the build with its metadata and signatures',
      (call, args) => publish.checkBuild.executeWithOptions(call, [{ ...args, ...what }]),
    );
    await chain.step('take', 'Copy the commit into the release repo and check it', (call, args) =>
      publish.takeRelease.executeWithOptions(call, [{ ...args, ...what }]),
    );
    await chain.step('documents', 'Write release notes, wiki text and announcement', (call, args) =>
      publish.documents.executeWithOptions(call, [{ ...args, ...what }]),
    );
    chain.phase('sign');
    await chain.step('sign-summary', 'Sign the summary', (call, args) =>
      signing.signReleaseSummary.executeWithOptions(call, [args]),
    );
    await chain.step('sign-announcement', 'Sign the announcement', (call, args) =>
      signing.signAnnouncement.executeWithOptions(call, [{ ...args, build }]),
    );
    chain.phase('push');
    await push(chain, what);
    const tried = accepted === undefined ? '' : ', and download every image';
    await chain.step('try', `Pull the commit as an independent client${tried}`, (call, args) =>
      publish.tryRelease.executeWithOptions(call, [{ ...args, ...what }]),
    );
    await chain.step('authorize-again', 'Do the approvals still stand?', (call, args) =>
      control.authorize.executeWithOptions(call, [{ ...args, ...question }]),
    );
    await chain.step('head', 'Is the release location where it was at the approval?', (call, args) =>
      publish.checkHead.executeWithOptions(call, [{ ...args, ...what }]),
    );
    return { plan, what };
  } catch (error) {
    // Why it failed counts, not that what it pushed could not be removed: the next try does that.
    await CancellationScope.nonCancellable(() => undo(chain, what).catch(() => undefined));
    throw error;
  }
}

/** Have enough of the security group signed for the plan that this build is made by? */
const fixQuestion = (build: string, { case: id, plan, srpms }: CaseToRelease): Question => ({
  ...{ decision: 'approve-fix', build: plan.base, onto: plan.base, signed: build },
  ...{ case: id, commits: plan.commits, changes: plan.changes, srpms },
});

/** No later build may lose the fix. */
async function remember(forward: Forward, build: string, fix: CaseToRelease | undefined): Promise<void> {
  if (!fix) return;
  const { case: id, advisories } = fix;
  const what = { case: id, advisories: advisories.map((one) => one.id), cves: cvesOf(advisories), build };
  await forward.step('record-fix', 'Remember what it fixes', (call, args) =>
    control.recordFix.executeWithOptions(call, [{ ...args, ...what }]),
  );
}

async function push(chain: Chain, with_: Release): Promise<void> {
  const size = (value: { files: number; newBytes: number }) =>
    `${value.files} files, ${(value.newBytes / 2 ** 20).toFixed(1)} MiB`;
  await chain.step(
    'push-repo',
    'Push objects',
    (call, args) => publish.pushReleaseRepo.executeWithOptions(call, [{ ...args, ...with_ }]),
    size,
  );
  shownRepo(chain, with_, 'pushed');
  await chain.step(
    'push-files',
    'Push images, checksums, signatures and documents',
    (call, args) => publish.pushReleaseFiles.executeWithOptions(call, [{ ...args, ...with_ }]),
    size,
  );
  shown(chain, with_, 'pushed', 'pushed');
}

async function undo(chain: Chain, with_: Release): Promise<void> {
  await chain.step('undo', 'Remove what was pushed; readers stay on the former release', (call, args) =>
    publish.undoRelease.executeWithOptions(call, [{ ...args, ...with_ }]),
  );
  shown(chain, with_, 'undone', 'undone');
}

/** A switch of two targets is not over before readers are known to have the former release at both. */
async function undoBoth(chain: Chain, forward: Forward, with_: Release): Promise<void> {
  forward.state = 'not released';
  await forward.insist('undo', async () => {
    await undo(chain, with_);
    await chain.step('verify-undone', 'Do readers have the former release at both?', (call, args) =>
      publish.verifyUndone.executeWithOptions(call, [{ ...args, ...with_ }]),
    );
  });
  shown(chain, with_, 'undone, verified', 'undone, verified');
}

/** The point of no return. If the switch itself fails, readers are returned to the former release. */
async function switchOver(chain: Chain, forward: Forward, with_: Release): Promise<void> {
  const both = with_.accepted !== undefined;
  chain.phase('switch');
  try {
    const title = both ? 'Switch cloud, then mirror' : 'Switch ref and summary';
    await chain.step('switch', `${title}: the point of no return`, (call, args) =>
      publish.switchRelease.executeWithOptions(
        both ? { ...call, scheduleToCloseTimeout: switchPatience } : call,
        [{ ...args, ...with_ }],
      ),
    );
  } catch (error) {
    if (both) await forward.finish(() => undoBoth(chain, forward, with_));
    else await undo(chain, with_);
    throw error;
  }
  if (both) shown(chain, with_, 'switched', 'switched');
  else chain.target({ repo: 'switched' });
}

async function afterSwitch(chain: Chain, forward: Forward, with_: Release, plan: ReleasePlan): Promise<void> {
  const metadata = async (again: string) => {
    await forward.step(`metadata${again}`, 'Publish metadata and pages, releases.json last', (call, args) =>
      publish.releaseMetadata.executeWithOptions(call, [{ ...args, ...with_, commits: plan.commits }]),
    );
    chain.target({ metadata: 'published' });
  };
  chain.phase('metadata');
  await metadata('');
  for (let round = 1; ; round++) {
    chain.phase('drift check');
    const again = round === 1 ? '' : `-${round}`;
    const drift = await forward.step(
      `drift${again}`,
      'Is what readers get what was released?',
      (call, args) => publish.checkDrift.executeWithOptions(call, [{ ...args, ...with_ }]),
      (found) => (found.length === 0 ? 'yes' : found.join('; ')),
    );
    const state = drift.length === 0 ? 'verified' : 'differs';
    shown(chain, with_, state, state);
    chain.target({ metadata: state });
    if (drift.length === 0) return;
    if (round > maxRepairs) await forward.person('drift', drift.join('; '));
    chain.phase('repair');
    await forward.step(`repair${again}`, 'Push again what differs', async (call, args) => {
      await publish.repairRelease.executeWithOptions(call, [{ ...args, ...with_ }]);
    });
    await metadata(`-${round + 1}`);
  }
}

/** Waits until enough mirrors of the mirror serve the release; a person's `retry` goes on without them. */
async function mirrorsFollow(
  chain: Chain,
  forward: Forward,
  { mirrors: needed }: ReleasePlan,
): Promise<void> {
  if (needed === undefined) return;
  chain.phase('mirrors');
  forward.forgetRetry();
  await forward.step(
    'mirrors',
    'Wait until enough mirrors serve the release',
    async (call, args) => {
      for (let look = 1; ; look++) {
        const { serving, behind } = await publish.checkMirrors.executeWithOptions(call, [args]);
        const state = `${serving.length} of ${needed} serve it${behind.length > 0 ? `; behind: ${behind.join(', ')}` : ''}`;
        chain.target({ mirrors: state });
        if (serving.length >= needed) return state;
        if (look === looksUntilTold) await forward.tell('mirrors', state);
        const pause = Math.min(firstLook * 2 ** Math.min(look - 1, 20), lastLook);
        if (await forward.retriedWithin(look < looksUntilAsked ? pause : undefined))
          return `went on without: ${state}`;
      }
    },
    (state) => state,
  );
}

/** Tells the world, once. May wait for a person's go. */
async function announce(
  chain: Chain,
  forward: Forward,
  { build, onto }: Release,
  plan: ReleasePlan,
  goes: readonly Approval[],
): Promise<void> {
  if (plan.hold) await mayGo(chain, forward, { decision: 'announce', build, onto }, goes);
  chain.phase('announce');
  const { mail } = await forward.step(
    'announce',
    'Announce the release',
    async (call, args) => {
      if (forward.mail !== undefined)
        await publish.resolveMail.executeWithOptions({ summary: 'Was the mail sent?' }, [
          { ...args, build, mail: forward.mail },
        ]);
      return publish.announce.executeWithOptions(call, [{ ...args, build }]);
    },
    (told) => `mail ${told.mail}${told.webhook ? ', webhook told' : ''}`,
  );
  chain.target({ announcement: mail });
}

/** Waits until enough approvers have let the announcement go; each one's statement is looked at when it comes. */
async function mayGo(
  chain: Chain,
  forward: Forward,
  question: Pick<ReleaseArgs, 'build' | 'onto'> & { decision: 'announce' },
  goes: readonly Approval[],
): Promise<void> {
  chain.phase('announcement held');
  for (let seen = 0; ;) {
    await forward.wait(() => goes.length > seen);
    seen = goes.length;
    try {
      await control.authorize.executeWithOptions({ summary: 'May the announcement go?' }, [
        { stream: chain.stream, run: chain.run, step: 'go', ...question },
      ]);
      return;
    } catch (error) {
      if (describeFailure(error).code !== 'StatementRefused')
        await forward.person('go', describeFailure(error).message);
    }
  }
}

/** Steps after the point of no return: they never fail the workflow; one that cannot go on waits for a person. */
class Forward {
  #retry = false;
  stopped = false;
  mail: 'sent' | 'again' | undefined;
  /** Where readers are, in what the SIG is told. */
  state: 'released' | 'not released' = 'released';
  readonly #told = new Set<string>();

  constructor(
    readonly chain: Chain,
    readonly build: string,
  ) {
    setHandler(retrySignal, ({ mail }) => {
      this.#retry = true;
      this.mail = mail;
    });
    setHandler(stopSignal, () => void (this.stopped = true));
  }

  async step<T>(
    id: string,
    title: string,
    call: (call: StepCall, args: StepArgs) => Promise<T>,
    result?: (value: T) => string,
  ): Promise<T> {
    return this.insist(id, () => {
      if (this.stopped) throw new Stopped();
      return this.chain.step(id, title, call, result);
    });
  }

  /** Until it is done, or the SIG stops it. */
  async insist<T>(id: string, body: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await body();
      } catch (error) {
        if (error instanceof Stopped) throw error;
        const { code, message } = describeFailure(error);
        await this.person(id, `${code}: ${message}`);
      }
    }
  }

  /** Waits for a person's retry; the SIG is told once per reason. */
  async person(step: string, why: string): Promise<void> {
    // From here on one is seen waiting: a retry that comes while the SIG is still being told counts.
    this.#retry = false;
    this.chain.phase(`waits for a person: ${step}`);
    await this.tell(step, why);
    await this.wait(() => this.#retry);
  }

  /** Tells the SIG why a step cannot go on, once per reason. */
  async tell(step: string, why: string): Promise<void> {
    if (this.#told.has(`${step} ${why}`)) return;
    this.#told.add(`${step} ${why}`);
    const text = `${this.chain.stream} ${this.build}: ${this.state}, but step ${step} cannot go on: ${why}`;
    const told = {
      key: `${this.chain.run}-${step}-${this.#told.size}`,
      event: 'stuck',
      subject: text,
      text,
    };
    await publish.tellSig
      .executeWithOptions({ summary: 'Tell the SIG', retry: { maximumAttempts: 5 } }, [
        { stream: this.chain.stream, run: this.chain.run, step: 'tell-sig', ...told, build: this.build },
      ])
      .catch(() => undefined);
  }

  /** One that came for an earlier step says nothing of the next. */
  forgetRetry(): void {
    this.#retry = false;
  }

  /** Has a person's retry come, or does it within so many milliseconds? Without a time it is waited for. */
  async retriedWithin(milliseconds: number | undefined): Promise<boolean> {
    if (milliseconds === undefined) await this.wait(() => this.#retry);
    else await condition(() => this.#retry || this.stopped, milliseconds);
    if (this.stopped) throw new Stopped();
    return this.#retry;
  }

  async wait(until: () => boolean): Promise<void> {
    await condition(() => until() || this.stopped);
    if (this.stopped) throw new Stopped();
  }

  /** Runs a part until its end, or until the SIG stops it. */
  async finish(part: () => Promise<void>): Promise<void> {
    try {
      await part();
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
    }
  }
}

/** Not a failure: the SIG has decided to go back. */
class Stopped extends Error {}

async function finish(
  chain: Chain,
  outcome: 'released' | 'rolled-back' | 'failed' | 'cancelled',
  note: string | undefined,
  failure?: { code: string; message: string },
): Promise<void> {
  const extra = {
    ...(note === undefined ? {} : { note }),
    ...(failure && outcome === 'failed' ? { failure } : {}),
  };
  await control.record.executeWithOptions({ activityId: 'record', summary: 'Record the run' }, [
    chain.record(outcome, extra),
  ]);
  await publish.cleanUpRelease.executeWithOptions(
    { activityId: 'clean-up', summary: 'Remove scratch files' },
    [{ stream: chain.stream, run: chain.run }],
  );
}

export interface RollbackInput {
  readonly stream: string;
  /** The release that is taken back. */
  readonly build: string;
  /** The release to return to. */
  readonly to: string;
  readonly reason?: string | undefined;
}

/** Returns readers to a former release, by the same switch. The release that is taken back stays listed, and marked. */
export async function rollback({ stream, build, to, reason }: RollbackInput): Promise<void> {
  const chain = new Chain(stream);
  chain.built(to);
  const back = { build: to, onto: build, approvers: [] };
  const entity = getExternalWorkflowHandle(streamId(stream));
  try {
    chain.phase('verify');
    await chain.step('load', 'Read the stream file', (call, args) =>
      control.load.executeWithOptions(call, [args]),
    );
    await chain.step('authorize', 'Have enough approvers signed for it?', (call, args) =>
      control.authorize.executeWithOptions(call, [{ ...args, decision: 'rollback', build, onto: to }]),
    );
    // Runs of before there were two targets have no answer.
    const taken = (await chain.step('take', 'Check the former release’s commit', (call, args) =>
      publish.takeFormer.executeWithOptions(call, [{ ...args, ...back }]),
    )) as { split: boolean } | undefined;
    await chain.step('sign-summary', 'Sign the summary', (call, args) =>
      signing.signReleaseSummary.executeWithOptions(call, [args]),
    );
    await CancellationScope.nonCancellable(async () => {
      chain.phase('switch');
      try {
        await chain.step('switch', 'Switch ref and summary back', (call, args) =>
          publish.switchRelease.executeWithOptions(
            taken?.split ? { ...call, scheduleToCloseTimeout: switchPatience } : call,
            [{ ...args, ...back }],
          ),
        );
      } catch (error) {
        if (taken?.split) await staysBoth(chain, back);
        throw error;
      }
      await chain.step('metadata', 'Mark the release as taken back', (call, args) =>
        publish.rollbackMetadata.executeWithOptions(call, [
          { ...args, ...back, ...(reason === undefined ? {} : { reason }) },
        ]),
      );
      await finish(chain, 'rolled-back', `${build} → ${to}`);
      await entity.signal(rollbackEnded, { build, to, ...(reason === undefined ? {} : { reason }) });
    });
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      const failure = describeFailure(error);
      await finish(chain, isCancellation(error) ? 'cancelled' : 'failed', undefined, failure);
      await entity
        .signal(rollbackEnded, { build, to, failure: `${failure.code}: ${failure.message}` })
        .catch(() => undefined);
    });
    throw error;
  }
}

/** The way back has failed half-way: readers keep the release that was to be taken back, at both. */
async function staysBoth(chain: Chain, back: Release): Promise<void> {
  await chain.step('undo', 'Return both to the release that readers had', (call, args) =>
    publish.undoRollback.executeWithOptions(call, [{ ...args, ...back }]),
  );
  await chain.step('verify-undone', 'Do readers have that release at both?', (call, args) =>
    publish.verifyUndone.executeWithOptions(call, [{ ...args, ...back }]),
  );
}
