/** The signed rebuild's own decisions, on a real server with a real worker; the steps are scripted, so each path is quick. */
import assert from 'node:assert/strict';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChainProgress, RunRecord } from '../../../src/domain/run.js';
import { workflowBundle } from '../../../src/workflows/bundle.js';
import type { RebuildInput, RebuildResult } from '../../../src/workflows/chains/rebuild-messages.js';
import { saveHistory } from '../../support/histories.js';
import { until } from '../../support/ports.js';
import { ScriptedChain, type Args, type Script } from '../scripted-chain.js';

const source = (name: string, more: object = {}) => ({
  ...{ srpm: `${name}-1-1.src.rpm`, name, evra: '1-1.src', digest: `sha256:${'d'.repeat(64)}`, repo: 'r' },
  ...{ noarch: false, reused: false, why: '', wave: 0, packages: [], ...more },
});
const commit = 'b'.repeat(64);
const accepted = '20261124_01';
const signed = '20261124_02';

/** A rebuild in which everything goes well. */
const good: Script = {
  loadSigned: () => ({ architectures: ['x86_64'], images: [{ kind: 'qcow2', bootTest: true }], bootAttempts: 2 }), // prettier-ignore
  authorize: () => ({ approvers: ['Ann', 'Bob'] }),
  checkKeys: () => ({ warnings: [] }),
  preflight: () => ({ hostQueue: 'compose-x86_64@test' }),
  parent: () => undefined,
  collect: () => ({ sources: [source('a'), source('b')], accepted: 3, limit: 2 }),
  reserve: () => ({ build: signed }),
  rebuildSource: () => ({ builder: 'builder', log: 'http://log' }),
  signPackages: () => ({ rebuilt: 2, accepted: 3, key: 'K' }),
  resolve: () => ({ packages: 5, inputHash: 'h' }),
  strict: () => ({ packages: 5 }),
  commit: () => ({ commit }),
  checkContent: () => ({ packages: 2, entries: 9, leftOut: {}, changed: {} }),
  diff: () => ({ changes: 2 }),
  signCommit: () => ({ key: 'K' }),
  equivalence: () => ({ expected: 4, unexpected: [] }),
  image: () => ({ path: 'x', sha256: 'c'.repeat(64), size: 1 }),
  boot: () => ({ passed: true, seconds: 30, accelerator: 'tcg', log: 'boot.console.log' }),
  pushRepo: () => ({ files: 1, newBytes: 1, sentBytes: 1 }),
  pushImages: () => ({ files: 1, newBytes: 1, sentBytes: 1 }),
};
const names = [
  ...Object.keys(good),
  ...['download', 'compose', 'checkTree', 'signImages', 'snapshot', 'signSummary', 'switchRefs', 'verify'],
  ...['restoreRefs', 'metadata', 'compare', 'record', 'cleanUp', 'notify', 'prune', 'cleanNews', 'tellSig'],
];

describe('rebuild workflow', function () {
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

  interface Ran {
    readonly result?: RebuildResult;
    readonly error?: unknown;
    readonly record: RunRecord;
  }

  async function run(
    changed: Script,
    input: Partial<RebuildInput> = {},
    during?: (handle: WorkflowHandle) => Promise<void>,
    history?: string,
  ): Promise<Ran> {
    [calls, change] = [[], changed];
    const handle = await chain.client.workflow.start('rebuild', {
      workflowId: `rebuild/test-${randomUUID()}`,
      taskQueue: 'control',
      args: [
        {
          stream: 'test',
          build: accepted,
          attempt: 1,
          since: 1,
          kind: 'first',
          onto: null,
          reuse: false,
          ...input,
        },
      ],
    });
    await during?.(handle);
    const outcome = await handle.result().then(
      (result) => ({ result: result as RebuildResult }),
      (error: unknown) => ({ error }),
    );
    // Every run of every test replays: a change that breaks running workflows is seen here.
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
  const order = (wanted: readonly string[]) =>
    assert.deepEqual(
      [...wanted].sort(
        (a, b) =>
          calls.findLastIndex(({ name }) => name === a) - calls.findLastIndex(({ name }) => name === b),
      ),
      wanted,
    );
  const phase = (handle: WorkflowHandle, wanted: RegExp) =>
    until(`phase ${String(wanted)}`, 30, async () =>
      wanted.test((await handle.query<ChainProgress>('progress')).phase),
    );
  const failureOf = (error: unknown) => {
    assert.ok(error instanceof WorkflowFailedError, String(error));
    const cause = error.cause?.cause ?? error.cause;
    return cause instanceof ApplicationFailure ? cause.type : cause?.constructor.name;
  };

  it('signs only what was rebuilt, composes only what was signed, and offers only what was compared', async () => {
    const { result, record } = await run({}, {}, undefined, 'rebuild-published');
    assert.deepEqual(result, { build: signed, commits: { x86_64: commit } });
    assert.deepEqual([record.outcome, record.build], ['published', signed]);
    order([
      ...[
        'authorize',
        'checkKeys',
        'collect',
        'reserve',
        'rebuildSource',
        'signPackages',
        'resolve',
        'strict',
      ],
      ...['download', 'compose', 'commit', 'signCommit', 'checkTree', 'equivalence', 'image', 'boot'],
      ...['signImages', 'snapshot', 'switchRefs', 'verify', 'metadata', 'compare', 'cleanNews', 'record'],
    ]);
    // Its own line, and the statements on the accepted build.
    assert.equal(of('metadata')[0]?.stream, 'test.signed');
    assert.deepEqual(
      of('authorize').map(({ decision, build, begun }) => [decision, build, begun]),
      [['promote', accepted, true]],
    );
  });

  it('asks for the decision about the attempt before, and hands it to the signing role', async () => {
    const changes = { pin: { netbase: '6-1.noarch' }, drop: [], files: 'current' } as const;
    await run({}, { attempt: 3, kind: 'rework', reuse: true, changes: { ...changes, drop: [] } });
    const [, again] = of('authorize');
    const wanted = { decision: 'rework', build: accepted, attempt: 2, reuse: true, changes };
    for (const [key, value] of Object.entries(wanted)) assert.deepEqual(again?.[key], value, key);
    const [signs] = of('signPackages');
    assert.deepEqual([signs?.attempt, signs?.kind, signs?.changes], [3, 'rework', changes]);
  });

  it('rebuilds wave after wave, so many at a time, and none that is reused', async () => {
    let [now, most] = [0, 0];
    const sources = [
      ...[source('a'), source('b'), source('c'), source('kept', { reused: true })],
      source('later', { wave: 1 }),
    ];
    await run({
      collect: () => ({ sources, accepted: 0, limit: 2 }),
      rebuildSource: async () => {
        most = Math.max(most, ++now);
        await sleep(200);
        now--;
        return { builder: 'builder', log: '' };
      },
    });
    assert.equal(most, 2);
    const built = of('rebuildSource').map((args) => (args.source as { name: string }).name);
    assert.deepEqual([...built].sort(), ['a', 'b', 'c', 'later']);
    assert.equal(built.at(-1), 'later');
  });

  it('waits for the SIG where the tree differs, and goes on by statements alone', async () => {
    let refusals = 0;
    const differs = { equivalence: () => ({ expected: 1, unexpected: ['/usr/bin/x: added'] }) };
    const authorize = ({ decision }: Args) => {
      if (decision === 'accept' && refusals++ === 0)
        throw ApplicationFailure.nonRetryable('0 of 1', 'StatementRefused');
      return { approvers: [] };
    };
    const { result } = await run(
      { ...differs, authorize },
      {},
      async (handle) => {
        await phase(handle, /waits for the SIG/);
        assert.equal(of('image').length, 0, 'nothing is made of it before');
        await handle.signal('accept');
        await until('the first is refused', 20, () => refusals === 1);
        assert.equal(of('image').length, 0);
        await handle.signal('accept');
      },
      'rebuild-accepted',
    );
    assert.equal(result?.build, signed);
    const asked = of('authorize').at(-1);
    assert.deepEqual([asked?.decision, asked?.commits], ['accept', { x86_64: commit }]);
  });

  it('publishes while no other rebuild of the line does, and leaves no lock behind when it dies', async () => {
    const [reached, open] = [new Map<string, () => void>(), new Map<string, () => void>()];
    const arrivals = ['one', 'two', 'three'].map(
      (run) => new Promise<void>((resolve) => reached.set(run, resolve)),
    );
    const byRun = new Map<string, string>();
    const inside: string[] = [];
    let most = 0;
    change = {
      snapshot: async ({ run }: Args) => {
        const name = byRun.get(String(run)) ?? '';
        most = Math.max(most, inside.push(name));
        reached.get(name)?.();
        await new Promise<void>((resolve) => open.set(name, resolve));
      },
      compare: () => void inside.pop(),
    };
    const begin = async (name: string) => {
      const handle = await chain.client.workflow.start('rebuild', {
        workflowId: `rebuild/test-${randomUUID()}`,
        taskQueue: 'control',
        args: [
          { stream: 'test', build: accepted, attempt: 1, since: 1, kind: 'first', onto: null, reuse: false },
        ],
      });
      byRun.set(handle.firstExecutionRunId, name);
      return handle;
    };
    const phase = (handle: WorkflowHandle) =>
      handle.query<{ phase: string }>('progress').then((progress) => progress.phase);
    const first = await begin('one');
    await arrivals[0];
    const second = await begin('two');
    await until('it waits', 60, async () => /another build is being published/.test(await phase(second)));
    open.get('one')?.();
    await first.result();
    await arrivals[1];
    const third = await begin('three');
    await until('it waits', 60, async () => /another build is being published/.test(await phase(third)));
    // Nobody ends the turn of one that is terminated.
    await second.terminate();
    inside.pop();
    open.get('two')?.();
    await arrivals[2];
    open.get('three')?.();
    await third.result();
    assert.equal(most, 1);
  });

  it('publishes nothing when a step fails, and records why', async () => {
    for (const [step, code] of [
      ['authorize', 'StatementRefused'],
      ['rebuildSource', 'RebuildFailed'],
      ['signPackages', 'RebuildWrong'],
      ['strict', 'LockfileDrift'],
      ['checkTree', 'TreeRefused'],
    ] as const) {
      const fail = () => {
        throw ApplicationFailure.nonRetryable('no', code);
      };
      const { error, record } = await run({ [step]: fail });
      assert.equal(failureOf(error), code);
      assert.deepEqual([record.outcome, record.failure?.code], ['failed', code]);
      for (const after of ['image', 'pushRepo', 'switchRefs', 'metadata'])
        assert.equal(of(after).length, 0, `${step}: ${after}`);
      assert.equal(of('cleanUp').length, step === 'authorize' ? 0 : 1);
    }
  });

  it('is cancelled while it waits for the SIG, and forgets what builders say', async () => {
    const differs = { equivalence: () => ({ expected: 1, unexpected: ['/usr/bin/x: added'] }) };
    const { error, record } = await run(differs, {}, async (handle) => {
      await phase(handle, /waits for the SIG/);
      await handle.cancel();
    });
    assert.ok(error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure, String(error));
    assert.equal(record.outcome, 'cancelled');
    assert.equal(of('cleanNews').length, 1);
  });

  it('tells the SIG of a key that expires soon, and goes on', async () => {
    const { result } = await run({ checkKeys: () => ({ warnings: ['the key K expires'] }) });
    assert.equal(result?.build, signed);
    const [told] = of('tellSig');
    assert.deepEqual([told?.stream, told?.event], ['test', 'key-expires']);
  });
});
