/** The build of a security case: what it does before there is an approval, and what not; the steps are scripted. */
import assert from 'node:assert/strict';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import type { ChainProgress, RunRecord } from '../../../src/domain/run.js';
import { workflowBundle } from '../../../src/workflows/bundle.js';
import type { FixInput, FixResult } from '../../../src/workflows/decisions/security-messages.js';
import { saveHistory } from '../../support/histories.js';
import { until } from '../../support/ports.js';
import { ScriptedChain, type Args, type Script } from '../scripted-chain.js';

const source = (name: string) => ({
  ...{ srpm: `${name}-2-1.src.rpm`, name, evra: '2-1.src', digest: `sha256:${'d'.repeat(64)}`, repo: 'r' },
  ...{ noarch: false, reused: false, why: '', wave: 0, packages: [] },
});
const [commit, baseCommit] = ['b'.repeat(64), 'a'.repeat(64)];
const base = '20261124_01';
const build = '20261124_07';
const changes = { pin: { zlib: '2-1.x86_64' }, drop: [], files: 'accepted' };
const fixes = [{ name: 'zlib', evr: '2-1', advisories: ['A-1'] }];
const srpms = { 'zlib-2-1.src.rpm': 'c'.repeat(64) };

const loaded = (rebuilds: boolean, architectures = ['x86_64']) => ({
  ...{ architectures, images: [{ kind: 'qcow2', bootTest: true }], bootAttempts: 2 },
  ...{ base, commits: { x86_64: baseCommit }, rebuilds },
});
const planned = {
  ...{ sources: [source('zlib')], accepted: 3, limit: 2, changes },
  packages: [{ name: 'zlib', from: '1-1.x86_64', to: '2-1.x86_64', why: 'fix' }],
};

/** A build of a stream with signed rebuilds in which everything goes well. */
const good: Script = {
  loadFix: () => loaded(true),
  checkKeys: () => ({ warnings: [] }),
  preflight: ({ arch }) => ({ hostQueue: `compose-${String(arch)}@test` }),
  parent: () => ({ commit: baseCommit, version: base }),
  collectSrpms: () => ({ sources: [source('given')], accepted: 0, limit: 2 }),
  planFix: () => planned,
  reserve: () => ({ build }),
  rebuildSource: () => ({ builder: 'builder', log: 'http://log' }),
  authorize: () => ({ approvers: ['Ann'] }),
  signPackages: () => ({ rebuilt: 1, accepted: 3, key: 'K' }),
  resolve: () => ({ packages: 4, inputHash: 'h' }),
  strict: () => ({ packages: 4 }),
  overrideLockfile: () => ({ packages: 4 }),
  commit: () => ({ commit }),
  checkContent: () => ({ packages: 2, entries: 9, leftOut: {}, changed: {} }),
  diff: () => ({ changes: 1 }),
  signCommit: () => ({ key: 'K' }),
  equivalence: () => ({ expected: 4, unexpected: [] }),
  image: () => ({ path: 'x', sha256: 'c'.repeat(64), size: 1 }),
  boot: () => ({ passed: true, seconds: 30, accelerator: 'tcg', log: 'boot.console.log' }),
};
const names = [
  ...Object.keys(good),
  ...[
    'download',
    'compose',
    'checkTree',
    'signImages',
    'keepFix',
    'record',
    'cleanUp',
    'notify',
    'cleanNews',
  ],
  // What would publish it.
  ...['snapshot', 'signSummary', 'pushRepo', 'pushImages', 'switchRefs', 'metadata', 'prune', 'tellSig'],
];

describe('fix workflow', function () {
  let chain: ScriptedChain;
  let calls: { name: string; args: Args }[] = [];
  let change: Script = {};

  before(async () => {
    chain = await ScriptedChain.start(names, (name, args) => {
      calls.push({ name, args });
      return (change[name] ?? good[name])?.(args);
    });
  });
  after(() => chain.close());

  async function run(
    changed: Script,
    input: Partial<FixInput> = {},
    during?: (handle: WorkflowHandle) => Promise<void>,
    history?: string,
  ): Promise<{ result?: FixResult; error?: unknown; record: RunRecord }> {
    [calls, change] = [[], changed];
    const handle = await chain.client.workflow.start('fix', {
      workflowId: `fix/test-${randomUUID()}`,
      taskQueue: 'control',
      args: [
        { stream: 'test', case: '20261124-1', attempt: 1, fixes, signed: true, embargoed: false, ...input },
      ],
    });
    await during?.(handle);
    const outcome = await handle.result().then(
      (result) => ({ result: result as FixResult }),
      (error: unknown) => ({ error }),
    );
    await Worker.runReplayHistory(
      { workflowBundle: { codePath: workflowBundle } },
      await handle.fetchHistory(),
      handle.workflowId,
    );
    if (history !== undefined)
      await saveHistory(chain.client, handle.workflowId, handle.firstExecutionRunId, history);
    const [record, ...more] = of('record');
    assert.equal(more.length, 0, 'a run is recorded once');
    return { ...outcome, record: record as unknown as RunRecord };
  }
  const of = (name: string) => calls.filter((call) => call.name === name).map(({ args }) => args);
  const order = (wanted: readonly string[]) => {
    const place = (name: string) => calls.findLastIndex((call) => call.name === name);
    assert.deepEqual(
      [...wanted].sort((a, b) => place(a) - place(b)),
      wanted,
    );
    for (const name of wanted) assert.ok(place(name) >= 0, name);
  };
  const phase = (handle: WorkflowHandle, wanted: RegExp) =>
    until(`phase ${String(wanted)}`, 30, async () =>
      wanted.test((await handle.query<ChainProgress>('progress')).phase),
    );
  const approve = (handle: WorkflowHandle) => handle.signal('approved');
  const unpublished = () => {
    for (const name of [
      'snapshot',
      'signSummary',
      'pushRepo',
      'pushImages',
      'switchRefs',
      'metadata',
      'prune',
    ])
      assert.equal(of(name).length, 0, name);
  };

  it('rebuilds before it is approved, signs after it, and keeps what it has made', async () => {
    const { result, record } = await run(
      {},
      {},
      async (handle) => {
        await phase(handle, /waits for approval/);
        assert.equal(of('rebuildSource').length, 1);
        for (const name of ['authorize', 'signPackages', 'compose']) assert.equal(of(name).length, 0, name);
        await approve(handle);
      },
      'fix-built',
    );
    assert.deepEqual(result, { build, commits: { x86_64: commit } });
    assert.deepEqual([record.outcome, record.build, record.stream], ['built', build, 'test.signed']);
    order([
      ...[
        'loadFix',
        'checkKeys',
        'planFix',
        'reserve',
        'rebuildSource',
        'authorize',
        'signPackages',
        'resolve',
      ],
      ...[
        'strict',
        'download',
        'compose',
        'commit',
        'signCommit',
        'checkTree',
        'equivalence',
        'image',
        'boot',
      ],
      ...['signImages', 'keepFix', 'cleanNews', 'record', 'notify'],
    ]);
    unpublished();
    assert.equal(of('rebuildSource')[0]?.urgent, true);
    const [asked] = of('authorize');
    const about = { decision: 'approve-fix', build: base, onto: base, case: '20261124-1', changes };
    for (const [key, value] of Object.entries({ ...about, commits: { x86_64: baseCommit } }))
      assert.deepEqual(asked?.[key], value, key);
    assert.deepEqual(of('signPackages')[0]?.fix, { case: '20261124-1', base, changes });
    assert.equal(of('commit')[0]?.parent, baseCommit);
  });

  it('rebuilds source packages that were given before it plans', async () => {
    await run({}, { srpms }, approve);
    const built = calls.filter(({ name }) => name === 'rebuildSource' || name === 'planFix');
    assert.deepEqual(
      built.map(({ name, args }) => (name === 'planFix' ? name : (args.source as { name: string }).name)),
      ['given', 'planFix', 'zlib'],
    );
    for (const name of ['collectSrpms', 'planFix', 'authorize']) assert.deepEqual(of(name)[0]?.srpms, srpms);
  });

  it('of a release by copy is composed from the overridden lockfile, and waits for nobody', async () => {
    const { record } = await run(
      { loadFix: () => loaded(false) },
      { signed: false },
      undefined,
      'fix-copied',
    );
    assert.deepEqual([record.outcome, record.stream], ['built', 'test']);
    order([
      'planFix',
      'overrideLockfile',
      'download',
      'compose',
      'commit',
      'equivalence',
      'image',
      'keepFix',
    ]);
    for (const name of ['rebuildSource', 'signPackages', 'authorize', 'checkTree', 'cleanNews'])
      assert.equal(of(name).length, 0, name);
    unpublished();
  });

  it('is told to no webhook while it is under embargo, however it ends', async () => {
    const copied = { loadFix: () => loaded(false) };
    await run(copied, { signed: false, embargoed: true });
    const commitFails = () => {
      throw ApplicationFailure.nonRetryable('no', 'CommitInvalid');
    };
    assert.deepEqual([of('notify').length, of('record').length], [0, 1]);
    const { record } = await run({ ...copied, commit: commitFails }, { signed: false, embargoed: true });
    assert.deepEqual([record.outcome, of('notify').length, of('cleanUp').length], ['failed', 0, 1]);
  });

  it('goes on by statements alone: at the approval, and where it differs', async () => {
    const refusals: string[] = [];
    const authorize = ({ decision }: Args) => {
      if (!refusals.includes(String(decision))) {
        refusals.push(String(decision));
        throw ApplicationFailure.nonRetryable('0 of 1', 'StatementRefused');
      }
      return { approvers: [] };
    };
    const equivalence = () => ({ expected: 1, unexpected: ['bash: 1-1 → 2-1'] });
    const { result } = await run({ authorize, equivalence }, {}, async (handle) => {
      for (const signal of ['approved', 'accept']) {
        await phase(handle, signal === 'approved' ? /waits for approval/ : /differs: waits/);
        await handle.signal(signal);
        const asked = signal === 'approved' ? 'approve-fix' : 'accept-fix';
        await until('the first is refused', 20, () => refusals.includes(asked));
        assert.equal(of(signal === 'approved' ? 'signPackages' : 'image').length, 0);
        await handle.signal(signal);
      }
    });
    assert.equal(result?.build, build);
    const asked = of('authorize').at(-1);
    assert.deepEqual(
      [asked?.decision, asked?.case, asked?.commits],
      ['accept-fix', '20261124-1', { x86_64: commit }],
    );
  });

  it('keeps nothing when a step fails, and says why', async () => {
    for (const [step, code] of [
      ['loadFix', 'BuildNotReleasable'],
      ['planFix', 'DepsolveFailed'],
      ['rebuildSource', 'RebuildFailed'],
      ['strict', 'LockfileDrift'],
      ['checkTree', 'TreeRefused'],
      ['boot', 'BootTestFailed'],
    ] as const) {
      const fail = () => {
        throw ApplicationFailure.nonRetryable('no', code);
      };
      const { error, record } = await run({ [step]: fail }, {}, approve);
      assert.ok(error instanceof WorkflowFailedError);
      assert.deepEqual([record.outcome, record.failure?.code], ['failed', code], step);
      assert.equal(of('keepFix').length, 0);
      unpublished();
    }
  });

  it('one approval is for all architectures: other changes on one are refused', async () => {
    const planFix = ({ arch }: Args) => ({
      ...planned,
      changes: { ...changes, pin: { zlib: `2-1.${arch === 'x86_64' ? 'x86_64' : 'noarch'}` } },
    });
    const { record } = await run({ loadFix: () => loaded(true, ['x86_64', 'aarch64']), planFix });
    assert.equal(record.failure?.code, 'DepsolveFailed');
    assert.match(record.failure.message, /aarch64: the fixes change other packages than on x86_64/);
  });

  it('is cancelled while it waits for the approval', async () => {
    const { error, record } = await run({}, {}, async (handle) => {
      await phase(handle, /waits for approval/);
      await handle.cancel();
    });
    assert.ok(error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure, String(error));
    assert.equal(record.outcome, 'cancelled');
    assert.deepEqual([of('signPackages').length, of('cleanNews').length], [0, 1]);
  });
});
