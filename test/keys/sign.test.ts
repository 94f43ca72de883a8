/** The signing role's activity on real commits and files. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { signActivities } from '../../src/activities/sign.js';
import { readKey, signingHome } from '../../src/keys/gpg.js';
import { writeJson } from '../../src/store/store.js';
import { Tiny, type Build } from '../publish/tiny.js';
import { runActivity } from '../steps/activity.js';

describe('signing', function () {
  let tiny: Tiny;
  let made: Build;
  before(async () => {
    tiny = await Tiny.make();
    made = await tiny.build('20261123_01', undefined, { unsigned: true });
  });
  after(() => tiny.remove());

  const folder = () => `store/tiny/runs/${made.run}/x86_64`;
  const args = () => ({ stream: 'tiny', run: made.run, arch: 'x86_64' as const });
  const signCommit = () =>
    runActivity(signActivities(tiny.host).signCommit, {
      ...args(),
      step: 'sign-commit',
      commit: made.commit,
    });
  it('signs no commit that its run has not made', async () => {
    const foreign = await tiny.build('20261123_02', undefined, { unsigned: true });
    await assert.rejects(
      runActivity(signActivities(tiny.host).signCommit, {
        ...args(),
        step: 'sign-commit',
        commit: foreign.commit,
      }),
      { type: 'CommitInvalid', message: /is not what this run has made; it is not signed/ },
    );
  });
  const sign = (images: string[]) =>
    runActivity(signActivities(tiny.host).signImages, { ...args(), step: 'sign-images', images });
  const signatures = async () => {
    const repo = `--repo=${tiny.staging}`;
    await tiny.s.step.run([
      'ostree',
      repo,
      'remote',
      'add',
      '--if-not-exists',
      `--gpg-import=${tiny.stream.signingKey}`,
      'key',
      'http://127.0.0.1/',
    ]);
    const { stdout } = await tiny.s.step.run([
      'ostree',
      repo,
      'show',
      '--gpg-verify-remote=key',
      made.commit,
    ]);
    return {
      found: /Found (\d+) signature/.exec(stdout)?.[1],
      good: stdout.match(/Good signature/g)?.length,
    };
  };
  const verify = async (...files: string[]) =>
    (
      await tiny.s.step.run(
        ['gpg', '--homedir', signingHome(tiny.s.folder), '--batch', '--status-fd', '1', '--verify', ...files],
        { okCodes: [0, 1] },
      )
    ).stdout;

  async function image(kind: string, content: string, recorded = content): Promise<string> {
    const path = `tiny-${kind}.img`;
    const sha256 = createHash('sha256').update(recorded).digest('hex');
    await writeJson(tiny.s.at(folder(), `image-${kind}.json`), { path, sha256, size: content.length });
    return tiny.s.write(`${folder()}/build/${path}`, content);
  }

  it('twice gives exactly one signature of the commit, which verifies', async () => {
    const { fingerprint } = await readKey(tiny.s.step, tiny.stream.signingKey);
    assert.deepEqual(await signCommit(), { key: fingerprint });
    assert.deepEqual(await signatures(), { found: '1', good: 1 });
    assert.deepEqual(await signCommit(), { key: fingerprint });
    assert.deepEqual(await signatures(), { found: '1', good: 1 });
  });

  it('signs each image and the sorted checksums', async () => {
    const { fingerprint } = await readKey(tiny.s.step, tiny.stream.signingKey);
    const files = [await image('b', 'content of b'), await image('a', 'content of a')];
    for (let time = 0; time < 2; time++) {
      await sign(['b', 'a']);
      for (const file of files)
        assert.match(await verify(`${file}.asc`, file), new RegExp(`VALIDSIG ${fingerprint}`));
      const sums = tiny.s.at(folder(), 'build/sha256sum.txt');
      assert.match(await verify(`${sums}.asc`), new RegExp(`VALIDSIG ${fingerprint}`));
      await tiny.s.step.run(['sha256sum', '--check', '--strict', sums], {
        cwd: tiny.s.at(folder(), 'build'),
      });
      assert.equal((await readFile(sums, 'utf8')).trim().split('\n').length, 2);
    }
  });

  it('refuses an image that is not what was made, before its signature', async () => {
    const file = await image('changed', 'tampered', 'original');
    await assert.rejects(sign(['changed']), {
      type: 'ImageFailed',
      nonRetryable: true,
      message: /tiny-changed\.img: is [0-9a-f]{64}, but was made as/,
    });
    await assert.rejects(readFile(`${file}.asc`), { code: 'ENOENT' });
  });

  it('without the private part is KeyMissing', async () => {
    const home = signingHome(tiny.s.folder);
    await tiny.s.step.run(['mv', home, `${home}-away`]);
    await tiny.s.step.run(['mkdir', '-m', '700', home]);
    await assert.rejects(signCommit(), {
      type: 'KeyMissing',
      nonRetryable: true,
      message: /no private key for/,
    });
    await tiny.s.step.run(['rm', '-r', home]);
    await tiny.s.step.run(['mv', `${home}-away`, home]);
  });
});
