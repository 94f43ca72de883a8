/**
 * The nightly chain: from the package repos to a published, boot-tested, signed build. Read it from top to bottom; each
 * `chain.step` is one activity.
 */
import {
  ChildWorkflowCancellationType,
  executeChild,
  isCancellation,
  ParentClosePolicy,
} from '@temporalio/workflow';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { ChainPlan } from '../../activities/prepare.js';
import { buildSteps as steps } from '../../domain/build-steps.js';
import type { ChainResult } from '../../domain/run.js';
import type { Lack } from '../../domain/security.js';
import { control, publish } from '../activities.js';
import {
  commitsOf,
  commitTree,
  makeImages,
  makeTree,
  onHost,
  publishBuild,
  reserve,
  resolvePackages,
  runBuild,
  signImages,
  type OnHost,
} from './build.js';
import { shortly } from '../call.js';
import { unfixedText } from '../decisions/cases.js';
import { Chain, sideBySide, type ArchChain } from './chain.js';
import { describeFailure } from '../describe.js';
import { nightlyId, nightlyInput } from './nightly-messages.js';
import { workflow } from '../messages.js';

/** A run starts over this often when a package repo changes under it. */
const maxRounds = 3;

interface Prepared extends OnHost {
  readonly inputHash: string;
}

export const nightly = workflow(
  'nightly',
  nightlyInput,
  async ({ stream, force = false }): Promise<ChainResult> => {
    const chain = new Chain(stream);
    return runBuild(chain, async () => {
      chain.phase('prepare');
      const plan = (chain.plan = await chain.step('load', steps.load.title, control.load, {}));
      const result = await build(chain, plan, force);
      const note = result.build === undefined ? 'no change since the last published build' : undefined;
      return { outcome: result.outcome, note, result };
    });
  },
);

/**
 * What a schedule starts: it gives its workflows ids with the time in them, so this one starts the nightly under the stream's own id,
 * and waits for it. A nightly that was started by hand is not joined by another.
 */
export const scheduledNightly = workflow(
  'scheduledNightly',
  nightlyInput,
  async (input): Promise<ChainResult | undefined> => {
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
  },
);

async function build(chain: Chain, plan: ChainPlan, force: boolean): Promise<ChainResult> {
  const date = new Date().toISOString();
  const places = plan.architectures.map((arch) => chain.at(arch));
  for (let round = 1; ; round++) {
    const prepared = await sideBySide(places, prepare);
    if (!force && prepared.every(({ parent, inputHash }) => parent?.inputHash === inputHash))
      return { outcome: 'no-change', run: chain.run, commits: {} };

    await sideBySide(places, checkForLostFixes);
    const build = await reserve(chain, date);
    chain.phase('compose');
    const changed = await sideBySide(prepared, composeTree);
    if (changed.some((repos) => repos.length > 0)) {
      if (round < maxRounds) continue;
      const repos = [...new Set(changed.flat())].join(', ');
      throw ApplicationFailure.nonRetryable(
        `changed during each of ${maxRounds} tries: ${repos}`,
        'RepoChanged',
      );
    }
    const trees = await sideBySide(prepared, (host) => commitTree(host, build, date));
    chain.phase('images');
    await sideBySide(trees, (tree) => makeImages(plan, tree, build));
    await signImages(chain, plan, trees);
    const commits = commitsOf(trees);
    await publishBuild(chain, build, commits);
    return { outcome: 'published', run: chain.run, build, commits };
  }
}

async function prepare(chain: ArchChain): Promise<Prepared> {
  const { worked, ...place } = await onHost(chain, (host) => resolvePackages({ chain, host }));
  return { ...place, inputHash: worked.inputHash };
}

/** Has a package repo lost a fix that a security release has brought? It is shown and told, best effort: the build goes on. */
async function checkForLostFixes(chain: ArchChain): Promise<void> {
  const found = (lacks: readonly Lack[]) => (lacks.length === 0 ? 'none' : unfixedText(lacks));
  const lacks = await chain
    .step('fixes', steps.fixes.title, control.lackingInRun, {}, found, shortly)
    .catch(unlessCancelled);
  if (!lacks || lacks.length === 0) return;
  const { whole } = chain;
  const text = `${whole.stream}: the nightly ${unfixedText(lacks)}`;
  const told = { key: `${whole.run}-fixes${chain.suffix}`, event: 'regression', subject: text, text };
  await whole.call('tell-sig', 'Tell the SIG', publish.tellSig, told, shortly).catch(unlessCancelled);
}

function unlessCancelled(error: unknown): undefined {
  if (isCancellation(error)) throw error;
}

/** Makes the tree; answers the repos that have changed since the lockfile was made. */
async function composeTree(prepared: Prepared): Promise<string[]> {
  try {
    await makeTree(prepared);
  } catch (error) {
    // A locked package that is gone from its repo: resolve again.
    const failure = describeFailure(error);
    if (failure.code === 'RepoChanged') return [failure.message];
    throw error;
  }
  const { chain, host } = prepared;
  const { changed } = await chain.step('inputs', steps.inputs.title, host.inputs, {}, (repos) =>
    repos.changed.length > 0 ? `changed: ${repos.changed.join(', ')}; starting over` : 'unchanged',
  );
  return changed;
}
