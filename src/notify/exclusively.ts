/** Work that one process at a time may do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../domain/failures.js';

const busyCode = 75;

/**
 * Does the work while nobody else holds the lock file, on this host or on one that shares its folder; throws `Busy` otherwise. The
 * lock is the kernel's (flock): it ends with its holder, whatever ends that, so there is no stale lock to recognise, as there
 * would be with a file that names a process. Node.js cannot take one, so `cat` holds it in its place: until its standard input ends,
 * which it does when the work is done or this process dies. The lock file stays; it is empty.
 */
export async function exclusively<T>(path: string, file: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const holder = spawn(
    'flock',
    ['--nonblock', '--no-fork', `--conflict-exit-code=${busyCode}`, file, 'cat'],
    // In a process group of its own, out of reach of Ctrl-C.
    { env: { PATH: path }, stdio: ['pipe', 'pipe', 'ignore'], detached: true },
  );
  const ended = once(holder, 'exit').then(
    ([code]: unknown[]) => code,
    () => Promise.reject(new Failure('ToolMissing', 'flock: not installed. Run `treeline doctor`.')),
  );
  // It may be gone before it reads.
  holder.stdin.on('error', () => undefined).write('held');
  try {
    const code = await Promise.race([once(holder.stdout, 'data').then(() => 'held'), ended]);
    if (code === busyCode) throw new Failure('Busy', `${file}: another process holds it`);
    if (code !== 'held') throw new Failure('CommandFailed', `flock ${file}: ended with ${String(code)}`);
    return await work();
  } finally {
    holder.stdin.end();
    await ended.catch(() => undefined);
  }
}
