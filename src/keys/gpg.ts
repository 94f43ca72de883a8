/** OpenPGP through GnuPG: the instance's key, facts about keys, signatures. Private keys are in gpg-agent's hands only. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { readFileBytes } from '../steps/read-file.js';
import type { Step } from '../steps/step.js';
import { exists, writeWhole } from '../store/store.js';
import { dayOf, rowsOf, signs, whyNone, type Row } from './rows.js';

/** GPG home of the signing role. */
export const signingHome = (state: string) => join(state, 'keys', 'gnupg');
/** Public part of the instance's own key, which `sample` signs with. */
export const instanceKeyFile = (state: string) => join(state, 'keys', 'treeline.asc');

const gpg = (home: string, ...args: string[]): [string, ...string[]] => [
  'gpg',
  '--homedir',
  home,
  '--batch',
  '--no-tty',
  ...args,
];

/** Makes the instance's signing key, once: ed25519, two years, no passphrase; a fleet brings keys of its own. */
export async function makeInstanceKey(step: Step, state: string): Promise<void> {
  const file = instanceKeyFile(state);
  if (await exists(file)) return;
  const home = signingHome(state);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const user = 'Treeline instance key';
  const known = await step.run(gpg(home, '--with-colons', '--list-secret-keys'), { okCodes: [0, 2] });
  if (!known.stdout.includes(user))
    await step.run(gpg(home, '--passphrase', '', '--quick-generate-key', user, 'ed25519', 'sign', '2y'));
  const { stdout } = await step.run(gpg(home, '--armor', '--export', user));
  await writeWhole(file, stdout);
}

export interface KeyFacts {
  /** 40 hex digits, upper case. */
  readonly fingerprint: string;
  readonly user: string;
  /** Absent for a key that does not expire. */
  readonly expires?: Date;
}

/** Shows a public key file without importing it. */
export const showKeyCommand = (file: string, ...options: string[]): [string, ...string[]] => [
  ...(['gpg', '--batch', '--no-tty', '--no-default-keyring', '--keyring', '/dev/null'] as const),
  ...['--with-colons', ...options, '--show-keys', file],
];

/**
 * Reads a public key file. `expires` is when nothing can be signed any more: the primary key's day, or its last signing subkey's.
 * Throws `KeyMissing` for one that is absent, no key, revoked or expired, or that cannot sign today.
 */
export async function readKey(step: Step, file: string): Promise<KeyFacts> {
  const rows = await showKeys(step, file);
  const primary = rows.find(({ kind }) => kind === 'pub');
  const fingerprint = rows.find(({ kind }) => kind === 'fpr')?.value;
  if (!primary || fingerprint === undefined)
    throw new Failure('KeyMissing', `${file}: not an OpenPGP public key`);
  const no = (why: string) => new Failure('KeyMissing', `${file}: the key ${fingerprint} ${why}`);
  if (primary.expires && primary.expires < new Date()) throw no(`expired on ${dayOf(primary.expires)}`);
  if (primary.validity === 'r') throw no('is revoked');
  const signing = rows.filter(signs);
  if (signing.length === 0) throw no(`cannot sign: ${whyNone(rows)}`);
  const last = Math.max(...signing.map(({ expires }) => expires?.getTime() ?? Infinity));
  const end = Math.min(primary.expires?.getTime() ?? Infinity, last);
  const user = rows.find(({ kind }) => kind === 'uid')?.value ?? '';
  return { fingerprint, user, ...(Number.isFinite(end) ? { expires: new Date(end) } : {}) };
}

/** The rows of a file of public keys. Throws `KeyMissing` for one that is absent, no regular file, no key, or secret. */
export async function showKeys(step: Step, file: string): Promise<Row[]> {
  if (!(await exists(file))) throw new Failure('KeyMissing', `${file}: no such key file`);
  await readFileBytes(file, 2 ** 20, 'KeyMissing');
  const { stdout, exitCode } = await step.run(showKeyCommand(file), { okCodes: [0, 2], capture: 'all' });
  const rows = rowsOf(stdout);
  if (rows.some(({ kind }) => kind === 'sec'))
    throw new Failure(
      'KeyMissing',
      `${file}: is a secret key: take it away from here, and put what \`gpg --armor --export\` writes in its place`,
    );
  if (exitCode !== 0 || !rows.some(({ kind }) => kind === 'pub'))
    throw new Failure('KeyMissing', `${file}: not an OpenPGP public key`);
  return rows;
}

/** Why keys of a file verify nothing new any more: a sentence for each that is expired or revoked. */
export async function outdatedKeys(step: Step, file: string): Promise<readonly string[]> {
  return (await showKeys(step, file))
    .filter(({ kind, validity }) => kind === 'pub' && /[er]/.test(validity))
    .map(({ id, validity, expires }) =>
      validity === 'r'
        ? `${file}: the key ${id} is revoked`
        : `${file}: the key ${id} expired${expires ? ` on ${dayOf(expires)}` : ''}`,
    );
}

/** Can the signing role sign with this key today? Throws `KeyMissing`, saying why. */
export async function requirePrivateKey(step: Step, home: string, key: KeyFacts): Promise<void> {
  const list = gpg(home, '--with-colons', '--list-secret-keys', key.fingerprint);
  const { stdout } = await step.run(list, { okCodes: [0, 2] });
  const rows = rowsOf(stdout);
  const no = (why: string) => new Failure('KeyMissing', `${home}: ${why}`);
  const primary = rows.find(({ kind }) => kind === 'sec');
  const name = `${key.fingerprint} (${key.user})`;
  if (!primary) throw no(`no private key for ${name}: import it with its private part`);
  if (/[er]/.test(primary.validity))
    throw no(`${name} has expired or is revoked there, other than in its file: import the renewed key`);
  // `#` stands for a private part that is kept elsewhere.
  const here = rows.filter(({ token }) => token !== '#');
  if (!here.some(signs)) throw no(`${name} has no private part that can sign: ${whyNone(here)}`);
}

/** Does the key expire within so many seconds from `now`? */
export const expiresWithin = ({ expires }: KeyFacts, seconds: number, now: Date): boolean =>
  expires !== undefined && expires.getTime() - now.getTime() <= seconds * 1000;

export const detachSignCommand = (home: string, key: string, file: string) =>
  gpg(home, '--yes', '--local-user', key, '--armor', '--output', `${file}.asc`, '--detach-sign', file);

export const clearSignCommand = (home: string, key: string, file: string) =>
  gpg(home, '--yes', '--local-user', key, '--armor', '--output', `${file}.asc`, '--clearsign', file);
