/** Statements as the command line makes them: filled in here, signed by the user's own GnuPG, with its agent and pinentry. */
import { execa } from 'execa';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readStatement, type Decision, type Statement, type StatementOf } from '../domain/statement.js';
import { CliError, clean, exitCodes } from './output.js';

/** Of a statement of this kind: what it says itself. Default of `commits`: those of the build. */
export type Facts<D extends Decision> = BuildFacts &
  (StatementOf<D> extends infer S ? (S extends Statement ? Omit<S, Automatic | 'commits'> : never) : never);
export interface BuildFacts {
  readonly build: string;
  readonly commits?: Statement['commits'];
}
type Automatic = 'treeline-statement' | 'stream' | 'decision' | 'time' | 'nonce';

/** Adds format, time and nonce. Throws `CliError` for what does not fit in a statement of its kind. */
export function makeStatement<D extends Decision>(
  facts: { readonly decision: D; readonly [field: string]: unknown },
  now = new Date(),
): StatementOf<D> {
  const { said, mistake } = readStatement({
    'treeline-statement': 1,
    ...facts,
    time: now.toISOString(),
    nonce: randomBytes(16).toString('hex'),
  });
  if (said && isOf(said, facts.decision)) return said;
  throw new CliError(mistake ?? '', exitCodes.usage);
}
const isOf = <D extends Decision>(said: Statement, decision: D): said is StatementOf<D> =>
  said.decision === decision;

/** The text that is signed. */
export const statementText = (said: Statement) => `${JSON.stringify(said, null, 2)}\n`;

/** Id of the update that carries a signed statement: the same statement sent again is the same request. */
export const updateIdOf = (text: string) => createHash('sha256').update(text).digest('hex');

export interface Signer {
  /** Key id, fingerprint or user id; default GnuPG's own default key. */
  readonly key?: string | undefined;
  /** GnuPG home; default `GNUPGHOME` or the user's own. */
  readonly home?: string | undefined;
}

/** Fingerprints of the private keys that could sign, primary keys and subkeys; none where gpg does not say. */
export async function secretKeys({ key, home }: Signer): Promise<string[]> {
  const options = ['--batch', '--with-colons', ...(home === undefined ? [] : ['--homedir', home])];
  const list = ['--list-secret-keys', ...(key === undefined ? [] : ['--', key])];
  const { stdout } = await execa('gpg', [...options, ...list], { reject: false });
  return Array.from(stdout.matchAll(/^fpr:+([0-9A-F]{40}):/gm), ([, fingerprint = '']) => fingerprint);
}

/** Clear-signs a statement. Throws `CliError` that says what to do. */
export async function signStatement(said: Statement, { key, home }: Signer = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-statement-'));
  try {
    const file = join(folder, 'statement.json');
    await writeFile(file, statementText(said));
    const options = [
      ...(home === undefined ? [] : ['--homedir', home]),
      ...(key === undefined ? [] : ['--local-user', key]),
    ];
    // A file, so that standard input stays the terminal: pinentry finds it by that.
    const { exitCode, code, stdout, stderr } = await execa(
      'gpg',
      [...options, '--digest-algo', 'SHA256', '--output', '-', '--clearsign', file],
      { stdin: 'inherit', reject: false, stripFinalNewline: false },
    );
    if (exitCode === 0) return stdout;
    throw new CliError(whyUnsigned(code, stderr, key));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function whyUnsigned(code: string | undefined, stderr: string, key: string | undefined): string {
  if (code === 'ENOENT')
    return 'gpg is not installed. Install GnuPG, or use `--print`, sign elsewhere and `treeline submit` it.';
  const said = clean(
    stderr
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('gpg:'))
      .slice(-2)
      .join(' '),
  );
  if (/No secret key|no default secret key/i.test(stderr))
    return `no private key ${key === undefined ? 'to sign with' : `\`${key}\``} in your GnuPG home. Name one with \`--key\` or another home with \`--gnupg-home\`; \`gpg --list-secret-keys\` lists what is there. (${said})`;
  if (/Inappropriate ioctl|No pinentry|Operation cancelled/i.test(stderr))
    return `gpg could not ask for the passphrase: on a terminal set \`GPG_TTY=$(tty)\`; or use \`--print\`, sign elsewhere and \`treeline submit\` it. (${said})`;
  return `gpg did not sign the statement: ${said || 'it said nothing'}`;
}

/** What a signed text says, to know where to send it; the worker verifies it. Throws `CliError`. */
export function readSigned(text: string, name: string): Statement {
  const unfit = (why: string) => new CliError(`${name}: ${why}`, exitCodes.usage);
  const signed =
    /^-----BEGIN PGP SIGNED MESSAGE-----\n(?:.+\n)*\n([^]*?)\n-----BEGIN PGP SIGNATURE-----/m.exec(
      text.replaceAll('\r\n', '\n'),
    )?.[1];
  if (signed === undefined)
    throw unfit('not clear-signed. Sign what `--print` printed with `gpg --digest-algo SHA256 --clearsign`.');
  const no = (why: string) =>
    unfit(`what is signed is no statement: ${why}. Begin with \`treeline promote … --print\` or the like.`);
  let value: unknown;
  try {
    value = JSON.parse(signed.replace(/^- /gm, ''));
  } catch {
    throw no('not JSON');
  }
  const { said, mistake } = readStatement(value);
  if (!said) throw no(mistake);
  return said;
}
