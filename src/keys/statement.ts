/** Signed statements: whose signature a text carries, and what it says. GnuPG judges; only what it calls signed is read. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { Failure } from '../domain/failures.js';
import { maxStatement, readStatement, type Statement, type Verified } from '../domain/statement.js';
import type { Step } from '../steps/step.js';
import { showKeys } from './gpg.js';

/** As the stream file names them: `key` is the file of the public key. */
export interface Approver {
  readonly name: string;
  readonly key: string;
}

export interface ApproverKey {
  readonly name: string;
  /** Primary key: 40 hex digits, upper case. */
  readonly fingerprint: string;
  /** False for one that is expired or revoked: it counts for nothing, but hinders nobody else. */
  readonly usable: boolean;
}

export interface StatementRules {
  readonly stream: string;
  readonly approvers: readonly Approver[];
  /** Seconds. */
  readonly maxAge: number;
  readonly now: Date;
  /** Scratch folder; made if need be. */
  readonly work: string;
}

/** Clocks differ. */
const futureMs = 5 * 60_000;

const refused = (why: string) => new Failure('StatementRefused', `the statement ${why}`);

/**
 * The approvers' keys. Throws `KeyMissing` for a file that does not hold exactly one public key, and `StreamInvalid` where two
 * approvers share a key or a name: they would count as one person or the other.
 */
export async function approverKeys(step: Step, approvers: readonly Approver[]): Promise<ApproverKey[]> {
  const keys: ApproverKey[] = [];
  for (const { name, key } of approvers) {
    const found = { name, ...(await showKey(step, name, key)) };
    const same = keys.find((other) => other.fingerprint === found.fingerprint || other.name === name);
    if (same)
      throw new Failure(
        'StreamInvalid',
        same.name === name
          ? `release.approvers: two are called \`${name}\`: give each a name of their own`
          : `release.approvers: \`${same.name}\` and \`${name}\` have the same key ${found.fingerprint}: give each a key of their own`,
      );
    keys.push(found);
  }
  return keys;
}

/** Unlike `readKey` it also answers for an expired or revoked key. */
async function showKey(step: Step, name: string, file: string): Promise<Omit<ApproverKey, 'name'>> {
  const missing = (why: string) =>
    new Failure('KeyMissing', `release.approvers: key of \`${name}\`: ${file}: ${why}`);
  const rows = await showKeys(step, file).catch((error: unknown) => {
    throw error instanceof Failure ? missing(error.message.slice(file.length + 2)) : error;
  });
  const primaries = rows.filter(({ kind }) => kind === 'pub');
  const fingerprint = rows.find(({ kind }) => kind === 'fpr')?.value;
  if (primaries.length > 1) throw missing(`holds ${primaries.length} keys: export one`);
  if (!primaries[0] || fingerprint === undefined) throw missing('not an OpenPGP public key');
  return { fingerprint, usable: !['e', 'r', 'i'].includes(primaries[0].validity) };
}

/** Verifies statements with the approvers' keys alone, in a throw-away GnuPG home. `close` removes it. */
export interface Keyring {
  readonly keys: readonly ApproverKey[];
  /** Signature and form; not the time. Throws `StatementRefused`. */
  verify(text: string): Promise<Verified>;
  close(): Promise<void>;
}

export async function openKeyring(
  step: Step,
  approvers: readonly Approver[],
  work: string,
): Promise<Keyring> {
  const keys = await approverKeys(step, approvers);
  await mkdir(work, { recursive: true });
  const home = await mkdtemp(join(work, 'gnupg-'));
  const close = () => rm(home, { recursive: true, force: true });
  const gpg = (...args: string[]): [string, ...string[]] => [
    ...(['gpg', '--homedir', home, '--batch', '--no-tty', '--no-autostart'] as const),
    ...['--no-auto-check-trustdb', '--trust-model', 'always', ...args],
  ];
  // Into files, not into the home: for that gpg asks its agent, whose socket cannot have a name of more than 107 bytes.
  const rings = approvers.map((_, i) => join(home, `approver-${i}.gpg`));
  try {
    for (const [i, { key }] of approvers.entries())
      await step.run(
        gpg('--output', rings[i] ?? '', '--import-options', 'import-export', '--import', '--', key),
      );
  } catch (error) {
    await close();
    throw error;
  }
  return {
    keys,
    close,
    async verify(text) {
      const [signed, plain] = [join(home, 'statement.asc'), join(home, 'statement.json')];
      await writeFile(signed, oneSignedText(text));
      await rm(plain, { force: true });
      const { stdout } = await step.run(
        gpg(
          ...['--no-default-keyring', ...rings.map((ring) => `--keyring=${ring}`)],
          ...['--weak-digest', 'SHA1', '--weak-digest', 'RIPEMD160'],
          // The status goes where no text of a key or statement can pose as it.
          ...['--status-fd', '1', '--output', plain, '--verify', signed],
        ),
        { okCodes: [0, 1, 2] },
      );
      const { name, fingerprint } = signerOf(stdout, keys);
      return { statement: parse(await readFile(plain, 'utf8')), approver: name, fingerprint };
    },
  };
}

/** The text with plain line ends. Throws unless it is one clear-signed text and nothing else. */
function oneSignedText(text: string): string {
  if (text.length > maxStatement)
    throw refused(`is too long: ${text.length} characters, at most ${maxStatement}`);
  const plain = text.replaceAll('\r\n', '\n');
  if (!plain.includes('-----BEGIN PGP SIGNED MESSAGE-----'))
    throw refused('is not clear-signed: sign it with `gpg --clearsign`');
  if (plain.match(/^-----/gm)?.length !== 3)
    throw refused('is not one clear-signed text, but several or a part');
  const whole =
    /^-----BEGIN PGP SIGNED MESSAGE-----\n(Hash: [\w, -]+\n)*\n[^]*\n-----BEGIN PGP SIGNATURE-----\n[^]*\n-----END PGP SIGNATURE-----\s*$/;
  if (!whole.test(plain)) throw refused('has text around its signed part, or headers other than `Hash`');
  return plain;
}

/** Reads gpg's status lines (doc/DETAILS of GnuPG): one good signature by a key that counts. */
function signerOf(status: string, keys: readonly ApproverKey[]): ApproverKey {
  const rows = status
    .split('\n')
    .filter((line) => line.startsWith('[GNUPG:] '))
    .map((line) => line.split(' ').slice(1));
  const row = (word: string) => rows.find(([first]) => first === word);
  const signatures = rows.filter(([first]) => first === 'NEWSIG').length;
  if (signatures > 1) throw refused(`has ${signatures} signatures: one approver signs one statement`);
  if (row('BADSIG')) throw refused('was altered: its signature does not fit the text');
  const error = row('ERRSIG');
  const [, keyId = '', , , , , reason, issuer] = error ?? [];
  const named = issuer !== undefined && issuer.length > 1 ? issuer : keyId;
  if (reason === '9') throw refused(`is signed with the key ${named}, which is no approver's`);
  if (reason === '5')
    throw refused('is signed with a weak digest: use `gpg --digest-algo SHA256 --clearsign`');
  if (error) throw refused(`is signed by ${named} in a way that GnuPG cannot check`);
  const primary = row('VALIDSIG')?.[10];
  if (signatures === 0 || primary === undefined) throw refused('has no signature that can be read');
  const by = keys.find(({ fingerprint }) => fingerprint === primary);
  if (!by) throw refused(`is signed with the key ${primary}, which is no approver's`);
  if (row('REVKEYSIG')) throw refused(`is signed with the key ${primary} of ${by.name}, which is revoked`);
  if (row('EXPKEYSIG')) throw refused(`is signed with the key ${primary} of ${by.name}, which has expired`);
  if (row('EXPSIG')) throw refused(`has a signature of ${by.name} that has expired`);
  if (!row('GOODSIG')) throw refused('has no good signature');
  return by;
}

/** Strict JSON: also no field twice, of which people would read the first and programs take the last. */
function parse(text: string): Statement {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused('is not JSON');
  }
  if (parseDocument(text).errors.some(({ code }) => code === 'DUPLICATE_KEY'))
    throw refused('has a field twice');
  const { said, mistake } = readStatement(value);
  if (!said) throw refused(`has a mistake: ${mistake}`);
  return said;
}

/**
 * Checks a statement that has just come in: signature, form, stream and time. Whether its nonce is new is the caller's to see.
 * Throws `StatementRefused` with the reason; `StreamInvalid` and `KeyMissing` for the approvers' own keys.
 */
export async function verifyStatement(step: Step, text: string, rules: StatementRules): Promise<Verified> {
  const keyring = await openKeyring(step, rules.approvers, rules.work);
  const verified = await keyring.verify(text).finally(() => keyring.close());
  const { stream, time } = verified.statement;
  if (stream !== rules.stream) throw refused(`is about the stream \`${stream}\`, not \`${rules.stream}\``);
  const age = rules.now.getTime() - Date.parse(time);
  if (age > rules.maxAge * 1000)
    throw refused(`is too old: made at ${time}, it counted for ${rules.maxAge} s (\`release.statementAge\`)`);
  if (age < -futureMs) throw refused(`is of the future: made at ${time}; is the clock right?`);
  return verified;
}
