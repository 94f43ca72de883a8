/** The cause in what a command printed: programs go on after it, and their last line is often that they failed. */

/** What looks like an error and is none, or says only that there was one. */
const noise = [
  /\bwarning\b/i,
  /\b(?:no|0|without) errors?\b/i,
  // rsync, after the cause: its exit code in words, or that the other side is gone.
  /^rsync error: /,
  /^rsync: (?:\[\w+\] )?connection unexpectedly closed/,
  // GnuPG: a new or empty home.
  /^gpgv?: (?:keyblock resource|keybox|directory|Note:)/,
  // rpm on machines of another family.
  /^rpm: (?:RPM should not be used directly|However assuming)/,
  // `set -x`
  /^\++ /,
];

/** First those lines that a program marks as errors, then those that read like one. */
const tiers = [
  /(?:^|[^\w-])(?:error|errors|fatal|critical)\b[^:]*:|^dracut\[[FE]\]/i,
  /\b(?:failed|failure|cannot|can't|could not|couldn't|unable to|not found|no such|denied|refused|does not exist|must exist|not permitted|no space|timed out|cannot allocate|invalid|unknown|unrecognized|not a|too long|unsupported)\b/i,
];

const longest = 300;
const mostDetails = 3;

/**
 * The line that says why a command failed: the exception of a Python traceback, else the first line that is marked as an error, else
 * the first that reads like one, else the last. Details that are indented below a line that ends with a colon come with it. At most
 * 300 characters; empty if nothing was printed.
 */
export function causeOf(stdout: string, stderr: string): string {
  const [errors, output] = [linesOf(stderr), linesOf(stdout)];
  const exception = exceptionOf(errors);
  if (exception !== undefined) return cut(exception);
  for (const lines of [errors, output])
    for (const tier of tiers) {
      const at = lines.findIndex((line) => tier.test(line) && !noise.some((pattern) => pattern.test(line)));
      if (at >= 0) return cut(withDetails(lines, at));
    }
  return cut((errors.at(-1) ?? output.at(-1) ?? '').trim());
}

/** Without colours, and of a line that a progress display wrote over the last state only. */
const linesOf = (text: string): string[] =>
  text
    .replace(/\x1b\[[0-9;]*[A-Za-z]/g, '')
    .split('\n')
    .map((line) =>
      line
        .replace(/\r+$/, '')
        .replace(/^[^]*\r/, '')
        .trimEnd(),
    )
    .filter((line) => line !== '');

function exceptionOf(lines: readonly string[]): string | undefined {
  const at = lines.lastIndexOf('Traceback (most recent call last):');
  return at < 0 ? undefined : lines.slice(at + 1).find((line) => /^\S/.test(line));
}

function withDetails(lines: readonly string[], at: number): string {
  const line = (lines[at] ?? '').trim();
  if (!line.endsWith(':')) return line;
  const details = lines.slice(at + 1, at + 1 + mostDetails);
  const end = details.findIndex((detail) => !/^[ \t]/.test(detail));
  const below = (end < 0 ? details : details.slice(0, end)).map((detail) => detail.trim().replace(/^- /, ''));
  return [line, ...below].join(' ');
}

const cut = (text: string) => (text.length > longest ? `${text.slice(0, longest)}…` : text);
