/** Is a key fit to sign releases: algorithm, size, expiry, self-signatures, and its private part at hand? */
import { Failure } from '../domain/failures.js';
import type { Step } from '../steps/step.js';
import { readKey, type KeyFacts } from './gpg.js';

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

/** One row of `gpg --with-colons`, by the fields of its doc/DETAILS. */
const rowsOf = (text: string) =>
  text.split('\n').map((line) => {
    const field = line.split(':');
    return {
      kind: field[0] ?? '',
      validity: field[1] ?? '',
      bits: Number(field[2]),
      algorithm: field[3] ?? '',
      id: field[4] ?? '',
      created: Number(field[5]),
      expires: field[6] ? new Date(Number(field[6]) * 1000) : undefined,
      class: field[10] ?? '',
      /** Lower case: of this key itself. */
      capabilities: field[11] ?? '',
      token: field[14] ?? '',
      digest: field[15] ?? '',
      curve: field[16] ?? '',
    };
  });
type Row = ReturnType<typeof rowsOf>[number];

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

/** A key or subkey that gpg could sign with today. */
const signs = ({ kind, capabilities, validity }: Row) =>
  ['pub', 'sub', 'sec', 'ssb'].includes(kind) && capabilities.includes('s') && !/[eridn]/.test(validity);

export interface KeyState extends KeyFacts {
  /** Algorithm and size for people. */
  readonly algorithm: string;
}

/**
 * Examines a key that releases are signed with: the public key file, and what the signing home has of it. `expires` is when nothing
 * can be signed any more: the primary key's day, or its last signing subkey's. Fails with KeyMissing, saying why.
 */
export async function examineKey(step: Step, home: string, file: string): Promise<KeyState> {
  const facts = await readKey(step, file);
  const no = (why: string) => new Failure('KeyMissing', `${file}: the key ${facts.fingerprint}: ${why}`);
  const gpg = ['gpg', '--batch', '--no-tty', '--with-colons'] as const;
  const shown = await step.run([
    ...gpg,
    ...['--no-default-keyring', '--keyring', '/dev/null', '--with-sig-list', '--show-keys', file],
  ]);
  const rows = rowsOf(shown.stdout);
  const signing = rows.filter(signs);
  if (signing.length === 0) throw no('none of its keys can sign today: expired, revoked or for other uses');
  for (const row of [...rows.filter(({ kind }) => kind === 'pub'), ...signing]) {
    const weak = weakness(row);
    if (weak !== undefined) throw no(weak);
  }
  const digest = newestSelfSignature(rows)?.digest ?? '';
  if (weakDigests[digest] !== undefined) throw no(`is bound to its user by ${weakDigests[digest]}`);

  const own = await step.run([...gpg, '--homedir', home, '--list-keys', facts.fingerprint], {
    okCodes: [0, 2],
  });
  const primary = rowsOf(own.stdout).find(({ kind }) => kind === 'pub');
  if (!primary) throw no(`not in ${home}: import it with its private part`);
  if (/[er]/.test(primary.validity))
    throw no(`has expired or is revoked in ${home}, other than in its file: import the renewed key there`);
  const list = await step.run([...gpg, '--homedir', home, '--list-secret-keys', facts.fingerprint], {
    okCodes: [0, 2],
  });
  // `#` stands for a private part that is kept elsewhere.
  const usable = rowsOf(list.stdout).filter((row) => signs(row) && row.token !== '#');
  if (usable.length === 0) throw no(`${home} has no private part that can sign`);
  const ends = signing.flatMap(({ expires }) => (expires ? [expires.getTime()] : []));
  const last = ends.length === signing.length ? Math.max(...ends) : Infinity;
  const end = Math.min(facts.expires?.getTime() ?? Infinity, last);
  const { fingerprint, user } = facts;
  return {
    ...{ fingerprint, user, algorithm: signing.map(nameOf).join(', ') },
    ...(Number.isFinite(end) ? { expires: new Date(end) } : {}),
  };
}

/** That of a user's name by the primary key, the newest: it is what counts. */
function newestSelfSignature(rows: readonly Row[]): Row | undefined {
  const primary = rows.find(({ kind }) => kind === 'pub')?.id;
  return rows
    .filter(({ kind, id, class: type }) => kind === 'sig' && id === primary && /^1[0-3]/.test(type))
    .sort((a, b) => b.created - a.created)[0];
}

/** Does the key expire within so many seconds from `now`? */
export const expiresWithin = ({ expires }: KeyFacts, seconds: number, now: Date): boolean =>
  expires !== undefined && expires.getTime() - now.getTime() <= seconds * 1000;
