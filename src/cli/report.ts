/** What a failed command says: one message for people and an exit code, never a stack trace. */
import { isGrpcServiceError } from '@temporalio/client';
import { CommanderError } from 'commander';
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, failureKinds } from '../domain/failures.js';
import { InstanceError } from '../keep.js';
import { ServerAway } from '../temporal/connect.js';
import { CliError, exitCodes } from './output.js';

export interface Report {
  /** Undefined where it has been said already. */
  readonly text?: string;
  readonly exitCode: number;
  /** A fault of Treeline's own: its stack trace belongs in the log. */
  readonly unexpected?: true;
}

/** Puts an error that ended a command into words. */
export function reportOf(error: unknown): Report {
  if (error instanceof CommanderError)
    return { exitCode: error.exitCode === 0 ? exitCodes.ok : exitCodes.usage };
  if (error instanceof CliError) return { text: error.message, exitCode: error.exitCode };
  if (error instanceof InstanceError) return { text: error.message, exitCode: exitCodes.failed };
  if (error instanceof ServerAway) return { text: error.message, exitCode: exitCodes.serverAway };
  if (error instanceof Failure) {
    const { family, remedy } = failureKinds[error.code];
    return {
      text: `${error.message}\n${remedy}`,
      exitCode: family === 'input' ? exitCodes.usage : exitCodes.failed,
    };
  }
  return ofServer(error) ?? ofSystem(error) ?? { ...unexpected(error), unexpected: true };
}

/** gRPC status codes that say that no server answers: DEADLINE_EXCEEDED, UNAVAILABLE. */
const away: readonly number[] = [4, 14];

/** What the Temporal server said, which the SDK wraps once or more; undefined for another error. */
function serverError(error: unknown): { readonly code: number; readonly details: string } | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (isGrpcServiceError(cause)) return cause;
  return undefined;
}

/** Did the Temporal server not answer? */
export function isAway(error: unknown): boolean {
  const said = serverError(error);
  return said !== undefined && away.includes(said.code);
}

function ofServer(error: unknown): Report | undefined {
  const said = serverError(error);
  if (!said) return undefined;
  if (!isAway(error))
    return { text: `the Temporal server refuses: ${said.details}`, exitCode: exitCodes.failed };
  const text = `the Temporal server does not answer any more: ${said.details}. Start it with \`treeline up\`.`;
  return { text, exitCode: exitCodes.serverAway };
}

/** What the system refused, by its code: what that means, and what to do. */
const refusals: Readonly<Record<string, string>> = {
  EACCES: 'permission denied. Run it as the user who owns the file, or give this user access.',
  EPERM: 'the operation is not permitted. Run it as root.',
  EROFS: 'the file system is read-only. Mount it writable, or set TREELINE_STATE to another folder.',
  ENOSPC: 'no space left on the disk. Free space, then run it again.',
  EDQUOT: 'the disk quota is used up. Free space, then run it again.',
  ENOENT: 'there is no such file or folder.',
  ENOTDIR: 'a part of the path is a file, not a folder.',
  EISDIR: 'is a folder, not a file.',
  EEXIST: 'is there already, as something else than a folder.',
  ELOOP: 'symbolic links lead round in a circle.',
  ENAMETOOLONG: 'the path is too long.',
  EMFILE: 'too many open files. Raise the limit (`ulimit -n`).',
  EIO: 'the disk fails to read or write.',
};

function ofSystem(error: unknown): Report | undefined {
  const { code = '', path, syscall } = error as NodeJS.ErrnoException;
  const means = error instanceof Error && Object.hasOwn(refusals, code) ? refusals[code] : undefined;
  if (means === undefined) return undefined;
  return { text: `${path ?? syscall ?? 'system'}: ${means} (${code})`, exitCode: exitCodes.failed };
}

const unexpected = (error: unknown) => ({
  text: (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '',
  exitCode: exitCodes.failed,
});

/** Keeps the stack trace of a fault in `logs/treeline.log` of the state folder; answers where, for people. */
export async function keepStack(state: string, error: unknown): Promise<string> {
  const file = join(state, 'logs', 'treeline.log');
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  try {
    await mkdir(join(state, 'logs'), { recursive: true });
    await appendFile(file, `# ${new Date().toISOString()} ${process.argv[2] ?? ''}\n${stack}\n`);
    return `This is a fault of Treeline's. Report it with the end of ${file}.`;
  } catch (kept) {
    return `This is a fault of Treeline's; ${file} could not be written: ${reportOf(kept).text ?? ''}`;
  }
}
