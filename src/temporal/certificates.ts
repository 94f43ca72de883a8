/**
 * The certificates of the embedded server: who has none of them can connect, but is not heard. One authority signs one for the server and
 * one for its clients; its own key is thrown away, so that nobody can make another. All are made again by taking their folder away.
 */
import { clientConfigToToml, type ClientConfigTLS } from '@temporalio/envconfig';
import { execa } from 'execa';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Settings } from '../settings.js';
import { exists } from '../store/store.js';

/** In the server's certificate, and what clients look for in it, by whatever address they come. */
export const serverName = 'treeline-temporal';
const days = '3650';

export type CertificateFiles = Record<'ca' | 'server' | 'serverKey' | 'client' | 'clientKey', string>;

/** Readable by the instance's own user alone. */
const folderOf = ({ state }: Pick<Settings, 'state'>) => join(state, 'temporal', 'tls');

export function certificateFiles(settings: Pick<Settings, 'state'>): CertificateFiles {
  const file = (name: string) => join(folderOf(settings), name);
  return {
    ca: file('ca.pem'),
    server: file('server.pem'),
    serverKey: file('server.key'),
    client: file('client.pem'),
    clientKey: file('client.key'),
  };
}

/** How clients reach the embedded server, in the form of Temporal's own tools: `TEMPORAL_CONFIG_FILE`. */
export const clientConfigFile = ({ state }: Pick<Settings, 'state'>) =>
  join(state, 'temporal', 'client.toml');

export async function writeClientConfig(settings: Settings): Promise<void> {
  const { ca, client, clientKey } = certificateFiles(settings);
  const tls: ClientConfigTLS = {
    serverName,
    serverCACert: { path: ca },
    clientCert: { path: client },
    clientKey: { path: clientKey },
  };
  const { temporalAddress: address, temporalNamespace: namespace } = settings;
  await writeFile(
    clientConfigFile(settings),
    clientConfigToToml({ profiles: { default: { address, namespace, tls } } }),
  );
}

/** Makes the certificates where there are none; all at once or none. */
export async function ensureCertificates(settings: Pick<Settings, 'state'>): Promise<void> {
  const folder = folderOf(settings);
  if (await exists(folder)) return;
  await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
  const draft = await mkdtemp(join(dirname(folder), 'tls-'));
  try {
    const at = (name: string) => join(draft, name);
    const make = (name: string, subject: string, ...more: string[]) =>
      execa('openssl', [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', days],
        ...['-subj', `/CN=${subject}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`), ...more],
      ]);
    await make('ca', 'Treeline Temporal CA');
    const signed = [
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca.key'),
      '-addext',
      'basicConstraints=critical,CA:FALSE',
    ];
    // The server's own parts are clients of one another.
    const uses = 'extendedKeyUsage=serverAuth,clientAuth';
    await make(
      'server',
      serverName,
      ...signed,
      '-addext',
      uses,
      '-addext',
      `subjectAltName=DNS:${serverName}`,
    );
    await make('client', 'treeline', ...signed, '-addext', 'extendedKeyUsage=clientAuth');
    await rm(at('ca.key'));
    await rename(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
