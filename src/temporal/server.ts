/** The embedded Temporal server: the development server with an SQLite file, for one machine. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../domain/failures.js';
import type { Settings } from '../settings.js';
import { findTool } from '../steps/tools.js';
import { connect } from './connect.js';
import { dynamicConfig } from './dynamic-config.js';
import { registerSearchAttributes } from './search-attributes.js';

/** Where `bin/setup` puts the CLI that it builds from `temporal/go.mod`. */
export const cachedCli = (env: NodeJS.ProcessEnv = process.env) =>
  join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'treeline', 'bin');

/** The Temporal CLI: `TREELINE_TEMPORAL`, else PATH, else the cached build. */
export async function findTemporal(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  return env.TREELINE_TEMPORAL || (await findTool(`${env.PATH ?? ''}:${cachedCli(env)}`, 'temporal'));
}

export interface Server {
  readonly pid: number;
  /** Ends the server; its data stay in the state folder. */
  close(): Promise<void>;
}

/** The server has ended before it answered. */
class EndedAtOnce extends Error {}

/**
 * Starts the server and waits until it answers (at most 60 s). The kernel ends it when this process dies. One that ends at once
 * is started again, twice: the ports that it chooses for itself may be lost to somebody else before it has them.
 */
export async function startServer(settings: Settings): Promise<Server> {
  for (let left = 2; ; left--) {
    try {
      return await start(settings);
    } catch (error) {
      if (!(error instanceof EndedAtOnce) || left === 0) throw error;
    }
  }
}

async function start(settings: Settings): Promise<Server> {
  const temporal = await findTemporal();
  if (!temporal) throw new Failure('ToolMissing', 'temporal: not installed. Run `bin/setup`.');
  const [host, port] = settings.temporalAddress.split(':');
  await mkdir(join(settings.state, 'logs'), { recursive: true });
  const logFile = join(settings.state, 'logs', 'temporal.log');
  const log = await open(logFile, 'a');
  const argv = [
    'server',
    'start-dev',
    '--ip',
    host ?? '127.0.0.1',
    '--port',
    port ?? '7233',
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
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await log.close();
  await answering(settings, child, logFile);
  return {
    pid: child.pid ?? 0,
    async close() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function answering(settings: Settings, child: ChildProcess, log: string): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; await sleep(200)) {
    if (child.exitCode !== null)
      throw new EndedAtOnce(
        `the Temporal server ended at once: ${(await readFile(log, 'utf8')).trim().split('\n').slice(-3).join(' | ')}; see ${log}`,
      );
    try {
      const client = await connect(settings);
      await client.workflowService.describeNamespace({ namespace: settings.temporalNamespace });
      await registerSearchAttributes(client, settings);
      await client.connection.close();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
