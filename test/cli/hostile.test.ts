/** Every command with hostile arguments, settings and files: a line that says what is wrong, a fitting exit code, no stack trace. */
import assert from 'node:assert/strict';
import { Command } from 'commander';
import { execa } from 'execa';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addCommands } from '../../src/cli/commands/index.js';
import { runCli, sayFailure } from '../../src/cli/run.js';
import { packageRoot } from '../../src/settings.js';
import { writeWhole } from '../../src/store/store.js';
import { TestInstance } from '../support/instance.js';
import { storeBuilds } from './stored.js';

interface Result {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Within this process, as a process of its own would say it. */
async function run(env: Record<string, string>, ...argv: string[]): Promise<Result> {
  const said = { stdout: '', stderr: '' };
  const { log, error } = console;
  const writes = [process.stdout, process.stderr].map(
    (stream) => [stream, stream.write.bind(stream)] as const,
  );
  const collect = (stream: keyof typeof said) => (text: unknown) => {
    said[stream] += String(text);
    return true;
  };
  console.log = (text: unknown) => void collect('stdout')(`${String(text)}\n`);
  console.error = (text: unknown) => void collect('stderr')(`${String(text)}\n`);
  process.stdout.write = collect('stdout');
  process.stderr.write = collect('stderr');
  try {
    return { exitCode: await runCli(argv, env), ...said };
  } finally {
    Object.assign(console, { log, error });
    for (const [stream, write] of writes) stream.write = write;
  }
}

function clean({ exitCode, stdout, stderr }: Result, what: string): void {
  assert.ok([1, 2, 3, 4].includes(exitCode), `${what}: exit code ${exitCode}`);
  assert.doesNotMatch(stdout + stderr, /^\s+at .*[(:]\d+:\d+\)?$/m, what);
  assert.doesNotMatch(stderr, /fault of Treeline's/, `${what}: ${stderr}`);
  assert.doesNotMatch(stderr, /\u001b/, what);
  assert.notEqual(stderr.trim(), '', what);
}

describe('the command line under hostile conditions', function () {
  let instance: TestInstance;
  let env: Record<string, string>;
  const [first, second] = ['20261123_01', '20261124_01'] as const;

  before(async () => {
    instance = await TestInstance.create();
    env = instance.env;
    await instance.declare('sample');
    await instance.declare('other');
    await storeBuilds(instance.store(), 'sample', [second, first]);
    await storeBuilds(instance.store(), 'other', [second]);
  });
  after(() => instance.close());

  const hostile: Record<string, string> = {
    'a path': '../../x',
    'an absolute path': '/etc/passwd',
    nothing: '',
    'a long name': 'a'.repeat(5000),
    'shell text': "x'; touch /tmp/x; '",
    'control characters': '\u001b[31mred\u0007',
    'a property of objects': '__proto__',
    'malformed JSON': '{"stream":',
  };
  for (const [what, argument] of Object.entries(hostile))
    it(`${what} as each argument of each command`, async () => {
      const program = new Command();
      await addCommands(program, instance.settings);
      const all = program.commands.flatMap((one) => (one.commands.length > 0 ? one.commands : [one]));
      assert.ok(all.length >= 29);
      for (const command of all) {
        const path = command.parent === program ? [command.name()] : ['sample', command.name()];
        // One more than it takes, for a command without arguments.
        const count = Math.max(1, command.registeredArguments.length);
        const args = Array.from({ length: count }, () => argument);
        clean(await run(env, ...path, '--', ...args), `${path.join(' ')} ${what}`);
      }
    });

  const table: readonly (readonly [string, Record<string, string>, readonly string[], number, RegExp])[] = [
    ['a port that is none', { TREELINE_WEB_PORT: 'http' }, ['up'], 2, /TREELINE_WEB_PORT=http: not a port\. Give a number/],
    ['a port out of range', { TREELINE_WEB_PORT: '70000' }, ['status'], 2, /TREELINE_WEB_PORT=70000: not a port/],
    ['an address without a port', { TEMPORAL_ADDRESS: 'localhost' }, ['status'], 2, /TEMPORAL_ADDRESS=localhost: not an address\. Give `host:port`/],
    ['an address of nonsense', { TREELINE_METRICS: 'x y:1' }, ['doctor'], 2, /TREELINE_METRICS=x y:1: not an address/],
    ['no stream folder', { TREELINE_STREAMS: '/nowhere/streams' }, ['validate'], 2, /\/nowhere\/streams: no such folder\. Set TREELINE_STREAMS/],
    ['no stream folder, for what would remove schedules', { TREELINE_STREAMS: '/nowhere/streams' }, ['apply'], 2, /no such folder/],
    ['a state folder that cannot be', { TREELINE_STATE: '/dev/null/state' }, ['init'], 1, /\/dev\/null\/state\S*: a part of the path is a file.*ENOTDIR/],
    ['a state folder that is a file', { TREELINE_STATE: '/etc/hostname' }, ['up'], 1, /\/etc\/hostname: is there already, as something else/],
    ['a server of another machine', { TEMPORAL_ADDRESS: '192.0.2.1:7233' }, ['up'], 3, /no Temporal server answers at 192\.0\.2\.1:7233/],
    ['a sample that is not made', {}, ['sample', 'bump', '../../x'], 4, /not there yet: `treeline init` makes it/],
    ['a role that is none', {}, ['worker', '--roles', '../x'], 2, /no role \.\.\/x/],
    ['a build that is none', {}, ['show', '20269999_99'], 4, /no such build/],
    ['a build of two streams', {}, ['logs', second], 2, /a build of several streams/],
    ['an architecture that is none', {}, ['diff', `sample/${first}`, `sample/${second}`, '--arch', '../x'], 4, /has no \.\.\/x/],
    ['a log that is none', {}, ['logs', first, '../../../run'], 4, /no log of a step/],
    ['a statement that is JSON alone', {}, ['submit', join(packageRoot, 'package.json')], 2, /not clear-signed/],
    ['a statement that is a folder', {}, ['submit', packageRoot], 2, /cannot be read/],
  ]; // prettier-ignore
  for (const [what, settings, argv, exitCode, expected] of table)
    it(`${what}: ${argv.join(' ').slice(0, 60)}`, async () => {
      const result = await run({ ...env, ...settings }, ...argv);
      clean(result, what);
      assert.equal(result.exitCode, exitCode, result.stderr);
      assert.match(result.stderr, expected);
    });

  it('a package of the sample that is none is answered with those that there are', async () => {
    await instance.withSample();
    const result = await run(env, 'sample', 'bump', '../../x');
    clean(result, 'sample bump');
    assert.equal(result.exitCode, 4);
    assert.match(result.stderr, /\.\.\/\.\.\/x: the sample has no such package\. It has: .*netbase.*\./);
  });

  it('a fault of Treeline itself is one line, and where its stack is', async () => {
    const { error } = console;
    const lines: string[] = [];
    console.error = (line: string) => void lines.push(line);
    try {
      assert.equal(await sayFailure(new TypeError('odd\u001b[31m'), env), 1);
    } finally {
      console.error = error;
    }
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /treeline: odd\[31m$/);
    const log = join(instance.settings.state, 'logs', 'treeline.log');
    assert.match(lines[1] ?? '', new RegExp(`Report it with the end of ${log}\\.$`));
    assert.match(await readFile(log, 'utf8'), /TypeError: odd.*\n {4}at /);
  });

  describe('with damaged files of one stream', () => {
    const file = (...parts: string[]) => join(instance.settings.state, 'store', ...parts);
    const damages = () =>
      [
        [file('sample', 'published', 'builds.json'), '{"builds": [', /is not JSON/],
        [file('sample', 'releases', 'view.json'), '', /is not JSON: it is empty/],
        [file('sample', 'releases', 'published', 'releases.json'), '[]', /does not match its schema/],
        [file('sample', 'runs', `run-${first}`, 'run.json'), '{}', /does not match its schema: stream/],
        [file('sample', 'runs', `run-${first}`, 'x86_64', 'build', 'meta.json'), '\0\0', /is not JSON/],
      ] as const;

    before(() => instance.startServer());

    for (const place of [0, 1, 2, 3, 4])
      it(`${['builds.json', 'view.json', 'releases.json', 'run.json', 'meta.json'][place]}: is named, others go on`, async () => {
        const [path, content, what] = damages()[place] ?? assert.fail();
        const before = await readFile(path).catch(() => undefined);
        await writeWhole(path, content);
        try {
          const status = await run(env, 'status');
          clean(status, path);
          assert.equal(status.exitCode, 1);
          assert.ok(status.stderr.includes(`\n${path}: `), status.stderr);
          assert.match(status.stderr, what);
          assert.match(status.stderr, /Restore the file that the message names: docs\/operating\.md/);
          assert.match(status.stdout, /^other +idle +none +20261124_01 /m);
          const json = JSON.parse((await run(env, 'status', '--json')).stdout) as {
            stream: string;
            damaged: string[];
          }[];
          assert.deepEqual(
            json.map(({ stream, damaged }) => [stream, damaged.length]),
            [
              ['other', 0],
              ['sample', 1],
            ],
          );
          const others = await run(env, 'builds', 'other');
          assert.equal(others.exitCode, 0, others.stderr);
          assert.match(others.stdout, /^20261124_01 /m);
          assert.equal((await run(env, 'logs', `other/${second}`)).exitCode, 0);
        } finally {
          if (before) await writeFile(path, before);
          else await rm(path);
        }
      });
  });

  describe('as a process of its own', () => {
    const program = join(packageRoot, 'bin/treeline');

    it('says that the disk is full', async () => {
      const full = join(instance.settings.state, 'full');
      await mkdir(full, { recursive: true });
      const script =
        'mount -t tmpfs -o size=16k tmpfs "$1"; head -c 100000 /dev/zero >"$1/x" 2>/dev/null; exec "$2" "$3" init';
      const { exitCode, stderr } = await execa(
        'unshare',
        ['--mount', 'sh', '-c', script, 'sh', full, process.execPath, program],
        { env: { ...env, TREELINE_STATE: join(full, 'state') }, reject: false },
      );
      clean({ exitCode: exitCode ?? -1, stdout: '', stderr }, 'init');
      assert.match(stderr, /no space left on the disk/);
    });

    it('of a worker says that no server answers', async () => {
      const result = await instance.with({ TEMPORAL_ADDRESS: '127.0.0.1:1' }).cli('worker');
      clean({ ...result, exitCode: result.exitCode ?? -1 }, 'worker');
      assert.equal(result.exitCode, 3);
      assert.match(result.stderr, /^treeline: no Temporal server answers at 127\.0\.0\.1:1\./);
    });

    it('ends without a word when nobody reads on', async () => {
      const run = instance.store().logs({ stream: 'sample', run: `run-${first}` });
      await writeWhole(join(run, 'compose.log'), 'a line of a long log\n'.repeat(200_000));
      const { stdout, stderr } = await execa('bash', [
        '-c',
        '"$0" "$1" logs sample/20261123_01 compose | head -1; echo "${PIPESTATUS[0]}"',
        process.execPath,
        program,
      ], { env }); // prettier-ignore
      assert.equal(stdout, 'a line of a long log\n141');
      assert.equal(stderr, '');
    });
  });
});
