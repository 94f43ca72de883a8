/** A throw-away instance on free ports: the sample distribution and the key of `.treeline`, a server, a worker, web pages. */
import type { Client } from '@temporalio/client';
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { parse, stringify } from 'yaml';
import { packageRoot, readSettings, type Settings } from '../src/settings.js';
import { createStep } from '../src/steps/run.js';
import type { Step } from '../src/steps/step.js';
import { connect } from '../src/temporal/connect.js';
import { startServer } from '../src/temporal/server.js';
import { serve, type WebServer } from '../src/web/serve.js';
import { installRuntime, startWorkers } from '../src/worker.js';
import { freePort } from '../test/support/ports.js';

export const streamName = 'sample';
export const arch = 'x86_64' as const;

/** The environment of an instance in `folder`, on ports that are free now. */
export async function newEnvironment(folder: string): Promise<Record<string, string>> {
  return {
    TREELINE_STATE: join(folder, 'state'),
    TREELINE_STREAMS: join(folder, 'streams'),
    TREELINE_WEB_PORT: String(await freePort()),
    TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`,
    TREELINE_HOST: 'bench',
  };
}

/** A step of the bench's own, whose output goes nowhere. */
export async function benchStep(settings: Settings): Promise<Step> {
  const home = join(settings.state, 'home');
  await mkdir(home, { recursive: true });
  const log = new Writable({ write: (_chunk, _encoding, done) => done() });
  return createStep({ signal: new AbortController().signal, log, path: settings.path, home });
}

/** Fills a state folder: copies of the sample's packages, repo metadata and keys. Nothing of an earlier run is there. */
export async function prepareState(settings: Settings, step: Step, bootTests: boolean): Promise<void> {
  const { state: source } = readSettings({});
  const sockets = { recursive: true, filter: (path: string) => !/\/S\.[^/]*$/.test(path) };
  await rm(settings.state, { recursive: true, force: true });
  await mkdir(settings.state, { recursive: true });
  for (const part of ['sample', 'keys'])
    await cp(join(source, part), join(settings.state, part), { ...sockets, verbatimSymlinks: true });
  await mkdir(join(settings.state, 'home'), { recursive: true });
  const web = join(settings.state, 'www', 'sample');
  await mkdir(web, { recursive: true });
  await symlink(join(settings.state, 'sample', 'rpms'), join(web, 'rpms'));

  const folder = join(settings.streams, streamName);
  await rm(folder, { recursive: true, force: true });
  await cp(join(packageRoot, 'streams', streamName), folder, { recursive: true });
  const file = join(folder, 'stream.yaml');
  const stream = parse(await readFile(file, 'utf8')) as { images: object[] };
  if (!bootTests) stream.images = stream.images.map((image) => ({ ...image, bootTest: false }));
  await writeFile(file, stringify(stream));
  // All that was written is on the disk, and the input in memory, before a clock runs.
  const rpms = join(settings.state, 'sample', 'rpms');
  for (const name of await readdir(rpms)) if (name.endsWith('.rpm')) await readFile(join(rpms, name));
  await step.run(['sync']);
}

export const serveWeb = (settings: Settings): Promise<WebServer> =>
  serve({ root: join(settings.state, 'www'), port: settings.webPort });

export interface Running {
  readonly client: Client;
  close(): Promise<void>;
}

let runtime = false;

/** Starts server, worker and web server in this process. */
export async function start(settings: Settings): Promise<Running> {
  const server = await startServer(settings);
  if (!runtime) installRuntime(settings, join(settings.state, 'logs', 'worker.log'));
  runtime = true;
  const client = await connect(settings);
  const [web, workers] = [await serveWeb(settings), await startWorkers(settings)];
  return {
    client,
    async close() {
      await workers.close();
      await web.close();
      await client.connection.close();
      await server.close();
    },
  };
}
