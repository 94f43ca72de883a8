/** The nightly's own decisions, on a real server with a real worker; the steps are scripted, so each path is quick. */
import assert from 'node:assert/strict';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { WorkflowFailedError, type Client } from '@temporalio/client';
import { Context } from '@temporalio/activity';
import { Worker } from '@temporalio/worker';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { planOf } from '../../../src/activities/prepare.js';
import { planNightly } from '../../../src/cli/dry-run.js';
import type { ChainResult, RunRecord } from '../../../src/domain/run.js';
import { packageRoot, readSettings } from '../../../src/settings.js';
import { loadStream } from '../../../src/streams/load.js';
import { workflowBundle } from '../../../src/workflows/bundle.js';
import { nightlyId } from '../../../src/workflows/chains/nightly-messages.js';
import { replayRun, saveHistory } from '../../support/histories.js';
import { ScriptedChain, type Script } from '../scripted-chain.js';

/** A chain in which everything goes well; tests replace single steps. */
function goodChain(): { calls: string[]; records: RunRecord[]; script: Script } {
  const calls: string[] = [];
  const records: RunRecord[] = [];
  const script: Script = {
    load: () => ({
      architectures: ['x86_64'],
      images: [
        { kind: 'qcow2', bootTest: true },
        { kind: 'vagrant-libvirt', bootTest: false },
      ],
      bootAttempts: 2,
    }),
    preflight: () => ({ hostQueue: 'compose-x86_64@test' }),
    parent: () => ({ commit: 'a'.repeat(64), version: '20261122_01', inputHash: 'old' }),
    resolve: () => ({ packages: 3, inputHash: 'new' }),
    reserve: () => ({ build: '20261123_01' }),
    lackingInRun: () => [],
    inputs: () => ({ changed: [] }),
    commit: () => ({ commit: 'b'.repeat(64) }),
    checkContent: () => ({ packages: 2, entries: 9, leftOut: {}, changed: {} }),
    diff: () => ({ changes: 1 }),
    image: () => ({ path: 'x', sha256: 'c'.repeat(64), size: 1 }),
    boot: () => ({ passed: true, seconds: 30, accelerator: 'tcg', log: 'boot.console.log' }),
    signCommit: () => ({ key: 'K' }),
    pushRepo: () => ({ files: 1, newBytes: 1, sentBytes: 1 }),
    pushImages: () => ({ files: 1, newBytes: 1, sentBytes: 1 }),
    record: (record) => records.push(record as unknown as RunRecord),
  };
  return { calls, records, script };
}

const names = [
  'load',
  'preflight',
  'parent',
  'resolve',
  'reserve',
  'download',
  'compose',
  'inputs',
  'commit',
  'checkContent',
  'diff',
  'image',
  'boot',
  'signCommit',
  'signImages',
  'snapshot',
  'signSummary',
  'pushRepo',
  'pushImages',
  'switchRefs',
  'verify',
  'restoreRefs',
  'metadata',
  'compare',
  'record',
  'cleanUp',
  'notify',
  'prune',
  'lackingInRun',
  'tellSig',
];

/** Waits until the step is cancelled, as a long command would. */
async function hang(): Promise<never> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(), 200);
  try {
    return await context.cancelled;
  } finally {
    clearInterval(timer);
  }
}

describe('nightly workflow', function () {
  let client: Client;
  let scripted: ScriptedChain;
  /** What the steps of the running test do. */
  let chain = goodChain();
  let change: Script = {};

  before(async () => {
    scripted = await ScriptedChain.start(names, (name, args) => {
      chain.calls.push(name);
      return (change[name] ?? chain.script[name])?.(args);
    });
    client = scripted.client;
  });
  after(() => scripted.close());

  interface Ran {
    result?: ChainResult;
    error?: unknown;
    calls: string[];
    record: RunRecord;
    history: History;
  }

  async function run(
    changed: Script,
    {
      force = false,
      during,
      keep,
    }: { force?: boolean; during?: (workflowId: string) => Promise<void>; keep?: string } = {},
  ): Promise<Ran> {
    chain = goodChain();
    change = changed;
    const { calls, records } = chain;
    const workflowId = `nightly/test-${randomUUID()}`;
    const handle = await client.workflow.start('nightly', {
      workflowId,
      taskQueue: 'control',
      args: [{ stream: 'test', force }],
    });
    await during?.(workflowId);
    const outcome = await handle.result().then(
      (result) => ({ result: result as ChainResult }),
      (error: unknown) => ({ error }),
    );
    // Every run of every test replays: a change that breaks running workflows is seen here.
    const history = await replayRun(client, workflowId);
    if (keep !== undefined) await saveHistory(client, workflowId, undefined, keep);
    assert.equal(records.length, 1, 'a run is recorded once');
    return { ...outcome, calls, record: records[0]!, history };
  }

  const failureType = (error: unknown) => {
    assert.ok(error instanceof WorkflowFailedError, String(error));
    const cause = error.cause?.cause ?? error.cause;
    return cause instanceof ApplicationFailure ? cause.type : cause?.constructor.name;
  };
  const count = (calls: string[], name: string) => calls.filter((call) => call === name).length;

  it('publishes: switch, then verification, then metadata, after all images and tests', async () => {
    const { result, calls, record } = await run({}, { keep: 'nightly-published' });
    assert.equal(result?.outcome, 'published');
    assert.equal(record.outcome, 'published');
    assert.equal(record.build, '20261123_01');
    const order = [
      'commit',
      'signCommit',
      'image',
      'boot',
      'signImages',
      'snapshot',
      'signSummary',
      'pushRepo',
      'pushImages',
      'switchRefs',
      'verify',
      'metadata',
      'compare',
      'record',
      'cleanUp',
    ];
    assert.deepEqual(
      [...order].sort((a, b) => calls.lastIndexOf(a) - calls.lastIndexOf(b)),
      order,
    );
  });

  it('runs the steps that its dry run lists, under the same titles, on the same queues', async () => {
    const settings = readSettings({ TREELINE_STREAMS: join(packageRoot, 'streams') });
    const stream = await loadStream(settings, 'sample');
    const { record, history } = await run({ load: () => planOf(stream) });
    const queues = new Map(
      history.events?.map(({ activityTaskScheduledEventAttributes: scheduled }) => [
        scheduled?.activityId,
        // A host's own queue is that of its role.
        scheduled?.taskQueue?.name?.split('@')[0],
      ]),
    );
    const sorted = (steps: readonly { step: string }[]) =>
      [...steps].sort((a, b) => a.step.localeCompare(b.step));
    assert.deepEqual(
      sorted(record.steps.map(({ id, title }) => ({ step: id, title, queue: queues.get(id) }))),
      sorted(planNightly(settings, stream).map(({ commands: _, ...step }) => step)),
    );
  });

  it('stops at “no change” before an id is taken, and goes on with force', async () => {
    const unchanged: Script = { resolve: () => ({ packages: 3, inputHash: 'old' }) };
    const { result, calls, record } = await run(unchanged, { keep: 'nightly-no-change' });
    assert.equal(result?.outcome, 'no-change');
    assert.equal(record.outcome, 'no-change');
    assert.equal(count(calls, 'reserve') + count(calls, 'compose'), 0);
    assert.equal((await run(unchanged, { force: true })).result?.outcome, 'published');
  });

  it('shows and tells when it lacks a released fix, or cannot say, and goes on', async () => {
    const fails = () => {
      throw ApplicationFailure.nonRetryable('no ledger', 'CommandFailed');
    };
    const lack = {
      case: '20261122-1',
      advisories: ['A-1'],
      packages: [{ name: 'zlib', is: '1-1', fixed: '2-1' }],
    };
    for (const lackingInRun of [() => [lack], fails]) {
      const { result, calls, record } = await run({ lackingInRun, tellSig: fails });
      assert.equal(result?.outcome, 'published');
      const step = record.steps.find(({ id }) => id === 'fixes');
      if (lackingInRun === fails) assert.equal(step?.state, 'failed');
      else
        assert.equal(step?.result, 'lacks the fix of security case 20261122-1, A-1: zlib 1-1 (fixed in 2-1)');
      assert.equal(count(calls, 'tellSig'), lackingInRun === fails ? 0 : 1);
    }
  });

  it('starts over when a repo changes, keeps its id, and gives up after three rounds', async () => {
    let round = 0;
    const inputs = () => ({ changed: ++round === 1 ? ['sample'] : [] });
    const once = await run({ inputs }, { keep: 'nightly-repo-changed' });
    assert.equal(once.result?.outcome, 'published');
    assert.equal(count(once.calls, 'resolve'), 2);
    const gone = await run({
      download: () => {
        if (round++ === 1) throw ApplicationFailure.nonRetryable('netbase is gone', 'RepoChanged');
      },
    });
    assert.equal(gone.result?.outcome, 'published');
    const always = await run({ inputs: () => ({ changed: ['sample'] }) });
    assert.equal(failureType(always.error), 'RepoChanged');
    assert.equal(count(always.calls, 'resolve'), 3);
    assert.equal(count(always.calls, 'commit'), 0);
  });

  it('retries a failed boot test and says that it was flaky; fails the build when it stays so', async () => {
    const verdict = (passed: boolean) => ({
      passed,
      seconds: 1,
      accelerator: 'tcg',
      log: 'l',
      ...(passed ? {} : { reason: 'kernel panic' }),
    });
    let attempt = 0;
    const flaky = await run({ boot: () => verdict(++attempt > 1) });
    assert.equal(flaky.result?.outcome, 'published');
    assert.match(flaky.record.steps.find(({ id }) => id === 'boot-qcow2-2')?.result ?? '', /flaky/);
    const broken = await run({ boot: () => verdict(false) });
    assert.equal(failureType(broken.error), 'BootTestFailed');
    assert.equal(count(broken.calls, 'boot'), 2);
    assert.equal(count(broken.calls, 'signImages') + count(broken.calls, 'switchRefs'), 0);
    assert.deepEqual(broken.record.failure, { code: 'BootTestFailed', message: 'qcow2: kernel panic' });
  });

  it('cancels the other image when one fails, and records which step it was', async () => {
    let cancelled = false;
    const { error, record, calls } = await run({
      image: async ({ kind }) => {
        if (kind === 'qcow2') throw ApplicationFailure.nonRetryable('too small', 'ImageFailed');
        await hang().finally(() => (cancelled = true));
      },
    });
    assert.equal(failureType(error), 'ImageFailed');
    assert.ok(cancelled);
    assert.deepEqual(record.failure, { code: 'ImageFailed', message: 'too small', step: 'image-qcow2' });
    assert.equal(count(calls, 'cleanUp'), 1);
  });

  it('returns readers to the former build when the independent client fails, before metadata names the new one', async () => {
    const { error, calls } = await run({
      verify: () => {
        throw ApplicationFailure.nonRetryable('404', 'VerificationFailed');
      },
    });
    assert.equal(failureType(error), 'VerificationFailed');
    assert.deepEqual(
      calls.filter((call) => ['switchRefs', 'verify', 'restoreRefs', 'metadata'].includes(call)),
      ['switchRefs', 'verify', 'restoreRefs'],
    );
  });

  it('returns them too when they do not get what the metadata names', async () => {
    const { error, calls } = await run({
      compare: () => {
        throw ApplicationFailure.nonRetryable('404', 'VerificationFailed');
      },
    });
    assert.equal(failureType(error), 'VerificationFailed');
    assert.deepEqual(
      calls.filter((call) => ['switchRefs', 'metadata', 'compare', 'restoreRefs', 'prune'].includes(call)),
      ['switchRefs', 'metadata', 'compare', 'restoreRefs'],
    );
  });

  for (const step of ['load', 'resolve', 'compose', 'image', 'boot', 'signImages', 'pushRepo'])
    it(`cancelled during ${step}: the step has ended, the run is recorded, nothing is published`, async () => {
      let running = false;
      let ended = false;
      const { error, calls, record } = await run(
        {
          [step]: () => {
            running = true;
            return hang().finally(() => (ended = true));
          },
        },
        {
          during: async (workflowId) => {
            while (!running) await new Promise((resolve) => setTimeout(resolve, 20));
            await client.workflow.getHandle(workflowId).cancel();
          },
        },
      );
      assert.ok(error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure);
      assert.ok(ended);
      assert.equal(record.outcome, 'cancelled');
      assert.equal(count(calls, 'switchRefs') + count(calls, 'metadata'), 0);
    });

  it('cancelled during the switch: the publication is completed, never torn', async () => {
    let running = false;
    const { result } = await run(
      {
        switchRefs: async () => {
          running = true;
          await new Promise((resolve) => setTimeout(resolve, 500));
        },
      },
      {
        during: async (workflowId) => {
          while (!running) await new Promise((resolve) => setTimeout(resolve, 20));
          await client.workflow.getHandle(workflowId).cancel();
        },
      },
    );
    assert.equal(result?.outcome, 'published');
  });

  it('started by a schedule runs under the stream’s own id, and joins none that runs', async () => {
    chain = goodChain();
    change = { resolve: hang };
    const stream = `scheduled-${randomUUID()}`;
    const start = (workflowId: string) =>
      client.workflow.start('scheduledNightly', { workflowId, taskQueue: 'control', args: [{ stream }] });
    const first = await start(`schedule/nightly/${stream}-1`);
    const nightly = client.workflow.getHandle(nightlyId(stream));
    while (!chain.calls.includes('resolve')) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await (await start(`schedule/nightly/${stream}-2`)).result(), undefined);
    await nightly.cancel();
    await assert.rejects(first.result(), WorkflowFailedError);
    assert.equal((await nightly.describe()).status.name, 'CANCELLED');
    await Worker.runReplayHistory(
      { workflowBundle: { codePath: workflowBundle } },
      await first.fetchHistory(),
    );
  });

  it('sets search attributes and current details that people can use', async () => {
    const { record } = await run({});
    const found = [];
    for (let tries = 0; tries < 50 && found.length === 0; tries++) {
      for await (const execution of client.workflow.list({
        query: `TreelineStream='test' AND TreelineBuild='20261123_01' AND TreelineOutcome='published'`,
      }))
        found.push(execution.runId);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(found.includes(record.run));
  });
});
