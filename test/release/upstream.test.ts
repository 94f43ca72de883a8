/** Lists of upstream builds: each known format, and what is said of one that is wrong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Failure, type FailureCode } from '../../src/domain/failures.js';
import { releaseSettings } from '../../src/domain/release-settings.js';
import { listReader, loadUpstream } from '../../src/release/upstream.js';
import { packageRoot } from '../../src/settings.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const settings = (anchor: { number: number; date: string }, changes: Record<string, unknown> = {}) =>
  releaseSettings.shape.cadence.unwrap().parse({
    anchor: '2026-11-24',
    upstream: { anchor, builds: 'list.json', ...changes },
  }).upstream ?? assert.fail();
const recorded = (name: string) => readFile(join(packageRoot, 'test/recorded/upstream', name), 'utf8');

const anchor = { number: 100, date: '2026-10-27' };
const load = (text: string, changes: Record<string, unknown> = {}, from = anchor) =>
  loadUpstream(settings(from, changes), () => Promise.resolve(text));

const fails = (code: FailureCode, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error));
  assert.match(error.message, message);
  assert.equal(error.code, code);
  return true;
};
const refused = (text: string, message: RegExp, changes: Record<string, unknown> = {}) =>
  assert.rejects(load(text, changes), fails('StreamInvalid', message));

describe('a list of upstream builds', () => {
  it('of one’s own is taken as it is, sorted', async () => {
    assert.deepEqual(await load(await recorded('own.json')), [
      { number: 100, date: '2026-10-27', version: '44.20261027.0' },
      { number: 101, date: '2026-11-10' },
      { number: 103, date: '2026-12-09' },
    ]);
  });

  it('of Fedora CoreOS is numbered by the dates in its versions; a respin of a day is no build of its own', async () => {
    const list = await load(await recorded('coreos.json'), {}, { number: 30, date: '2021-05-12' });
    assert.deepEqual(list, [
      { number: 29, date: '2021-04-26', version: '33.20210426.3.0' },
      { number: 30, date: '2021-05-11', version: '34.20210511.3.1' },
      { number: 31, date: '2021-05-29', version: '34.20210529.3.0' },
      { number: 32, date: '2021-06-11', version: '34.20210611.3.0' },
    ]);
  });

  it('of getfedora is read from the links of Atomic Host images; other editions are passed over', async () => {
    const list = await load(await recorded('getfedora.json'), {}, { number: 7, date: '2017-07-05' });
    assert.deepEqual(list, [
      { number: 6, date: '2017-06-20', version: '25-20170620.0' },
      { number: 7, date: '2017-07-05', version: '25-20170705.0' },
      { number: 8, date: '2018-05-15', version: '28-20180515.1' },
    ]);
  });

  it('is none where the stream names none', async () => {
    const never = () => assert.fail('nothing is to be read');
    assert.equal(await loadUpstream(settings(anchor, { builds: undefined }), never), undefined);
  });

  it('that is wrong is refused with its name, the entry and the mistake', async () => {
    await refused('<html>', /^list\.json: is not JSON$/);
    await refused('{"builds":[]}', /^list\.json: is none of the known lists: see docs\/promotion\.md$/);
    await refused('7', /none of the known lists/);
    await refused('[]', /^list\.json: has no builds$/);
    await refused('{"releases":[]}', /has no builds/);
    await refused('[{"number":1}]', /^list\.json: 0\.date: write a date/);
    await refused('[{"number":1,"date":"2026-02-30"}]', /0\.date: write a date/);
    await refused('[{"number":-1,"date":"2026-02-20"}]', /0\.number: /);
    await refused('[{"number":1,"date":"2026-02-20","day":1}]', /0: Unrecognized key.*day/);
    await refused('{"releases":[{"version":"34"}]}', /releases\.0\.version: write a version such as/);
    await refused(
      '{"releases":[{"version":"34.20211301.3.0"}]}',
      /34\.20211301\.3\.0: 2021-13-01 is no date/,
    );
    await refused('[{"link":7}]', /0\.link: /);
    await refused('[{"link":"https://h/Fedora-Server.iso"}]', /has no links of Fedora Atomic builds/);
    await refused(await recorded('coreos.json'), /has no build near the anchor 2026-10-27 .*2021-06-11/);
    const build = (number: number, date: string) => ({ number, date });
    const list = (...builds: unknown[]) => JSON.stringify(builds);
    await refused(list(build(5, '2026-11-01'), build(5, '2026-11-15')), /build 5 is there twice/);
    await refused(
      list(build(5, '2026-11-15'), build(6, '2026-11-15')),
      /build 6 \(2026-11-15\) is not newer than 5 \(2026-11-15\)/,
    );
    await refused(list(build(5, '2026-11-01')), /build 5 is in the list, but `upstream\.skipped` says/, {
      skipped: [5],
    });
    await refused(JSON.stringify(new Array(20_001).fill({})), /has 20001 entries; at most 20000 are read/);
  });
});

describe('the reader of lists', () => {
  let s: Scratch;
  let server: Server;
  let url: string;
  let answer: RequestListener = (_request, response) => response.end('[]');
  before(async () => {
    s = await makeScratch('upstream');
    server = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/list.json`;
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await s.remove();
  });

  it('reads files and URLs', async () => {
    assert.equal(await listReader()(await s.write('list.json', '["file"]')), '["file"]');
    answer = (_request, response) => response.end('["url"]');
    assert.equal(await listReader()(url), '["url"]');
  });

  it('says what is wrong with a file', async () => {
    await assert.rejects(
      listReader()(s.at('none.json')),
      fails('StreamInvalid', /none\.json: no such file$/),
    );
    await assert.rejects(listReader()(s.folder), fails('StreamInvalid', /EISDIR/));
  });

  it('takes a server that refuses for a wrong address, and one that is ill for one that is away', async () => {
    const status = (code: number) => {
      answer = (_request, response) => response.writeHead(code).end();
    };
    status(404);
    await assert.rejects(listReader()(url), fails('StreamInvalid', /list\.json: HTTP status 404$/));
    status(503);
    await assert.rejects(listReader()(url), fails('RepoUnreachable', /HTTP status 503$/));
    answer = (request) => request.socket.destroy();
    await assert.rejects(
      listReader()(url),
      fails('RepoUnreachable', /^http:\/\/127\.0\.0\.1:\d+\/list\.json: /),
    );
  });

  it('stops reading what is too large, without its end', async () => {
    answer = (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(2 ** 16, 32)));
      };
      response.on('drain', more);
      more();
    };
    await assert.rejects(listReader()(url), fails('StreamInvalid', /is larger than 8\.0 MiB/));
  });

  it('ends when it is cancelled', async () => {
    answer = () => undefined;
    const controller = new AbortController();
    const reading = listReader(controller.signal)(url);
    controller.abort(new Error('cancelled here'));
    await assert.rejects(reading, /cancelled here/);
  });
});
