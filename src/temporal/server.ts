/** The embedded Temporal server: the development server with an SQLite file, for one machine. */
import { spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../domain/failures.js';
import { InstanceError, type Part } from '../keep.js';
import type { Settings } from '../settings.js';
import { findTool } from '../steps/tools.js';
import { connect, hostAndPort } from './connect.js';
import { dynamicConfig } from './dynamic-config.js';
import { registerSearchAttributes } from './search-attributes.js';

/** Where `bin/setup` puts the CLI that it builds from `temporal/go.mod`. */
export const cachedCli = (env: NodeJS.ProcessEnv = process.env) =>
  join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'treeline', 'bin');

/** The Temporal CLI: `TREELINE_TEMPORAL`, else PATH, else the cached build. */
export async function findTemporal(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  return env.TREELINE_TEMPORAL || (await findTool(`${env.PATH ?? ''}:${cachedCli(env)}`, 'temporal'));
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
  const temporal = await findTemporal();
  if (!temporal) throw new Failure('ToolMissing', 'temporal: not installed. Run `bin/setup`.');
  const { host, port } = hostAndPort(settings.temporalAddress);
  await mkdir(join(settings.state, 'logs'), { recursive: true });
  const logFile = join(settings.state, 'logs', 'temporal.log');
  const log = await open(logFile, 'a');
  const { size } = await log.stat();
  const argv = [
    'server',
    'start-dev',
    '--ip',
    host,
    '--port',
    String(port),
    '--ui-port',
    String(settings.temporalUiPort),
    '--namespace',
    settings.temporalNamespace,
    '--db-filename',
    join(settings.state, 'temporal.db'),
    '--log-level',
    'warn',
    ...dynamicConfig,
  ];
  // `detached`: Ctrl-C in the terminal must reach this process alone, which then ends the server in order.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', temporal, ...argv], {
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
  // Its data stay in the state folder.
  const close = async () => {
    child.kill('SIGTERM');
    await ended;
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
    await client.workflowService.describeNamespace({ namespace: settings.temporalNamespace });
    await registerSearchAttributes(client, settings);
  } finally {
    await client.connection.close();
  }
}
