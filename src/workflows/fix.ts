/**
 * The build of a security case: the release of now with the fixed packages and what these strictly need, nothing else. It is rebuilt,
 * composed, compared with that release and tested as any build, and then kept in the build store alone: nothing of it is published
 * before its release. Read it from top to bottom. What can be done without an approval is done before there is one.
 */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { ChainPlan } from '../activities/prepare.js';
import { signedName } from '../domain/lines.js';
import type { FixPlan, PlannedChange } from '../domain/security.js';
import { changesText, type ReworkChanges } from '../domain/statement.js';
import type { Architecture } from '../domain/stream.js';
import { composeOn, control, publish } from './activities.js';
import { commitTree, finish, makeImages, makeTree, namer, onHost, signImages, type Named } from './build.js';
import { Chain, sideBySide } from './chain.js';
import { describeFailure } from './describe.js';
import { acceptSignal } from './rebuild-messages.js';
import {
  approvedSignal,
  fixNews,
  sayAgainSignal,
  type FixInput,
  type FixNews,
  type FixResult,
} from './security-messages.js';
import {
  checkKeys,
  compare,
  compareSigned,
  composeSigned,
  forgetNews,
  rebuildSources,
  Word,
  type Collected,
} from './signed-build.js';
import { securityId } from './stream-messages.js';

/** What is built, once it is planned. */
interface Planned {
  readonly plan: FixPlan;
  readonly hosts: readonly Collected[];
}

export async function fix(input: FixInput): Promise<FixResult> {
  const { stream, case: id, attempt, signed, embargoed } = input;
  const chain = new Chain(signed ? signedName(stream) : stream);
  const words = { approval: new Word(approvedSignal), acceptance: new Word(acceptSignal) };
  const security = getExternalWorkflowHandle(securityId(stream, id));
  let last: FixNews = { attempt, state: 'running' };
  const say = () => security.signal(fixNews, last).catch(() => undefined);
  setHandler(sayAgainSignal, () => void say());
  const tell: Tell = async (news) => {
    last = { ...last, note: undefined, ...news };
    await say();
  };
  let plan: ChainPlan | undefined;
  try {
    const loaded = await begin(chain, input);
    plan = loaded;
    const result = await make(chain, loaded, input, words, tell);
    if (signed) await forgetNews(chain);
    const note = `security case ${id}, made from ${loaded.base}`;
    await finish(chain, plan, chain.record('built', { note }), embargoed);
    await tell({ state: 'built', ...result });
    return result;
  } catch (error) {
    if (signed) await forgetNews(chain);
    const failure = describeFailure(error);
    const record = isCancellation(error) ? chain.record('cancelled') : chain.record('failed', { failure });
    await finish(chain, plan, record, embargoed);
    await CancellationScope.nonCancellable(() =>
      isCancellation(error)
        ? tell({ state: 'cancelled' })
        : tell({ state: 'failed', note: `${failure.code}: ${failure.message}` }),
    );
    throw error;
  }
}

type Tell = (news: Omit<FixNews, 'attempt'>) => Promise<void>;
type Words = Readonly<Record<'approval' | 'acceptance', Word>>;
type Loaded = Awaited<ReturnType<typeof control.loadFix>>;

async function begin(chain: Chain, { case: id, attempt }: FixInput): Promise<Loaded> {
  chain.phase('prepare');
  const loaded = await chain.step(
    'load',
    'Take the files and packages of the release',
    (call, args) => control.loadFix.executeWithOptions(call, [{ ...args, case: id, attempt }]),
    ({ base }) => base,
  );
  if (loaded.rebuilds) await checkKeys(chain);
  return loaded;
}

async function make(
  chain: Chain,
  loaded: Loaded,
  input: FixInput,
  words: Words,
  tell: Tell,
): Promise<FixResult> {
  const { case: id, srpms } = input;
  const date = new Date().toISOString();
  const named = namer(loaded);
  const { plan, hosts } = await prepare(chain, named, loaded, input);
  await tell({ state: 'running', plan });
  const { build } = await chain.step(
    'reserve',
    'Reserve the build id',
    (call, args) => control.reserve.executeWithOptions(call, [{ ...args, date }]),
    (value) => value.build,
  );
  chain.built(build);
  const { base, changes } = plan;
  const about = { build: base, onto: base } as const;
  if (loaded.rebuilds) {
    chain.phase('rebuild');
    await sideBySide(hosts, (host) => rebuildSources(chain, named, host, true));
    await approved(chain, { ...about, case: id, commits: plan.commits, changes, srpms }, words, tell);
  }
  chain.phase('compose');
  const committed = await sideBySide(hosts, async (host) => {
    if (loaded.rebuilds)
      await composeSigned(chain, named, host, {
        ...about,
        ...{ attempt: input.attempt, reuse: true, fix: { case: id, base, changes, srpms } },
      });
    else await composeOverridden(chain, named, host, id);
    return commitTree(chain, named, host, build, date);
  });
  const commits = Object.fromEntries(committed.map(({ arch, commit }) => [arch, commit]));
  const compared = await sideBySide(committed, (tree) =>
    loaded.rebuilds ? compareSigned(chain, named, tree) : compare(chain, named, tree, 'release'),
  );
  const unexpected = compared.flat();
  if (unexpected.length > 0) {
    const note = `${unexpected.length} unexpected differences: ${unexpected.slice(0, 5).join('; ')}`;
    const differs = () => tell({ state: 'differs', build, commits, note });
    await differs();
    chain.phase('differs: waits for the security group');
    const question = { decision: 'accept-fix', ...about, case: id, commits } as const;
    await words.acceptance.wait(chain, 'accept', 'Are the differences accepted?', question, differs);
    await tell({ state: 'running', build, commits });
  }
  chain.phase('images');
  await sideBySide(committed, (tree) => makeImages(chain, named, loaded, tree, build));
  await signImages(chain, named, loaded, committed);
  chain.phase('keep');
  await chain.step('keep', 'Keep the build for its release', (call, args) =>
    publish.keepFix.executeWithOptions(call, [{ ...args, case: id, build, commits, steps: chain.steps }]),
  );
  return { build, commits };
}

/** Plans the packages of each architecture; source RPMs that were given are rebuilt for that. */
async function prepare(
  chain: Chain,
  named: Named,
  { base, commits, rebuilds, architectures }: Loaded,
  { case: id, fixes, srpms }: FixInput,
): Promise<Planned> {
  const given = srpms !== undefined && Object.keys(srpms).length > 0 ? srpms : undefined;
  const planned = await sideBySide(architectures, async (arch) => {
    const { worked, ...on } = await onHost(chain, named, arch, async (host) => {
      if (given && rebuilds) await rebuildGiven(chain, named, arch, host, { id, srpms: given });
      return chain.step(
        named('plan', arch),
        'Find the packages that the fixes change',
        (call, args) => host.planFix.executeWithOptions(call, [{ ...args, arch, case: id, fixes, srpms }]),
        ({ packages }) => packages.map(changeText).join(', '),
      );
    });
    return { ...on, ...worked };
  });
  return {
    plan: { base, commits, changes: sameChanges(planned), packages: allPackages(planned) },
    hosts: planned,
  };
}

async function rebuildGiven(
  chain: Chain,
  named: Named,
  arch: Architecture,
  host: ReturnType<typeof composeOn>,
  { id, srpms }: { id: string; srpms: Readonly<Record<string, string>> },
): Promise<void> {
  const collected = await chain.step(
    named('collect', arch),
    'Take the source packages that were given',
    (call, args) => host.collectSrpms.executeWithOptions(call, [{ ...args, arch, case: id, srpms }]),
    ({ sources }) => sources.map(({ srpm }) => srpm).join(', '),
  );
  await rebuildSources(chain, named, { arch, ...collected }, true);
}

/** The tree of a release by copy: from the release's own lockfile, but for the fixes. */
async function composeOverridden(chain: Chain, named: Named, host: Collected, id: string): Promise<void> {
  const { arch, hostQueue } = host;
  await chain.step(
    named('override', arch),
    'Put the fixes into the lockfile of the release',
    (call, args) =>
      composeOn(hostQueue).overrideLockfile.executeWithOptions(call, [{ ...args, arch, case: id }]),
    ({ packages }) => `${packages} packages`,
  );
  await makeTree(chain, named, host);
}

/** Nothing is signed before enough approvers have signed for just this plan. */
async function approved(
  chain: Chain,
  about: Omit<Parameters<Word['wait']>[3], 'decision'>,
  { approval }: Words,
  tell: Tell,
): Promise<void> {
  const waits = () => tell({ state: 'waits' });
  chain.phase('waits for approval');
  if (!approval.asked) await waits();
  const question = { decision: 'approve-fix', ...about } as const;
  await approval.wait(chain, 'approve', 'Have enough approvers signed for it?', question, waits);
  await tell({ state: 'running' });
}

const changeText = ({ name, from, to }: PlannedChange) => `${name} ${from ?? 'none'} → ${to ?? 'none'}`;

/** One approval is for all architectures: what it names is the same in each. */
function sameChanges(planned: readonly { arch: Architecture; changes: ReworkChanges }[]): ReworkChanges {
  const [first] = planned;
  const other = planned.find(({ changes }) => !first || changesText(changes) !== changesText(first.changes));
  if (!first || other)
    throw ApplicationFailure.nonRetryable(
      `${other?.arch ?? ''}: the fixes change other packages than on ${first?.arch ?? ''}`,
      'DepsolveFailed',
    );
  return first.changes;
}

function allPackages(planned: readonly { packages: readonly PlannedChange[] }[]): PlannedChange[] {
  const texts = new Map<string, PlannedChange>();
  for (const change of planned.flatMap(({ packages }) => packages)) texts.set(changeText(change), change);
  return [...texts.values()];
}
