/** The scheduled look at the release dates, on a real server with scripted steps and a scripted stream workflow. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { CadenceTell } from '../../../src/domain/cadence-notices.js';
import type { CadenceActions } from '../../../src/domain/candidate.js';
import { searchAttributes } from '../../../src/search-attributes.js';
import { localEnvironment } from '../../support/temporal.js';

const news = (event: CadenceTell['event'], key: string = event): CadenceTell => ({
  ...{ key, event, subject: `about ${key}`, text: 'text' },
});

describe('candidate workflow', function () {
  let environment: TestWorkflowEnvironment;
  let workers: Worker[];
  let ended: Promise<unknown>;
  let actions: CadenceActions;
  let told: string[];
  let remembered: string[][];
  let looks: { stream: string; run: string; now: string }[];
  let silent: string | undefined;

  before(async () => {
    environment = await localEnvironment({ server: { searchAttributes } });
    const activities = {
      lookAtCadence: (args: { stream: string; run: string; now: string }) => {
        looks.push(args);
        return Promise.resolve(actions);
      },
      tellSig: ({ key }: CadenceTell) => {
        if (key === silent) throw ApplicationFailure.nonRetryable('550 no such user', 'MailRefused');
        told.push(key);
        return Promise.resolve();
      },
      rememberTold: ({ keys }: { keys: string[] }) => Promise.resolve(void remembered.push(keys)),
    };
    workers = await Promise.all(
      ['control', 'publish'].map((taskQueue) =>
        Worker.create({
          connection: environment.nativeConnection,
          taskQueue,
          activities,
          workflowsPath: fileURLToPath(new URL('./candidate-with-entity.js', import.meta.url)),
        }),
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
    [actions, told, remembered, looks, silent] = [{ tell: [] }, [], [], [], undefined];
  });

  /** Runs a look, with or without the stream's own workflow; answers what that was asked. */
  async function look(entity = true): Promise<{ failure?: ApplicationFailure; asked?: unknown }> {
    const stream = `s-${randomUUID()}`;
    const { client } = environment;
    const options = { taskQueue: 'control', workflowId: `candidate/${stream}`, args: [{ stream }] };
    const asked = entity
      ? await client.workflow.start('entity', { taskQueue: 'control', workflowId: `stream/${stream}` })
      : undefined;
    const failure = await client.workflow.execute('candidate', options).then(
      () => undefined,
      (error: unknown) => error,
    );
    const history = await client.workflow.getHandle(`candidate/${stream}`).fetchHistory();
    await Worker.runReplayHistory(
      { workflowsPath: fileURLToPath(new URL('./candidate-with-entity.js', import.meta.url)) },
      history,
      `candidate/${stream}`,
    );
    const answer = await asked?.query('asked');
    await asked?.terminate();
    if (failure === undefined) return { asked: answer };
    assert.ok(failure instanceof WorkflowFailedError, 'failed otherwise');
    const cause = failure.cause instanceof ApplicationFailure ? failure.cause : failure.cause?.cause;
    assert.ok(cause instanceof ApplicationFailure, String(failure.cause));
    return { failure: cause, asked: answer };
  }

  it('looks by its own clock, under the stream’s own run', async () => {
    assert.deepEqual(await look(), { asked: [] });
    assert.equal(looks[0]?.run, 'stream');
    assert.ok(Math.abs(Date.parse(looks[0].now) - Date.now()) < 60_000, looks[0].now);
    assert.deepEqual(remembered, [], 'nothing to remember');
  });

  it('proposes to the stream workflow, tells, and keeps what it told', async () => {
    actions = {
      propose: { build: '20261216_01', due: '2026-12-22' },
      tell: [news('candidate'), news('reminder')],
    };
    assert.deepEqual(await look(), { asked: [{ build: '20261216_01', by: 'schedule' }] });
    assert.deepEqual(told.sort(), ['candidate', 'reminder']);
    assert.deepEqual(remembered, [['candidate', 'reminder']]);
  });

  it('says what to do where there is no stream workflow; reminders go out nevertheless', async () => {
    actions = {
      propose: { build: '20261216_01', due: '2026-12-22' },
      tell: [news('candidate'), news('reminder')],
    };
    const { failure } = await look(false);
    assert.equal(failure?.type, 'StreamInvalid');
    assert.match(
      failure.message,
      /^20261216_01 could not be proposed: .*stream\/s-.*: run `treeline apply`$/,
    );
    assert.deepEqual(told, ['reminder'], 'a candidate that was not proposed is not told of');
    assert.deepEqual(remembered, [['reminder']]);
  });

  it('fails for what could not be told, and keeps only what was', async () => {
    actions = { tell: [news('missed'), news('reminder', 'r-1'), news('no-candidate')] };
    silent = 'r-1';
    const { failure } = await look();
    assert.equal(failure?.type, 'MailRefused');
    assert.deepEqual(told.sort(), ['missed', 'no-candidate']);
    assert.deepEqual(remembered, [['missed', 'no-candidate']]);
  });
});
