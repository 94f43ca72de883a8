/** Looks for private key material where none may be: histories, logs, what is published. */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Searched {
  /** Searched with all that is below them, in their bytes as they are: nothing is unpacked. */
  readonly folders?: readonly string[];
  readonly files?: readonly string[];
  /** By a name for people. Such as the JSON of a Temporal history, whose payloads are base64. */
  readonly strings?: Readonly<Record<string, string>>;
}

/**
 * Fails, naming places and kinds, if any of it has a private key of a GnuPG home (in any of the forms in which it may leak: bytes,
 * hex, base64, each of them once more in base64), an armoured private key, or a passphrase of six characters or more.
 */
export async function assertNoSecrets(
  { folders = [], files = [], strings = {} }: Searched,
  home: string,
  passphrases: readonly string[] = [],
): Promise<void> {
  const needles = [...markers(), ...(await keyNeedles(home)), ...passphrases.flatMap(passphraseNeedles)];
  const scratch = await mkdtemp(join(tmpdir(), 'treeline-secrets-'));
  try {
    const texts = Object.entries(strings);
    for (const [i, [, text]] of texts.entries()) await writeFile(join(scratch, `string-${i}`), text);
    const own = texts.map((_, i) => join(scratch, `string-${i}`));
    const places = [...folders, ...files, ...own];
    assert.ok(places.length > 0, 'nothing to search');
    const found = new Map<string, Set<string>>();
    const kinds = new Set(needles.map(({ kind }) => kind));
    for (const kind of kinds) {
      const pattern = join(scratch, 'patterns');
      const bytes = needles
        .filter((one) => one.kind === kind)
        .flatMap((one) => [one.bytes, Buffer.from('\n')]);
      await writeFile(pattern, Buffer.concat(bytes), { mode: 0o600 });
      for (const place of await matching(pattern, places)) {
        const index = own.indexOf(place);
        const name = index < 0 ? place : (texts[index]?.[0] ?? place);
        found.set(name, (found.get(name) ?? new Set()).add(kind));
      }
    }
    const lines = [...found].map(([place, what]) => `${place}: ${[...what].join(', ')}`);
    assert.deepEqual(lines, [], 'secrets have leaked');
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Files that have one of the patterns. GNU grep: many patterns at once, over gigabytes. */
async function matching(patterns: string, places: readonly string[]): Promise<string[]> {
  const options = ['--recursive', '--files-with-matches', '--null', '--text', '--fixed-strings'];
  const { stdout, exitCode, stderr } = await execa(
    'grep',
    [...options, `--file=${patterns}`, '--', ...places],
    {
      env: { LC_ALL: 'C' },
      reject: false,
    },
  );
  // 1: none. 2 is a place that is not there: a search of nothing must not look like a clean one.
  assert.ok(exitCode === 0 || exitCode === 1, `grep: ${stderr}`);
  return stdout.split('\0').filter(Boolean);
}

interface Needle {
  readonly kind: string;
  /** Without a line feed, which would part it. */
  readonly bytes: Buffer;
}

/** Long enough to be no chance, short enough to be in one line of wrapped text. */
const pieceLength = 24;

/** How armoured and GnuPG's own private keys begin. */
function markers(): Needle[] {
  const starts = [
    '-----BEGIN PGP PRIVATE KEY',
    '(11:private-key',
    '(21:protected-private-key',
    'Key: (private-key',
  ];
  const all = starts.flatMap((start) => [Buffer.from(start), ...base64(Buffer.from(start))]);
  return all.map((bytes) => ({ kind: 'a private key block', bytes }));
}

function passphraseNeedles(passphrase: string): Needle[] {
  assert.ok(passphrase.length >= 6, 'a passphrase so short is anywhere by chance');
  const bytes = Buffer.from(passphrase);
  return [bytes, ...hex(bytes), ...base64(bytes)].map((needle) => ({ kind: 'a passphrase', bytes: needle }));
}

/** Of every private key of the home: its secret parameters in all forms. */
async function keyNeedles(home: string): Promise<Needle[]> {
  const folder = join(home, 'private-keys-v1.d');
  const keys = (await readdir(folder)).filter((name) => name.endsWith('.key'));
  assert.ok(keys.length > 0, `${folder}: no private keys: nothing to look for`);
  const needles: Needle[] = [];
  for (const name of keys) {
    const secrets = secretsOf(await readFile(join(folder, name)));
    assert.ok(secrets.length > 0, `${name}: its secrets cannot be read`);
    const kind = `private key ${name.slice(0, 8)}`;
    for (const bytes of secrets.flatMap(formsOf)) needles.push({ kind, bytes });
  }
  return needles;
}

/** Pieces of each form of a secret: of its beginning, middle and end, since a leak may be a part. */
function formsOf(secret: Buffer): Buffer[] {
  const encoded = [...hex(secret), ...base64(secret)];
  const once = encoded.flatMap((one) => {
    const last = Math.max(0, one.length - pieceLength);
    return [0, last >> 1, last].map((at) => one.subarray(at, at + pieceLength));
  });
  const twice = [secret, ...encoded].flatMap((one) => base64(one.subarray(0, 48)));
  return [rawPiece(secret), ...once, ...twice.map((one) => one.subarray(0, pieceLength))];
}

/** The longest run without a line feed or a zero byte: grep can have neither in a pattern. */
function rawPiece(secret: Buffer): Buffer {
  const runs = secret.toString('latin1').split(/[\n\0]/);
  const longest = runs.reduce((a, b) => (b.length > a.length ? b : a), '').slice(0, pieceLength);
  assert.ok(longest.length >= 8, 'a secret without eight bytes in a row that grep can look for');
  return Buffer.from(longest, 'latin1');
}

const hex = (bytes: Buffer) => {
  const text = bytes.toString('hex');
  return [Buffer.from(text), Buffer.from(text.toUpperCase())];
};

/** As it stands in the base64 of any text around it: by where it begins in a group of three bytes. Those of URLs too. */
function base64(bytes: Buffer): Buffer[] {
  const all = [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    // The first and last characters have bits of what is around.
    const inner = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [...new Set(all)].map((text) => Buffer.from(text));
}

/** Names of secret parameters: of EC, DSA and RSA keys, and the encrypted block of a key with a passphrase. */
const secretNames = new Set(['d', 'x', 'p', 'q', 'u', 'protected']);

/** The secret parameters of a key file of gpg-agent: an S-expression, canonical or in its readable form after `Key:`. */
function secretsOf(file: Buffer): Buffer[] {
  const readable = /^Key: ([^]*?)(?=^\S|$(?![^]))/m.exec(file.toString('latin1'))?.[1];
  const tokens = tokensOf(readable === undefined ? file : Buffer.from(readable, 'latin1'));
  const isRsa = tokens.some((token) => token.toString() === 'rsa');
  const secrets: Buffer[] = [];
  for (const [i, token] of tokens.entries()) {
    const name = token.toString('latin1');
    const isSecret = secretNames.has(name) && !(name === 'q' && !isRsa) && !(name === 'p' && !isRsa);
    if (tokens[i - 1]?.toString() !== '(' || !isSecret) continue;
    // The encrypted block comes after the name of its cipher and its parameters: the longest that follows.
    const values = name === 'protected' ? tokens.slice(i + 1) : tokens.slice(i + 1, i + 2);
    const value = values.reduce((a, b) => (b.length > a.length ? b : a), Buffer.alloc(0));
    const start = value.findIndex((byte) => byte !== 0);
    if (value.length >= 16) secrets.push(value.subarray(Math.max(start, 0)));
  }
  return secrets;
}

/** Parentheses and atoms. */
function tokensOf(data: Buffer): Buffer[] {
  const tokens: Buffer[] = [];
  const text = data.toString('latin1');
  const atom = /\s+|[()]|(\d+):|#([0-9A-Fa-f\s]*)#|"((?:[^"\\]|\\.)*)"|[^\s()#"]+/gy;
  for (let found = atom.exec(text); found; found = atom.exec(text)) {
    const [whole, length, digits, string] = found;
    if (length !== undefined) {
      tokens.push(data.subarray(atom.lastIndex, atom.lastIndex + Number(length)));
      atom.lastIndex += Number(length);
    } else if (digits !== undefined) tokens.push(Buffer.from(digits.replace(/\s/g, ''), 'hex'));
    else if (string !== undefined) tokens.push(Buffer.from(string, 'latin1'));
    else if (whole.trim()) tokens.push(Buffer.from(whole, 'latin1'));
  }
  return tokens;
}
