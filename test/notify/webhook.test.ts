import assert from 'node:assert/strict';
import { Failure } from '../../src/domain/failures.js';
import { postWebhook } from '../../src/notify/webhook.js';
import { makeScratch, until, type Scratch } from '../steps/scratch.js';
import { startWebhook, type Webhook } from '../support/webhook.js';

describe('a webhook', () => {
  let s: Scratch;
  let hook: Webhook;
  beforeEach(async () => {
    s = await makeScratch('webhook');
    hook = await startWebhook();
  });
  afterEach(async () => {
    hook.close();
    await s.remove();
  });

  const away = (message: string) => (error: unknown) =>
    error instanceof Failure && error.code === 'TargetUnreachable' && error.message.includes(message);

  it('is told what there is, and the log says so', async () => {
    await postWebhook(s.step, hook.url, { event: 'release', build: '20261123_01', left: undefined });
    assert.deepEqual(hook.received, [{ event: 'release', build: '20261123_01' }]);
    assert.match(await s.log(), /\/hook: HTTP status 200/);
  });

  it('may be ill or away: that is worth another try', async () => {
    hook.status = 503;
    await assert.rejects(postWebhook(s.step, hook.url, {}), away(`${hook.url}: HTTP status 503`));
    hook.close();
    await assert.rejects(postWebhook(s.step, hook.url, {}), away('ECONNREFUSED'));
  });

  it('does not hold up a step that is cancelled', async () => {
    hook.status = 'silent';
    const cancel = new AbortController();
    const told = postWebhook(s.stepWith({ signal: cancel.signal }), hook.url, {});
    await until('the request', () => hook.received[0]);
    cancel.abort(new Error('cancelled'));
    await assert.rejects(told, /^Error: cancelled$/);
  });
});
