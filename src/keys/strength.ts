/** Is a key fit to sign releases: algorithm, size, expiry, self-signatures, and its private part at hand? */
import { Failure } from '../domain/failures.js';
import type { Step } from '../steps/step.js';
import { readKey, requirePrivateKey, showKeyCommand, type KeyFacts } from './gpg.js';
import { rowsOf, signs, type Row } from './rows.js';

/** Numbers of RFC 4880 and its successors. */
const algorithms: Readonly<Record<string, string>> = {
  1: 'RSA',
  3: 'RSA',
  17: 'DSA',
  19: 'ECDSA',
  22: 'EdDSA',
};
const weakDigests: Readonly<Record<string, string>> = { 1: 'MD5', 2: 'SHA-1', 3: 'RIPEMD-160' };
const goodCurves = /^(ed25519|ed448|nistp(256|384|521)|brainpoolP(256|384|512)r1)$/;

/** `RSA 3072`, `EdDSA ed25519` */
const nameOf = ({ algorithm, bits, curve }: Row) =>
  `${algorithms[algorithm] ?? `algorithm ${algorithm}`} ${curve || bits}`;

function weakness(row: Row): string | undefined {
  const name = algorithms[row.algorithm];
  const strong =
    (name === 'RSA' && row.bits >= 2048) ||
    ((name === 'EdDSA' || name === 'ECDSA') && goodCurves.test(row.curve));
  return strong ? undefined : `${nameOf(row)} is too weak`;
}

export interface KeyState extends KeyFacts {
  /** Algorithm and size for people. */
  readonly algorithm: string;
}

/**
 * Examines a key that releases are signed with: the public key file, and what the signing home has of it. Fails with
 * KeyMissing, saying why.
 */
export async function examineKey(step: Step, home: string, file: string): Promise<KeyState> {
  const facts = await readKey(step, file);
  const no = (why: string) => new Failure('KeyMissing', `${file}: the key ${facts.fingerprint}: ${why}`);
  const shown = await step.run(showKeyCommand(file, '--with-sig-list'));
  const rows = rowsOf(shown.stdout);
  const signing = rows.filter(signs);
  for (const row of [...rows.filter(({ kind }) => kind === 'pub'), ...signing]) {
    const weak = weakness(row);
    if (weak !== undefined) throw no(weak);
  }
  const digest = newestSelfSignature(rows)?.digest ?? '';
  if (weakDigests[digest] !== undefined) throw no(`is bound to its user by ${weakDigests[digest]}`);
  await requirePrivateKey(step, home, facts);
  return { ...facts, algorithm: signing.map(nameOf).join(', ') };
}

/** That of a user's name by the primary key, the newest: it is what counts. */
function newestSelfSignature(rows: readonly Row[]): Row | undefined {
  const primary = rows.find(({ kind }) => kind === 'pub')?.id;
  return rows
    .filter(({ kind, id, class: type }) => kind === 'sig' && id === primary && /^1[0-3]/.test(type))
    .sort((a, b) => b.created - a.created)[0];
}
