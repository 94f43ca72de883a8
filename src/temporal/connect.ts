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

/** gRPC would go on trying a refused connection until its time is up. */
async function listens(address: string): Promise<void> {
  const [, host = '127.0.0.1', port = '7233'] = /^(.*):(\d+)$/.exec(address) ?? [];
  const socket = createConnection({ host, port: Number(port), timeout: 5000 });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}
