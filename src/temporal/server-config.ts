/** The configuration of the embedded server: an SQLite file, loopback ports, mutual TLS, no HTTP API, no web pages. */
import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import type { Settings } from '../settings.js';
import { certificateFiles, serverName } from './certificates.js';
import { hostAndPort } from './connect.js';
import { freePort, isFree } from './ports.js';

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

const ports = z.object({ grpcPort: z.int(), membershipPort: z.int() });
const formerServices = z.object({ services: z.record(z.string(), z.object({ rpc: ports })) });

/** None of a file that is damaged. */
function servicesOf(text: string) {
  try {
    return formerServices.parse(parse(text)).services;
  } catch {
    return {};
  }
}

/**
 * The server's configuration file. Its inner ports are those of the `former` one, if they are free: a server that was killed leaves a
 * record of where its parts were, and the next one's parts try for most of a minute to join them there.
 */
export async function serverConfigText(
  settings: Settings,
  dynamicConfigFile: string,
  former = '',
): Promise<string> {
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
  const known = servicesOf(former);
  const again = async (port?: number) =>
    port !== undefined && (await isFree(port)) ? port : await freePort();
  const service = async (name: string, ip = inside, fixed?: number) => {
    const { grpcPort, membershipPort } = known[name]?.rpc ?? {};
    const rpc = { grpcPort: fixed ?? (await again(grpcPort)), membershipPort: await again(membershipPort) };
    return { rpc: { ...rpc, bindOnIP: ip } };
  };
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
      frontend: await service('frontend', address, port),
      history: await service('history'),
      matching: await service('matching'),
      worker: await service('worker'),
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
