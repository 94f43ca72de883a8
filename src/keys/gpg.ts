/** OpenPGP through GnuPG: the instance's key, facts about keys, signatures. Private keys are in gpg-agent's hands only. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { Step } from '../steps/step.js';
import { exists, writeWhole } from '../store/store.js';

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

/** Reads a public key file. Throws `KeyMissing` for one that is absent, no key, or expired. */
export async function readKey(step: Step, file: string): Promise<KeyFacts> {
  if (!(await exists(file))) throw new Failure('KeyMissing', `${file}: no such key file`);
  const { stdout, exitCode } = await step.run(
    [
      'gpg',
      '--batch',
      '--no-tty',
      '--no-default-keyring',
      '--keyring',
      '/dev/null',
      '--with-colons',
      '--show-keys',
      file,
    ],
    { okCodes: [0, 2] },
  );
  const rows = stdout.split('\n').map((line) => line.split(':'));
  const primary = rows.find((row) => row[0] === 'pub');
  const fingerprint = rows.find((row) => row[0] === 'fpr')?.[9];
  if (exitCode !== 0 || !primary || !fingerprint)
    throw new Failure('KeyMissing', `${file}: not an OpenPGP public key`);
  const user = rows.find((row) => row[0] === 'uid')?.[9] ?? '';
  const expires = primary[6] ? new Date(Number(primary[6]) * 1000) : undefined;
  if (expires && expires < new Date())
    throw new Failure(
      'KeyMissing',
      `${file}: the key ${fingerprint} expired on ${expires.toISOString().slice(0, 10)}`,
    );
  if (primary[1] === 'r') throw new Failure('KeyMissing', `${file}: the key ${fingerprint} is revoked`);
  return { fingerprint, user, ...(expires ? { expires } : {}) };
}

/** Has the signing role the private part of this key? Throws `KeyMissing`. */
export async function requirePrivateKey(step: Step, home: string, key: KeyFacts): Promise<void> {
  const { exitCode } = await step.run(gpg(home, '--with-colons', '--list-secret-keys', key.fingerprint), {
    okCodes: [0, 2],
  });
  if (exitCode !== 0)
    throw new Failure('KeyMissing', `${home}: no private key for ${key.fingerprint} (${key.user})`);
}

export const detachSignCommand = (home: string, key: string, file: string) =>
  gpg(home, '--yes', '--local-user', key, '--armor', '--output', `${file}.asc`, '--detach-sign', file);

export const clearSignCommand = (home: string, key: string, file: string) =>
  gpg(home, '--yes', '--local-user', key, '--armor', '--output', `${file}.asc`, '--clearsign', file);
