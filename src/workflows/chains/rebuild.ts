/**
 * The signed rebuild of an accepted build: its source packages are rebuilt in reimzul, the RPMs signed, the tree composed from the
 * signed set and nothing else, compared with the accepted one, tested, and published at the testing location. Read it from top
 * to bottom. It ends there: what becomes of it is the SIG's decision, which its promotion waits for.
 */
import { CancellationScope, getExternalWorkflowHandle, isCancellation } from '@temporalio/workflow';
import type { ChainPlan } from '../../activities/prepare.js';
import { signedName } from '../../domain/lines.js';
import { control, publish } from '../activities.js';
import {
  commitsOf,
  commitTree,
  makeImages,
  onHost,
  publishBuild,
  reserve,
  runBuild,
  signImages,
} from './build.js';
import { Caller } from '../call.js';
import { Chain, sideBySide, type ArchChain } from './chain.js';
import { describeFailure } from '../describe.js';
import {
  acceptSignal,
  rebuildInput,
  rebuildNews,
  type RebuildInput,
  type RebuildNews,
  type RebuildResult,
} from './rebuild-messages.js';
import {
  ApprovalGate,
  checkKeys,
  compareSigned,
  composeSigned,
  differences,
  discardNotifications,
  rebuildSources,
  type Collected,
} from './signed-build.js';
import { publishAlone } from './publication.js';
import { promotionId } from '../decisions/stream-messages.js';
import { workflow } from '../messages.js';

export const rebuild = workflow('rebuild', rebuildInput, async (input): Promise<RebuildResult> => {
  const { stream, build: accepted, attempt } = input;
  const chain = new Chain(signedName(stream));
  const acceptance = new ApprovalGate(acceptSignal);
  const promotion = getExternalWorkflowHandle(promotionId(stream, accepted));
  const tell = (news: Omit<RebuildNews, 'attempt'>) =>
    promotion.signal(rebuildNews, { attempt, ...news }).catch(() => undefined);
  try {
    const result = await runBuild(chain, async () => {
      try {
        const plan = (chain.plan = await begin(chain, input));
        const made = await make(chain, plan, input, acceptance, tell);
        return { outcome: 'published', note: `signed rebuild of ${accepted}`, result: made };
      } finally {
        await discardNotifications(chain);
      }
    });
    await tell({ state: 'testing', ...result });
    return result;
  } catch (error) {
    const { code, message } = describeFailure(error);
    await CancellationScope.nonCancellable(() =>
      tell(isCancellation(error) ? { state: 'cancelled' } : { state: 'failed', note: `${code}: ${message}` }),
    );
    throw error;
  }
});

type Tell = (news: Omit<RebuildNews, 'attempt'>) => Promise<void>;

/** Checks the decisions and the keys before anything is built. */
async function begin(chain: Chain, input: RebuildInput): Promise<ChainPlan> {
  const { build, attempt, kind = 'first', changes, onto, reuse } = input;
  chain.phase('prepare');
  const made = { build, attempt, changes };
  const plan = await chain.step('load', 'Read the accepted build’s files', control.loadSigned, made);
  const names = ({ approvers }: { approvers: readonly string[] }) => approvers.join(', ');
  const first = { decision: 'promote', build, onto, begun: true } as const;
  await chain.step('authorize', 'Verify approvals', control.authorize, first, names);
  if (kind !== 'first') {
    const again = { decision: kind, build, onto, attempt: attempt - 1, reuse, changes } as const;
    const title = `Verify the decision on attempt ${attempt - 1}`;
    await chain.step('authorize-again', title, control.authorize, again, names);
  }
  const warnings = await checkKeys(chain);
  if (warnings.length > 0) {
    const text = `${input.stream}: ${warnings.join('; ')}`;
    const told = { key: `${chain.run}-keys`, event: 'key-expires', subject: text, text, build };
    await new Caller(input.stream, chain.run)
      .call('tell-sig', 'Tell the SIG', publish.tellSig, told, { retry: { maximumAttempts: 5 } })
      .catch(() => undefined);
  }
  return plan;
}

async function make(
  chain: Chain,
  plan: ChainPlan,
  input: RebuildInput,
  acceptance: ApprovalGate,
  tell: Tell,
): Promise<RebuildResult> {
  const { build: accepted, attempt, kind, since, reuse, changes, onto } = input;
  const date = new Date().toISOString();
  const collected = await sideBySide(plan.architectures, (arch) => collect(chain.at(arch), { reuse, since }));
  const build = await reserve(chain, date);
  await tell({ state: 'began', build });
  chain.phase('rebuild');
  await sideBySide(collected, (host) => rebuildSources(host));
  chain.phase('compose');
  const trees = await sideBySide(collected, async (host) => {
    await composeSigned(host, { build: accepted, onto, attempt, kind, reuse, changes });
    return commitTree(host, build, date);
  });
  const commits = commitsOf(trees);
  const unexpected = (await sideBySide(trees, compareSigned)).flat();
  if (unexpected.length > 0) {
    const differs = () => tell({ state: 'differs', build, commits, note: differences(unexpected) });
    await differs();
    chain.phase('differs: waits for the SIG');
    const question = { decision: 'accept', build: accepted, attempt, onto, commits } as const;
    await acceptance.wait(chain, 'accept', 'Verify that the differences are accepted', question, differs);
  }
  chain.phase('images');
  await sideBySide(trees, (tree) => makeImages(plan, tree, build));
  await signImages(chain, plan, trees);
  // Of another promotion there may be a rebuild beside this one.
  const waits = () => chain.phase('waits: another build is being published');
  await publishAlone(chain.stream, waits, () => publishBuild(chain, build, commits));
  return { build, commits };
}

async function collect(chain: ArchChain, taken: Pick<RebuildInput, 'reuse' | 'since'>): Promise<Collected> {
  const { worked, ...place } = await onHost(chain, (host) =>
    chain.step(
      'collect',
      'Collect the accepted packages and their sources',
      host.collect,
      taken,
      ({ sources, accepted }) => {
        const reused = sources.filter((source) => source.reused).length;
        return `${sources.length - reused} to rebuild, ${reused} reused, ${accepted} as accepted`;
      },
    ),
  );
  return { ...place, ...worked };
}
