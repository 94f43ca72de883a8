/** An embedded beanstalkd, for an instance that has no reimzul. */
import { spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../../domain/failures.js';
import { findTool } from '../../steps/tools.js';
import { Beanstalk } from '../beanstalk.js';

export interface Beanstalkd {
  readonly pid: number;
  /** Ends the server; its jobs stay in the binlog. */
  close(): Promise<void>;
  /** Rejects when it ends by itself. */
  readonly ended: Promise<never>;
}

/**
 * Starts Debian's beanstalkd at `address` (`host:port`) with its jobs kept in `folder/binlog`, and waits until it answers (at
 * most 10 s). The kernel ends it when this process dies.
 */
export async function startBeanstalkd(path: string, address: string, folder: string): Promise<Beanstalkd> {
  const program = await findTool(path, 'beanstalkd');
  if (!program) throw new Failure('ToolMissing', 'beanstalkd: not installed. Run `bin/setup`.');
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  const binlog = join(folder, 'binlog');
  await mkdir(binlog, { recursive: true, mode: 0o700 });
  const log = await open(join(folder, 'beanstalkd.log'), 'a');
  // `-f 0`: what was put is on the disk. `detached`: Ctrl-C must reach this process alone, which then ends the server.
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'TERM', '--', program, '-l', host, '-p', port, '-b', binlog, '-f', '0'],
    { stdio: ['ignore', log.fd, log.fd], detached: true },
  );
  await log.close();
  let closing = false;
  const exit = new Promise<void>((resolve) =>
    child.once('close', () => resolve()).once('error', () => resolve()),
  );
  const ended = exit.then(() => {
    if (!closing) throw new Error(`beanstalkd at ${address} ended; see ${join(folder, 'beanstalkd.log')}`);
    return new Promise<never>(() => undefined);
  });
  ended.catch(() => undefined);
  await Promise.race([ended, answering(address)]);
  return {
    pid: child.pid ?? 0,
    ended,
    async close() {
      closing = true;
      child.kill('SIGTERM');
      await exit;
    },
  };
}

async function answering(address: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; ; await sleep(100)) {
    try {
      const connection = await Beanstalk.connect(address, AbortSignal.timeout(2000));
      await connection.listTubes();
      return connection.close();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
