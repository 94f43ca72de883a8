/**
 * The nightly chain: from the package repos to a published, boot-tested, signed build. Read it from top to bottom; each
 * `chain.step` is one activity.
 */
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  executeChild,
  isCancellation,
  ParentClosePolicy,
} from '@temporalio/workflow';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Parent } from '../activities/compose.js';
import type { ChainPlan } from '../activities/prepare.js';
import type { ChainResult, RunRecord } from '../domain/run.js';
import type { Architecture } from '../domain/stream.js';
import { compose, composeOn, control, images, publish, signing } from './activities.js';
import { nightlyId, type NightlyInput } from './nightly-messages.js';
import { Chain, describeFailure, sideBySide, together } from './chain.js';

/** A run starts over this often when a package repo changes under it. */
const maxRounds = 3;

interface Prepared {
  readonly arch: Architecture;
  readonly hostQueue: string;
  readonly parent: Parent | undefined;
  readonly inputHash: string;
}

interface Committed extends Prepared {
  readonly commit: string;
}

export async function nightly({ stream, force = false }: NightlyInput): Promise<ChainResult> {
  const chain = new Chain(stream);
  let plan: ChainPlan | undefined;
  try {
    chain.phase('prepare');
    plan = await chain.step('load', 'Read the stream file', (call, args) =>
      control.load.executeWithOptions(call, [args]),
    );
    const result = await build(chain, plan, force);
    await finish(
      chain,
      plan,
      chain.record(
        result.outcome,
        result.build === undefined ? { note: 'no change since the last published build' } : {},
      ),
    );
    return result;
  } catch (error) {
    const record = isCancellation(error)
      ? chain.record('cancelled')
      : chain.record('failed', { failure: describeFailure(error) });
    await finish(chain, plan, record);
    throw error;
  }
}

/**
 * What a schedule starts: it gives its workflows ids with the time in them, so this one starts the nightly under the stream's own id,
 * and waits for it. A nightly that was started by hand is not joined by another.
 */
export async function scheduledNightly(input: NightlyInput): Promise<ChainResult | undefined> {
  try {
    return await executeChild(nightly, {
      workflowId: nightlyId(input.stream),
      args: [input],
      staticSummary: `Nightly of ${input.stream}`,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

async function build(chain: Chain, plan: ChainPlan, force: boolean): Promise<ChainResult> {
  const date = new Date().toISOString();
  const named = namer(plan);
  for (let round = 1; ; round++) {
    const prepared = await sideBySide(plan.architectures, (arch) => prepare(chain, named, arch));
    if (!force && prepared.every(({ parent, inputHash }) => parent?.inputHash === inputHash))
      return { outcome: 'no-change', run: chain.run, commits: {} };

    const { build } = await chain.step(
      'reserve',
      'Reserve the build id',
      (call, args) => control.reserve.executeWithOptions(call, [{ ...args, date }]),
      (value) => value.build,
    );
    chain.built(build);
    chain.phase('compose');
    const changed = await sideBySide(prepared, (host) => composeTree(chain, named, host));
    if (changed.some((repos) => repos.length > 0)) {
      if (round < maxRounds) continue;
      const repos = [...new Set(changed.flat())].join(', ');
      throw ApplicationFailure.nonRetryable(
        `changed during each of ${maxRounds} tries: ${repos}`,
        'RepoChanged',
      );
    }
    const committed = await sideBySide(prepared, (host) => commitTree(chain, named, host, build, date));
    chain.phase('images');
    await sideBySide(committed, (tree) => makeImages(chain, named, plan, tree, build));
    chain.phase('sign');
    const kinds = plan.images.map(({ kind }) => kind);
    await sideBySide(committed, ({ arch }) =>
      chain.step(named('sign-images', arch), 'Sign the images and checksums', (call, args) =>
        signing.signImages.executeWithOptions(call, [{ ...args, arch, images: kinds }]),
      ),
    );
    const commits = Object.fromEntries(committed.map(({ arch, commit }) => [arch, commit]));
    await publishBuild(chain, build, commits);
    return { outcome: 'published', run: chain.run, build, commits };
  }
}

type Named = (step: string, arch: Architecture) => string;

/** Step ids: with the architecture behind them where there are several. */
const namer =
  (plan: ChainPlan): Named =>
  (step, arch) =>
    plan.architectures.length > 1 ? `${step}-${arch}` : step;

async function prepare(chain: Chain, named: Named, arch: Architecture): Promise<Prepared> {
  const { hostQueue } = await chain.step(
    named('preflight', arch),
    'Check space, tools, keys and target',
    (call, args) => compose(arch).preflight.executeWithOptions(call, [{ ...args, arch }]),
  );
  const host = composeOn(hostQueue);
  const [parent, resolved] = await together([
    () =>
      chain.step(
        named('parent', arch),
        'Pull the last published commit',
        (call, args) => host.parent.executeWithOptions(call, [{ ...args, arch }]),
        (value) => (value ? (value.version ?? value.commit.slice(0, 12)) : 'none yet'),
      ),
    () =>
      chain.step(
        named('resolve', arch),
        'Resolve packages to a lockfile',
        (call, args) => host.resolve.executeWithOptions(call, [{ ...args, arch }]),
        (value) => `${value.packages} packages`,
      ),
  ]);
  return { arch, hostQueue, parent, inputHash: resolved.inputHash };
}

/** Makes the tree; answers the repos that have changed since the lockfile was made. */
async function composeTree(chain: Chain, named: Named, { arch, hostQueue }: Prepared): Promise<string[]> {
  const host = composeOn(hostQueue);
  try {
    await chain.step(named('download', arch), 'Fetch and verify packages', (call, args) =>
      host.download.executeWithOptions(call, [{ ...args, arch }]),
    );
    await chain.step(named('compose', arch), 'Make the tree', (call, args) =>
      host.compose.executeWithOptions(call, [{ ...args, arch }]),
    );
  } catch (error) {
    // A locked package that is gone from its repo: resolve anew.
    const failure = describeFailure(error);
    if (failure.code === 'RepoChanged') return [failure.message];
    throw error;
  }
  const { changed } = await chain.step(
    named('inputs', arch),
    'Have the package repos stayed the same?',
    (call, args) => host.inputs.executeWithOptions(call, [{ ...args, arch }]),
    (value) => (value.changed.length > 0 ? `changed: ${value.changed.join(', ')}; starting over` : 'yes'),
  );
  return changed;
}

async function commitTree(
  chain: Chain,
  named: Named,
  prepared: Prepared,
  build: string,
  date: string,
): Promise<Committed> {
  const { arch, hostQueue } = prepared;
  const parent = prepared.parent === undefined ? {} : { parent: prepared.parent.commit };
  const host = composeOn(hostQueue);
  const { commit } = await chain.step(
    named('commit', arch),
    'Commit the tree',
    (call, args) => host.commit.executeWithOptions(call, [{ ...args, ...parent, arch, build, date }]),
    (value) => value.commit.slice(0, 12),
  );
  await chain.step(
    named('diff', arch),
    'Compare packages with the parent',
    (call, args) => host.diff.executeWithOptions(call, [{ ...args, ...parent, arch, commit }]),
    (value) => (prepared.parent === undefined ? 'no parent' : `${value.changes} changed`),
  );
  await chain.step(named('sign-commit', arch), 'Sign the commit', (call, args) =>
    signing.signCommit.executeWithOptions(call, [{ ...args, arch, commit }]),
  );
  return { ...prepared, commit };
}

/** Makes the images side by side, and boots each as soon as it is made. */
async function makeImages(
  chain: Chain,
  named: Named,
  plan: ChainPlan,
  { arch, commit }: Committed,
  build: string,
): Promise<void> {
  await sideBySide(plan.images, async ({ kind, bootTest }) => {
    const image = { arch, kind, build, commit };
    await chain.step(
      named(`image-${kind}`, arch),
      `Make the ${kind} image`,
      (call, args) => images(arch).image.executeWithOptions(call, [{ ...args, ...image }]),
      (value) => `${Math.round(value.size / 2 ** 20)} MiB`,
    );
    if (!bootTest) return;
    for (let attempt = 1; ; attempt++) {
      const verdict = await chain.step(
        named(`boot-${kind}${attempt > 1 ? `-${attempt}` : ''}`, arch),
        `Boot the ${kind} image`,
        (call, args) => images(arch).boot.executeWithOptions(call, [{ ...args, ...image, attempt }]),
        (value) =>
          value.passed
            ? `${Math.round(value.seconds)} s to login${attempt > 1 ? ', flaky' : ''}`
            : `failed: ${value.reason ?? ''}`,
      );
      if (verdict.passed) break;
      if (attempt >= plan.bootAttempts)
        throw ApplicationFailure.nonRetryable(
          `${kind}: ${verdict.reason ?? 'did not boot'}`,
          'BootTestFailed',
        );
    }
  });
}

async function publishBuild(chain: Chain, build: string, commits: Record<string, string>): Promise<void> {
  const with_ = { build, commits };
  chain.phase('publish');
  await chain.step('snapshot', 'Copy the commit to the snapshot repo and check it', (call, args) =>
    publish.snapshot.executeWithOptions(call, [{ ...args, ...with_ }]),
  );
  await chain.step('sign-summary', 'Sign the summary', (call, args) =>
    signing.signSummary.executeWithOptions(call, [args]),
  );
  const size = (value: { files: number; newBytes: number }) =>
    `${value.files} files, ${(value.newBytes / 2 ** 20).toFixed(1)} MiB`;
  await chain.step(
    'push-repo',
    'Push objects',
    (call, args) => publish.pushRepo.executeWithOptions(call, [{ ...args, ...with_ }]),
    size,
  );
  await chain.step(
    'push-images',
    'Push images',
    (call, args) => publish.pushImages.executeWithOptions(call, [{ ...args, ...with_ }]),
    size,
  );
  // A short transaction: once it has begun it is ended, or readers are returned to the former build.
  await CancellationScope.nonCancellable(async () => {
    await chain.step('switch', 'Switch refs and summary', (call, args) =>
      publish.switchRefs.executeWithOptions(call, [{ ...args, ...with_ }]),
    );
    try {
      await chain.step('verify', 'Pull as an independent client', (call, args) =>
        publish.verify.executeWithOptions(call, [{ ...args, ...with_ }]),
      );
    } catch (error) {
      await chain.step('restore', 'Return readers to the former build', (call, args) =>
        publish.restoreRefs.executeWithOptions(call, [{ ...args, ...with_ }]),
      );
      throw error;
    }
    await chain.step('metadata', 'Publish metadata and pages', (call, args) =>
      publish.metadata.executeWithOptions(call, [{ ...args, ...with_, steps: chain.steps }]),
    );
  });
}

/** Whatever came of the run: it is recorded, told and its scratch folder removed. */
async function finish(chain: Chain, plan: ChainPlan | undefined, record: RunRecord): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    await control.record.executeWithOptions({ activityId: 'record', summary: 'Record the run' }, [record]);
    const run = { stream: chain.stream, run: chain.run };
    await sideBySide(plan?.architectures ?? [], (arch) =>
      compose(arch).cleanUp.executeWithOptions(
        { activityId: `clean-up-${arch}`, summary: 'Remove scratch files' },
        [run],
      ),
    );
    if (!plan) return;
    const args = { ...run, step: 'notify', record };
    // A webhook that does not answer must not turn a published build into a failed run.
    await control.notify
      .executeWithOptions(
        { activityId: 'notify', summary: 'Tell of the outcome', retry: { maximumAttempts: 3 } },
        [args],
      )
      .catch(() => undefined);
    if (record.outcome === 'published')
      await publish.prune
        .executeWithOptions({ activityId: 'prune', summary: 'Remove old builds and runs' }, [
          { ...run, step: 'prune' },
        ])
        .catch(() => undefined);
  });
}
