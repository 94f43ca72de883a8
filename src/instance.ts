/** An instance on one machine: Temporal server, worker and web server in one process, which looks after them. */
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { holdState } from './hold.js';
import { keep, type Kept, type Part } from './keep.js';
import { webUrl, type Settings } from './settings.js';
import { answers, connect, hostAndPort, ServerAway } from './temporal/connect.js';
import { startServer } from './temporal/server.js';
import { serveInstance } from './web/serve.js';
import { installRuntime, startWorkers } from './worker.js';

export interface Instance {
  readonly client: Client;
  /** Rejects with an `InstanceError` when a part of it does not come back; stays pending otherwise. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/**
 * Starts what is not running yet and keeps it running; `say` gets a line for each part, and for whatever befalls one. `close` ends what
 * was started here, in order. Throws `StateHeld` where another process has the state folder.
 */
export async function startInstance(settings: Settings, say: (line: string) => void): Promise<Instance> {
  const letGo = await holdState(settings.state);
  const parts: Kept[] = [];
  const close = async () => {
    for (const part of parts.reverse()) await part.close();
    await letGo();
  };
  const add = async (name: string, start: () => Promise<Part>) => {
    parts.push(await keep(name, start, say));
  };
  try {
    await add('Temporal server', () => useServer(settings, say));
    await add('web server', () => serveInstance(settings));
    say(`build pages and repos at ${webUrl(settings)}`);
    installRuntime(settings, join(settings.state, 'logs', 'worker.log'));
    await add('worker', () => startWorkers(settings));
    say('worker for all roles');
    const client = await connect(settings);
    return {
      client,
      failed: Promise.race(parts.map(({ failed }) => failed)),
      async close() {
        await client.connection.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The server that answers at the address or, where none does and the address is this machine's, one that is started here. */
async function useServer(settings: Settings, say: (line: string) => void): Promise<Part> {
  try {
    await (await connect(settings)).connection.close();
    return elsewhere(settings);
  } catch (error) {
    if (!(error instanceof ServerAway) || !isHere(settings.temporalAddress)) throw error;
  }
  const server = await startServer(settings);
  say(`Temporal server at ${settings.temporalAddress}, for this instance alone`);
  return server;
}

const lookMs = 5000;
const missesAllowed = 3;

/** A server that somebody else runs. It has ended when it was looked for in vain some times. */
function elsewhere(settings: Settings): Part {
  const closing = new AbortController();
  const watch = async (): Promise<Error> => {
    for (let misses = 0; misses < missesAllowed;) {
      await sleep(lookMs, undefined, { signal: closing.signal, ref: false });
      misses = (await answers(settings)) ? 0 : misses + 1;
    }
    return new Error(`nothing answers at ${settings.temporalAddress} any more`);
  };
  return {
    ended: watch().catch(() => new Error('not looked after any more')),
    close: () => Promise.resolve(closing.abort()),
  };
}

function isHere(address: string): boolean {
  const { host } = hostAndPort(address);
  const own = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return ['localhost', '0.0.0.0', '::'].includes(host) || own.some((found) => found.address === host);
}
