/** Free space at publish targets. */
import { mkdir, statfs } from 'node:fs/promises';
import { Failure } from '../domain/failures.js';
import type { Target } from '../domain/stream.js';
import { formatBytes } from '../domain/units.js';
import { anyCode, type Step } from '../steps/step.js';
import { sshOf } from './target.js';

/** Bytes that are free at a target; undefined where nobody tells: an rsync daemon, or an ssh account that may not ask. */
export async function freeSpace(step: Step, target: Target): Promise<number | undefined> {
  const { location } = target;
  if (location.startsWith('/')) {
    await mkdir(location, { recursive: true });
    const { bavail, bsize } = await statfs(location);
    return bavail * bsize;
  }
  if (!location.startsWith('ssh://')) return undefined;
  const { shell, url, user } = sshOf(target);
  // A shell at the other end reads these words: only a path that means itself goes there.
  if (!/^[\w./-]+$/.test(url.pathname)) return undefined;
  const host = `${user}${url.hostname.replace(/^\[(.*)\]$/, '$1')}`;
  const { exitCode, stdout } = await step.run(
    [...shell, '--', host, 'df', '--block-size=1', '--output=avail', url.pathname],
    { okCodes: anyCode },
  );
  const free = /^\s*(\d+)\s*$/m.exec(stdout)?.[1];
  return exitCode === 0 && free !== undefined ? Number(free) : undefined;
}

/** Is there room for so many bytes? Answers what is known of it, for people. Fails with DiskFull. */
export async function requireSpace(step: Step, target: Target, bytes: number): Promise<string> {
  const free = await freeSpace(step, target);
  if (free === undefined) return 'free space unknown';
  if (free < bytes)
    throw new Failure(
      'DiskFull',
      `${target.location}: ${formatBytes(free)} free, but the release needs ${formatBytes(bytes)}`,
    );
  return `${formatBytes(free)} free`;
}
