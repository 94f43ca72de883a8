/** Connections to Temporal, of the command line and of workers. */
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { Failure } from '../domain/failures.js';
import type { Settings } from '../settings.js';
import { exists } from '../store/store.js';
import { clientConfigFile } from './certificates.js';

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

/**
 * What Temporal's own environment configuration says of TLS and API keys; where it says nothing of them, what the embedded server of this
 * instance asks for, if there has been one.
 */
export async function connectionOptions(
  settings: Settings,
): Promise<ConnectionOptions & { apiKey?: string }> {
  const { temporalAddress: address, temporalAccess } = settings;
  const own = clientConfigFile(settings);
  const told = temporalAccess.tls !== undefined || temporalAccess.apiKey !== undefined;
  const access =
    told || !(await exists(own))
      ? temporalAccess
      : loadClientConfigProfile({ configSource: { path: own }, disableEnv: true });
  const { tls, apiKey, metadata } = clientOptions(access);
  return {
    address,
    ...(tls === undefined || tls === null ? {} : { tls }),
    ...(typeof apiKey === 'string' ? { apiKey } : {}),
    ...(metadata ? { metadata: metadata } : {}),
  };
}

/** Reads the files that it names. Fails with SettingInvalid. */
function clientOptions(access: Settings['temporalAccess']) {
  try {
    return toClientOptions(access).connectionOptions;
  } catch (error) {
    throw new Failure(
      'SettingInvalid',
      `TEMPORAL_TLS_…: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Connects within 5 s or throws `ServerAway`; at once where nothing listens. Fails with SettingInvalid. */
export async function connect(settings: Settings): Promise<Client> {
  const options = await connectionOptions(settings);
  try {
    await listens(settings.temporalAddress);
    const connection = await Connection.connect({ ...options, connectTimeout: '5s' });
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
