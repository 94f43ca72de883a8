/** The step runner with real programs that end, print and fail in every way. */
import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { Failure } from '../../src/domain/failures.js';
import { makeScratch, type Scratch } from './scratch.js';

const isFailure = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

describe('a step', function () {
  this.timeout(30_000);
  let s: Scratch;
  beforeEach(async () => void (s = await makeScratch('run')));
  afterEach(() => s.remove());
  const sh = (script: string) => ['sh', '-c', script] as const;

  it('gives stdout, stderr and exit code', async () => {
    const result = await s.step.run(sh('printf out; printf err >&2; exit 3'), { okCodes: [0, 3] });
    assert.deepEqual(result, { stdout: 'out', stderr: 'err', exitCode: 3 });
  });

  it('fails with the last lines, bounded in number and length', async () => {
    const script =
      "seq 1 5000; head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; echo the reason >&2; exit 7";
    await assert.rejects(s.step.run(sh(script)), (error) => {
      isFailure('CommandFailed', /^sh ended with exit code 7: the reason$/)(error);
      const { tail } = error as Failure;
      assert.equal(tail.length, 20);
      assert.equal(tail.at(-1), 'the reason');
      assert.equal(tail.at(-3), '5000');
      assert.ok(tail.every((line) => line.length <= 501));
      return true;
    });
  });

  it('says which signal ended a command', async () => {
    const plain = s.stepWith({ contain: false });
    await assert.rejects(plain.run(sh('kill -9 $$')), isFailure('CommandFailed', /was ended by SIGKILL/));
    await assert.rejects(
      s.step.run(sh("sh -c 'kill -9 $$'; exit $?")),
      isFailure('CommandFailed', /exit code 137/),
    );
  });

  it('tells a missing program from a program that fails', async () => {
    for (const contain of [true, false])
      await assert.rejects(
        s.stepWith({ contain }).run(['treeline-no-such-program', '--x']),
        isFailure('ToolMissing', /^treeline-no-such-program: /),
      );
    await assert.rejects(s.step.run(sh('exit 127')), isFailure('CommandFailed', /exit code 127/));
  });

  it('finds programs on its own PATH only', async () => {
    await s.write('bin/hello', '#!/bin/sh\necho mine\n');
    const own = s.stepWith({ path: `${s.at('bin')}:/usr/bin:/bin:/usr/sbin` });
    assert.equal((await own.run(['hello'])).stdout, 'mine\n');
    await assert.rejects(s.step.run(['hello']), isFailure('ToolMissing', /hello/));
  });

  it('has an explicit environment: nothing of the worker leaks in', async () => {
    process.env.TREELINE_TEST_SECRET = 'leak';
    try {
      const { stdout } = await s.step.run(['env'], { env: { EXTRA: 'one two' } });
      const names = new Map(
        stdout
          .trim()
          .split('\n')
          .map((line) => [line.split('=')[0]!, line.slice(line.indexOf('=') + 1)]),
      );
      const { PWD, ...rest } = Object.fromEntries(names) as Record<string, string>;
      assert.deepEqual(
        Object.keys(rest)
          .filter((name) => name !== '_')
          .sort(),
        ['EXTRA', 'HOME', 'LANG', 'LC_ALL', 'PATH'],
      );
      assert.deepEqual([rest.HOME, rest.EXTRA, rest.LANG, PWD], [s.folder, 'one two', 'C.UTF-8', undefined]);
    } finally {
      delete process.env.TREELINE_TEST_SECRET;
    }
  });

  it('hands every argument over unchanged', async () => {
    const script = await s.write('args.mjs', 'console.log(JSON.stringify(process.argv.slice(2)));');
    const args = [
      'two words',
      `it's "quoted"`,
      '$(touch hacked) `id` ${HOME}',
      'a\nb',
      '',
      '-x',
      '*',
      'ä€𝄞',
      '\\',
      ';|&',
    ];
    const { stdout } = await s.step.run([process.execPath, script, ...args], { cwd: s.folder });
    assert.deepEqual(JSON.parse(stdout), args);
    const log = await s.log();
    assert.ok(
      log.startsWith(`+ ${process.execPath} ${script} 'two words' 'it'\\''s "quoted"' '$(touch hacked)`),
      log,
    );
  });

  it('gives input, and an empty one without it', async () => {
    const input = 'line ä€\n'.repeat(50_000);
    const { stdout } = await s.step.run(['wc', '-c'], { input });
    assert.equal(Number(stdout), Buffer.byteLength(input));
    assert.equal((await s.step.run(['wc', '-c'])).stdout.trim(), '0');
    // A program that does not read it is no failure.
    assert.equal((await s.step.run(['true'], { input })).exitCode, 0);
  });

  it('logs commands and outputs as they come', async () => {
    await s.step.run(sh('echo out; sleep 0.1; echo err >&2'));
    s.step.note('a note');
    await s.step.run(['echo', 'second one']);
    assert.equal(
      await s.log(),
      "+ sh -c 'echo out; sleep 0.1; echo err >&2'\nout\nerr\na note\n+ echo 'second one'\nsecond one\n",
    );
  });

  it('tells of a full disk as such', async () => {
    const script = `mkdir m && mount -t tmpfs -o size=64k none m && head -c 200000 /dev/zero > m/file`;
    await assert.rejects(s.step.run(sh(script), { cwd: s.folder }), isFailure('DiskFull', /no space left/));
  });

  it('goes on when its log cannot be written', async () => {
    const log = createWriteStream('/dev/full');
    const errors: unknown[] = [];
    log.on('error', (error) => errors.push(error));
    const step = s.stepWith({ log });
    const { stdout } = await step.run(sh("head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo end"));
    assert.ok(stdout.endsWith('x\nend\n'));
    assert.equal((await step.run(['echo', 'again'])).stdout, 'again\n');
    assert.equal(errors.length, 1);
  });

  it('keeps the last 64 KiB, from the start of a character, or all where asked', async () => {
    const script = await s.write('many.mjs', "process.stdout.write('€'.repeat(100000));");
    const { stdout } = await s.step.run([process.execPath, script]);
    assert.match(stdout, /^€+$/);
    assert.ok(Buffer.byteLength(stdout) <= 65_536 && Buffer.byteLength(stdout) > 65_530);
    const all = await s.step.run([process.execPath, script], { capture: 'all' });
    assert.equal(all.stdout, '€'.repeat(100_000));
  });

  it('stays bounded in memory and time with 200 MB of output and a slow log', async () => {
    const log = new Writable({
      highWaterMark: 1 << 16,
      write: (_chunk, _encoding, done) => setTimeout(done, 1),
    });
    const before = process.memoryUsage().rss;
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
    let lines = 0;
    const started = Date.now();
    const script = 'yes "0123456789012345678901234567890123456789" | head -c 205000000';
    const { stdout } = await s.stepWith({ log }).run(sh(script), { onLine: () => lines++ });
    clearInterval(timer);
    assert.equal(lines, 5_000_000);
    assert.equal(stdout.length, 65_536);
    assert.ok(peak - before < 150 * 2 ** 20, `${Math.round((peak - before) / 2 ** 20)} MiB more`);
    assert.ok(Date.now() - started < 20_000, `${Date.now() - started} ms`);
  });
});
