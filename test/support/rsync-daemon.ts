/** A real rsync daemon on loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, until } from './ports.js';

export interface RsyncDaemon {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves folders as modules, for writing. */
export async function startRsyncDaemon(modules: Record<string, string>, port?: number): Promise<RsyncDaemon> {
  const used = port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), 'treeline-rsyncd-'));
  const sections = Object.entries(modules).map(
    ([name, path]) => `[${name}]\npath = ${path}\nread only = false\n`,
  );
  const config = join(folder, 'rsyncd.conf');
  await writeFile(config, `use chroot = no\nuid = root\ngid = root\n${sections.join('\n')}`);
  const child = spawn(
    'rsync',
    ['--daemon', '--no-detach', '--address=127.0.0.1', `--port=${used}`, `--config=${config}`],
    { stdio: 'ignore' },
  );
  await until('rsyncd listens', 10, async () => {
    const socket = createConnection(used, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  });
  return {
    port: used,
    async close() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
