/**
 * The one masker: no password or token stands in logs, failures, live views, histories or pages. Everything that people read goes
 * through `mask`: step logs, notes and statuses where they are written, and each `Failure` when it is made.
 */
const mark = '***';
/** A shorter value would mask words that have nothing to do with it. */
const shortest = 4;
/** A part of an address that is shorter is a word. */
const shortestToken = 16;

const known = new Set<string>();
let knownForms: RegExp | undefined;

/**
 * From now on this value is masked in this process, in each form in which it may come back: as it is, percent-encoded, in JSON, in
 * base64 (also as a part of `user:password`) and in hex. Values of fewer than four characters are left alone.
 */
export function knowSecret(value: string): void {
  if (value.length < shortest || known.has(value)) return;
  for (const form of formsOf(value)) known.add(form);
  const longestFirst = [...known].sort((a, b) => b.length - a.length);
  knownForms = new RegExp(
    longestFirst.map((form) => form.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'),
    'g',
  );
}

/** An address that is a secret itself, such as a webhook's: the long parts of its path and query are. */
export function knowAddress(url: string): void {
  const { pathname, searchParams } = new URL(url);
  for (const part of [...pathname.split('/'), ...searchParams.values()])
    if (part.length >= shortestToken) knowSecret(part);
}

function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const hex = bytes.toString('hex');
  const encoded = encodeURIComponent(value);
  const all = [
    ...[value, bytes.toString('latin1'), JSON.stringify(value).slice(1, -1), value.replaceAll("'", `'\\''`)],
    ...[encoded, encoded.replace(/%../g, (code) => code.toLowerCase()), encoded.replaceAll('%20', '+')],
    ...[hex, hex.toUpperCase(), ...base64Of(bytes)],
  ];
  return [...new Set(all)].filter((form) => form.length >= shortest);
}

/** As it stands in the base64 of any text around it: by where it begins in a group of three bytes. Those of URLs too. */
const base64Of = (bytes: Buffer): string[] =>
  [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    // The first and last characters have bits of what is around.
    const inner = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });

/** Names of values that are secret wherever they are assigned. */
const secretNames = 'password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|credentials?';
/** … and of parameters of a URL. */
const parameterNames = 'key|auth|authorization|pass|pwd|sig|signature|code|jwt|session';
const assigned = new RegExp(
  `(?:(?:${secretNames})|(?:[?&]|%3f|%26)[a-z_-]*(?:${parameterNames}))["']?[ \\t]*$`,
  'i',
);
const headers =
  /(?:authorization|cookie|[a-z]-token|x-api-key|"[a-z_-]*(?:password|passphrase|secret)")["']?[ \t]*$/i;
const headerWords = /authorization|cookie|-token|api-key|"[a-z_-]*(?:password|passphrase|secret)"/i;
const longestName = 48;

/**
 * The text without secrets: credentials in URLs, `Authorization` and its like, passwords and tokens that are assigned or stand in a
 * query, and every known value. Masking twice is masking once. Each pattern begins with a literal, and no class uses `\s`, so that it
 * is cheap for gigabytes of output and right for UTF-8 read as Latin-1.
 */
export function mask(text: string): string {
  let masked = text;
  if (masked.includes('@'))
    masked = masked.replace(/:\/\/[^ \t\r\n/?#'"<>]*@/g, (whole, at: number, all: string) =>
      // `ssh://user@host` is no secret; `https://token@host` is.
      whole.includes(':', 3) || /https?$/i.test(all.slice(Math.max(0, at - 5), at)) ? `://${mark}@` : whole,
    );
  if (masked.includes('%')) {
    masked = masked.replace(/%3a%2f%2f(?:(?!%2f|%3f|%23)[^ \t\r\n/?#&'"<>])*?%40/gi, `%3A%2F%2F${mark}%40`);
    masked = masked.replace(/%3d(?:(?!%26|%23)[^ \t\r\n/?#&'"<>])+/gi, (whole, at: number, all: string) =>
      follows(assigned, all, at) ? `%3D${mark}` : whole,
    );
  }
  if (masked.includes('='))
    masked = masked.replace(
      /=[ \t]*(["']?)[^ \t\r\n"'&#<>;]+/g,
      (whole, quote: string, at: number, all: string) =>
        follows(assigned, all, at) ? `=${quote}${mark}` : whole,
    );
  if (headerWords.test(masked))
    masked = masked.replace(
      /:([ \t]*["']?)(?:(?:Basic|Bearer|Digest|Token|Negotiate)[ \t]+)?[^ \t\r\n"',;]+/gi,
      (whole, between: string, at: number, all: string) =>
        follows(headers, all, at) ? `:${between}${mark}` : whole,
    );
  return knownForms ? masked.replace(knownForms, mark) : masked;
}

const follows = (name: RegExp, text: string, at: number) =>
  name.test(text.slice(Math.max(0, at - longestName), at));
