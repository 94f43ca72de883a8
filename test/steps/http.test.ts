/** The HTTP client against real servers that misbehave. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { promisify } from 'node:util';
import { ask, fetchBytes, save, wholeOf, type Request } from '../../src/steps/http.js';
import { fails } from '../support/servers.js';
import { startHttp, type Http } from '../support/http.js';
import { makeScratch, until } from './scratch.js';

describe('the HTTP client', () => {
  let server: Http;
  let answer: RequestListener;
  before(async () => {
    server = await startHttp((req, res) => answer(req, res));
  });
  after(() => server.close());

  const request = (change: Partial<Request> = {}): Request => ({
    ...{ signal: new AbortController().signal, away: 'TargetUnreachable', refused: 'PublishRefused' },
    ...{ maxBytes: 1000 },
    ...change,
  });
  const get = (change: Partial<Request> = {}, path = '/file') =>
    ask(`${server.url}${path}`, request(change), async ({ status, body }) => {
      return `${status} ${(await wholeOf(body)).toString()}`;
    });
  const away = (message: RegExp) => fails('TargetUnreachable', message);
  const refused = (message: RegExp) => fails('PublishRefused', message);

  it('tells what may help another time from what is final, and how long to leave a server alone', async () => {
    let [status, after] = [0, ''];
    answer = (_req, res) => res.writeHead(status, after ? { 'retry-after': after } : {}).end();
    for (status of [500, 502, 503, 504, 408, 425, 429])
      await assert.rejects(get(), away(new RegExp(`/file: HTTP status ${status}$`)));
    for (status of [400, 401, 403, 404, 410, 416, 300, 304])
      await assert.rejects(get(), refused(new RegExp(`HTTP status ${status}$`)));
    const retryAfter = async () =>
      (await get().catch((error: unknown) => error as { retryAfter?: number })) as { retryAfter?: number };
    [status, after] = [503, '7'];
    assert.equal((await retryAfter()).retryAfter, 7000);
    after = new Date(Date.now() + 60_000).toUTCString();
    const { retryAfter: date = 0 } = await retryAfter();
    assert.ok(date > 50_000 && date <= 60_000, String(date));
    after = '99999999';
    assert.equal((await retryAfter()).retryAfter, 3_600_000);
    for (after of ['', 'soon', '-3']) assert.equal((await retryAfter()).retryAfter, undefined);
    status = 404;
    assert.equal(await get({ statuses: [404] }), '404 ');
    assert.equal(await fetchBytes(`${server.url}/none`, request()), undefined);
  });

  it('does not wait for a server that is silent, before or within its answer, or that never ends', async () => {
    answer = () => undefined;
    await assert.rejects(get({ limits: { answer: 50 } }), away(/\/file: no answer within 0\.05 s$/));
    answer = (_req, res) => res.write('begun');
    await assert.rejects(get({ limits: { idle: 50 } }), away(/no more of the answer within 0\.05 s/));
    answer = (_req, res) => {
      const timer = setInterval(() => res.write('.'), 5);
      res.on('close', () => clearInterval(timer));
    };
    await assert.rejects(get({ limits: { total: 100, idle: 60_000 } }), away(/not complete within 0\.1 s/));
    answer = (_req, res) => res.end('well');
    assert.equal(await get({ limits: { answer: 60_000, idle: 60_000, total: 60_000 } }), '200 well');
  });

  it('says why there is no answer, or half of one', async () => {
    answer = (req) => req.socket.destroy();
    await assert.rejects(get(), away(/\/file: .*(socket|ECONNRESET|closed)/));
    answer = (_req, res) => {
      res.writeHead(200, { 'content-length': 100 }).write('half');
      setImmediate(() => res.destroy());
    };
    await assert.rejects(get(), away(/\/file: ./));
    const gone = await startHttp(answer);
    gone.close();
    await assert.rejects(fetchBytes(`${gone.url}/x`, request()), away(/ECONNREFUSED/));
    await assert.rejects(fetchBytes('http://no-such-host.invalid/x', request()), away(/ENOTFOUND|EAI_AGAIN/));
  });

  it('takes no more than it may, whether the length is told or not', async () => {
    let closed = false;
    answer = (_req, res) => {
      res.on('close', () => (closed = true));
      while (res.write(Buffer.alloc(2 ** 16)) && !res.destroyed);
      res.on('drain', () => res.write(Buffer.alloc(2 ** 16)));
    };
    await assert.rejects(get(), refused(/\/file: is larger than 1000 B$/));
    await until('the connection ends', () => closed || undefined);
    answer = (_req, res) => res.writeHead(200, { 'content-length': 1001 }).end('x'.repeat(1001));
    await assert.rejects(get(), refused(/is larger than 1000 B$/));
    answer = (_req, res) => res.end('x'.repeat(1000));
    assert.equal((await get()).length, 1004);
  });

  it('follows redirects at the same server only, a few times', async () => {
    const elsewhere = await startHttp((_req, res) => res.end('elsewhere'));
    answer = (req, res) => {
      const to = decodeURIComponent(req.url?.split('?')[1] ?? '');
      if (to) res.writeHead(Number(req.url?.slice(1, 4)), { location: to }).end();
      else res.end(`${req.method} ${req.url}`);
    };
    const to = (location: string, status = 302, change: Partial<Request> = {}) =>
      get(change, `/${status}?${encodeURIComponent(location)}`);
    for (const status of [301, 302, 303, 307, 308])
      assert.equal(await to('/there', status), '200 GET /there');
    assert.equal(await to(`${server.url}/absolute`), '200 GET /absolute');
    await assert.rejects(
      to(`${elsewhere.url}/x`),
      refused(/\?.*: redirects to http:\/\/127\.0\.0\.1:\d+: give/),
    );
    await assert.rejects(to('file:///etc/passwd'), refused(/redirects to /));
    await assert.rejects(to('http://localhost/x'), refused(/redirects to http:\/\/localhost:/));
    // Whoever goes on to https finds none there; but it is asked.
    await assert.rejects(to(server.url.replace('http:', 'https:')), away(/./));
    answer = (_req, res) => res.writeHead(302, { location: '/again' }).end();
    await assert.rejects(get(), refused(/redirects more than 5 times$/));
    answer = (req, res) => {
      if (req.url === '/moved') return void res.writeHead(308, { location: '/hook' }).end();
      if (req.url === '/other') return void res.writeHead(302, { location: '/hook' }).end();
      req.on('data', (chunk: Buffer) => res.write(`${req.method} ${chunk.toString()}`));
      req.on('end', () => res.end());
    };
    const post = { method: 'POST', body: '{}' } as const;
    assert.equal(await get(post, '/moved'), '200 POST {}');
    await assert.rejects(get(post, '/other'), refused(/redirects a POST with status 302/));
    elsewhere.close();
  });

  it('gives credentials of the address to its server, and tells them to nobody', async () => {
    const seen: (string | undefined)[] = [];
    answer = (req, res) => {
      seen.push(req.headers.authorization);
      res.writeHead(seen.length < 3 ? 302 : 403, { location: seen.length < 3 ? '/next' : '' }).end();
    };
    const address = `${server.url.replace('//', '//user:p%40ss-word@')}/file`;
    await assert.rejects(fetchBytes(address, request()), (error: Error) => {
      assert.match(error.message, /HTTP status 403$/);
      assert.doesNotMatch(error.message, /p(@|%40)ss-word/);
      return true;
    });
    const basic = `Basic ${Buffer.from('user:p@ss-word').toString('base64')}`;
    assert.deepEqual(seen, [basic, basic, basic]);
  });

  it('asks for the bytes as they are', async () => {
    let accepted: unknown;
    answer = (req, res) => {
      accepted = req.headers['accept-encoding'];
      res.end('x');
    };
    await get();
    assert.equal(accepted, 'identity');
  });

  it('ends with the step, and passes on what is thrown over an answer', async () => {
    answer = (_req, res) => res.write('begun');
    const cancel = new AbortController();
    const reading = get({ signal: cancel.signal });
    const reason = new Error('cancelled');
    setImmediate(() => cancel.abort(reason));
    await assert.rejects(reading, (error) => error === reason);
    await assert.rejects(get({ signal: cancel.signal }), (error) => error === reason);
    answer = (_req, res) => res.end('well');
    const own = new Error('own');
    await assert.rejects(
      ask(server.url, request(), () => Promise.reject(own)),
      (error) => error === own,
    );
  });

  it('saves a body with its digest, and says when the disk is full', async () => {
    const s = await makeScratch('http');
    answer = (_req, res) => res.end('content');
    const told: number[] = [];
    const into = (file?: string) =>
      ask(`${server.url}/`, request(), ({ body }) => save(body, file, (done) => told.push(done)));
    const sha256 = 'ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73';
    assert.deepEqual(await into(s.at('deep/file')), { sha256, size: 7 });
    assert.equal(await readFile(s.at('deep/file'), 'utf8'), 'content');
    assert.deepEqual(await into(), { sha256, size: 7 });
    assert.deepEqual(told, [7, 7]);
    await assert.rejects(into('/dev/full'), fails('DiskFull', /^\/dev\/full: no space left/));
    await s.remove();
  });

  it('needs no memory for a body of a GiB, read to its digest or refused for its size', async function () {
    const piece = Buffer.alloc(2 ** 20);
    answer = (_req, res) => {
      let left = 1024;
      const more = () => {
        while (left-- > 0) if (!res.write(piece)) return void res.once('drain', more);
        res.end();
      };
      more();
    };
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '--eval',
      `import { ask, fetchBytes, save } from ${JSON.stringify(new URL('../../src/steps/http.js', import.meta.url).href)};
       const request = { signal: new AbortController().signal, away: 'TargetUnreachable', refused: 'PublishRefused', maxBytes: 2 ** 31 };
       const { size, sha256 } = await ask(${JSON.stringify(server.url)}, request, ({ body }) => save(body, '/dev/null'));
       const refused = await fetchBytes(${JSON.stringify(server.url)}, { ...request, maxBytes: 2 ** 20 }).catch((error) => error.code);
       console.log(JSON.stringify({ size, sha256, refused, maxRss: process.resourceUsage().maxRSS }));`,
    ]);
    const { size, sha256, refused: code, maxRss } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([size, code], [2 ** 30, 'PublishRefused']);
    assert.equal(sha256, '49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14');
    // KiB. Node itself has some 60 MiB.
    assert.ok(Number(maxRss) < 250 * 1024, `${String(maxRss)} KiB`);
  });
});
