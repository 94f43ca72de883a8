/** Keys and signatures with real GnuPG. */
import assert from 'node:assert/strict';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { Failure } from '../../src/domain/failures.js';
import {
  clearSignCommand,
  detachSignCommand,
  instanceKeyFile,
  makeInstanceKey,
  readKey,
  requirePrivateKey,
  signingHome,
} from '../../src/keys/gpg.js';
import { until } from '../support/ports.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const keyMissing = (message: RegExp) => (error: unknown) =>
  error instanceof Failure && error.code === 'KeyMissing' && message.test(error.message);

describe('keys', function () {
  let s: Scratch;
  before(async () => {
    s = await makeScratch('keys');
    await mkdir(s.at('home'), { mode: 0o700 });
    await makeInstanceKey(s.step, s.folder);
  });
  after(() => s.remove());

  const gpg = (...args: string[]) =>
    s.step.run(['gpg', '--homedir', s.at('home'), '--batch', '--no-tty', ...args]);
  /** Makes a key; answers the file of its public part. */
  async function keyFile(user: string, ...options: string[]): Promise<string> {
    await gpg(
      ...options,
      '--passphrase',
      '',
      '--quick-generate-key',
      user,
      'ed25519',
      'sign',
      options.length > 0 ? '1d' : 'never',
    );
    return s.write(`${user}.asc`, (await gpg('--armor', '--export', user)).stdout);
  }

  it('the instance key is made once, for two years, and in a folder that is closed to others', async () => {
    const file = instanceKeyFile(s.folder);
    const first = await readFile(file, 'utf8');
    assert.match(first, /^-----BEGIN PGP PUBLIC KEY BLOCK-----/);
    await makeInstanceKey(s.step, s.folder);
    assert.equal(await readFile(file, 'utf8'), first);
    assert.equal((await stat(signingHome(s.folder))).mode & 0o777, 0o700);
    const { expires } = await readKey(s.step, file);
    const years = (Number(expires) - Date.now()) / (365 * 86_400_000);
    assert.ok(years > 1.9 && years < 2.1, String(years));
  });

  it('a crash between making the key and writing its file makes no second key', async () => {
    const file = instanceKeyFile(s.folder);
    const { fingerprint } = await readKey(s.step, file);
    await s.step.run(['rm', file]);
    await makeInstanceKey(s.step, s.folder);
    assert.equal((await readKey(s.step, file)).fingerprint, fingerprint);
    const { stdout } = await s.step.run([
      'gpg',
      '--homedir',
      signingHome(s.folder),
      '--batch',
      '--with-colons',
      '--list-secret-keys',
    ]);
    assert.equal(stdout.match(/^sec:/gm)?.length, 1);
  });

  it('tell fingerprint, user and end', async () => {
    const facts = await readKey(s.step, await keyFile('Someone <some@example.org>'));
    assert.match(facts.fingerprint, /^[0-9A-F]{40}$/);
    assert.equal(facts.user, 'Someone <some@example.org>');
    assert.equal(facts.expires, undefined);
    assert.equal(
      (await gpg('--with-colons', '--list-keys', 'some@example.org')).stdout.includes(facts.fingerprint),
      true,
    );
  });

  it('that expired are KeyMissing, with their date', async () => {
    const file = await keyFile('expired', '--faked-system-time', '20200101T000000');
    await assert.rejects(
      readKey(s.step, file),
      keyMissing(/expired\.asc: the key [0-9A-F]{40} expired on 2020-01-02$/),
    );
  });

  it('that are revoked are KeyMissing', async () => {
    const file = await keyFile('revoked');
    const { fingerprint } = await readKey(s.step, file);
    const certificate = await readFile(s.at(`home/openpgp-revocs.d/${fingerprint}.rev`), 'utf8');
    await gpg('--import', await s.write('cert.asc', certificate.replace(':-----BEGIN', '-----BEGIN')));
    await s.write('revoked.asc', (await gpg('--armor', '--export', 'revoked')).stdout);
    await assert.rejects(readKey(s.step, file), keyMissing(/revoked\.asc: the key [0-9A-F]{40} is revoked$/));
  });

  it('that are absent, garbage, empty or something else are KeyMissing', async () => {
    await assert.rejects(readKey(s.step, s.at('none.asc')), keyMissing(/none\.asc: no such key file/));
    const armoured = (await readFile(instanceKeyFile(s.folder), 'utf8')).split('\n');
    const cut = [...armoured.slice(0, 4), ...armoured.slice(-3)].join('\n');
    for (const content of ['', 'not a key\n', '\0\x01\x02', cut]) {
      const file = await s.write('bad.asc', content);
      await assert.rejects(
        readKey(s.step, file),
        keyMissing(/bad\.asc: not an OpenPGP public key/),
        JSON.stringify(content),
      );
    }
  });

  it('reading one does not import it', async () => {
    const file = await keyFile('stranger');
    await readKey(s.step, file);
    const { stdout } = await s.step.run(['gpg', '--batch', '--with-colons', '--list-keys']);
    assert.equal(stdout.includes('stranger'), false);
  });

  it('an expired signing subkey is as bad as an expired key, in the file and in the home', async () => {
    const home = s.at('home');
    await gpg('--passphrase', '', '--quick-generate-key', 'subkeys', 'ed25519', 'cert', 'never');
    const primary = /^fpr:+([0-9A-F]{40}):/m.exec(
      (await gpg('--with-colons', '--list-keys', '=subkeys')).stdout,
    );
    const print = primary?.[1] ?? '';
    const write = async () => s.write('subkeys.asc', (await gpg('--armor', '--export', '=subkeys')).stdout);
    const expired = /cannot sign: none of its keys can sign today: [0-9A-F]{16} expired on \d{4}-\d\d-\d\d$/;
    await gpg('--passphrase', '', '--quick-add-key', print, 'ed25519', 'sign', 'seconds=2');
    const facts = await readKey(s.step, await write());
    assert.ok(facts.expires && facts.expires.getTime() < Date.now() + 3000);
    const { expires } = facts;
    // gpg counts in seconds.
    await until('it has expired', 30, () => Date.now() > expires.getTime() + 1500);
    await assert.rejects(readKey(s.step, await write()), keyMissing(expired));
    await assert.rejects(
      requirePrivateKey(s.step, home, facts),
      keyMissing(
        /has no private part that can sign: none of its keys can sign today: [0-9A-F]{16} expired on/,
      ),
    );
    // Renewed, but the file in the stream's folder is the former one.
    const old = await readFile(s.at('subkeys.asc'), 'utf8');
    await gpg('--passphrase', '', '--quick-add-key', print, 'ed25519', 'sign', '1y');
    await assert.rejects(readKey(s.step, await s.write('former.asc', old)), keyMissing(expired));
    const renewed = await readKey(s.step, await write());
    await requirePrivateKey(s.step, home, renewed);
    assert.ok(renewed.expires && renewed.expires.getTime() > Date.now() + 300 * 86_400_000);
  });

  it('the private part is required in the home of the signing role', async () => {
    const own = await readKey(s.step, instanceKeyFile(s.folder));
    const home = signingHome(s.folder);
    await requirePrivateKey(s.step, home, own);
    const other = await readKey(s.step, await keyFile('elsewhere'));
    await assert.rejects(
      requirePrivateKey(s.step, home, other),
      keyMissing(/no private key for [0-9A-F]{40} \(elsewhere\): import it/),
    );
    // A public part alone is not enough.
    await s.step.run(['gpg', '--homedir', home, '--batch', '--import', s.at('elsewhere.asc')]);
    await assert.rejects(requirePrivateKey(s.step, home, other), keyMissing(/no private key/));
  });

  it('signatures verify, are replaced by a second try, and break with the content', async () => {
    const home = signingHome(s.folder);
    const { fingerprint } = await readKey(s.step, instanceKeyFile(s.folder));
    const file = await s.write('sums with space.txt', 'abc  image\n');
    const verify = (...args: string[]) =>
      s.step.run(['gpg', '--homedir', home, '--batch', '--status-fd', '1', '--verify', ...args], {
        okCodes: [0, 1],
      });
    for (let time = 0; time < 2; time++) {
      await s.step.run(detachSignCommand(home, fingerprint, file));
      assert.match((await verify(`${file}.asc`, file)).stdout, new RegExp(`VALIDSIG ${fingerprint}`));
    }
    await s.write('sums with space.txt', 'abd  image\n');
    assert.match((await verify(`${file}.asc`, file)).stdout, /BADSIG/);
    await s.step.run(clearSignCommand(home, fingerprint, file));
    assert.match(
      await readFile(`${file}.asc`, 'utf8'),
      /^-----BEGIN PGP SIGNED MESSAGE-----[^]*abd {2}image/,
    );
    assert.match((await verify(`${file}.asc`)).stdout, new RegExp(`VALIDSIG ${fingerprint}`));
  });
});
