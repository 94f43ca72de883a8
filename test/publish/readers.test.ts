/** What readers get: behind caches, from servers that are odd about HEAD, and of a target whose folders are elsewhere. */
import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { composeActivities } from '../../src/activities/compose.js';
import { publishActivities } from '../../src/activities/publish.js';
import { buildIndex, type BuildMeta } from '../../src/domain/metadata.js';
import { verifyFiles } from '../../src/publish/readers.js';
import { headOf, buildlogsPlace } from '../../src/publish/repo.js';
import { needJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { Cache, startHttp, type Http } from '../support/http.js';
import { fails } from '../support/servers.js';
import { ref, Tiny, type Build } from './tiny.js';

const followed = ['summary', 'summary.sig', `refs/heads/${ref}`];
const image = 'disk.qcow2';

describe('readers behind a cache', function () {
  let tiny: Tiny;
  let cache: Cache;
  let parent: Build;
  let next: Build;
  let count = 0;
  for (const manner of ['stubborn', 'obeys', 'silent'] as const)
    describe(
      { stubborn: 'that says its age', obeys: 'that can be asked to look again', silent: 'that hides' }[
        manner
      ],
      () => {
        before(async () => {
          tiny = await Tiny.make({
            front: async (url) => {
              cache = await Cache.start(url, 3600, manner);
              return cache.url;
            },
          });
          parent = await tiny.build('20261123_01');
          await tiny.before(parent);
          await tiny.do(parent, 'switchRefs');
          await settle(parent);
        });
        /** The rest of the publication, with readers who have seen nothing before. */
        const settle = async (made: Build) => {
          cache.forget();
          await tiny.do(made, 'verify', 'metadata');
          cache.forget();
          await tiny.do(made, 'compare');
          parent = made;
        };
        after(async () => {
          cache.close();
          await tiny.remove();
        });

        /** The next build is switched to, and from now on the cache keeps for so long what was before. */
        const switchBehind = async (seconds: number, names = followed) => {
          next = await tiny.build(`20261124_${String(++count).padStart(2, '0')}`, parent.commit);
          await tiny.before(next);
          cache.forget();
          for (const name of names) await fetch(`${cache.url}/tiny/repo/${name}`);
          await tiny.do(next, 'switchRefs');
          cache.seconds = seconds;
          cache.restart();
        };
        const told = (build: Build) =>
          readFile(join(tiny.host.store.logs({ stream: 'tiny', run: build.run }), 'publish.log'), 'utf8');

        const [wait, older] = manner === 'obeys' ? [3600, /^$/] : [3, /summary: readers get an older state/];
        it('are waited for, until they get the new commit', async () => {
          await switchBehind(wait);
          await tiny.do(next, 'verify');
          const log = await told(next);
          if (manner === 'obeys') assert.doesNotMatch(log, /older state/);
          else assert.match(log, older);
          await settle(next);
        });

        it('may get a new signature with the old summary for a while', async () => {
          await switchBehind(wait, ['summary']);
          await tiny.do(next, 'verify');
          await settle(next);
        });

        it('get no older parent for a build', async () => {
          await switchBehind(wait);
          const args = { stream: 'tiny', run: next.run, step: 'parent', arch: 'x86_64' } as const;
          const pulled = await runActivity(composeActivities(tiny.host).parent, args);
          assert.equal(pulled?.commit, next.commit);
          await settle(next);
        });

        if (manner !== 'stubborn') return;
        it('do not matter for what is decided: the head is that of the location', async () => {
          await switchBehind(3600);
          assert.equal(await headOf(tiny.s.step, buildlogsPlace(tiny.host, tiny.stream), ref), next.commit);
          const later = await tiny.build('20261125_01', next.commit);
          await tiny.do(later, 'snapshot');
          await tiny.do(next, 'restoreRefs');
        });

        it('may see pages and the list of builds as they were, for as long as the cache likes', async () => {
          await switchBehind(3600, []);
          await tiny.do(next, 'verify', 'metadata');
          cache.forget();
          await tiny.do(next, 'compare');
          parent = next;
          const pages = ['builds.json', 'index.html'];
          await switchBehind(
            3600,
            pages.map((name) => `../${name}`),
          );
          await tiny.do(next, 'verify', 'metadata', 'compare');
          parent = next;
        });

        it('for longer than is waited fail the publication at once, and go back', async () => {
          await switchBehind(86_400);
          await assert.rejects(tiny.do(next, 'verify'), {
            type: 'ReadersBehind',
            nonRetryable: true,
            message: /repo\/summary: a cache or mirror gives readers an older state .* another 2[34] h/,
          });
          cache.forget();
          await tiny.do(next, 'restoreRefs');
          assert.deepEqual(await (await tiny.reader('back')).pull(), { commit: parent.commit });
        });
      },
    );
});

describe('the images that readers get', () => {
  let s: Scratch;
  let server: Http;
  const size = 300_000;
  const meta = { images: { qcow2: { path: image, size, sha256: 'ab' } } } as unknown as BuildMeta;
  let head: (req: IncomingMessage, res: ServerResponse, count: number) => void;
  let served = size;
  let asked: string[];
  before(async () => {
    s = await makeScratch('images');
    server = await startHttp((req, res) => {
      asked.push(`${req.method} ${req.headers.range ?? ''}`.trim());
      if (req.method === 'HEAD') return head(req, res, asked.length);
      if (ranges && req.headers.range)
        return res.writeHead(206, { 'content-range': `bytes 0-0/${served}`, 'content-length': 1 }).end('x');
      for (let left = served; left > 0; left -= 1000) res.write('x'.repeat(Math.min(left, 1000)));
      res.end();
    });
  });
  let ranges: boolean;
  beforeEach(() => {
    [ranges, served, asked] = [true, size, []];
  });
  after(async () => {
    server.close();
    await s.remove();
  });
  const verify = () => verifyFiles(s.step, server.url, meta);

  const odd: Record<string, typeof head> = {
    'without a length': (_req, res) => res.writeHead(200, { 'transfer-encoding': 'chunked' }).end(),
    'with the length of its packed form': (_req, res) =>
      res.writeHead(200, { 'content-encoding': 'gzip', 'content-length': 99 }).end(),
    'not allowed': (_req, res) => res.writeHead(405).end(),
    'not known': (_req, res) => res.writeHead(501).end(),
  };
  for (const [what, answer] of Object.entries(odd))
    it(`are asked for themselves where HEAD is answered ${what}`, async () => {
      head = answer;
      await verify();
      assert.deepEqual(asked, ['HEAD', 'GET bytes=0-0']);
      ranges = false;
      await verify();
      served = size - 1;
      await assert.rejects(
        verify(),
        fails('VerificationFailed', /disk\.qcow2: 299999 bytes instead of 300000/),
      );
      ranges = true;
      await assert.rejects(
        verify(),
        fails('VerificationFailed', /disk\.qcow2: 299999 bytes instead of 300000/),
      );
    });

  it('are asked for another time where HEAD fails for now', async () => {
    head = (_req, res, count) =>
      count === 1
        ? res.writeHead(503, { 'retry-after': '1' }).end()
        : res.writeHead(200, { 'content-length': size }).end();
    await assert.rejects(verify(), (error: { code?: string; retryAfter?: number }) => {
      assert.deepEqual([error.code, error.retryAfter], ['TargetUnreachable', 1000]);
      return true;
    });
    await verify();
    asked = [];
    head = (req, res, count) =>
      count === 1 ? req.socket.destroy() : res.writeHead(200, { 'content-length': size }).end();
    await assert.rejects(verify(), fails('TargetUnreachable', /disk\.qcow2: ./));
    await verify();
  });

  it('must be there', async () => {
    head = (_req, res) => res.writeHead(404).end();
    await assert.rejects(
      verify(),
      fails('VerificationFailed', /disk\.qcow2: HTTP status 404 instead of 300000/),
    );
    head = (_req, res) => res.writeHead(403).end();
    await assert.rejects(verify(), fails('VerificationFailed', /disk\.qcow2: HTTP status 403/));
    head = (_req, res) => res.writeHead(200, { 'content-length': 7 }).end();
    await assert.rejects(verify(), fails('VerificationFailed', /7 bytes instead of 300000/));
  });
});

describe('a target with folders on other disks', function () {
  let tiny: Tiny;
  let first: Build;
  const links = ['builds', 'repo'];
  const disk = (s: Scratch, name: string) => s.at(`disk-${name}`);
  before(async () => {
    tiny = await Tiny.make({ linked: (s) => links.map((name) => disk(s, name)) });
    await mkdir(tiny.target());
    for (const name of links) await symlink(disk(tiny.s, name), tiny.target(name));
    first = await withImage('20261123_01');
    await tiny.publish(first);
  });
  after(() => tiny.remove());

  async function withImage(id: string, parent?: string): Promise<Build> {
    const made = await tiny.build(id, parent);
    const folder = tiny.host.store.archDir({ stream: 'tiny', run: made.run }, 'x86_64');
    await mkdir(join(folder, 'build'), { recursive: true });
    await writeFile(join(folder, 'build', image), `image of ${id}`);
    return made;
  }
  const listed = async () =>
    (await needJson(tiny.target('builds.json'), buildIndex)).builds.map(({ id }) => id);

  it('keeps them, and readers get all of the build', async () => {
    for (const name of links) assert.equal(await readlink(tiny.target(name)), disk(tiny.s, name));
    assert.equal(
      await readFile(join(disk(tiny.s, 'builds'), first.build, 'x86_64', image), 'utf8'),
      `image of ${first.build}`,
    );
    const answer = await fetch(`${tiny.web.url}/tiny/builds/${first.build}/x86_64/${image}`);
    assert.equal(await answer.text(), `image of ${first.build}`);
    assert.deepEqual(await (await tiny.reader('first')).pull(), { commit: first.commit });
    assert.deepEqual(await listed(), [first.build]);
  });

  it('that lead nowhere are refused before anything is written', async () => {
    const next = await withImage('20261123_02', first.commit);
    await rename(disk(tiny.s, 'builds'), tiny.s.at('unmounted'));
    await assert.rejects(tiny.before(next), {
      type: 'PublishRefused',
      nonRetryable: true,
      message: /tiny\/builds: is a link that leads nowhere: is its disk mounted\?/,
    });
    assert.ok((await lstat(tiny.target('builds'))).isSymbolicLink());
    await rename(tiny.s.at('unmounted'), disk(tiny.s, 'builds'));
    await tiny.publish(next);
    first = next;
  });

  it('of which readers do not get all is found after the metadata, and they go back to the former build', async () => {
    const damages: [(file: string) => Promise<unknown>, RegExp][] = [
      [(file) => rm(file), /readers get HTTP status 404/],
      [(file) => writeFile(file, 'image of 20261123_99'), /readers get sha256 [0-9a-f]{64}, 20 bytes/],
    ];
    for (const [place, [damage, message]] of damages.entries()) {
      const next = await withImage(`20261123_1${place}`, first.commit);
      await tiny.before(next);
      await tiny.do(next, 'switchRefs', 'verify', 'metadata');
      assert.deepEqual((await listed())[0], next.build);
      await damage(tiny.target('builds', next.build, 'x86_64', image));
      await assert.rejects(tiny.do(next, 'compare'), {
        type: 'VerificationFailed',
        nonRetryable: true,
        message,
      });
      await tiny.do(next, 'restoreRefs');
      assert.deepEqual((await listed())[0], first.build);
      assert.deepEqual(await (await tiny.reader(`back-${place}`)).pull(), { commit: first.commit });
    }
  });

  it('are pruned as others are', async () => {
    const prune = () =>
      runActivity(publishActivities(tiny.host).prune, { stream: 'tiny', run: first.run, step: 'prune' });
    const third = await withImage('20261123_20', first.commit);
    await tiny.publish(third);
    assert.deepEqual(await prune(), ['20261123_01']);
    assert.ok((await lstat(tiny.target('builds'))).isSymbolicLink());
    assert.deepEqual(await listed(), [third.build, first.build]);
  });
});
