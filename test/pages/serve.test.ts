import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve, type WebServer } from '../../src/web/serve.js';

describe('web server', () => {
  let top: string;
  let server: WebServer;
  const put = async (name: string, content: string | Buffer = name) => {
    const path = join(top, 'root', name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, content);
  };

  /** A request as written: fetch would clean the path before it leaves. */
  const raw = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number; headers: IncomingHttpHeaders; body: string }>((done, failed) => {
      const { hostname, port } = new URL(server.url);
      const req = request({ hostname, port, path, method, headers }, (res) => {
        const parts: Buffer[] = [];
        res.on('data', (part: Buffer) => parts.push(part));
        res.on('end', () =>
          done({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(parts).toString() }),
        );
        res.on('error', failed);
      });
      req.on('error', failed).end();
    });

  before(async () => {
    top = await mkdtemp(join(tmpdir(), 'treeline-serve-'));
    await put('index.html', '<p>');
    await put('digits', '0123456789');
    await put('.hidden/file');
    await put('.secret');
    await writeFile(join(top, 'outside'), 'outside');
    await mkdir(join(top, 'root-beside'));
    await writeFile(join(top, 'root-beside/file'), 'beside');
    await mkdir(join(top, 'disk'));
    server = await serve({ root: join(top, 'root'), linked: [join(top, 'disk')], port: 0 });
  });
  after(async () => {
    await server.close();
    await rm(top, { recursive: true });
  });

  it('serves nothing outside its folder and nothing hidden', async () => {
    const paths = [
      '/../outside', '/%2e%2e/outside', '/..%2foutside', '/x/../../outside', '/%2e%2e%2foutside', '//../outside',
      '/../root-beside/file', '/.secret', '/%2esecret', '/.hidden/file', '/index.html%00', '/%zz', '/%', '/digits/',
      'http://127.0.0.1/digits', '*', '/' + 'a'.repeat(5000), '/digits/below',
    ]; // prettier-ignore
    for (const path of paths) {
      const { status, body } = await raw(path);
      assert.deepEqual([status, body], [404, 'Not found.\n'], path);
    }
  });

  it('follows links within its folder and to named folders, and to nothing else', async () => {
    await mkdir(join(top, 'disk/.hidden'), { recursive: true });
    await writeFile(join(top, 'disk/image'), 'image');
    await writeFile(join(top, 'disk/.hidden/key'), 'key');
    const links: Record<string, string> = {
      'to-digits': 'digits',
      'to-disk': '../disk',
      'to-image': join(top, 'disk/image'),
      'to-outside': '../outside',
      'to-beside': '../root-beside',
      'to-hidden': '.secret',
      'to-key': '../disk/.hidden/key',
      'to-proc': '/proc/self/environ',
      'to-root': '/',
      'to-itself': 'to-itself',
    };
    for (const [name, target] of Object.entries(links)) await symlink(target, join(top, 'root', name));
    const found = ['/to-digits', '/to-disk/image', '/to-image'];
    for (const path of found) assert.equal((await raw(path)).status, 200, path);
    const refused = [
      '/to-outside', '/to-beside/file', '/to-beside', '/to-hidden', '/to-key', '/to-disk/.hidden/key',
      '/to-proc', '/to-root/etc/passwd', '/to-root', '/to-itself', '/to-disk/../outside',
    ]; // prettier-ignore
    for (const path of refused) {
      const { status, body } = await raw(path);
      assert.deepEqual([status, body], [404, 'Not found.\n'], path);
    }
    for (const name of Object.keys(links)) await rm(join(top, 'root', name));
  });

  it('lets no page be framed, and no foreign script or style run in one', async () => {
    for (const path of ['/index.html', '/digits', '/nothing', '/../outside']) {
      const { headers } = await raw(path);
      const policy = String(headers['content-security-policy']);
      for (const rule of [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
      ])
        assert.ok(policy.includes(rule), `${path}: ${rule}`);
      assert.doesNotMatch(policy, /unsafe-inline|\*/);
      assert.equal(headers['x-frame-options'], 'DENY');
    }
  });

  /** What the server answers to bytes as they are, until it closes the connection. */
  const bytes = (...parts: string[]) =>
    new Promise<string>((done, failed) => {
      const { hostname, port } = new URL(server.url);
      let answer = '';
      const socket = connect(Number(port), hostname, () => parts.forEach((part) => socket.write(part)));
      socket.on('data', (data) => (answer += data.toString()));
      socket.on('error', failed).on('close', () => done(answer));
    });

  it('speaks no HTTP/0.9', async () => {
    for (const request of ['GET /digits\r\n\r\n', 'GET /digits HTTP/0.9\r\nHost: x\r\n\r\n'])
      assert.doesNotMatch(await bytes(request), /0123456789/, request);
  });

  it('waits for nobody who does not end a request', async () => {
    assert.match(await bytes('GET /digits HTTP/1.1\r\nHost: x\r\nX-Slow: '), /^HTTP\/1\.1 408 /);
  });

  it('finds RPM files however a client encodes their names', async () => {
    const file = 'repos/sample/libstdc++6-12.2.0-14+deb12u1~bpo:1.x86_64.rpm';
    await put(file);
    for (const path of [
      file,
      file.replaceAll('+', '%2b'),
      file.replaceAll('+', '%2B').replace('~', '%7e').replace(':', '%3a'),
    ])
      assert.deepEqual([(await raw(`/${path}`)).status, (await raw(`/${path}`)).body], [200, file], path);
    await put('literal%2b.rpm');
    assert.equal((await raw('/literal%252b.rpm')).body, 'literal%2b.rpm');
    assert.equal((await raw('/literal%2b.rpm')).status, 404);
  });

  it('lets clients keep artifacts for a year and makes them ask for what moves', async () => {
    const hash = 'a'.repeat(62);
    const year = 'public, max-age=31536000, immutable';
    const rules: Record<string, string> = {
      [`s/repo/objects/ab/${hash}.filez`]: year,
      [`s/repo/objects/ab/${hash}.commit`]: year,
      [`s/repo/objects/ab/${hash}.commitmeta`]: 'no-cache',
      's/repo/deltas/ab/cd-ef/superblock': year,
      's/repo/delta-indexes/ab/cd.index': 'no-cache',
      's/repo/refs/heads/sample/x86_64/standard': 'no-cache',
      's/repo/summary': 'no-cache',
      's/repo/summary.sig': 'no-cache',
      's/builds/20261123_01/x86_64/a.qcow2': year,
      's/builds/20261123_01/x86_64/a.qcow2.sig': year,
      's/builds/20261123_01/x86_64/meta.json': 'public, max-age=60',
      's/builds/20261123_01/x86_64/index.html': 'public, max-age=60',
      's/builds/20261123_01/x86_64/logs/compose.log': 'public, max-age=60',
      's/builds.json': 'public, max-age=60',
      's/releases.atom': 'public, max-age=60',
      's/releases/20261123_01/notes.md': 'public, max-age=60',
      's/releases/20261123_01/download.moin': 'public, max-age=60',
      's/rpms/repodata/repomd.xml': 'no-cache',
      's/rpms/repodata/repomd.xml.asc': 'no-cache',
      [`s/rpms/repodata/${'b'.repeat(64)}-primary.xml.gz`]: year,
      's/rpms/x.rpm': 'public, max-age=60',
    };
    for (const [path, rule] of Object.entries(rules)) {
      await put(path);
      assert.equal((await raw(`/${path}`)).headers['cache-control'], rule, path);
    }
    assert.equal((await raw('/s/none.qcow2')).headers['cache-control'], 'no-cache');
  });

  it('names types, and never unpacks a compressed file on the way', async () => {
    const types: Record<string, string> = {
      'index.html': 'text/html; charset=utf-8',
      's/signing-key.asc': 'text/plain; charset=utf-8',
      's/logs/boot.log': 'text/plain; charset=utf-8',
      's/logs/stderr': 'text/plain; charset=utf-8',
      's/builds.json': 'application/json',
      's/releases.atom': 'application/atom+xml',
      's/releases/20261123_01/notes.md': 'text/plain; charset=utf-8',
      's/releases/20261123_01/download.moin': 'text/plain; charset=utf-8',
      's/a.ociarchive.gz': 'application/gzip',
      's/a.constructor': 'application/octet-stream',
    };
    for (const [path, type] of Object.entries(types)) {
      if (path !== 'index.html') await put(path);
      const { headers } = await raw(`/${path}`);
      assert.equal(headers['content-type'], type, path);
      assert.equal(headers['content-encoding'], undefined);
      assert.equal(headers['x-content-type-options'], 'nosniff');
    }
  });

  it('answers byte ranges, also odd ones', async () => {
    const ranges: [string, number, string][] = [
      ['bytes=2-4', 206, '234'], ['bytes=0-0', 206, '0'], ['bytes=7-', 206, '789'], ['bytes=7-99', 206, '789'],
      ['bytes=-3', 206, '789'], ['bytes=-99', 206, '0123456789'], ['bytes=5-2', 200, '0123456789'],
      ['bytes=-', 200, '0123456789'], ['bytes=0-1,3-4', 200, '0123456789'], ['lines=1-2', 200, '0123456789'],
      ['bytes=10-', 416, 'No such range.\n'], ['bytes=-0', 416, 'No such range.\n'],
    ]; // prettier-ignore
    for (const [range, status, body] of ranges) {
      const answer = await raw('/digits', { range });
      assert.deepEqual([answer.status, answer.body], [status, body], range);
    }
    assert.equal((await raw('/digits', { range: 'bytes=2-4' })).headers['content-range'], 'bytes 2-4/10');
    assert.equal((await raw('/digits', { range: 'bytes=2-4', 'if-range': '"old"' })).status, 200);
  });

  it('reads the disk at each request: a replaced file is seen, an unchanged one is not sent again', async () => {
    await put('summary', 'one');
    const etag = String((await raw('/summary')).headers.etag);
    assert.equal((await raw('/summary', { 'if-none-match': etag })).status, 304);
    await put('summary.new', 'two');
    await rename(join(top, 'root/summary.new'), join(top, 'root/summary'));
    const answer = await raw('/summary', { 'if-none-match': etag });
    assert.deepEqual([answer.status, answer.body], [200, 'two']);
  });

  it('takes GET and HEAD only', async () => {
    const head = await raw('/digits', {}, 'HEAD');
    assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '10', '']);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await raw('/digits', {}, method);
      assert.deepEqual([status, headers.allow], [405, 'GET, HEAD']);
    }
  });

  it('gives a folder its slash, without which relative links would go wrong', async () => {
    await put('a b/c/index.html', 'page');
    const answer = await raw('/a%20b/c?x');
    assert.deepEqual([answer.status, answer.headers.location], [301, 'c/']);
    assert.equal((await raw('/a%20b/c/')).body, 'page');
    assert.equal((await raw('/a%20b/')).status, 404);
  });

  it('closes its files when clients go away', async () => {
    await put('big', Buffer.alloc(32 * 2 ** 20));
    for (let i = 0; i < 5; i++) {
      const abort = new AbortController();
      const answer = await fetch(`${server.url}/big`, { signal: abort.signal });
      await answer.body?.getReader().read();
      abort.abort();
    }
    const held = async () => {
      const files = await readdir('/proc/self/fd');
      const links = await Promise.all(files.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
      return links.filter((link) => link === join(top, 'root/big')).length;
    };
    for (let i = 0; i < 50 && (await held()) > 0; i++) await sleep(50);
    assert.equal(await held(), 0);
  });

  it('says which port is in use, and what to set', async () => {
    const port = Number(new URL(server.url).port);
    await assert.rejects(serve({ root: top, port }), (error: Error) => {
      assert.match(error.message, new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use.*TREELINE_WEB_PORT`));
      return true;
    });
  });
});
