/** The embedded Temporal server: the server of production, with an SQLite file, for one machine and for nobody else on it. */
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../domain/failures.js';
import { InstanceError, type Part } from '../keep.js';
import type { Settings } from '../settings.js';
import { findTool } from '../steps/tools.js';
import { ensureCertificates, writeClientConfig } from './certificates.js';
import { connect } from './connect.js';
import { registerNamespace } from './namespace.js';
import { registerSearchAttributes } from './search-attributes.js';
import { dynamicConfigText, serverConfigText } from './server-config.js';

/** Where `bin/setup` puts what it builds from `temporal/go.mod`. */
export const cachedPrograms = (env: NodeJS.ProcessEnv = process.env) =>
  join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'treeline', 'bin');

/** The server's program: `TREELINE_TEMPORAL_SERVER`, else PATH, else the cached build. */
export async function findServer(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  return (
    env.TREELINE_TEMPORAL_SERVER ||
    (await findTool(`${env.PATH ?? ''}:${cachedPrograms(env)}`, 'temporal-server'))
  );
}

export interface Server extends Part {
  readonly pid: number;
}

/** How the server has ended. */
class ServerEnded extends Error {}

/**
 * Starts the server and waits until it answers (at most 60 s). The kernel ends it when this process dies. One that ends at once
 * is started again, twice: the ports that it chooses for itself may be lost to somebody else before it has them.
 */
export async function startServer(settings: Settings): Promise<Server> {
  for (let left = 2; ; left--) {
    try {
      return await start(settings);
    } catch (error) {
      if (!(error instanceof ServerEnded)) throw error;
      if (left === 0) throw new InstanceError(`the Temporal server does not start: ${error.message}`);
    }
  }
}

async function start(settings: Settings): Promise<Server> {
  const program = await findServer();
  if (!program) throw new Failure('ToolMissing', 'temporal-server: not installed. Run `bin/setup`.');
  await ensureCertificates(settings);
  await writeClientConfig(settings);
  const config = join(settings.state, 'temporal', 'config');
  await mkdir(config, { recursive: true });
  const dynamic = join(config, 'dynamic.yaml');
  await writeFile(dynamic, dynamicConfigText());
  const file = join(config, 'server.yaml');
  const former = await readFile(file, 'utf8').catch(() => undefined);
  await writeFile(file, await serverConfigText(settings, dynamic, former));
  await mkdir(join(settings.state, 'logs'), { recursive: true });
  const logFile = join(settings.state, 'logs', 'temporal.log');
  const log = await open(logFile, 'a');
  const { size } = await log.stat();
  const argv = ['--root', config, '--config', '.', '--env', 'server', '--allow-no-auth', 'start'];
  // `detached`: Ctrl-C in the terminal must reach this process alone, which then ends the server in order.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', program, ...argv], {
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
  });
  const ended = new Promise<Error>((resolve) => {
    child.once('error', resolve);
    child.once('close', (code, signal) => {
      const how = signal === null ? `exit code ${code ?? '?'}` : signal;
      void logSince(logFile, size).then((log) =>
        resolve(new ServerEnded(`${how}${log}; its log is ${logFile}`)),
      );
    });
  });
  await log.close();
  // Its data stay in the state folder. It would hand over to other servers for up to 8 s; there are none, and what it has is in transactions.
  const close = async () => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 500);
    await ended;
    clearTimeout(late);
  };
  try {
    await answering(settings, ended);
  } catch (error) {
    await close();
    throw error;
  }
  return { pid: child.pid ?? 0, ended, close };
}

/** The last lines that it has written since the log had this size, for a message. */
async function logSince(file: string, size: number): Promise<string> {
  const text = (await readFile(file).catch(() => Buffer.alloc(0))).subarray(size).toString('utf8').trim();
  const lines = text
    .split('\n')
    .slice(-3)
    .map((line) => line.slice(0, 300));
  return text === '' ? ' without a word' : `: ${lines.join(' | ')}`;
}

/** Waits until it answers as Treeline needs it; throws what it ended with. */
async function answering(settings: Settings, ended: Promise<Error>): Promise<void> {
  const early = ended.then((why) => {
    throw why;
  });
  for (const deadline = Date.now() + 60_000; ; await Promise.race([sleep(200), early]))
    try {
      await Promise.race([ready(settings), early]);
      return;
    } catch (error) {
      if (error instanceof ServerEnded || Date.now() > deadline) throw error;
    }
}

async function ready(settings: Settings): Promise<void> {
  const client = await connect(settings);
  try {
    await registerNamespace(client, settings);
    await registerSearchAttributes(client, settings);
  } finally {
    await client.connection.close();
  }
}
