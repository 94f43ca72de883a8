/** Statements as the command line makes them: filled in here, signed by the user's own GnuPG, with its agent and pinentry. */
import { execa } from 'execa';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { statement, type Statement } from '../domain/statement.js';
import { CliError, clean, exitCodes } from './output.js';

export type StatementFacts = Omit<Statement, 'treeline-statement' | 'time' | 'nonce'>;

/** Adds format, time and nonce. Throws `CliError` for what does not fit in a statement. */
export function makeStatement(facts: StatementFacts, now = new Date()): Statement {
  const parsed = statement.safeParse({
    'treeline-statement': 1,
    ...facts,
    time: now.toISOString(),
    nonce: randomBytes(16).toString('hex'),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CliError(`${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`, exitCodes.usage);
}

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
  try {
    const parsed = statement.safeParse(JSON.parse(signed.replace(/^- /gm, '')));
    if (parsed.success) return parsed.data;
  } catch {
    // Said below.
  }
  throw unfit('what is signed is no statement. Begin with `treeline promote … --print` or the like.');
}
