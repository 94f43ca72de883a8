/**
 * The signed rebuild of an accepted build: its source packages are rebuilt in reimzul, the RPMs signed, the tree composed from the
 * signed set and nothing else, compared with the accepted one, tested, and published at the testing location. Read it from top
 * to bottom. It ends there: what becomes of it is the SIG's decision, which its promotion takes in.
 */
import { CancellationScope, getExternalWorkflowHandle, isCancellation } from '@temporalio/workflow';
import type { ChainPlan } from '../activities/prepare.js';
import { signedName } from '../domain/lines.js';
import type { Architecture } from '../domain/stream.js';
import { control, publish } from './activities.js';
import { commitTree, finish, makeImages, namer, onHost, publishBuild, signImages } from './build.js';
import type { Named } from './build.js';
import { Chain, sideBySide } from './chain.js';
import { describeFailure } from './describe.js';
import {
  acceptSignal,
  rebuildNews,
  type RebuildInput,
  type RebuildNews,
  type RebuildResult,
} from './rebuild-messages.js';
import {
  checkKeys,
  compareSigned,
  composeSigned,
  forgetNews,
  rebuildSources,
  Word,
  type Collected,
} from './signed-build.js';
import { promotionId } from './stream-messages.js';

export async function rebuild(input: RebuildInput): Promise<RebuildResult> {
  const { stream, build: accepted, attempt } = input;
  const chain = new Chain(signedName(stream));
  const acceptance = new Word(acceptSignal);
  const promotion = getExternalWorkflowHandle(promotionId(stream, accepted));
  const tell = (news: Omit<RebuildNews, 'attempt'>) =>
    promotion.signal(rebuildNews, { attempt, ...news }).catch(() => undefined);
  let plan: ChainPlan | undefined;
  try {
    plan = await begin(chain, input);
    const result = await make(chain, plan, input, acceptance, tell);
    await forgetNews(chain);
    await finish(chain, plan, chain.record('published', { note: `signed rebuild of ${accepted}` }));
    await tell({ state: 'testing', ...result });
    return result;
  } catch (error) {
    await forgetNews(chain);
    const failure = describeFailure(error);
    const record = isCancellation(error) ? chain.record('cancelled') : chain.record('failed', { failure });
    await finish(chain, plan, record);
    await CancellationScope.nonCancellable(() =>
      isCancellation(error)
        ? tell({ state: 'cancelled' })
        : tell({ state: 'failed', note: `${failure.code}: ${failure.message}` }),
    );
    throw error;
  }
}

type Tell = (news: Omit<RebuildNews, 'attempt'>) => Promise<void>;

/** Was it decided, and are the keys good, before anything is built? */
async function begin(chain: Chain, input: RebuildInput): Promise<ChainPlan> {
  const { build, attempt, kind = 'first', changes, onto, reuse } = input;
  chain.phase('prepare');
  const plan = await chain.step('load', 'Take the accepted build’s files', (call, args) =>
    control.loadSigned.executeWithOptions(call, [{ ...args, build, attempt, changes }]),
  );
  const first = { decision: 'promote', build, onto, begun: true } as const;
  await chain.step(
    'authorize',
    'Have enough approvers signed for it?',
    (call, args) => control.authorize.executeWithOptions(call, [{ ...args, ...first }]),
    ({ approvers }) => approvers.join(', '),
  );
  if (kind !== 'first') {
    const again = { decision: kind, build, onto, attempt: attempt - 1, reuse, changes } as const;
    await chain.step(
      'authorize-again',
      `Is attempt ${attempt} decided?`,
      (call, args) => control.authorize.executeWithOptions(call, [{ ...args, ...again }]),
      ({ approvers }) => approvers.join(', '),
    );
  }
  const warnings = await checkKeys(chain);
  if (warnings.length > 0) {
    const text = `${input.stream}: ${warnings.join('; ')}`;
    const told = { key: `${chain.run}-keys`, event: 'key-expires', subject: text, text, build };
    await publish.tellSig
      .executeWithOptions({ summary: 'Tell the SIG', retry: { maximumAttempts: 5 } }, [
        { stream: input.stream, run: chain.run, step: 'tell-sig', ...told },
      ])
      .catch(() => undefined);
  }
  return plan;
}

async function make(
  chain: Chain,
  plan: ChainPlan,
  input: RebuildInput,
  acceptance: Word,
  tell: Tell,
): Promise<RebuildResult> {
  const date = new Date().toISOString();
  const named = namer(plan);
  const collected = await sideBySide(plan.architectures, (arch) => collect(chain, named, arch, input));
  const { build } = await chain.step(
    'reserve',
    'Reserve the build id',
    (call, args) => control.reserve.executeWithOptions(call, [{ ...args, date }]),
    (value) => value.build,
  );
  chain.built(build);
  await tell({ state: 'began', build });
  chain.phase('rebuild');
  await sideBySide(collected, (host) => rebuildSources(chain, named, host));
  chain.phase('compose');
  const committed = await sideBySide(collected, async (host) => {
    const { build: accepted, attempt, kind, reuse, changes, onto } = input;
    await composeSigned(chain, named, host, { build: accepted, onto, attempt, kind, reuse, changes });
    return commitTree(chain, named, host, build, date);
  });
  const commits = Object.fromEntries(committed.map(({ arch, commit }) => [arch, commit]));
  const unexpected = (await sideBySide(committed, (tree) => compareSigned(chain, named, tree))).flat();
  if (unexpected.length > 0) {
    const note = `${unexpected.length} unexpected differences: ${unexpected.slice(0, 5).join('; ')}`;
    await tell({ state: 'differs', build, commits, note });
    chain.phase('differs: waits for the SIG');
    const { build: accepted, attempt, onto } = input;
    const question = { decision: 'accept', build: accepted, attempt, onto, commits } as const;
    await acceptance.wait(chain, 'accept', 'Are the differences accepted?', question, () =>
      tell({ state: 'differs', build, commits, note }),
    );
  }
  chain.phase('images');
  await sideBySide(committed, (tree) => makeImages(chain, named, plan, tree, build));
  await signImages(chain, named, plan, committed);
  await publishBuild(chain, build, commits);
  return { build, commits };
}

async function collect(
  chain: Chain,
  named: Named,
  arch: Architecture,
  { reuse }: RebuildInput,
): Promise<Collected> {
  const { worked, ...on } = await onHost(chain, named, arch, (host) =>
    chain.step(
      named('collect', arch),
      'Collect the accepted packages and their sources',
      (call, args) => host.collect.executeWithOptions(call, [{ ...args, arch, reuse }]),
      ({ sources, accepted }) => {
        const reused = sources.filter((source) => source.reused).length;
        return `${sources.length - reused} to rebuild, ${reused} reused, ${accepted} as accepted`;
      },
    ),
  );
  return { ...on, ...worked };
}
