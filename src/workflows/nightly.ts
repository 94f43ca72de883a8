/**
 * The nightly chain: from the package repos to a published, boot-tested, signed build. Read it from top to bottom; each
 * `chain.step` is one activity.
 */
import {
  ChildWorkflowCancellationType,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  patched,
} from '@temporalio/workflow';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { ChainPlan } from '../activities/prepare.js';
import type { ChainResult } from '../domain/run.js';
import type { Architecture } from '../domain/stream.js';
import { composeOn, control, publish } from './activities.js';
import {
  commitTree,
  finish,
  makeImages,
  makeTree,
  namer,
  onHost,
  publishBuild,
  resolvePackages,
  signImages,
  type Named,
  type OnHost,
} from './build.js';
import { unfixedText } from './cases.js';
import { nightlyId, type NightlyInput } from './nightly-messages.js';
import { Chain, sideBySide } from './chain.js';
import { describeFailure } from './describe.js';

/** A run starts over this often when a package repo changes under it. */
const maxRounds = 3;

interface Prepared extends OnHost {
  readonly inputHash: string;
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

    if (patched('fixes'))
      await sideBySide(plan.architectures, (arch) => lookForLostFixes(chain, named, arch));
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
    await signImages(chain, named, plan, committed);
    const commits = Object.fromEntries(committed.map(({ arch, commit }) => [arch, commit]));
    await publishBuild(chain, build, commits);
    return { outcome: 'published', run: chain.run, build, commits };
  }
}

/** Has a package repo lost a fix that a security release has brought? It is shown and told; the build goes on. */
async function lookForLostFixes(chain: Chain, named: Named, arch: Architecture): Promise<void> {
  const lacks = await chain
    .step(
      named('fixes', arch),
      'Does it have all released fixes?',
      (call, args) => control.lackingInRun.executeWithOptions({ ...call, ...shortly }, [{ ...args, arch }]),
      (found) => (found.length === 0 ? 'yes' : unfixedText(found)),
    )
    .catch(unlessCancelled);
  if (!lacks || lacks.length === 0) return;
  const text = `${chain.stream}: the nightly ${unfixedText(lacks)}`;
  const told = { key: `${chain.run}-${named('fixes', arch)}`, event: 'regression', subject: text, text };
  await publish.tellSig
    .executeWithOptions({ summary: 'Tell the SIG', ...shortly }, [
      { stream: chain.stream, run: chain.run, step: 'tell-sig', ...told },
    ])
    .catch(unlessCancelled);
}

/** What the build does not need is not waited for. */
const shortly = { scheduleToCloseTimeout: '5m', retry: { maximumAttempts: 3 } } as const;

function unlessCancelled(error: unknown): undefined {
  if (isCancellation(error)) throw error;
}

async function prepare(chain: Chain, named: Named, arch: Architecture): Promise<Prepared> {
  const { worked, ...host } = await onHost(chain, named, arch, (there) =>
    resolvePackages(chain, named, arch, there),
  );
  return { ...host, inputHash: worked.inputHash };
}

/** Makes the tree; answers the repos that have changed since the lockfile was made. */
async function composeTree(chain: Chain, named: Named, prepared: Prepared): Promise<string[]> {
  const { arch, hostQueue } = prepared;
  const host = composeOn(hostQueue);
  try {
    await makeTree(chain, named, prepared);
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
