/**
 * An instance of its own for a test: a state folder, free ports, a real Temporal server and a real worker, each a process
 * that the test can kill. The sample distribution is a copy of the one that `bin/setup` made.
 */
import type { Client } from '@temporalio/client';
import { execa } from 'execa';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { ChainProgress } from '../../src/domain/run.js';
import { packageRoot, readSettings, type Settings } from '../../src/settings.js';
import { Store } from '../../src/store/store.js';
import { connect } from '../../src/temporal/connect.js';
import { startServer, type Server } from '../../src/temporal/server.js';
import { serveInstance, type WebServer } from '../../src/web/serve.js';
import { nightlyId } from '../../src/workflows/chains/nightly-messages.js';
import { freePort, until } from './ports.js';
import { shrinkSample, shrinkTreefile } from './small-sample.js';

export interface CliResult {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestInstance {
  /** Those that have not been closed. */
  static readonly open = new Set<TestInstance>();
  #server: Server | undefined;
  #web: WebServer | undefined;
  #client: Client | undefined;
  readonly #workers = new Set<ChildProcess>();

  private constructor(
    readonly settings: Settings,
    readonly env: Record<string, string>,
  ) {}

  /** The same instance, looked at with other settings. */
  with(overrides: Record<string, string>): TestInstance {
    const env = { ...this.env, ...overrides };
    return new TestInstance(readSettings(env), env);
  }

  readonly store = () => new Store(this.settings.state);

  /** `overrides` are merged into the environment, such as `TREELINE_PATH`. */
  static async create(overrides: Record<string, string> = {}): Promise<TestInstance> {
    const folder =
      overrides.TREELINE_STATE === undefined && (await mkdtemp(join(tmpdir(), 'treeline-test-')));
    const env = {
      ...(folder ? { TREELINE_STATE: join(folder, 'state'), TREELINE_STREAMS: join(folder, 'streams') } : {}),
      TREELINE_WEB_PORT: String(await freePort()),
      TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`,
      TREELINE_HOST: 'builder-1',
      ...overrides,
    };
    const instance = new TestInstance(readSettings(env), env);
    await mkdir(instance.settings.streams, { recursive: true });
    await mkdir(instance.store().www(), { recursive: true });
    return instance;
  }

  #small = false;

  /** Gives this instance a small sample distribution: for streams without images. */
  async withSmallSample(): Promise<void> {
    await this.withSample();
    await shrinkSample(join(this.settings.state, 'sample'));
    this.#small = true;
  }

  /** Gives this instance the sample distribution and the key that its release package trusts. */
  async withSample(): Promise<void> {
    const { state } = readSettings({});
    await mkdir(this.settings.state, { recursive: true });
    await execa('cp', [
      '-a',
      '--reflink=auto',
      join(state, 'sample'),
      join(state, 'keys'),
      this.settings.state,
    ]);
    await mkdir(join(this.store().www(), 'sample'), { recursive: true });
    for (const repo of ['rpms', 'srpms'])
      await symlink(join(this.settings.state, 'sample', repo), join(this.store().www(), 'sample', repo));
  }

  /** Declares a stream like the shipped `sample`, with changes. `files` replaces files beside the stream file. */
  async declare(
    name: string,
    changes: Record<string, unknown> = {},
    files: Record<string, string> = {},
  ): Promise<void> {
    const folder = join(this.settings.streams, name);
    await rm(folder, { recursive: true, force: true });
    await cp(join(packageRoot, 'streams/sample'), folder, { recursive: true });
    const file = join(folder, 'stream.yaml');
    const declared = parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    const buildlogs = { location: `\${state}/www/buildlogs/${name}`, url: `\${web}/buildlogs/${name}` };
    const release = { location: `\${state}/www/releases/${name}`, url: `\${web}/releases/${name}` };
    const publish = { buildlogs, release, ...(changes.publish as object | undefined) };
    await writeFile(file, stringify({ ...declared, name, ...changes, publish }));
    if (this.#small) await this.edit(name, 'treefile.yaml', shrinkTreefile);
    for (const [path, content] of Object.entries(files)) await writeFile(join(folder, path), content);
  }

  /** Declares a shipped stream, with a change of its stream file. */
  async ship(name: string, change: (declared: Record<string, unknown>) => void): Promise<void> {
    await cp(join(packageRoot, 'streams', name), join(this.settings.streams, name), { recursive: true });
    if (this.#small) await this.edit(name, 'treefile.yaml', shrinkTreefile);
    await this.edit(name, 'stream.yaml', (text) => {
      const declared = parse(text) as Record<string, unknown>;
      change(declared);
      return stringify(declared);
    });
  }

  /** Edits a file beside a stream file. */
  async edit(stream: string, path: string, change: (text: string) => string): Promise<void> {
    const file = join(this.settings.streams, stream, path);
    await writeFile(file, change(await readFile(file, 'utf8')));
  }

  async startServer(): Promise<void> {
    TestInstance.open.add(this);
    this.#server = await startServer(this.settings);
  }

  /** SIGKILL, as a crash would be. */
  async killServer(): Promise<void> {
    if (!this.#server) throw new Error('no server');
    const { pid } = this.#server;
    process.kill(pid, 'SIGKILL');
    await until('the server is gone', 10, () => !alive(pid));
    this.#server = undefined;
  }

  async startWeb(): Promise<void> {
    this.#web = await serveInstance(this.settings);
  }
  async stopWeb(): Promise<void> {
    await this.#web?.close();
    this.#web = undefined;
  }

  /** Starts a worker process and waits until it serves its queues. */
  async startWorker(...args: string[]): Promise<void> {
    const worker = spawn(process.execPath, [join(packageRoot, 'bin/treeline'), 'worker', ...args], {
      env: { ...process.env, ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#workers.add(worker);
    let output = '';
    for (const stream of [worker.stdout, worker.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    worker.once('exit', (code, signal) => {
      // What waits for this worker would wait for ever.
      if (this.#workers.delete(worker)) console.error(`a worker ended (${code ?? signal}): ${output}`);
    });
    await until('the worker serves', 60, () => {
      if (worker.exitCode !== null) throw new Error(`the worker ended: ${output}`);
      return output.includes('serving ');
    });
  }

  /** SIGKILL: the worker has no chance to clean up. */
  async killWorkers(): Promise<void> {
    const workers = [...this.#workers];
    this.#workers.clear();
    for (const worker of workers) {
      const gone = worker.exitCode === null && worker.signalCode === null ? once(worker, 'exit') : undefined;
      worker.kill('SIGKILL');
      await gone;
    }
  }

  async start(): Promise<void> {
    await this.startServer();
    await this.startWeb();
    await this.startWorker();
  }

  /** The client; connects again after the server was restarted. */
  async client(): Promise<Client> {
    this.#client ??= await connect(this.settings);
    return this.#client;
  }

  async nightly(stream: string, force = false): Promise<string> {
    const client = await this.client();
    const handle = await client.workflow.start('nightly', {
      workflowId: nightlyId(stream),
      taskQueue: 'control',
      args: [{ stream, force }],
    });
    return handle.firstExecutionRunId;
  }

  /** What the running nightly says of itself; undefined while no worker answers. */
  async progress(stream: string): Promise<ChainProgress | undefined> {
    const client = await this.client();
    return client.workflow
      .getHandle(nightlyId(stream))
      .query<ChainProgress>('progress')
      .catch(() => undefined);
  }

  /** Waits until a step is running. */
  async stepRunning(stream: string, id: string, seconds = 120): Promise<void> {
    await until(`step ${id} of ${stream} runs`, seconds, async () => {
      const steps = (await this.progress(stream))?.steps ?? [];
      const step = steps.find((s) => s.id === id);
      if (step?.state === 'failed' || (step?.state === 'done' && step.ended))
        throw new Error(`step ${id} is ${step.state} already`);
      return step?.state === 'running';
    });
  }

  /** Waits for what must come while the nightly runs: fails, with how it ended, when it ends before. */
  async whileRunning<T>(stream: string, wait: Promise<T>): Promise<T> {
    const ended = this.result(stream).then((result) => {
      throw new Error(`the nightly has ended: ${JSON.stringify(result)}`);
    });
    return Promise.race([wait, ended]);
  }

  /** The result of the nightly, or throws its failure. */
  async result<T = { outcome: string; build?: string; commits: Record<string, string> }>(
    stream: string,
  ): Promise<T> {
    const client = await this.client();
    return (await client.workflow.getHandle(nightlyId(stream)).result()) as T;
  }

  /** Runs the `treeline` command against this instance. */
  async cli(...args: string[]): Promise<CliResult> {
    const { exitCode, stdout, stderr } = await execa(
      process.execPath,
      [join(packageRoot, 'bin/treeline'), ...args],
      {
        env: this.env,
        reject: false,
      },
    );
    return { exitCode, stdout, stderr };
  }

  /** Runs the `treeline` command and sends it Ctrl-C when it shows something. */
  async interrupted(...args: string[]): Promise<CliResult> {
    const child = execa(process.execPath, [join(packageRoot, 'bin/treeline'), ...args], {
      env: this.env,
      reject: false,
    });
    child.stdout.once('data', () => child.kill('SIGINT'));
    const { exitCode, stdout, stderr } = await child;
    return { exitCode, stdout, stderr };
  }

  /** What earlier runs left behind: processes, mounts and loop devices that mention this instance's folder. */
  async leftovers(): Promise<string[]> {
    const { state } = this.settings;
    const found: string[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
      const ours =
        command.includes(state) && !command.includes('temporal-server') && !command.includes('bin/treeline');
      if (ours) found.push(`process ${pid}: ${command}`);
    }
    for (const line of (await readFile('/proc/mounts', 'utf8')).split('\n'))
      if (line.includes(state)) found.push(`mount ${line}`);
    for (const line of (await execa('losetup', ['--list', '--noheadings'])).stdout.split('\n'))
      if (line.includes(state)) found.push(`loop ${line}`);
    const work = await readdir(join(state, 'work')).catch(() => []);
    for (const run of work) found.push(`scratch folder ${run}`);
    return found;
  }

  async close(): Promise<void> {
    TestInstance.open.delete(this);
    await this.killWorkers();
    await this.stopWeb();
    await this.#client?.connection.close();
    await this.#server?.close();
    await rm(join(this.settings.state, '..'), { recursive: true, force: true });
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
