/** Turns the output of an rpm-ostree that ended with an error into a failure of the table. */
import { Failure, type FailureCode } from '../../domain/failures.js';
import { noSpace, signalIn, tailOf } from '../../steps/ending.js';

const longestMessage = 600;

/** The error with what belongs to it, and all of standard error around it. */
interface Trouble {
  readonly error: string;
  readonly stderr: string;
}
interface Rule {
  readonly pattern: RegExp;
  readonly code: FailureCode | ((trouble: Trouble) => FailureCode);
  /** A better sentence than rpm-ostree's own. */
  readonly say?: (match: RegExpExecArray, trouble: Trouble) => string;
}

/**
 * First match wins, and the order matters: a missing repo signature says "404" too, and a failed checksum "Cannot
 * download". Nothing is anchored at `error:`, because newer versions put words between it and the cause.
 */
const rules: readonly Rule[] = [
  {
    // A wrong key and a missing signature give the same text.
    pattern: /package (\S+) cannot be verified and repo (\S+) is GPG enabled/,
    code: 'PackageSignature',
    say: ([, name, repo]) => `package ${name}: unsigned, or not signed with a key of repos.${repo}.gpgKeys`,
  },
  {
    pattern: /SIGNATURE:\s+NOT OK|could not be verified|GPG verification|GPG signature/i,
    code: 'PackageSignature',
  },
  {
    // Metadata that does not fit together is a repo in the middle of its own update: that passes.
    pattern: /checksum doesn't match/i,
    code: ({ error }) => (/repodata\/|repomd\.xml/.test(error) ? 'RepoUnreachable' : 'PackageChecksum'),
  },
  {
    pattern: /Packages not found: (.+)/,
    code: ({ stderr }) => lockedCode(stderr),
    say: ([, names], { stderr }) => lockedSentence(names ?? '', stderr),
  },
  {
    pattern: /Could not depsolve[^\n]*/,
    code: 'DepsolveFailed',
    say: ([sentence], { error }) => `${sentence}\n${problems(error)}`,
  },
  { pattern: /Status code: (?:401|403|407)\b/, code: 'RepoRefused' },
  {
    pattern: /cannot update repo|Updating rpm-md repo|Cannot download|Curl error|Status code: \d{3}/i,
    code: 'RepoUnreachable',
  },
  {
    pattern: /Unknown option (\S+)/,
    code: 'ToolMissing',
    say: ([, option]) => `this rpm-ostree has no option ${option}: install a newer one`,
  },
  {
    pattern:
      /Parsing \S+:|Unknown fields|Unknown rpm-md repository|neither "repos" nor|Invalid refspec|Can't open file|Missing '=' in KEY=VALUE/,
    code: 'StreamInvalid',
  },
  { pattern: /Refspec '[^']*' not found/, code: 'CommitInvalid' },
  { pattern: /postprocess/i, code: 'PostprocessFailed' },
  { pattern: /While signing commit|No gpg key found/i, code: 'SigningFailed' },
];

/**
 * The failure that an output of rpm-ostree means. Exit codes tell nothing: every error is 1. What no rule knows is
 * `ComposeFailed`. `stderr` may be cut at its start: the error is at the end, after up to 100 KB of dracut's chatter.
 */
export function failureOf(stderr: string): Failure {
  const trouble = { stderr, error: errorOf(stderr) };
  // Said by whichever program met it: then rpm-ostree's own error is only that the program failed.
  if (noSpace.test(stderr)) return failure('DiskFull', 'no space left on the disk', stderr);
  const signal = signalIn(trouble.error);
  if (signal !== undefined) return failure('CommandKilled', `${trouble.error.trim()} (${signal})`, stderr);
  for (const { pattern, code, say } of rules) {
    const match = pattern.exec(trouble.error);
    if (!match) continue;
    const sentence = say ? say(match, trouble) : trouble.error.trim();
    return failure(typeof code === 'function' ? code(trouble) : code, sentence, stderr);
  }
  return failure('ComposeFailed', trouble.error.trim() || 'ended without a message', stderr);
}

const failure = (code: FailureCode, sentence: string, stderr: string): Failure =>
  new Failure(code, `rpm-ostree: ${cut(sentence, longestMessage)}`, tailOf(stderr));

/** From the last line with `error:` to the end, without the label; else the last line. */
function errorOf(stderr: string): string {
  const lines = stderr.trimEnd().split('\n');
  const at = lines.findLastIndex((line) => /^(?:\S+: )?error: /.test(line));
  return lines
    .slice(at)
    .join('\n')
    .replace(/^(?:\S+: )?error: (?:usage error: )?/, '');
}

/** A locked package that the repos lost or replaced under its name, or a name that the lockfile lacks. */
function lockedCode(stderr: string): FailureCode {
  if (!/Couldn't find locked package/.test(stderr)) return 'PackageNotFound';
  return /Mismatched checksums: [1-9]/.test(stderr) ? 'PackageChecksum' : 'RepoChanged';
}

function lockedSentence(names: string, stderr: string): string {
  const code = lockedCode(stderr);
  if (code === 'PackageNotFound') return `packages not found: ${names}`;
  const lost = [...stderr.matchAll(/Couldn't find locked package '([^']+)'/g)]
    .map(([, nevra]) => nevra)
    .join(', ');
  return code === 'RepoChanged'
    ? `the repos no longer have ${lost}`
    : `the repos have something else under the name of ${lost}`;
}

/** The reasons at the ends of the problem chains, once each. */
function problems(error: string): string {
  const reasons = [
    ...error.matchAll(
      /^\s*- (nothing provides .*|.* conflicts with .*|.* obsoletes .*|cannot install both .*)$/gm,
    ),
  ];
  const own = reasons.length > 0 ? reasons : [...error.matchAll(/^\s*Problem[^:]*: (.*)$/gm)];
  return [...new Set(own.map(([, reason]) => reason))].join('\n');
}

const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length)}…` : text);
