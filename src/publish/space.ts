/** Free space at publish targets. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { Target } from '../domain/stream.js';
import { formatBytes } from '../domain/units.js';
import { anyCode, type Step } from '../steps/step.js';
import { makeFolder, sshOf } from './target.js';

/**
 * Bytes that are free at a target for what goes below its folder `part`, which may be on a disk of its own; undefined where nobody tells: an
 * rsync daemon, or an ssh account that may not ask.
 */
export async function freeSpace(step: Step, target: Target, part: string): Promise<number | undefined> {
  const { location } = target;
  if (location.startsWith('/')) {
    await makeFolder(target);
    const { bavail, bsize } = await statfs(join(location, part)).catch(() => statfs(location));
    return bavail * bsize;
  }
  if (!location.startsWith('ssh://')) return undefined;
  const { shell, url, user } = sshOf(target);
  // A shell at the other end reads these words: only a path that means itself goes there.
  if (!/^[\w./-]+$/.test(url.pathname)) return undefined;
  const host = `${user}${url.hostname.replace(/^\[(.*)\]$/, '$1')}`;
  const { stdout } = await step.run(
    [...shell, '--', host, ...df, url.pathname, `${url.pathname.replace(/\/+$/, '')}/${part}`],
    { okCodes: anyCode },
  );
  // The folder may not be there yet: then there is one line, and an exit code of its own.
  const free = stdout.match(/^\s*\d+\s*$/gm)?.at(-1);
  return free === undefined ? undefined : Number(free);
}

const df = ['df', '--block-size=1', '--output=avail'];

/** Is there room for so many bytes below `part`? Answers what is known of it, for people. Fails with DiskFull. */
export async function requireSpace(step: Step, target: Target, part: string, bytes: number): Promise<string> {
  const free = await freeSpace(step, target, part);
  if (free === undefined) return 'free space unknown';
  if (free < bytes)
    throw new Failure(
      'DiskFull',
      `${target.location}: ${formatBytes(free)} free, but the release needs ${formatBytes(bytes)}`,
    );
  return `${formatBytes(free)} free`;
}
