/** The search for leaked secrets finds what it must find: real keys of GnuPG, planted in every form. */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { assertNoSecrets } from './secrets.js';

describe('the search for secrets', function () {
  let s: Scratch;
  const passphrase = 'correct horse battery';
  before(async () => {
    s = await makeScratch('secrets');
  });
  after(() => s.remove());

  /** A home with one key; answers it and the key's secret in hex. */
  async function home(name: string, algorithm: string, phrase = ''): Promise<string> {
    const folder = s.at(name);
    await mkdir(folder, { mode: 0o700 });
    const gpg = [
      '--homedir',
      folder,
      '--batch',
      '--no-tty',
      '--pinentry-mode',
      'loopback',
      '--passphrase',
      phrase,
    ];
    await s.step.run(['gpg', ...gpg, '--quick-generate-key', name, algorithm, 'sign', 'never']);
    const { stdout } = await s.step.run(['gpg', ...gpg, '--armor', '--export-secret-keys', name]);
    await s.write(`${name}-armoured`, stdout);
    await execa('gpgconf', ['--homedir', folder, '--kill', 'all']);
    return folder;
  }
  const keyFile = async (folder: string) => {
    const keys = join(folder, 'private-keys-v1.d');
    return join(keys, (await readdir(keys))[0] ?? '');
  };
  /** The secret parameter `d`, as gpg-agent wrote it. */
  async function secretOf(folder: string): Promise<Buffer> {
    const text = await readFile(await keyFile(folder), 'latin1');
    const digits = /\(d\s+#([0-9A-F\s]+)#/.exec(text)?.[1];
    assert.ok(digits);
    return Buffer.from(digits.replace(/\s/g, ''), 'hex');
  }
  /** Planted in a file deep in a folder, and in a text. */
  async function found(content: string | Buffer, folder: string, what: RegExp): Promise<void> {
    const place = s.at('searched');
    await rm(place, { recursive: true, force: true });
    await mkdir(join(place, 'a/b'), { recursive: true });
    await writeFile(join(place, 'a/innocent.log'), 'nothing here\n');
    await writeFile(join(place, 'a/b/leak'), content);
    await assert.rejects(assertNoSecrets({ folders: [place] }, folder, [passphrase]), (error: Error) => {
      assert.match(error.message, /a\/b\/leak: /);
      assert.doesNotMatch(error.message, /innocent/);
      assert.match(error.message, what);
      return true;
    });
    if (typeof content === 'string')
      await assert.rejects(
        assertNoSecrets({ strings: { 'the history': content } }, folder, [passphrase]),
        /the history: /,
      );
  }

  for (const algorithm of ['ed25519', 'rsa2048', 'nistp256'])
    it(`finds a key of ${algorithm} in every form`, async () => {
      const folder = await home(algorithm, algorithm);
      const secret = await secretOf(folder);
      const bare = secret[0] === 0 ? secret.subarray(1) : secret;
      await found(
        Buffer.concat([Buffer.from([1, 10, 0]), secret, Buffer.from([10, 0])]),
        folder,
        /private key/,
      );
      for (const text of [
        secret.toString('hex'),
        secret.toString('hex').toUpperCase(),
        bare.toString('base64url'),
      ])
        await found(`{"value":"${text}"}`, folder, /private key/);
      for (const before of ['', 'a', 'ab']) {
        const wrapped = Buffer.concat([Buffer.from(before), secret])
          .toString('base64')
          .replace(/.{64}/g, '$&\n');
        await found(`x ${wrapped}`, folder, /private key/);
        // As Temporal keeps a payload that has the key in hex or base64.
        const inner = JSON.stringify({ [before]: secret.toString('hex'), b: bare.toString('base64') });
        await found(`{"data":"${Buffer.from(inner).toString('base64')}"}`, folder, /private key/);
        const bytes = Buffer.concat([Buffer.from(before), bare]).toString('base64');
        await found(`{"data":"${Buffer.from(bytes).toString('base64')}"}`, folder, /private key/);
      }
      await found(await readFile(await keyFile(folder)), folder, /private key/);
      await found(await readFile(s.at(`${algorithm}-armoured`), 'utf8'), folder, /a private key block/);
      const armoured = await readFile(s.at(`${algorithm}-armoured`));
      await found(`{"data":"${armoured.toString('base64')}"}`, folder, /a private key block/);
    });

  it('finds an encrypted key, and the passphrase', async () => {
    const folder = await home('locked', 'ed25519', passphrase);
    const file = await readFile(await keyFile(folder));
    await found(file, folder, /private key/);
    // Without the marker at its beginning: the encrypted block itself.
    await found(file.subarray(file.length - 120), folder, /private key [0-9A-F]{8}/);
    await found(`--passphrase '${passphrase}'`, folder, /a passphrase/);
    await found(Buffer.from(passphrase).toString('hex'), folder, /a passphrase/);
    await found(`{"data":"${Buffer.from(`x${passphrase}y`).toString('base64')}"}`, folder, /a passphrase/);
  });

  it('passes what is public, and fails where it could not search', async () => {
    const folder = await home('public', 'ed25519');
    const gpg = ['gpg', '--homedir', folder, '--batch', '--no-tty', '--no-autostart'] as const;
    const { stdout } = await s.step.run([...gpg, '--armor', '--export', 'public']);
    const list = await s.step.run([...gpg, '--with-colons', '--with-keygrip', '--list-keys']);
    const strings = { key: stdout, list: list.stdout, other: s.at('public-armoured') };
    await assertNoSecrets({ strings, files: [join(folder, 'pubring.kbx')] }, folder, [passphrase]);
    await assert.rejects(assertNoSecrets({ folders: [s.at('none')] }, folder), /No such file/);
    await assert.rejects(assertNoSecrets({}, folder), /nothing to search/);
    await mkdir(s.at('empty/private-keys-v1.d'), { recursive: true });
    await assert.rejects(assertNoSecrets({ strings }, s.at('empty')), /no private keys/);
  });
});
