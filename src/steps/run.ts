import { execa, type Options } from 'execa';
import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { mask } from '../domain/secrets.js';
import { failureOf, oomKills } from './ending.js';
import { copyMasked } from './log.js';
import type { Progress, RunOptions, RunResult, Step } from './step.js';

/**
 * Puts a command into namespaces of its own. `setpriv` makes the kernel kill `unshare` when the worker dies, even by
 * SIGKILL; `--kill-child` then ends the PID namespace with all that is in it; the mount namespace goes with its last
 * process, and its mounts and auto-clear loop devices with it.
 */
const contained = (argv: readonly string[]): [string, ...string[]] => [
  'setpriv',
  '--pdeathsig',
  'KILL',
  '--',
  'unshare',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
  '--',
  ...argv,
];

const tailBytes = 64 * 1024;
const allBytes = 64 * 1024 * 1024;
/** Time between SIGTERM and SIGKILL of a cancelled step's process group. */
const graceMs = 2000;

export interface StepHost {
  signal: AbortSignal;
  /** Where output goes as it comes, with a line for each command before it. */
  log: Writable;
  /** PATH of the commands. */
  path: string;
  /** HOME of the commands: a folder of the instance, so that no dot file of the user's counts. */
  home: string;
  onProgress?: (progress: Progress) => void;
  onStatus?: (status: string | undefined) => void;
  /** False where a command is already inside a contained step (a step program) or needs no root. Default true for root. */
  contain?: boolean;
}

/** Makes a `Step` that runs commands on this host. */
export function createStep(host: StepHost): Step {
  const contain = host.contain ?? process.getuid?.() === 0;
  return {
    signal: host.signal,
    note: (line) => void host.log.write(`${mask(line)}\n`),
    progress: (progress) => host.onProgress?.(progress),
    tell: (status) => host.onStatus?.(status === undefined ? undefined : mask(status)),
    run: (argv, options = {}) => runCommand(host, contain, argv, options),
  };
}

async function runCommand(
  host: StepHost,
  contain: boolean,
  argv: readonly [string, ...string[]],
  options: RunOptions,
): Promise<RunResult> {
  host.signal.throwIfAborted();
  host.log.write(`${mask(`+ ${argv.map(quoted).join(' ')}`)}\n`);
  const [file, ...args] = contain ? contained(argv) : argv;
  const execaOptions = {
    env: { PATH: host.path, HOME: host.home, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', ...options.env },
    extendEnv: false,
    // A process group of its own, which is killed as a whole.
    detached: true,
    reject: false,
    stripFinalNewline: false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    stdout: 'pipe',
    stderr: 'pipe',
    // The tails below hold what is kept.
    buffer: false,
  } satisfies Options;
  const killsBefore = oomKills();
  const child = execa(file, args, execaOptions);
  const stdout = new Tail(options.capture === 'all' ? allBytes : tailBytes);
  const stderr = new Tail(tailBytes);
  const ends = [
    follow(child.stdout, host.log, stdout, options.onLine),
    follow(child.stderr, host.log, stderr, options.onLine),
  ];

  const kill = (signal: NodeJS.Signals) => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // Already gone.
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    kill('SIGTERM');
    timer = setTimeout(() => kill('SIGKILL'), graceMs);
  };
  host.signal.addEventListener('abort', onAbort, { once: true });
  const onExit = () => kill('SIGKILL');
  process.once('exit', onExit);
  const result = await child.finally(() => {
    clearTimeout(timer);
    host.signal.removeEventListener('abort', onAbort);
    process.removeListener('exit', onExit);
    kill('SIGKILL');
  });
  for (const end of ends) end();
  // Cancellation first: a command that traps SIGTERM ends with an exit code of its own.
  host.signal.throwIfAborted();
  const exitCode = result.exitCode;
  if (exitCode !== undefined && (options.okCodes ?? [0]).includes(exitCode))
    return { stdout: stdout.text(), stderr: stderr.text(), exitCode };
  throw failureOf({
    ...{ argv, cwd: options.cwd, exitCode, signal: result.signal, error: result.code },
    ...{ stdout: stdout.text(), stderr: stderr.text(), oomKills: killsBefore },
  });
}

/** Sends an output to the log, the tail and the lines; answers what ends them. */
function follow(output: Readable, log: Writable, tail: Tail, onLine: RunOptions['onLine']): () => void {
  const lines = new Lines(onLine);
  const endLog = copyMasked(output, log);
  output.on('data', (chunk: Buffer) => {
    tail.push(chunk);
    lines.push(chunk);
  });
  return () => {
    endLog();
    lines.end();
  };
}

const quoted = (argument: string) =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;

/** The last bytes of an output. */
class Tail {
  #chunks: Buffer[] = [];
  #size = 0;
  constructor(readonly limit: number) {}
  push(chunk: Buffer) {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size - (this.#chunks[0]?.length ?? 0) > this.limit)
      this.#size -= this.#chunks.shift()?.length ?? 0;
  }
  text(): string {
    const all = Buffer.concat(this.#chunks);
    let from = Math.max(0, all.length - this.limit);
    // Not from the middle of a character.
    while (from > 0 && ((all[from] ?? 0) & 0xc0) === 0x80) from++;
    return all.toString('utf8', from);
  }
}

/** Splits an output into lines, also at the carriage returns of progress displays. */
class Lines {
  #rest = '';
  readonly #decoder = new StringDecoder('utf8');
  constructor(readonly onLine: ((line: string) => void) | undefined) {}
  push(chunk: Buffer) {
    if (!this.onLine) return;
    const parts = (this.#rest + this.#decoder.write(chunk)).split(/[\r\n]+/);
    this.#rest = (parts.pop() ?? '').slice(-4096);
    for (const line of parts) if (line) this.onLine(line);
  }
  end() {
    const last = this.#rest + this.#decoder.end();
    if (this.onLine && last) this.onLine(last);
  }
}
