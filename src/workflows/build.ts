/** What the nightly and the signed rebuild share: from a composed tree to a published, boot-tested, signed build. */
import { CancellationScope } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Parent } from '../activities/compose.js';
import type { ChainPlan } from '../activities/prepare.js';
import { contentResult } from '../domain/content.js';
import type { RunRecord } from '../domain/run.js';
import type { Architecture } from '../domain/stream.js';
import { compose, composeOn, control, images, publish, signing } from './activities.js';
import { sideBySide, together, type Chain } from './chain.js';

/** An architecture's part of a run, on the host that has its scratch folder. */
export interface OnHost {
  readonly arch: Architecture;
  readonly hostQueue: string;
  readonly parent: Parent | undefined;
}
export interface Committed extends OnHost {
  readonly commit: string;
}

export type Named = (step: string, arch: Architecture) => string;

/** Step ids: with the architecture behind them where there are several. */
export const namer =
  (plan: ChainPlan): Named =>
  (step, arch) =>
    plan.architectures.length > 1 ? `${step}-${arch}` : step;

/** On a host that fits: the last published commit is pulled there, while `work` runs. */
export async function onHost<T>(
  chain: Chain,
  named: Named,
  arch: Architecture,
  work: (host: ReturnType<typeof composeOn>) => Promise<T>,
): Promise<OnHost & { readonly worked: T }> {
  const { hostQueue } = await chain.step(
    named('preflight', arch),
    'Check space, tools, keys and target',
    (call, args) => compose(arch).preflight.executeWithOptions(call, [{ ...args, arch }]),
  );
  const host = composeOn(hostQueue);
  const [parent, worked] = await together([
    () =>
      chain.step(
        named('parent', arch),
        'Pull the last published commit',
        (call, args) => host.parent.executeWithOptions(call, [{ ...args, arch }]),
        (value) => (value ? (value.version ?? value.commit.slice(0, 12)) : 'none yet'),
      ),
    () => work(host),
  ]);
  return { arch, hostQueue, parent, worked };
}

export const resolvePackages = (
  chain: Chain,
  named: Named,
  arch: Architecture,
  host: ReturnType<typeof composeOn>,
) =>
  chain.step(
    named('resolve', arch),
    'Resolve packages to a lockfile',
    (call, args) => host.resolve.executeWithOptions(call, [{ ...args, arch }]),
    (value) => `${value.packages} packages`,
  );

/** The tree, from the packages of the lockfile. */
export async function makeTree(chain: Chain, named: Named, prepared: OnHost): Promise<void> {
  const { arch, hostQueue } = prepared;
  const host = composeOn(hostQueue);
  await chain.step(named('download', arch), 'Fetch and verify packages', (call, args) =>
    host.download.executeWithOptions(call, [{ ...args, arch }]),
  );
  await chain.step(named('compose', arch), 'Make the tree', (call, args) =>
    host.compose.executeWithOptions(call, [{ ...args, ...parentOf(prepared), arch }]),
  );
}

/** The parent commit, as an argument of steps. */
const parentOf = ({ parent }: OnHost) => (parent === undefined ? {} : { parent: parent.commit });

export async function commitTree(
  chain: Chain,
  named: Named,
  prepared: OnHost,
  build: string,
  date: string,
): Promise<Committed> {
  const { arch, hostQueue } = prepared;
  const parent = parentOf(prepared);
  const host = composeOn(hostQueue);
  const { commit } = await chain.step(
    named('commit', arch),
    'Commit the tree',
    (call, args) => host.commit.executeWithOptions(call, [{ ...args, ...parent, arch, build, date }]),
    (value) => value.commit.slice(0, 12),
  );
  await chain.step(
    named('check-content', arch),
    'Check the tree against lockfile and RPM database',
    (call, args) => host.checkContent.executeWithOptions(call, [{ ...args, arch, commit }]),
    (value) => contentResult(value),
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

/** Signs what was made of each architecture. */
export async function signImages(
  chain: Chain,
  named: Named,
  plan: ChainPlan,
  committed: readonly Committed[],
): Promise<void> {
  chain.phase('sign');
  const kinds = plan.images.map(({ kind }) => kind);
  await sideBySide(committed, ({ arch }) =>
    chain.step(named('sign-images', arch), 'Sign the images and checksums', (call, args) =>
      signing.signImages.executeWithOptions(call, [{ ...args, arch, images: kinds }]),
    ),
  );
}

/** Makes the images side by side, and boots each as soon as it is made. */
export async function makeImages(
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

export async function publishBuild(
  chain: Chain,
  build: string,
  commits: Record<string, string>,
): Promise<void> {
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

/** Whatever came of the run: it is recorded, told unless it is `quiet`, and its scratch folder removed. */
export async function finish(
  chain: Chain,
  plan: ChainPlan | undefined,
  record: RunRecord,
  quiet = false,
): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    await control.record.executeWithOptions({ activityId: 'record', summary: 'Record the run' }, [record]);
    const run = { stream: chain.stream, run: chain.run };
    await sideBySide(plan?.architectures ?? [], (arch) =>
      compose(arch).cleanUp.executeWithOptions(
        { activityId: `clean-up-${arch}`, summary: 'Remove scratch files' },
        [run],
      ),
    );
    if (!plan || quiet) return;
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
