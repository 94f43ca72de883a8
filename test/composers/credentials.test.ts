/** A repo that asks for user and password, with variables in its URL: every reader gets in, and the password is told nowhere. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { composeActivities } from '../../src/activities/compose.js';
import { repoFile } from '../../src/composers/rpm-ostree/repo-files.js';
import { mask } from '../../src/domain/secrets.js';
import { streamSchema } from '../../src/domain/stream.js';
import { ensureKey, signRpms } from '../../src/sample/rpm.js';
import { readAdvisories } from '../../src/security/sources.js';
import { readSettings } from '../../src/settings.js';
import { Store, writeJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const user = 'builder';
const password = 'p/w@%41:$x ä';
const pair = Buffer.from(`${user}:${password}`).toString('base64');

const run = { stream: 's', run: 'r' };

describe('a repo with credentials', function () {
  let s: Scratch;
  let server: Server;
  let url: string;
  /** `<status> <path>` of what was asked for. */
  let asked: string[] = [];

  before(async () => {
    s = await makeScratch('credentials');
    const rpms = s.at('www/9/os/x86_64');
    const spec =
      'Name: one\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\nx\n%files\n';
    const file = await s.write('one.spec', spec);
    await mkdir(rpms, { recursive: true });
    const topdir = ['--define', `_topdir ${s.at('rpmbuild')}`, '--define', `_rpmdir ${s.at('rpms')}`];
    await s.step.run(['rpmbuild', '-bb', '--quiet', ...topdir, file]);
    await s.step.run(['cp', s.at('rpms/noarch/one-1-1.noarch.rpm'), rpms]);
    await ensureKey(s.step, s.at('gnupg'), s.at('key.asc'));
    await signRpms(s.step, s.at('gnupg'), [join(rpms, 'one-1-1.noarch.rpm')]);
    await s.step.run(['createrepo_c', '--quiet', rpms]);
    server = createServer((request, response) => {
      const answer = (status: number, body?: Buffer) => {
        asked.push(`${status} ${request.url ?? ''}`);
        response.writeHead(status, { 'www-authenticate': 'Basic realm="rpms", charset="UTF-8"' }).end(body);
      };
      if (request.headers.authorization !== `Basic ${pair}`) return answer(401);
      readFile(s.at('www', request.url ?? '')).then(
        (body) => answer(200, body),
        () => answer(404),
      );
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/$releasever/os/\${basearch}`;
    await writeFile(s.at('password'), `${password}\n`, { mode: 0o600 });
  });
  after(async () => {
    server.close();
    await s.remove();
  });
  beforeEach(() => (asked = []));

  const repo = () => ({
    ...{ id: 'base', baseurl: url, gpgKeys: [s.at('key.asc')], metadataSigned: false },
    credentials: { username: user, passwordFile: s.at('password') },
  });

  /** The steps of a run of its own. */
  async function steps(name: string, change: object = {}) {
    const store = new Store(s.at(name));
    await s.write(`${name}-treefile.yaml`, 'packages: [one]\n');
    const stream = {
      ...{ name: 's', composer: 'dnf', releasever: '9', ref: 'x/${arch}/y', osname: 's', images: [] },
      ...{ treefile: s.at(`${name}-treefile.yaml`), repos: [{ ...repo(), ...change }] },
    };
    await mkdir(join(store.runDir(run), 'source'), { recursive: true });
    await writeJson(join(store.runDir(run), 'stream.json'), stream);
    const { resolve, download, inputs } = composeActivities({
      settings: readSettings({ TREELINE_STATE: s.at(name) }),
      store,
    });
    const of = (step: string) => ({ ...run, step, arch: 'x86_64' as const });
    return {
      resolve: () => runActivity(resolve, of('resolve')),
      download: () => runActivity(download, of('download')),
      inputs: () => runActivity(inputs, of('inputs')),
    };
  }

  it('is resolved, downloaded and looked at again by the same address, and its password stands nowhere', async () => {
    const { resolve, download, inputs } = await steps('good');
    assert.equal((await resolve()).packages, 1);
    await download();
    assert.deepEqual(await inputs(), { changed: [] });
    assert.deepEqual(
      asked.filter((line) => !line.startsWith('401')).filter((line) => !line.startsWith('200 /9/os/x86_64/')),
      [],
    );
    assert.ok(asked.includes('200 /9/os/x86_64/one-1-1.noarch.rpm'), asked.join('\n'));
    assert.ok(asked.includes('200 /9/os/x86_64/repodata/repomd.xml'));
    const files = await readdir(s.at('good'), { recursive: true, withFileTypes: true });
    const kept = files.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    assert.ok(
      kept.some((file) => file.endsWith('inputs.log')),
      kept.join('\n'),
    );
    for (const file of kept) {
      const text = await readFile(file, 'utf8');
      for (const secret of [password, pair, encodeURIComponent(password)])
        assert.ok(!text.includes(secret), file);
    }
    assert.equal(mask(`it said: ${pair} ${password}`).includes(password), false);
  });

  it('is read for advisories', async () => {
    const stream = {
      repos: [repo()],
      releasever: '9',
      architectures: ['x86_64' as const],
      release: undefined,
    };
    const folders = { folder: s.folder, cache: s.at('cache'), work: s.at('work') };
    assert.deepEqual(await readAdvisories(s.step, stream, ['one'], folders), {
      advisories: [],
      failed: [],
      modules: new Map(),
    });
    assert.ok(asked.includes('200 /9/os/x86_64/repodata/repomd.xml'));
  });

  it('that refuses us is final, for dnf and for us', async () => {
    await writeFile(s.at('wrong'), 'another-one', { mode: 0o600 });
    const wrong = { credentials: { username: user, passwordFile: s.at('wrong') } };
    const refused = { type: 'RepoRefused', nonRetryable: true, message: /base.*401|401/ };
    await assert.rejects((await steps('wrong-resolve', wrong)).resolve(), refused);
    await assert.rejects((await steps('none-resolve', { credentials: undefined })).resolve(), refused);
    const { resolve } = await steps('wrong-inputs');
    await resolve();
    const { inputs } = await steps('wrong-inputs', wrong);
    await assert.rejects(inputs(), refused);
  });

  it('needs a password file that is there, has a password, and is closed to others', async () => {
    const file = s.at('other');
    const passwordFile = { credentials: { username: user, passwordFile: file } };
    const rejects = async (message: RegExp) =>
      assert.rejects((await steps('file', passwordFile)).resolve(), { type: 'StreamInvalid', message });
    await rejects(/^repos\.base\.credentials\.passwordFile: .*other: cannot be read \(ENOENT\)$/);
    await writeFile(file, '\n', { mode: 0o600 });
    await rejects(/must have one line, the password$/);
    await writeFile(file, 'good-one');
    await chmod(file, 0o640);
    await rejects(/others may read it: `chmod 600` it$/);
  });

  it('is written for rpm-ostree', () => {
    const text = repoFile({ ...repo(), baseurl: 'https://x/' }, 'pass-word');
    assert.match(text, /^username=builder\npassword=pass-word\n/m);
    for (const bad of ['two words', 'back\\slash', 'dollar$'])
      assert.throws(() => repoFile({ ...repo(), baseurl: 'https://x/' }, bad), { code: 'StreamInvalid' });
    assert.doesNotMatch(repoFile({ ...repo(), credentials: undefined, baseurl: 'https://x/' }), /password/);
  });

  describe('is declared', () => {
    const parse = (change: object) => {
      const { shape } = streamSchema;
      const { error } = shape.repos.safeParse([{ ...repo(), ...change }]);
      return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
    };
    it('beside its URL, never in it', () => {
      assert.deepEqual(parse({}), []);
      for (const baseurl of ['https://builder:pw@host/x', 'https://token@host/x'])
        assert.deepEqual(parse({ baseurl }), [
          '0.baseurl: no user or password in a URL: name them in `credentials` of this repo',
        ]);
      assert.match(parse({ credentials: { username: 'a', passwordFile: 'pw' } })[0] ?? '', /absolute path/);
      assert.match(parse({ credentials: { username: 'a:b', passwordFile: '/pw' } })[0] ?? '', /no `:`/);
    });
    it('with the variables that the stream decides', () => {
      assert.deepEqual(parse({ baseurl: 'http://h/$releasever/${basearch}/$arch' }), []);
      for (const name of ['$stream', '$releasever_minor'])
        assert.deepEqual(parse({ baseurl: `http://h/${name}/x` }), [
          '0.baseurl: only `$releasever`, `$arch` and `$basearch` are filled in',
        ]);
    });
  });
});
