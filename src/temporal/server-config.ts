/** The configuration of the embedded server: an SQLite file, loopback ports, mutual TLS, no HTTP API, no web pages. */
import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Settings } from '../settings.js';
import { certificateFiles, serverName } from './certificates.js';
import { hostAndPort } from './connect.js';
import { freePort } from './ports.js';

/**
 * Urgent tasks of a queue are given out first (priority) only by the newer matcher, which is not the default of server 1.29; and in a queue
 * of several partitions each is in order by itself. Without these a security release waits behind what else a worker has to do.
 * The last two: what has just been registered can be used at once.
 */
export const dynamicConfig: Readonly<Record<string, unknown>> = {
  'matching.useNewMatcher': true,
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  'system.forceSearchAttributesCacheRefreshOnRead': true,
  'system.namespaceCacheRefreshInterval': '1s',
};

/** As a file of dynamic settings. */
export const dynamicConfigText = (): string =>
  stringify(Object.fromEntries(Object.entries(dynamicConfig).map(([key, value]) => [key, [{ value }]])));

/** The server's configuration file. Its inner ports are chosen anew each time. */
export async function serverConfigText(settings: Settings, dynamicConfigFile: string): Promise<string> {
  const { host, port } = hostAndPort(settings.temporalAddress);
  const inside = '127.0.0.1';
  // The server binds to addresses alone. Of all of them, its own parts take the loopback.
  const { address } = await lookup(host);
  const own = ['0.0.0.0', '::'].includes(address) ? inside : address;
  const frontend = own.includes(':') ? `[${own}]:${port}` : `${own}:${port}`;
  const { ca, server, serverKey } = certificateFiles(settings);
  const tls = {
    server: { certFile: server, keyFile: serverKey, requireClientAuth: true, clientCaFiles: [ca] },
    client: { serverName, rootCaFiles: [ca] },
  };
  const service = async (ip: string, grpcPort?: number) => ({
    rpc: { grpcPort: grpcPort ?? (await freePort()), membershipPort: await freePort(), bindOnIP: ip },
  });
  const sqlite = {
    sql: {
      ...{ pluginName: 'sqlite', databaseName: join(settings.state, 'temporal', 'temporal.db') },
      ...{ connectAddr: 'localhost', connectProtocol: 'tcp' },
      connectAttributes: { cache: 'private', setup: 'true', journal_mode: 'wal', mode: 'rwc' },
    },
  };
  return stringify({
    log: { stdout: true, level: 'warn', format: 'console' },
    persistence: {
      ...{ numHistoryShards: 1, defaultStore: 'sqlite', visibilityStore: 'sqlite' },
      datastores: { sqlite },
    },
    global: {
      membership: { maxJoinDuration: '30s', broadcastAddress: inside },
      tls: {
        ...{ internode: tls, frontend: tls },
        systemWorker: { certFile: server, keyFile: serverKey, client: tls.client },
      },
    },
    services: {
      frontend: await service(address, port),
      history: await service(inside),
      matching: await service(inside),
      worker: await service(inside),
    },
    clusterMetadata: {
      ...{ enableGlobalNamespace: false, failoverVersionIncrement: 10 },
      ...{ masterClusterName: 'active', currentClusterName: 'active' },
      clusterInformation: {
        active: {
          ...{ enabled: true, initialFailoverVersion: 1, rpcName: 'frontend' },
          rpcAddress: frontend,
        },
      },
    },
    dcRedirectionPolicy: { policy: 'noop' },
    archival: { history: { state: 'disabled' }, visibility: { state: 'disabled' } },
    publicClient: { hostPort: frontend },
    dynamicConfigClient: { filepath: dynamicConfigFile, pollInterval: '60s' },
  });
}
