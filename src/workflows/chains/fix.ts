/**
 * The build of a security case: the current release with the fixed packages and what these strictly need, nothing else. It is rebuilt,
 * composed, compared with that release and tested as any build, and then kept in the build store alone: nothing of it is published
 * before its release. Read it from top to bottom. What can be done without an approval is done before there is one.
 */
import { CancellationScope, getExternalWorkflowHandle, isCancellation } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import { signedName } from '../../domain/lines.js';
import type { FixPlan, PlannedChange } from '../../domain/security.js';
import { changesText, type ReworkChanges } from '../../domain/rework-changes.js';
import { control, publish } from '../activities.js';
import {
  commitsOf,
  commitTree,
  makeImages,
  makeTree,
  onHost,
  reserve,
  runBuild,
  signImages,
  type OnHost,
} from './build.js';
import { Chain, sideBySide, type ArchChain } from './chain.js';
import { describeFailure } from '../describe.js';
import { acceptSignal } from './rebuild-messages.js';
import {
  approvedSignal,
  fixNews,
  sayAgainSignal,
  fixInput,
  type FixInput,
  type FixNews,
  type FixResult,
} from '../decisions/security-messages.js';
import {
  ApprovalGate,
  checkKeys,
  compare,
  compareSigned,
  composeSigned,
  differences,
  discardNotifications,
  rebuildSources,
  type Collected,
} from './signed-build.js';
import { securityId } from '../decisions/stream-messages.js';
import { onSignal, workflow } from '../messages.js';

/** What is built, once it is planned. */
interface Planned {
  readonly plan: FixPlan;
  readonly hosts: readonly Collected[];
}

export const fix = workflow('fix', fixInput, async (input): Promise<FixResult> => {
  const { stream, case: id, attempt, signed, embargoed } = input;
  const chain = new Chain(signed ? signedName(stream) : stream);
  const gates = { approval: new ApprovalGate(approvedSignal), acceptance: new ApprovalGate(acceptSignal) };
  const security = getExternalWorkflowHandle(securityId(stream, id));
  let last: FixNews = { attempt, state: 'running' };
  const say = () => security.signal(fixNews, last).catch(() => undefined);
  onSignal(sayAgainSignal, () => void say());
  const tell: Tell = async (news) => {
    last = { ...last, note: undefined, ...news };
    await say();
  };
  const build = async () => {
    try {
      const loaded = (chain.plan = await begin(chain, input));
      const made = await make(chain, loaded, input, gates, tell);
      return {
        outcome: 'built',
        note: `security case ${id}, made from ${loaded.base}`,
        result: made,
      } as const;
    } finally {
      if (signed) await discardNotifications(chain);
    }
  };
  try {
    const result = await runBuild(chain, build, embargoed);
    await tell({ state: 'built', ...result });
    return result;
  } catch (error) {
    const { code, message } = describeFailure(error);
    await CancellationScope.nonCancellable(() =>
      tell(isCancellation(error) ? { state: 'cancelled' } : { state: 'failed', note: `${code}: ${message}` }),
    );
    throw error;
  }
});

type Tell = (news: Omit<FixNews, 'attempt'>) => Promise<void>;
type Gates = Readonly<Record<'approval' | 'acceptance', ApprovalGate>>;
type Loaded = Awaited<ReturnType<typeof control.loadFix>>;

async function begin(chain: Chain, { case: id, attempt }: FixInput): Promise<Loaded> {
  chain.phase('prepare');
  const title = 'Read the files and packages of the release';
  const loaded = await chain.step('load', title, control.loadFix, { case: id, attempt }, ({ base }) => base);
  if (loaded.rebuilds) await checkKeys(chain);
  return loaded;
}

async function make(
  chain: Chain,
  loaded: Loaded,
  input: FixInput,
  gates: Gates,
  tell: Tell,
): Promise<FixResult> {
  const { case: id, srpms, attempt } = input;
  const { rebuilds } = loaded;
  const date = new Date().toISOString();
  const { plan, hosts } = await prepare(chain, loaded, input);
  await tell({ state: 'running', plan });
  const build = await reserve(chain, date);
  const { base, changes } = plan;
  const about = { build: base, onto: base } as const;
  if (rebuilds) {
    chain.phase('rebuild');
    await sideBySide(hosts, (host) => rebuildSources(host, urgently));
    await approved(chain, { ...about, case: id, commits: plan.commits, changes, srpms }, gates, tell);
  }
  chain.phase('compose');
  const approval = { ...about, attempt, reuse: true, fix: { case: id, base, changes, srpms } };
  const trees = await sideBySide(hosts, async (host) => {
    await (rebuilds ? composeSigned(host, approval) : composeOverridden(host, id));
    return commitTree(host, build, date);
  });
  const commits = commitsOf(trees);
  const compared = await sideBySide(trees, (tree) =>
    rebuilds ? compareSigned(tree) : compare(tree, 'release'),
  );
  const unexpected = compared.flat();
  if (unexpected.length > 0) {
    const differs = () => tell({ state: 'differs', build, commits, note: differences(unexpected) });
    await differs();
    chain.phase('differs: waits for the security group');
    const title = 'Verify that the differences are accepted';
    const question = { decision: 'accept-fix', ...about, case: id, commits } as const;
    await gates.acceptance.wait(chain, 'accept', title, question, differs);
    await tell({ state: 'running', build, commits });
  }
  chain.phase('images');
  await sideBySide(trees, (tree) => makeImages(loaded, tree, build));
  await signImages(chain, loaded, trees);
  chain.phase('keep');
  const kept = { case: id, build, commits, steps: chain.steps };
  await chain.step('keep', 'Keep the build for its release', publish.keepFix, kept);
  return { build, commits };
}

/** Security rebuilds go before reimzul’s other jobs. */
const urgently = { urgent: true } as const;

/** Plans the packages of each architecture; source RPMs that were given are rebuilt for that. */
async function prepare(
  chain: Chain,
  { base, commits, rebuilds, architectures }: Loaded,
  { case: id, fixes, srpms }: FixInput,
): Promise<Planned> {
  const given = srpms !== undefined && Object.keys(srpms).length > 0 ? srpms : undefined;
  const planned = await sideBySide(architectures, async (arch) => {
    const at = chain.at(arch);
    const { worked, ...place } = await onHost(at, async (host) => {
      if (given && rebuilds) await rebuildGiven(at, host, { case: id, srpms: given });
      return at.step(
        'plan',
        'Find the packages that the fixes change',
        host.planFix,
        { case: id, fixes, srpms },
        ({ packages }) => packages.map(changeText).join(', '),
      );
    });
    return { arch, ...place, ...worked };
  });
  return {
    plan: { base, commits, changes: sameChanges(planned), packages: allPackages(planned) },
    hosts: planned,
  };
}

async function rebuildGiven(
  chain: ArchChain,
  host: OnHost['host'],
  given: { readonly case: string; readonly srpms: Readonly<Record<string, string>> },
): Promise<void> {
  const collected = await chain.step(
    'collect',
    'Collect the given source packages',
    host.collectSrpms,
    given,
    ({ sources }) => sources.map(({ srpm }) => srpm).join(', '),
  );
  await rebuildSources({ chain, ...collected }, urgently);
}

/** The tree of a release by copy: from the release's own lockfile, but for the fixes. */
async function composeOverridden(place: Collected, id: string): Promise<void> {
  const { chain, host } = place;
  const title = 'Put the fixes into the lockfile of the release';
  await chain.step(
    'override',
    title,
    host.overrideLockfile,
    { case: id },
    (made) => `${made.packages} packages`,
  );
  await makeTree(place);
}

/** Nothing is signed before enough approvers have signed for just this plan. */
async function approved(
  chain: Chain,
  about: Omit<Parameters<ApprovalGate['wait']>[3], 'decision'>,
  { approval }: Gates,
  tell: Tell,
): Promise<void> {
  const waits = () => tell({ state: 'waits' });
  chain.phase('waits for approval');
  if (!approval.signalled) await waits();
  const question = { decision: 'approve-fix', ...about } as const;
  await approval.wait(chain, 'approve', 'Verify approvals', question, waits);
  await tell({ state: 'running' });
}

const changeText = ({ name, from, to }: PlannedChange) => `${name} ${from ?? 'none'} → ${to ?? 'none'}`;

/** One approval is for all architectures: what it names is the same in each. */
function sameChanges(planned: readonly { arch: string; changes: ReworkChanges }[]): ReworkChanges {
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
