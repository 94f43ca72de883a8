/** Webhooks, against a real HTTP server. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { notifyActivities } from '../../src/activities/notify.js';
import type { RunRecord } from '../../src/domain/run.js';
import { readSettings } from '../../src/settings.js';
import { Store, writeJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { startWebhook, type Webhook } from '../support/webhook.js';

describe('notify', () => {
  let state: string;
  let hook: Webhook;

  before(async () => {
    state = await mkdtemp(join(tmpdir(), 'treeline-notify-'));
    hook = await startWebhook();
  });
  after(async () => {
    hook.close();
    await rm(state, { recursive: true });
  });

  const record = (outcome: RunRecord['outcome']): RunRecord => ({
    stream: 's',
    run: 'r',
    workflow: 'nightly/s',
    phase: outcome,
    steps: [],
    started: '2026-11-23T00:00:00Z',
    ended: '2026-11-23T00:01:00Z',
    outcome,
    build: '20261123_01',
  });

  async function notify(outcome: RunRecord['outcome']): Promise<void> {
    const store = new Store(state);
    const stream = {
      name: 's',
      publish: { buildlogs: { url: 'http://b' } },
      notify: [{ webhook: hook.url, on: ['published', 'failed'] }],
    };
    await writeJson(join(store.runDir({ stream: 's', run: 'r' }), 'stream.json'), stream);
    const { notify: activity } = notifyActivities({
      settings: readSettings({ TREELINE_STATE: state }),
      store,
    });
    await runActivity(activity, { stream: 's', run: 'r', step: 'notify', record: record(outcome) });
  }

  it('tells the outcomes that the stream asks for, and no others', async () => {
    await notify('published');
    await notify('no-change');
    assert.deepEqual(hook.received, [
      { stream: 's', run: 'r', outcome: 'published', build: '20261123_01', url: 'http://b' },
    ]);
  });

  it('is tried again when the receiver is ill', async () => {
    hook.status = 503;
    await assert.rejects(
      notify('failed'),
      (error: unknown) =>
        error instanceof ApplicationFailure && error.type === 'TargetUnreachable' && !error.nonRetryable,
    );
  });
});
