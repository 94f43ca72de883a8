/** An instance on one machine: Temporal server, worker and web server in one process. */
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { webUrl, type Settings } from './settings.js';
import { connect, ServerAway } from './temporal/connect.js';
import { startServer, type Server } from './temporal/server.js';
import { serveInstance } from './web/serve.js';
import { installRuntime, startWorkers, type RunningWorkers } from './worker.js';

export interface Instance {
  readonly client: Client;
  /** What this process started, for people. */
  readonly started: readonly string[];
  /** Rejects if a worker fails. */
  readonly workers: RunningWorkers;
  close(): Promise<void>;
}

/** Starts what is not running yet; `close` ends what was started here, in order. */
export async function startInstance(settings: Settings): Promise<Instance> {
  const started: string[] = [];
  let server: Server | undefined;
  let client = await connect(settings).catch((error: unknown) => {
    if (!(error instanceof ServerAway)) throw error;
    return undefined;
  });
  if (!client) {
    server = await startServer(settings);
    started.push(
      `Temporal server at ${settings.temporalAddress}, its pages at http://127.0.0.1:${settings.temporalUiPort}`,
    );
    client = await connect(settings);
  }
  const web = await serveInstance(settings);
  started.push(`build pages and repos at ${webUrl(settings)}`);
  installRuntime(settings, join(settings.state, 'logs', 'worker.log'));
  const workers = await startWorkers(settings);
  started.push('worker for all roles');
  const connection = client.connection;
  return {
    client,
    started,
    workers,
    async close() {
      await workers.close();
      await web.close();
      await connection.close();
      await server?.close();
    },
  };
}
