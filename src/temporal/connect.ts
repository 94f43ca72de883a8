/** The connection of the command line to Temporal. */
import { Client, Connection } from '@temporalio/client';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import type { Settings } from '../settings.js';

/** The server does not answer. */
export class ServerAway extends Error {
  override readonly name = 'ServerAway';
  constructor(settings: Settings, cause: unknown) {
    super(
      `no Temporal server answers at ${settings.temporalAddress}. Start one with \`treeline up\`, ` +
        'or set TEMPORAL_ADDRESS to the one that you have.',
      { cause },
    );
  }
}

/** Connects within 5 s or throws `ServerAway`; at once where nothing listens. */
export async function connect(settings: Settings): Promise<Client> {
  try {
    await listens(settings.temporalAddress);
    const connection = await Connection.connect({ address: settings.temporalAddress, connectTimeout: '5s' });
    return new Client({ connection, namespace: settings.temporalNamespace });
  } catch (error) {
    throw new ServerAway(settings, error);
  }
}

/** Does anything listen there? */
export const answers = ({ temporalAddress }: Settings): Promise<boolean> =>
  listens(temporalAddress).then(
    () => true,
    () => false,
  );

/** `host:port`, `[host]:port`; the settings are checked. */
export function hostAndPort(address: string): { host: string; port: number } {
  const [, bracketed, plain = '127.0.0.1', port] = /^(?:\[(.*)\]|(.*)):(\d+)$/.exec(address) ?? [];
  return { host: bracketed ?? plain, port: Number(port) };
}

/** gRPC would go on trying a refused connection until its time is up. */
async function listens(address: string): Promise<void> {
  const socket = createConnection(hostAndPort(address));
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(5000) });
  } finally {
    socket.destroy();
  }
}
