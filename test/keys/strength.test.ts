/** Which keys are fit to sign a release: real keys of GnuPG, and the signing role's activity. */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { signPackagesActivities } from '../../src/activities/sign-packages.js';
import { signingHome } from '../../src/keys/gpg.js';
import { examineKey } from '../../src/keys/strength.js';
import { readSettings } from '../../src/settings.js';
import { Store, writeJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { at } from './people.js';

describe('keys that sign releases', function () {
  let s: Scratch;
  let home: string;
  before(async () => {
    s = await makeScratch('strength');
    home = signingHome(s.folder);
    await mkdir(home, { recursive: true, mode: 0o700 });
  });
  after(async () => {
    await execa('gpgconf', ['--homedir', home, '--kill', 'all']);
    await s.remove();
  });

  const gpg = async (...args: string[]) =>
    (await s.step.run(['gpg', '--homedir', home, '--batch', '--no-tty', '--passphrase', '', ...args])).stdout;
  const publish = async (name: string) => {
    await gpg('--yes', '--armor', '--output', s.at(`${name}.asc`), '--export', `=${name}`);
    return s.at(`${name}.asc`);
  };
  /** Makes a key; answers its public file. */
  async function key(
    name: string,
    algorithm: string,
    expire = 'never',
    ...options: string[]
  ): Promise<string> {
    await gpg(...options, '--quick-generate-key', name, algorithm, 'sign', expire);
    return publish(name);
  }
  /** In a GnuPG home that is not the signing role's. */
  async function elsewhere<T>(name: string, work: (run: typeof gpg) => Promise<T>): Promise<T> {
    const other = s.at(name);
    await mkdir(other, { recursive: true, mode: 0o700 });
    try {
      const options = ['--homedir', other, '--batch', '--no-tty', '--passphrase', ''];
      return await work(async (...args) => (await s.step.run(['gpg', ...options, ...args])).stdout);
    } finally {
      await execa('gpgconf', ['--homedir', other, '--kill', 'all']);
    }
  }
  const fingerprint = async (name: string) =>
    /^fpr:+([0-9A-F]{40}):/m.exec(await gpg('--with-colons', '--list-keys', `=${name}`))?.[1] ?? '';
  const examine = (file: string) => examineKey(s.step, home, file);
  const refused = (file: string, message: RegExp) =>
    assert.rejects(examine(file), { code: 'KeyMissing', message });

  it('takes ed25519, NIST curves and RSA from 2048 bits, and tells when they end', async () => {
    for (const [algorithm, shown] of [
      ['ed25519', 'EdDSA ed25519'],
      ['nistp256', 'ECDSA nistp256'],
      ['rsa2048', 'RSA 2048'],
    ] as const) {
      const file = await key(algorithm, algorithm, '1y');
      const state = await examine(file);
      assert.equal(state.algorithm, shown);
      assert.equal(state.fingerprint, await fingerprint(algorithm));
      assert.ok(state.expires && Math.abs(state.expires.getTime() - Date.now() - 365 * 86_400_000) < 60_000);
    }
    assert.equal((await examine(await key('for ever', 'ed25519'))).expires, undefined);
  });

  it('refuses DSA, short RSA and a curve of others', async () => {
    await refused(await key('dsa', 'dsa2048'), /DSA 2048 is too weak/);
    await refused(await key('short', 'rsa1024'), /RSA 1024 is too weak/);
    await refused(await key('koblitz', 'secp256k1'), /ECDSA secp256k1 is too weak/);
  });

  it('refuses a key that is bound to its user by SHA-1, until that is renewed', async () => {
    const file = await key(
      'sha1',
      'rsa2048',
      'never',
      '--cert-digest-algo',
      'SHA1',
      ...at('20260101T000000'),
    );
    await refused(file, /bound to its user by SHA-1/);
    await gpg('--quick-set-expire', await fingerprint('sha1'), '2y');
    await examine(await publish('sha1'));
  });

  it('counts the signing subkey where that signs, its expiry and its strength', async () => {
    await gpg('--quick-generate-key', 'primary', 'ed25519', 'cert', 'never');
    await refused(await publish('primary'), /none of its keys can sign/);
    const primary = await fingerprint('primary');
    await gpg('--quick-add-key', primary, 'rsa2048', 'sign', '10d');
    const state = await examine(await publish('primary'));
    assert.equal(state.algorithm, 'RSA 2048');
    assert.ok(state.expires && state.expires.getTime() < Date.now() + 11 * 86_400_000);
    await gpg('--quick-add-key', primary, 'rsa1024', 'sign', '10d');
    await refused(await publish('primary'), /RSA 1024 is too weak/);
  });

  it('refuses one whose private part is not at hand, or that has ended in the home only', async () => {
    const file = await key('away', 'ed25519');
    const grip = /^grp:+([0-9A-F]{40}):/m.exec(
      await gpg('--with-colons', '--with-keygrip', '--list-keys', '=away'),
    )?.[1];
    await s.step.run(['mv', join(home, 'private-keys-v1.d', `${grip}.key`), s.at('away.key')]);
    await refused(file, /no private key for [0-9A-F]{40} \(away\): import it/);

    const stranger = await elsewhere('stranger', async (run) => {
      await run('--quick-generate-key', 'stranger', 'ed25519', 'sign', 'never');
      await run('--yes', '--armor', '--output', s.at('stranger.asc'), '--export', 'stranger');
      return s.at('stranger.asc');
    });
    await refused(stranger, /import it with its private part/);

    const old = await key('old', 'ed25519', '1d', ...at('20200101T000000'));
    await refused(old, /expired on 2020-01-02/);
    const print = await fingerprint('old');
    await s.step.run(['cp', '-a', home, s.at('renewed')]);
    await elsewhere('renewed', async (run) => {
      await run('--quick-set-expire', print, '2y');
      await run('--yes', '--armor', '--output', old, '--export', '=old');
    });
    await refused(old, /has expired or is revoked there, other than in its file: import the renewed key/);
  });

  it('of a stream are examined before a rebuild; those that end soon are named', async () => {
    const host = { settings: readSettings({ TREELINE_STATE: s.folder }), store: new Store(s.folder) };
    const args = { stream: 'tiny.signed', run: 'run-1', step: 'keys' };
    const stream = {
      signingKey: await key('commits', 'ed25519', '20d'),
      release: {
        announce: { key: await key('mails', 'ed25519') },
        rebuild: { rpmKey: await key('packages', 'rsa2048', '40d'), expiryWarning: 30 * 86_400 },
      },
    };
    await writeJson(join(host.store.runDir(args), 'stream.json'), stream);
    const { checkKeys } = signPackagesActivities(host);
    const { warnings } = await runActivity(checkKeys, args);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!,
      /commits\.asc: the key [0-9A-F]{40} \(commits\) expires on 20\d\d-\d\d-\d\d: renew it/,
    );
    stream.release.rebuild.rpmKey = s.at('dsa.asc');
    await writeJson(join(host.store.runDir(args), 'stream.json'), stream);
    await assert.rejects(runActivity(checkKeys, args), { type: 'KeyMissing', nonRetryable: true });
  });
});
