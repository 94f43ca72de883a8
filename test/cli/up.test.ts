/** `treeline up` looks after itself: real processes, killed as a crash would. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, utimes, writeFile, chmod, mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { keepHouse } from '../../src/housekeeping.js';
import { packageRoot } from '../../src/settings.js';
import { exists } from '../../src/store/store.js';
import { findServer } from '../../src/temporal/server.js';
import { TestInstance } from '../support/instance.js';
import { until } from '../support/ports.js';

describe('treeline up', function () {
  this.timeout('3m');
  let instance: TestInstance;
  const running = new Set<ChildProcess>();

  beforeEach(async () => {
    instance = await TestInstance.create();
    await instance.declare('sample');
  });
  afterEach(async () => {
    for (const child of running) await ended(child, 'SIGTERM');
    running.clear();
    await instance.close();
  });

  async function ended(child: ChildProcess, signal?: NodeJS.Signals): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exit = once(child, 'exit');
    if (signal) child.kill(signal);
    await exit;
    return child.exitCode;
  }

  /** Starts `treeline up`; answers it with what it says. */
  async function up(env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [join(packageRoot, 'bin/treeline'), 'up'], {
      env: { ...process.env, ...instance.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await until('the instance is up', 90, () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
      return output.includes('Ctrl-C stops it');
    });
    return { child, output: () => output };
  }

  /** The Temporal server of an instance: the child of `treeline up` that was told its database. */
  async function serverOf(child: ChildProcess): Promise<number | undefined> {
    const database = join(instance.settings.state, 'temporal', 'config');
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const [stat, line] = await Promise.all(
        ['stat', 'cmdline'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
      );
      const parent = / [A-Z] (\d+) /.exec(stat?.slice(stat.lastIndexOf(')')) ?? '')?.[1];
      if (parent === String(child.pid) && line?.split('\0').includes(database)) return Number(pid);
    }
    return undefined;
  }

  it('starts its Temporal server again when that was killed, and serves as before', async () => {
    const { child, output } = await up();
    const first = await until('a server', 10, () => serverOf(child));
    process.kill(first, 'SIGKILL');
    await until('it is up again', 60, () => output().includes('the Temporal server is up again'));
    assert.match(output(), /the Temporal server has ended: SIGKILL.*; its log is .*temporal\.log\n/);
    assert.match(output(), /starting the Temporal server again in 1 s \(1 of 4\)\n/);
    assert.notEqual(await serverOf(child), first);
    // The worker has come along: a run gets as far as reading its stream.
    await instance.nightly('absent');
    await assert.rejects(instance.result('absent'));
    // The new server’s parts have not looked for the killed one’s, which takes most of a minute.
    const log = await readFile(join(instance.settings.state, 'logs/temporal.log'), 'utf8');
    assert.doesNotMatch(log, /unable to bootstrap ringpop/);
    const status = await instance.cli('status', '--json');
    assert.equal(status.exitCode, 0, status.stderr);
    assert.equal(child.exitCode, null);
    assert.equal(await ended(child, 'SIGTERM'), 0);
    assert.equal(await serverOf(child), undefined);
  });

  it('ends, and says why, where the server cannot come back', async () => {
    const wrapper = join(instance.settings.state, '..', 'temporal');
    const real = (await findServer()) ?? assert.fail('no temporal');
    await writeFile(wrapper, `#!/bin/sh\nexec '${real}' "$@"\n`);
    await chmod(wrapper, 0o755);
    const { child, output } = await up({ TREELINE_TEMPORAL_SERVER: wrapper });
    await rm(wrapper);
    await writeFile(wrapper, '#!/bin/sh\necho the database is locked >&2\nexit 7\n');
    await chmod(wrapper, 0o755);
    process.kill(await until('a server', 10, () => serverOf(child)), 'SIGKILL');
    await until('it ends', 120, () => child.exitCode !== null);
    assert.equal(child.exitCode, 1, output());
    const last = output().trimEnd().split('\n').at(-1) ?? '';
    assert.match(
      last,
      /^treeline: given up after 4 new starts: the Temporal server does not start: exit code 7: the database is locked; its log is /,
    );
    assert.doesNotMatch(output(), /^ {4}at /m);
  });

  it('says who has the state folder, and lets a nightly join', async () => {
    const { child } = await up();
    const second = await instance.cli('up');
    assert.equal(second.exitCode, 1);
    assert.match(
      second.stderr,
      new RegExp(
        `^treeline: ${instance.settings.state}: in use by process ${child.pid} \\(\`treeline up\`\\), since \\S+ \\S+ UTC\\. End that one first, or set TREELINE_STATE`,
      ),
    );
    assert.doesNotMatch(second.stderr, /^ {4}at /m);
    const joined = await instance.cli('nightly', 'sample', '--here', '--detach');
    assert.equal(joined.exitCode, 0, joined.stderr);
    assert.match(joined.stdout, new RegExp(`^The instance is up: process ${child.pid} .*\nstarted; `));
    await instance.cli('cancel', 'sample');
    await ended(child, 'SIGKILL');
    const third = await up();
    assert.equal(third.child.exitCode, null, 'a killed holder holds nothing');
  });

  it('says which port is taken', async () => {
    const other = createServer().listen(instance.settings.webPort, '127.0.0.1');
    await once(other, 'listening');
    try {
      const { exitCode, stderr } = await instance.cli('up');
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, /^treeline: Port \d+ on 127\.0\.0\.1 is in use\. .* TREELINE_WEB_PORT/);
      assert.doesNotMatch(stderr, /^ {4}at /m);
    } finally {
      other.close();
    }
  });

  it('removes what terminated runs have left, never what a live or a reset one has', async () => {
    await instance.startServer();
    const client = await instance.client();
    const start = (id: string) =>
      client.workflow.start('nightly', { workflowId: id, taskQueue: 'control', args: [{ stream: id }] });
    // No worker: they stay where they are. The reset one has begun, so that there is something to return to.
    await instance.startWorker('--roles', 'control');
    const reset = await start('nightly/reset');
    await reset.result().catch(() => undefined);
    await instance.killWorkers();
    const [live, dead] = [await start('nightly/live'), await start('nightly/dead')];
    await dead.terminate('as an operator may');
    const first = reset.firstExecutionRunId;
    const events = (await client.workflow.getHandle('nightly/reset', first).fetchHistory()).events ?? [];
    const begun = events.find((event) => event.workflowTaskCompletedEventAttributes)?.eventId;
    await client.workflowService.resetWorkflowExecution({
      namespace: instance.settings.temporalNamespace,
      workflowExecution: { workflowId: 'nightly/reset', runId: first },
      workflowTaskFinishEventId: begun ?? null,
      requestId: first,
      reason: 'test',
    });
    const runs = [live, dead, reset].map((handle) => handle.firstExecutionRunId);
    const old = new Date(Date.now() - 86_400_000);
    const paths = runs.flatMap((run) => [
      join(instance.settings.state, 'work', run),
      join(instance.store().published('sample'), `next-${run}`),
    ]);
    for (const path of paths) {
      await mkdir(path, { recursive: true });
      await utimes(path, old, old);
    }
    const warnings: string[] = [];
    const log = { info: () => undefined, warn: (text: string) => void warnings.push(text) };
    const host = { settings: instance.settings, store: instance.store() };
    await until('the ended runs are known as such', 20, async () => {
      await keepHouse(host, client, log);
      return !(await exists(paths[2] ?? ''));
    });
    assert.deepEqual(
      await Promise.all(paths.map((path) => exists(path))),
      [true, true, false, false, true, true],
      'live, dead, reset',
    );
    assert.deepEqual(warnings, []);
    await instance.killServer();
    await keepHouse(host, client, log);
    assert.match(warnings.join('\n'), /housekeeping: runs: /, 'without a server nothing is removed');
    assert.equal(await exists(paths[0] ?? ''), true);
  });
});
