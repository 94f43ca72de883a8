/** Reading what is published, over real HTTP. */
import assert from 'node:assert/strict';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Target } from '../../src/domain/stream.js';
import { fetchPublished } from '../../src/publish/readers.js';
import { freePort } from '../support/ports.js';
import { fails } from '../support/servers.js';

describe('fetchPublished', () => {
  let server: HttpServer;
  let target: Target;
  const step = { signal: new AbortController().signal };
  before(async () => {
    server = createServer((req, res) => {
      const status = Number(/(\d{3})$/.exec(req.url ?? '')?.[1] ?? 200);
      res.writeHead(status).end(Buffer.from([0, 255, 1]));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    target = { location: '/x', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/` };
  });
  after(() => server.close());

  it('gives the bytes, or nothing for 404', async () => {
    assert.deepEqual(await fetchPublished(step, target, 'file'), Buffer.from([0, 255, 1]));
    assert.equal(await fetchPublished(step, target, '404'), undefined);
  });
  it('any other answer is no answer: it must not look like a first publication', async () => {
    for (const status of [403, 410, 500, 503])
      await assert.rejects(
        fetchPublished(step, target, String(status)),
        fails(
          status < 500 ? 'PublishRefused' : 'TargetUnreachable',
          new RegExp(`/base/${status}: HTTP status ${status}`),
        ),
      );
    const away = { location: '/x', url: `http://127.0.0.1:${await freePort()}` };
    await assert.rejects(
      fetchPublished(step, away, 'file'),
      fails('TargetUnreachable', /file: .*ECONNREFUSED/),
    );
  });
  it('ends with the step', async () => {
    const reason = new Error('cancelled');
    await assert.rejects(
      fetchPublished({ signal: AbortSignal.abort(reason) }, target, 'file'),
      (error) => error === reason,
    );
  });
});
