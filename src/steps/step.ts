/**
 * A step: the one way in which Treeline runs commands. An activity (or the command line, for set-up) gets a
 * `Step`, runs argv arrays through it and reports progress to it.
 */
export interface Progress {
  done: number;
  total: number;
  /** What is counted, shown after the numbers: `packages`, `bytes`, `objects`. */
  unit: 'packages' | 'bytes' | 'objects';
}

/** A command line: the program, then its arguments. */
export type Argv = readonly [string, ...string[]];

/** For `okCodes`: the caller looks at the exit code itself. */
export const anyCode: readonly number[] = Array.from({ length: 256 }, (_, code) => code);
/** … but not at those of a command that was not started (126, 127) or was killed (128 + the signal). */
export const ownCode: readonly number[] = anyCode.filter((code) => code < 126 || code === 255);

export interface RunOptions {
  cwd?: string;
  /** Added to the step's small explicit environment (PATH, HOME, LANG). */
  env?: Readonly<Record<string, string>>;
  /** Text for standard input; without it standard input is empty. */
  input?: string;
  /** Called for each whole line, for progress and classification. */
  onLine?: (line: string) => void;
  /** Exit codes that are results, not failures. Default `[0]`. */
  okCodes?: readonly number[];
  /** Only the last 64 KiB of standard output are kept in the result; `all` keeps up to 64 MiB. */
  capture?: 'tail' | 'all';
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface Step {
  /** Aborted when the step is cancelled; in-process loops look at it. */
  readonly signal: AbortSignal;
  /**
   * Runs a command in a process group, mount and PID namespace of its own: whatever ends it (cancellation,
   * time-out, a killed worker) ends everything that it started, with its mounts and loop devices.
   * Throws a `Failure` (`CommandFailed`, `CommandKilled`, `CommandInvalid`, `ToolMissing`, `DiskFull`, `ResourcesExhausted`) or,
   * when cancelled, the signal's reason.
   */
  readonly run: (argv: Argv, options?: RunOptions) => Promise<RunResult>;
  /** Reports how far the step is. Cheap; may be called for every line. */
  readonly progress: (progress: Progress) => void;
  /** Tells, masked, in a few words what it does now, for people who watch it; undefined where there is nothing to tell. */
  readonly tell: (status: string | undefined) => void;
  /** Writes a line into the step's log, masked. */
  readonly note: (line: string) => void;
}

/** What a running step tells by its heartbeats. */
export interface Beat {
  readonly step: string;
  readonly progress?: Progress;
  /** What it does now, in a few words. */
  readonly status?: string;
}
