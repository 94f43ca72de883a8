/** The scheduled look for advisories, on a real server with scripted steps and a scripted stream workflow. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { WatchResult } from '../../../src/activities/advisory-watch.js';
import type { Affecting } from '../../../src/domain/security.js';
import { searchAttributes } from '../../../src/search-attributes.js';
import { localEnvironment } from '../../support/temporal.js';

const workflowsPath = fileURLToPath(new URL('./advisory-watch-with-entity.js', import.meta.url));
const affects = (id: string): Affecting => ({
  advisory: { id, title: `About ${id}`, severity: 'critical', cves: [], source: 'base' },
  fixes: [{ name: 'bash', evr: '5.1-2', advisories: [id] }],
});
const nothing: WatchResult = {
  ...{ release: '20261123_01', found: [], failed: [], news: [] },
  looked: '2026-11-26T10:00:00.000Z',
};
interface Told {
  readonly key: string;
  readonly subject: string;
  readonly text: string;
  readonly audience?: string;
}

describe('security watch workflow', function () {
  let environment: TestWorkflowEnvironment;
  let workers: Worker[];
  let ended: Promise<unknown>;
  let result: WatchResult | ApplicationFailure;
  let told: Told[];
  let remembered: string[];
  let verdicts: string[];
  let silent: string | undefined;

  before(async () => {
    environment = await localEnvironment({ server: { searchAttributes } });
    const activities = {
      lookForAdvisories: ({ run }: { run: string }) => {
        assert.equal(run, 'stream');
        return result instanceof ApplicationFailure ? Promise.reject(result) : Promise.resolve(result);
      },
      untold: ({ keys }: { keys: string[] }) =>
        Promise.resolve(keys.filter((key) => !remembered.includes(key))),
      tellSig: ({ key, subject, text, audience }: Told) => {
        if (silent !== undefined && key.includes(silent))
          throw ApplicationFailure.nonRetryable('550 no such user', 'MailRefused');
        told.push({ key, subject, text, ...(audience === undefined ? {} : { audience }) });
        return Promise.resolve();
      },
      rememberVerdicts: ({ told: all }: { told: { id: string; verdict: string }[] }) =>
        Promise.resolve(void verdicts.push(...all.map(({ id, verdict }) => `${id} ${verdict}`))),
      rememberTold: ({ keys }: { keys: string[] }) => Promise.resolve(void remembered.push(...keys)),
    };
    workers = await Promise.all(
      ['control', 'publish'].map((taskQueue) =>
        Worker.create({ connection: environment.nativeConnection, taskQueue, activities, workflowsPath }),
      ),
    );
    ended = Promise.all(workers.map((worker) => worker.run()));
  });
  after(async () => {
    for (const worker of workers) worker.shutdown();
    await ended;
    await environment.teardown();
  });
  beforeEach(() => {
    verdicts = [];
    [result, told, remembered, silent] = [nothing, [], [], undefined];
  });

  /** Runs a look, with or without the stream's own workflow; answers what that was told. Its history replays. */
  async function look(entity = true): Promise<{ failure?: ApplicationFailure; heard: unknown }> {
    const stream = `s-${randomUUID()}`;
    const { client } = environment;
    const options = { taskQueue: 'control', workflowId: `watch/${stream}`, args: [{ stream }] };
    const streams = entity
      ? await client.workflow.start('entity', { taskQueue: 'control', workflowId: `stream/${stream}` })
      : undefined;
    const failure = await client.workflow.execute('securityWatch', options).then(
      () => undefined,
      (error: unknown) => error,
    );
    const history = await client.workflow.getHandle(`watch/${stream}`).fetchHistory();
    await Worker.runReplayHistory({ workflowsPath }, history, `watch/${stream}`);
    const heard = await streams?.query('told');
    await streams?.terminate();
    if (failure === undefined) return { heard };
    assert.ok(failure instanceof WorkflowFailedError, 'failed otherwise');
    const cause = failure.cause instanceof ApplicationFailure ? failure.cause : failure.cause?.cause;
    assert.ok(cause instanceof ApplicationFailure, String(failure.cause));
    return { failure: cause, heard };
  }

  it('tells the stream workflow what is to be acted on, and nothing where there is nothing', async () => {
    assert.deepEqual(await look(), { heard: [] });
    const found = [affects('A-1'), affects('A-2')];
    result = { ...nothing, release: '20261123_01', found, failed: [] };
    assert.deepEqual(await look(), { heard: [{ found }] });
    assert.deepEqual([told, remembered], [[], []]);
  });

  it('ends well where nothing is released', async () => {
    result = { ...nothing, release: null, found: [], failed: [] };
    assert.deepEqual(await look(), { heard: [] });
  });

  it('tells the SIG once a day of each source that cannot be read, and fails after all else was done', async () => {
    const found = [affects('A-1')];
    const failed = [
      'base: RepoUnreachable: is away',
      'https://example.org/osv.json: AdvisoryInvalid: is not JSON',
    ];
    result = { ...nothing, release: '20261123_01', found, failed };
    const first = await look();
    assert.deepEqual(first.heard, [{ found }]);
    assert.equal(first.failure?.type, 'AdvisoryInvalid');
    assert.equal(first.failure.message, `could not be read: ${failed.join('; ')}`);
    const keys = told.map(({ key }) => key.replace(/\d{4}-\d\d-\d\d/, 'DAY')).sort();
    assert.deepEqual(keys, ['unreadable-DAY-base', 'unreadable-DAY-https-example.org-osv.json']);
    for (const { key, subject, text } of told) {
      assert.match(key, /^[\w.-]+$/);
      assert.match(
        subject,
        /^\[s-[\w-]+\] Advisories cannot be read: (base|https:\/\/example\.org\/osv\.json)$/,
      );
      assert.ok(failed.some((line) => text.startsWith(`${line}\n`)));
    }
    assert.deepEqual([...remembered].sort(), told.map(({ key }) => key).sort());
    // Unless the day ends between the two.
    const [day, again] = [new Date().getUTCDate(), await look()];
    if (new Date().getUTCDate() === day) assert.equal(told.length, 2, 'once');
    assert.equal(again.failure?.type, 'AdvisoryInvalid', 'but it stays visible');
  });

  it('fails for what could not be told, and remembers only what was', async () => {
    result = {
      ...nothing,
      failed: ['one: RepoUnreachable: x', 'two: RepoUnreachable: x'],
    };
    silent = 'one';
    assert.equal((await look()).failure?.type, 'MailRefused');
    assert.deepEqual(
      told.map(({ key }) => key.slice(-3)),
      ['two'],
    );
    assert.deepEqual(
      remembered,
      told.map(({ key }) => key),
    );
  });

  it('tells the security group alone of advisories that have no fix to build, and keeps that it was told', async () => {
    const open = {
      title: 'About it',
      severity: 'unknown',
      cves: ['CVE-2026-0001'],
      reason: 'of bash',
    } as const;
    const news = [
      { ...open, id: 'A-1', verdict: 'unfixed' as const },
      { ...open, id: 'A-2', verdict: 'unclear' as const },
    ];
    result = { ...nothing, news };
    assert.deepEqual(await look(), { heard: [] });
    assert.deepEqual(
      told.map(({ key, audience }) => [key, audience]),
      [['open-advisories-20261126T100000000', 'security']],
    );
    assert.match(told[0]!.subject, /^\[s-[\w-]+\] Advisories: 1 without a known fix, 1 not fully judged$/);
    assert.match(told[0]!.text, /A-1, unknown, CVE-2026-0001: About it\n {2}of bash\n/);
    assert.deepEqual(verdicts, ['A-1 unfixed', 'A-2 unclear']);
    [told, verdicts, silent] = [[], [], 'open-advisories'];
    assert.equal((await look()).failure?.type, 'MailRefused');
    assert.deepEqual(verdicts, [], 'it is told at the next check');
  });

  it('says what to do where there is no stream workflow', async () => {
    result = {
      ...nothing,
      release: '20261123_01',
      found: [affects('A-1')],
      failed: ['base: RepoUnreachable: x'],
    };
    const { failure } = await look(false);
    assert.equal(failure?.type, 'StreamInvalid');
    assert.match(failure.message, /there is no workflow stream\/s-.*: run `treeline apply`$/);
    assert.equal(told.length, 1);
  });

  it('fails as the look does', async () => {
    result = ApplicationFailure.nonRetryable('its packages are not known (any more)', 'BuildNotReleasable');
    assert.equal((await look()).failure?.type, 'BuildNotReleasable');
  });
});
