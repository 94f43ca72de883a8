/** What the nightly, the signed rebuild and a security build share: from a composed tree to a published, boot-tested, signed build. */
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Parent } from '../../activities/compose.js';
import type { ChainPlan } from '../../activities/prepare.js';
import { contentResult } from '../../domain/content.js';
import { describeBoot } from '../../domain/boot.js';
import { buildSteps as steps } from '../../domain/build-steps.js';
import type { RunRecord } from '../../domain/run.js';
import { compose, composeOn, control, images, publish, signing } from '../activities.js';
import { fewTimes } from '../call.js';
import { sideBySide, together, type ArchChain, type Chain } from './chain.js';
import { describeFailure } from '../describe.js';

/** An architecture's part of a run, on the host that has its scratch folder. */
export interface OnHost {
  readonly chain: ArchChain;
  readonly host: ReturnType<typeof composeOn>;
  readonly parent: Parent | undefined;
}
export interface Committed extends OnHost {
  readonly commit: string;
}

export const commitsOf = (trees: readonly Committed[]): Record<string, string> =>
  Object.fromEntries(trees.map(({ chain, commit }) => [chain.arch, commit]));

/** On a host that fits: the last published commit is pulled there, while `work` runs. */
export async function onHost<T>(
  chain: ArchChain,
  work: (host: OnHost['host']) => Promise<T>,
): Promise<OnHost & { readonly worked: T }> {
  const { preflight } = compose(chain.arch);
  const { hostQueue } = await chain.step('preflight', steps.preflight.title, preflight, {});
  const host = composeOn(hostQueue);
  const [parent, worked] = await together([
    () =>
      chain.step('parent', steps.parent.title, host.parent, {}, (pulled) =>
        pulled ? (pulled.version ?? pulled.commit.slice(0, 12)) : 'none yet',
      ),
    () => work(host),
  ]);
  return { chain, host, parent, worked };
}

export const resolvePackages = ({ chain, host }: Pick<OnHost, 'chain' | 'host'>) =>
  chain.step('resolve', steps.resolve.title, host.resolve, {}, ({ packages }) => `${packages} packages`);

/** Takes the next build id, or finds that of the run. */
export async function reserve(chain: Chain, date: string): Promise<string> {
  const id = ({ build }: { build: string }) => build;
  const { build } = await chain.step('reserve', steps.reserve.title, control.reserve, { date }, id);
  chain.built(build);
  return build;
}

/** The tree, from the packages of the lockfile. */
export async function makeTree(place: OnHost): Promise<void> {
  const { chain, host } = place;
  await chain.step('download', steps.download.title, host.download, {});
  await chain.step('compose', steps.compose.title, host.compose, parentOf(place));
}

/** The parent commit, as an input of steps. */
const parentOf = ({ parent }: OnHost) => (parent === undefined ? {} : { parent: parent.commit });

export async function commitTree(prepared: OnHost, build: string, date: string): Promise<Committed> {
  const { chain, host } = prepared;
  const parent = parentOf(prepared);
  const made = { ...parent, build, date };
  const { commit } = await chain.step('commit', steps.commit.title, host.commit, made, (tree) =>
    tree.commit.slice(0, 12),
  );
  const content = steps['check-content'].title;
  await chain.step('check-content', content, host.checkContent, { commit }, contentResult);
  await chain.step('diff', steps.diff.title, host.diff, { ...parent, commit }, ({ changes }) =>
    prepared.parent === undefined ? 'no parent' : `${changes} changed`,
  );
  await chain.step('sign-commit', steps['sign-commit'].title, signing.signCommit, { commit });
  return { ...prepared, commit };
}

/** Signs what was made of each architecture. */
export async function signImages(whole: Chain, plan: ChainPlan, trees: readonly Committed[]): Promise<void> {
  whole.phase('sign');
  const made = { images: plan.images.map(({ kind }) => kind) };
  await sideBySide(trees, ({ chain }) =>
    chain.step('sign-images', steps['sign-images'].title, signing.signImages, made),
  );
}

/** Makes the images side by side, and boots each as soon as it is made. */
export async function makeImages(
  plan: ChainPlan,
  { chain, commit }: Committed,
  build: string,
): Promise<void> {
  const { image: makeImage, boot } = images(chain.arch);
  await sideBySide(plan.images, async ({ kind, bootTest }) => {
    const image = { kind, build, commit };
    await chain.step(
      `image-${kind}`,
      steps.image.title(kind),
      makeImage,
      image,
      ({ size }) => `${Math.round(size / 2 ** 20)} MiB`,
    );
    if (!bootTest) return;
    for (let attempt = 1; ; attempt++) {
      const again = attempt > 1 ? `-${attempt}` : '';
      const verdict = await chain.step(
        `boot-${kind}${again}`,
        steps.boot.title(kind),
        boot,
        { ...image, attempt },
        (value) => `${value.passed && again ? 'flaky: ' : ''}${describeBoot(value)}`,
      );
      if (verdict.passed) break;
      if (attempt >= plan.bootAttempts)
        throw ApplicationFailure.nonRetryable(
          `${kind}: ${verdict.reason ?? 'did not boot'}`,
          'BootTestFailed',
          { tail: verdict.lines ?? [] },
        );
    }
  });
}

/** What a push has sent. */
export const pushedText = ({ files, newBytes }: { files: number; newBytes: number }): string =>
  `${files} files, ${(newBytes / 2 ** 20).toFixed(1)} MiB`;

export async function publishBuild(
  chain: Chain,
  build: string,
  commits: Record<string, string>,
): Promise<void> {
  const what = { build, commits };
  chain.phase('publish');
  await chain.step('snapshot', steps.snapshot.title, publish.snapshot, what);
  await chain.step('sign-summary', steps['sign-summary'].title, signing.signSummary, {});
  await chain.step('push-repo', steps['push-repo'].title, publish.pushRepo, what, pushedText);
  await chain.step('push-images', steps['push-images'].title, publish.pushImages, what, pushedText);
  // A short transaction: once it has begun it is ended, or readers are returned to the former build.
  await CancellationScope.nonCancellable(async () => {
    await chain.step('switch', steps.switch.title, publish.switchRefs, what);
    try {
      await chain.step('verify', steps.verify.title, publish.verify, what);
      await chain.step('metadata', steps.metadata.title, publish.metadata, { ...what, steps: chain.steps });
      await chain.step('compare', steps.compare.title, publish.compare, what);
    } catch (error) {
      await chain.step('restore', 'Return readers to the former build', publish.restoreRefs, what);
      throw error;
    }
  });
}

/** How a build has ended that did not fail. */
interface Ended<R> {
  readonly outcome: RunRecord['outcome'];
  readonly note?: string | undefined;
  readonly result: R;
}

/** Runs a build to its end, which is recorded, told unless it is `quiet`, and its scratch folder removed. */
export async function runBuild<R>(chain: Chain, body: () => Promise<Ended<R>>, quiet = false): Promise<R> {
  try {
    const { outcome, note, result } = await body();
    await finish(chain, chain.record(outcome, note === undefined ? {} : { note }), quiet);
    return result;
  } catch (error) {
    const record = isCancellation(error)
      ? chain.record('cancelled')
      : chain.record('failed', { failure: describeFailure(error) });
    await finish(chain, record, quiet);
    throw error;
  }
}

async function finish(chain: Chain, record: RunRecord, quiet: boolean): Promise<void> {
  const { plan, stream, run } = chain;
  await CancellationScope.nonCancellable(async () => {
    await control.record.executeWithOptions({ activityId: 'record', summary: 'Record the run' }, [record]);
    await sideBySide(plan?.architectures ?? [], (arch) =>
      compose(arch).cleanUp.executeWithOptions(
        { activityId: `clean-up-${arch}`, summary: 'Remove scratch files' },
        [{ stream, run }],
      ),
    );
    if (!plan || quiet) return;
    // A webhook that does not answer must not turn a published build into a failed run.
    const options = { activityId: 'notify', ...fewTimes };
    await chain
      .call('notify', 'Tell of the outcome', control.notify, { record }, options)
      .catch(() => undefined);
    if (record.outcome === 'published')
      await chain
        .call('prune', 'Remove old builds', publish.prune, {}, { activityId: 'prune' })
        .catch(() => undefined);
  });
}
