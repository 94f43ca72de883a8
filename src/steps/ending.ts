/** How a command ended, as a failure of the table: not started, killed, out of something, or an error of its own. */
import { constants } from 'node:os';
import { existsSync, readFileSync } from 'node:fs';
import { Failure, type FailureCode } from '../domain/failures.js';
import { causeOf } from './cause.js';
import type { Argv } from './step.js';

export interface Ending {
  readonly argv: Argv;
  readonly cwd: string | undefined;
  /** Undefined for a command that was not started, or was ended by a signal. */
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** Name of the system's error, such as `E2BIG`, for a command that was not started. */
  readonly error: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** `oomKills` when it began. */
  readonly oomKills: number | undefined;
}

const tailLines = 20;
const longestLine = 500;

/** Fails with CommandFailed where nothing better is known: `meaning` makes that a failure of the step. */
export function failureOf(ending: Ending): Failure {
  const { argv, exitCode, stdout, stderr } = ending;
  const name = programOf(argv);
  const cause = causeOf(stdout, stderr);
  const failure = (code: FailureCode, text: string) =>
    new Failure(code, `${name}${text}`, tailOf(`${stdout}\n${stderr}`));
  const error = startError(ending);
  if (error !== undefined) return failure(...notStarted(error, ending));
  if (noNamespace.test(stderr)) return failure('ResourcesExhausted', ` cannot be contained: ${cause}`);
  if (noSpace.test(stderr + stdout)) return failure('DiskFull', ': no space left on the disk');
  const limit = beyondLimit.exec(stderr)?.[1];
  if (limit !== undefined) return failure('CommandFailed', ` was ended: ${limit}`);
  const signal = ending.signal ?? signalOf(exitCode) ?? signalIn(stderr);
  if (signal !== undefined)
    return failure(
      'CommandKilled',
      ` was killed by ${signal}${signal === 'SIGKILL' ? whoKilled(ending.oomKills) : ''}`,
    );
  if (noMemory.test(stderr)) return failure('ResourcesExhausted', `: ${cause}`);
  return failure(
    'CommandFailed',
    ` ended with exit code ${exitCode ?? 'unknown'}${cause ? `: ${cause}` : ''}`,
  );
}

/** The last lines of an output, bounded in number and length. */
export const tailOf = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-tailLines)
    .map((line) => (line.length > longestLine ? `${line.slice(0, longestLine)}…` : line));

/** Where the command begins in what runs it in a namespace, under a lock or with a limit of time. */
const wrappers: Readonly<Record<string, (args: readonly string[]) => number>> = {
  // Our sandbox, which runs bubblewrap.
  python3: (args) => (args[1]?.endsWith('/steps/sandbox.py') ? args.indexOf('--') + 1 : 0),
  bwrap: (args) => args.indexOf('--') + 1,
  // Options in one word each, then the lock's file or the time.
  flock: (args) => args.findIndex((arg) => !arg.startsWith('-')) + 1,
  timeout: (args) => args.findIndex((arg) => !arg.startsWith('-')) + 1,
};

/** The program that does the work. */
function programOf([name = '', ...args]: readonly string[]): string {
  const begin = Object.hasOwn(wrappers, name) ? (wrappers[name]?.(args) ?? 0) : 0;
  return begin > 0 && begin < args.length ? programOf(args.slice(begin)) : name;
}

/** How a full disk is said: by the system, by rpm before it installs, and by SQLite, which rpm keeps its database in. */
export const noSpace =
  /No space left on device|Disk quota exceeded|ENOSPC|needs \d+[KMG]?B (more space )?on the .* filesystem|database or disk is full/i;

/** The system's limits of namespaces say "no space" as well. */
const noNamespace =
  /^(?:unshare: unshare failed|bwrap: Creating new namespace failed)[^\n]*(?:No space left on device|Resource temporarily unavailable|Cannot allocate memory)/m;

const noMemory =
  /Cannot allocate memory|^MemoryError\b|virtual memory exhausted|std::bad_alloc|fork: (?:retry: )?Resource temporarily unavailable|Too many open files/m;

/** How util-linux and bubblewrap say that the command itself cannot be executed, and the system's names of the reasons. */
const notExecuted =
  /^(?:(?:setpriv|unshare|flock|timeout): failed to (?:execute|run command)|bwrap: execvp) [^\n]*: ([^\n:]+)$/m;
const reasons: Readonly<Record<string, string>> = {
  'No such file or directory': 'ENOENT',
  'Argument list too long': 'E2BIG',
  'Permission denied': 'EACCES',
  'Exec format error': 'ENOEXEC',
  'Cannot allocate memory': 'ENOMEM',
  'Resource temporarily unavailable': 'EAGAIN',
  'Too many open files': 'EMFILE',
  'Too many open files in system': 'ENFILE',
  'Text file busy': 'ETXTBSY',
};

function startError({ argv, error, exitCode, stderr }: Ending): string | undefined {
  if (error !== undefined && exitCode === undefined) return error;
  const reason = notExecuted.exec(stderr)?.[1];
  if (reason === undefined || !(exitCode === 126 || exitCode === 127 || exitCode === 1)) return undefined;
  const name = reasons[reason] ?? reason;
  // What is missing in a tree is not missing on this host.
  return name === 'ENOENT' && argv.includes('bwrap') ? undefined : name;
}

/** What passes by itself. */
const short: Readonly<Record<string, string>> = {
  ENOMEM: 'not enough memory',
  EAGAIN: 'too many processes',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files on this machine',
  ETXTBSY: 'its file is being written',
};
const refused: Readonly<Record<string, string>> = {
  ENOENT: 'its interpreter is missing',
  E2BIG: 'too many or too long arguments',
  EACCES: 'its file is not executable, or its folder is closed to us',
  ENOEXEC: 'its file is no program for this machine',
};

function notStarted(error: string, { argv, cwd, stderr }: Ending): [FailureCode, string] {
  if (cwd !== undefined && !existsSync(cwd))
    return ['CommandInvalid', ` cannot be started: no such folder: ${cwd}`];
  const program = programOf(argv);
  const there = program.startsWith('/') && existsSync(program);
  if (error === 'ENOENT' && !there) return ['ToolMissing', ': not installed. Run `treeline doctor`.'];
  const code: FailureCode = Object.hasOwn(short, error) ? 'ResourcesExhausted' : 'CommandInvalid';
  const said = stderr.trim();
  const why = short[error] ?? refused[error] ?? (said || argv.join(' ').slice(0, 100));
  return [code, ` cannot be started: ${why} (${error})`];
}

/** From outside, or a crash of the program: none of them is what it was asked to do. */
const lethal = [
  'SIGHUP',
  'SIGINT',
  'SIGILL',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGKILL',
  'SIGSEGV',
  'SIGTERM',
  'SIGXCPU',
  'SIGXFSZ',
] as const;
const numberOf: Readonly<Record<string, number | undefined>> = constants.signals;

/** Shells, bubblewrap and others end with 128 + the signal that ended their command. */
export const signalOf = (exitCode: number | undefined): string | undefined =>
  exitCode === undefined ? undefined : lethal.find((name) => 128 + (numberOf[name] ?? 0) === exitCode);

/** How sandbox.py says which limit was exceeded. */
const beyondLimit = /^sandbox: fatal: (.*)$/m;

/** How programs tell that one of theirs was killed: rpm of a scriptlet, GLib (rpm-ostree), Python, GCC. */
const childKilled =
  /scriptlet failed, signal (\d+)|Child process killed by signal (\d+)|died with <Signals\.(SIG[A-Z]+)|fatal error: (Killed) signal terminated program/;

export function signalIn(output: string): string | undefined {
  const [, ...found] = childKilled.exec(output) ?? [];
  const what = found.find(Boolean);
  if (what === undefined) return undefined;
  return lethal.find(
    (name) => name === (what === 'Killed' ? 'SIGKILL' : what) || String(numberOf[name]) === what,
  );
}

/** Processes that this machine's kernel has ended for want of memory since it started; undefined where it does not tell. */
export function oomKills(): number | undefined {
  try {
    const count = /^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'latin1'))?.[1];
    return count === undefined ? undefined : Number(count);
  } catch {
    return undefined;
  }
}

function whoKilled(before: number | undefined): string {
  const after = oomKills();
  if (before === undefined || after === undefined) return ' (out of memory?)';
  return after > before
    ? ': the machine, or the container, is out of memory'
    : ': not for want of memory, so somebody ended it';
}
