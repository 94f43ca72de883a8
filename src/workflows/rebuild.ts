/**
 * The signed rebuild of an accepted build: its source packages are rebuilt in reimzul, the RPMs signed, the tree composed from the
 * signed set and nothing else, compared with the accepted one, tested, and published at the testing location. Read it from top
 * to bottom. It ends there: what becomes of it is the SIG's decision, which its promotion takes in.
 */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import type { ChainPlan } from '../activities/prepare.js';
import type { SourcesToBuild } from '../activities/rebuild.js';
import { signedName } from '../domain/lines.js';
import type { Architecture } from '../domain/stream.js';
import { composeOn, control, publish, reimzul, signing } from './activities.js';
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
} from './build.js';
import type { Committed, Named, OnHost } from './build.js';
import { Chain, describeFailure, limited, sideBySide } from './chain.js';
import {
  acceptSignal,
  rebuildNews,
  type RebuildInput,
  type RebuildNews,
  type RebuildResult,
} from './rebuild-messages.js';
import { promotionId } from './stream-messages.js';

export async function rebuild(input: RebuildInput): Promise<RebuildResult> {
  const { stream, build: accepted, attempt } = input;
  const chain = new Chain(signedName(stream));
  const acceptance = new Acceptance();
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

/** What builders say from now on is of no use to this run. */
const forgetNews = (chain: Chain) =>
  CancellationScope.nonCancellable(() =>
    reimzul.cleanNews
      .executeWithOptions({ summary: 'Forget the builders’ news', retry: { maximumAttempts: 3 } }, [
        { stream: chain.stream, run: chain.run, step: 'clean-news' },
      ])
      .catch(() => undefined),
  );

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
  const { warnings } = await chain.step(
    'keys',
    'Check the signing keys',
    (call, args) => signing.checkKeys.executeWithOptions(call, [args]),
    (found) => found.warnings.join('; '),
  );
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
  acceptance: Acceptance,
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
    await composeSigned(chain, named, host, input);
    return commitTree(chain, named, host, build, date);
  });
  const commits = Object.fromEntries(committed.map(({ arch, commit }) => [arch, commit]));
  const unexpected = (await sideBySide(committed, (tree) => compare(chain, named, tree))).flat();
  if (unexpected.length > 0) {
    const note = `${unexpected.length} unexpected differences: ${unexpected.slice(0, 5).join('; ')}`;
    await tell({ state: 'differs', build, commits, note });
    await acceptance.wait(chain, input, commits, () => tell({ state: 'differs', build, commits, note }));
  }
  chain.phase('images');
  await sideBySide(committed, (tree) => makeImages(chain, named, plan, tree, build));
  await signImages(chain, named, plan, committed);
  await publishBuild(chain, build, commits);
  return { build, commits };
}

interface Collected extends OnHost, SourcesToBuild {}

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

/** Wave by wave, and so many side by side as the stream allows. */
async function rebuildSources(
  chain: Chain,
  named: Named,
  { arch, sources, limit }: Collected,
): Promise<void> {
  const fresh = sources.filter(({ reused }) => !reused);
  let done = 0;
  const waves = [...new Set(fresh.map(({ wave }) => wave))].sort((a, b) => a - b);
  for (const wave of waves)
    await limited(
      limit,
      fresh.filter((source) => source.wave === wave),
      async (source) => {
        const name = source.srpm.replace(/\.src\.rpm$/, '');
        await chain.step(
          named(`rebuild-${name}`, arch),
          `Rebuild ${name}`,
          (call, args) => reimzul.rebuildSource.executeWithOptions(call, [{ ...args, arch, source }]),
          (built) => `on ${built.builder}: ${built.log}`,
        );
        chain.phase(
          `rebuild: ${++done} of ${fresh.length} packages${waves.length > 1 ? `, wave ${wave + 1}` : ''}`,
        );
      },
    );
}

/** The tree, from the signed set and nothing else. */
async function composeSigned(
  chain: Chain,
  named: Named,
  collected: Collected,
  { build, onto, attempt, kind, reuse, changes }: RebuildInput,
): Promise<void> {
  const { arch, hostQueue } = collected;
  const host = composeOn(hostQueue);
  await chain.step(named('sign-packages', arch), 'Verify and sign the rebuilt packages', (call, args) =>
    signing.signPackages.executeWithOptions(call, [
      { ...args, arch, build, onto, attempt, kind, reuse, changes },
    ]),
  );
  await resolvePackages(chain, named, arch, host);
  await chain.step(named('strict', arch), 'Are they the accepted ones?', (call, args) =>
    host.strict.executeWithOptions(call, [{ ...args, arch }]),
  );
  await makeTree(chain, named, collected);
}

/** Checks the tree, and compares it with the accepted one; answers what nobody expected. */
async function compare(
  chain: Chain,
  named: Named,
  { arch, hostQueue, commit }: Committed,
): Promise<readonly string[]> {
  const host = composeOn(hostQueue);
  await chain.step(
    named('check-tree', arch),
    'Check signatures and update source of the tree',
    (call, args) => host.checkTree.executeWithOptions(call, [{ ...args, arch, commit }]),
  );
  const { unexpected } = await chain.step(
    named('equivalence', arch),
    'Compare the tree with the accepted one',
    (call, args) => host.equivalence.executeWithOptions(call, [{ ...args, arch, commit }]),
    (found) => `${found.expected} expected differences, ${found.unexpected.length} others`,
  );
  return unexpected;
}

/** The SIG's acceptance of differences, by statements alone: the signal only says that it is worth looking. */
class Acceptance {
  #asked = 0;
  constructor() {
    setHandler(acceptSignal, () => {
      this.#asked++;
    });
  }

  async wait(
    chain: Chain,
    { build: accepted, attempt, onto }: RebuildInput,
    commits: Readonly<Record<string, string>>,
    refused: () => Promise<void>,
  ): Promise<void> {
    chain.phase('differs: waits for the SIG');
    const question = { decision: 'accept', build: accepted, attempt, onto, commits } as const;
    for (let seen = 0; ;) {
      await condition(() => this.#asked > seen);
      seen = this.#asked;
      try {
        await control.authorize.executeWithOptions({ summary: 'Are the differences accepted?' }, [
          { stream: chain.stream, run: chain.run, step: 'accept', ...question },
        ]);
        return;
      } catch (error) {
        if (describeFailure(error).code !== 'StatementRefused') throw error;
        await refused();
      }
    }
  }
}
