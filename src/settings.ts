/**
 * What an instance of Treeline is told by its environment. Read once at the start of a process and handed on;
 * nothing below the entry points reads `process.env`.
 */
import { loadClientConfigProfile, type ClientConfigProfile } from '@temporalio/envconfig';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from './domain/failures.js';

/** The folder of the checkout or installed package (the one with package.json). */
export const packageRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

export interface Settings {
  /** Folder of everything that the instance keeps (`TREELINE_STATE`, default `.treeline` in the checkout). */
  readonly state: string;
  /** Folder of the stream declarations (`TREELINE_STREAMS`, default `streams` in the checkout). */
  readonly streams: string;
  /** `host:port` of the Temporal frontend (`TEMPORAL_ADDRESS`, default `127.0.0.1:7233`). */
  readonly temporalAddress: string;
  /** Temporal namespace (`TEMPORAL_NAMESPACE`, default `default`). */
  readonly temporalNamespace: string;
  /** TLS and API key for it, as Temporal's environment configuration has them; of neither a word: those of the embedded server. */
  readonly temporalAccess: Pick<ClientConfigProfile, 'tls' | 'apiKey' | 'grpcMeta'>;
  /** Loopback port of `treeline serve` (`TREELINE_WEB_PORT`, default `8470`). */
  readonly webPort: number;
  /** Folders outside the web root that links in it may lead to, such as another disk with images (`TREELINE_WEB_LINKED`, colon-separated). */
  readonly webLinked: readonly string[];
  /** Address of a Prometheus endpoint, such as `127.0.0.1:9464` (`TREELINE_METRICS`, default none). */
  readonly metrics: string | undefined;
  /** PATH of every shell step (`TREELINE_PATH`, default the system's folders only: a user's own tools never leak in). */
  readonly path: string;
  /**
   * What boots are accelerated by (`TREELINE_ACCELERATOR`): `kvm` or `tcg` alone, or (the default) `auto`: KVM where it works on this
   * host, otherwise QEMU's own emulation, TCG.
   */
  readonly accelerator: (typeof accelerators)[number];
  /** Name of this host in the queues of pinned steps (`TREELINE_HOST`, default the host name). */
  readonly host: string;
}

const accelerators = ['auto', 'kvm', 'tcg'] as const;

export const systemPath = '/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin';

const invalid = (text: string) => new Failure('SettingInvalid', text);

/** Reads the settings; an empty variable counts as unset. Fails with SettingInvalid. */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const get = (name: string) => env[name]?.trim() || undefined;
  const port = (name: string, fallback: number) => {
    const text = get(name);
    const value = text === undefined ? fallback : Number(text);
    if (!Number.isInteger(value) || value < 1 || value > 65535)
      throw invalid(`${name}=${text}: not a port. Give a number from 1 to 65535, or unset it.`);
    return value;
  };
  const wanted = get('TREELINE_ACCELERATOR') ?? 'auto';
  const accelerator = accelerators.find((name) => name === wanted);
  if (!accelerator)
    throw invalid(`TREELINE_ACCELERATOR=${wanted}: write ${accelerators.join(', ')}, or unset it.`);
  const address = (name: string, text = get(name)) => {
    const [, port = ''] = /^(?:[\w.-]+|\[[\da-fA-F:]+\]):(\d{1,5})$/.exec(text ?? '') ?? [];
    if (text !== undefined && (Number(port) < 1 || Number(port) > 65535))
      throw invalid(
        `${name}=${text}: not an address. Give \`host:port\`, such as \`127.0.0.1:7233\`, or unset it.`,
      );
    return text;
  };
  const { address: temporalAddress, namespace, ...access } = temporalProfile(env);
  return {
    state: resolve(get('TREELINE_STATE') ?? join(packageRoot, '.treeline')),
    streams: resolve(get('TREELINE_STREAMS') ?? join(packageRoot, 'streams')),
    temporalAddress: address('TEMPORAL_ADDRESS', temporalAddress) ?? '127.0.0.1:7233',
    temporalNamespace: namespace ?? 'default',
    temporalAccess: access,
    webPort: port('TREELINE_WEB_PORT', 8470),
    webLinked: (get('TREELINE_WEB_LINKED') ?? '')
      .split(':')
      .filter(Boolean)
      .map((folder) => resolve(folder)),
    metrics: address('TREELINE_METRICS'),
    path: get('TREELINE_PATH') ?? systemPath,
    accelerator,
    host: (get('TREELINE_HOST') ?? hostname()).replace(/[^A-Za-z0-9.-]/g, '-'),
  };
}

/** Temporal's own environment configuration: `TEMPORAL_…`, and profiles in the file that `TEMPORAL_CONFIG_FILE` names. Fails with SettingInvalid. */
function temporalProfile(env: NodeJS.ProcessEnv): ClientConfigProfile {
  const set = Object.entries(env).flatMap(([name, value = '']) =>
    value.trim() === '' ? [] : [[name, value.trim()]],
  );
  try {
    const profile = env.TEMPORAL_PROFILE?.trim();
    return loadClientConfigProfile({
      overrideEnvVars: Object.fromEntries(set) as Record<string, string>,
      ...(profile ? { profile } : {}),
    });
  } catch (error) {
    throw invalid(`TEMPORAL_…: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The web address under which this instance serves its pages, repos and the sample's packages. */
export const webUrl = (settings: Settings) => `http://127.0.0.1:${settings.webPort}`;
