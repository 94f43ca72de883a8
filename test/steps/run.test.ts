/** The step runner with real programs that end, print and fail in every way. */
import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { Failure, meaning } from '../../src/domain/failures.js';
import { knowSecret } from '../../src/domain/secrets.js';
import type { Argv } from '../../src/steps/step.js';
import { makeScratch, type Scratch } from './scratch.js';

const isFailure = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

describe('a step', function () {
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

  describe('that is killed', () => {
    const killed = (message: RegExp) => isFailure('CommandKilled', message);
    const by = (signal: string) => sh(`kill -${signal} $$`);

    it('is told from one that fails, whatever stands between', async () => {
      const somebody =
        /^sh was killed by SIGKILL(: not for want of memory, so somebody ended it| \(out of memory\?\))$/;
      const plain = s.stepWith({ contain: false });
      await assert.rejects(plain.run(by('KILL')), killed(somebody));
      // `unshare` and `setpriv` end by the same signal; a shell and bubblewrap by its exit code.
      await assert.rejects(s.step.run(sh("sh -c 'kill -9 $$'; exit $?")), killed(somebody));
      const bwrap = [
        'bwrap',
        '--bind',
        '/',
        '/',
        '--unshare-pid',
        '--',
        ...sh("sh -c 'kill -9 $$'; exit $?"),
      ] as const;
      await assert.rejects(s.step.run(bwrap), killed(somebody));
      await assert.rejects(plain.run(by('TERM')), killed(/^sh was killed by SIGTERM$/));
      await assert.rejects(plain.run(by('SEGV')), killed(/^sh was killed by SIGSEGV$/));
    });

    it('stays so where failures of the command are final', async () => {
      const run = s.step
        .run(sh('exit 137'))
        .catch(meaning('ComposeFailed', 'the packages were not installed'));
      await assert.rejects(run, killed(/SIGKILL/));
      const failed = s.step.run(sh('echo bad >&2; exit 1')).catch(meaning('ComposeFailed', 'no tree'));
      await assert.rejects(failed, isFailure('ComposeFailed', /^no tree: sh ended with exit code 1: bad$/));
    });

    for (const said of [
      'error: %prein(odd-kill-1-1.noarch) scriptlet failed, signal 9',
      'error: Running %post for foo: Executing bwrap(/bin/sh): Child process killed by signal 9',
      "subprocess.CalledProcessError: Command '['x']' died with <Signals.SIGKILL: 9>.",
      'g++: fatal error: Killed signal terminated program cc1plus',
    ])
      it(`by its parent's word: ${said}`, async () => {
        const script = 'printf "%s\\n" "$1" >&2; exit 1';
        await assert.rejects(s.step.run(['sh', '-c', script, 'sh', said]), killed(/SIGKILL/));
      });

    it('a scriptlet that fails by itself is none', async () => {
      const said = 'error: %prein(a-1-1.noarch) scriptlet failed, exit status 9';
      await assert.rejects(
        s.step.run(sh(`echo '${said}' >&2; exit 1`)),
        isFailure('CommandFailed', /status 9$/),
      );
    });
  });

  describe('that cannot be started', () => {
    it('says that the program is missing', async () => {
      for (const contain of [true, false])
        await assert.rejects(
          s.stepWith({ contain }).run(['treeline-no-such-program', '--x']),
          isFailure('ToolMissing', /^treeline-no-such-program: not installed/),
        );
      await assert.rejects(s.step.run(sh('exit 127')), isFailure('CommandFailed', /exit code 127$/));
    });

    it('says which program and why', async () => {
      await s.write('bin/odd', '#!/no/such/interpreter\n');
      await s.write('bin/plain', 'echo no');
      for (const contain of [true, false]) {
        const step = s.stepWith({ contain });
        const rejects = (argv: Argv, message: RegExp, options = {}) =>
          assert.rejects(step.run(argv, options), isFailure('CommandInvalid', message));
        const many = Array.from(
          { length: 24_000 },
          (_, i) => `/usr/share/a/rather/long/path/of/a/tree/${i}/and/a/file/in/it/with-a-name.txt`,
        );
        await rejects(
          ['true', ...many, ...many],
          /^true cannot be started: too many or too long arguments \(E2BIG\)$/,
        );
        // The limit of one argument is hit inside as well.
        const inside = ['bwrap', '--bind', '/', '/', '--', 'true', 'x'.repeat(200_000)] as const;
        await rejects(inside, /^true cannot be started: too many or too long arguments \(E2BIG\)$/);
        await rejects([s.at('bin/plain')], /plain cannot be started: its file is not executable/);
        await rejects([s.at('bin/odd')], /odd cannot be started: its interpreter is missing \(ENOENT\)$/);
        await rejects(['true'], /^true cannot be started: no such folder: .*none$/, { cwd: s.at('none') });
      }
    });

    it('for want of memory, processes or files is tried again', async () => {
      const short = (message: RegExp) => isFailure('ResourcesExhausted', message);
      const lines = {
        'unshare: failed to execute rpm: Cannot allocate memory':
          /^sh cannot be started: not enough memory \(ENOMEM\)$/,
        'unshare: unshare failed: No space left on device':
          /^sh cannot be contained: unshare: unshare failed/,
        "error: Couldn't fork %pre: Cannot allocate memory": /Couldn't fork %pre/,
        'sh: 1: fork: Resource temporarily unavailable': /fork/,
        'rsync: open failed: Too many open files (24)': /Too many open files/,
      };
      for (const [line, message] of Object.entries(lines)) {
        const run = s.step.run(['sh', '-c', 'printf "%s\\n" "$1" >&2; exit 126', 'sh', line]);
        await assert.rejects(run.catch(meaning('ComposeFailed', 'no tree')), short(message));
      }
      const python = sh('ulimit -v 200000; exec python3 -c "x = bytearray(10**9)"');
      await assert.rejects(s.step.run(python), short(/^sh: MemoryError$/));
    });
  });

  it('writes no secret into its log, wherever an output is cut', async () => {
    knowSecret('0f-registered-0f');
    const script = `printf 'http://bob:s3c'; sleep 0.2; printf 'ret@host/\\n'; printf 'password=s3cret'`;
    await s.step.run(sh(`${script}; echo 0f-registered-0f >&2`));
    s.step.note('Authorization: Basic Ym9iOnMzY3JldA==');
    // Longer than what is written at once, without a line end, and with bytes that are no UTF-8.
    const long = `head -c 65490 /dev/zero | tr '\\0' x; printf '\\377\\374 token=${'s3cret'.repeat(9)}'; head -c 9000 /dev/zero | tr '\\0' y`;
    await s.step.run(sh(long));
    let told: string | undefined;
    const step = s.stepWith({ onStatus: (status) => (told = status) });
    step.tell('asks http://bob:s3cret@host/');
    assert.equal(told, 'asks http://***@host/');
    await assert.rejects(
      s.step.run(sh("echo 'Curl error (22) for http://bob:s3cret@host/x' >&2; exit 1")),
      isFailure('CommandFailed', /http:\/\/\*\*\*@host\/x$/),
    );
    const log = await s.log();
    const bytes = await readFile(s.at('log'));
    for (const secret of ['s3cret', '0f-registered-0f', 'Ym9iOnMzY3JldA'])
      assert.ok(!log.includes(secret), secret);
    assert.match(log, /^http:\/\/\*\*\*@host\/$/m);
    assert.match(log, /^password=\*\*\*/m);
    assert.ok(bytes.includes(Buffer.from([0xff, 0xfc])));
    assert.ok(log.includes(' token=***'));
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
    // SQLite, and so rpm's database, says it in its own words.
    const database = `mkdir d && mount -t tmpfs -o size=64k none d && exec python3 -c "
import sqlite3
db = sqlite3.connect('d/db')
db.execute('CREATE TABLE t (x)')
db.execute('INSERT INTO t VALUES (zeroblob(200000))')
db.commit()"`;
    await assert.rejects(s.step.run(sh(database), { cwd: s.folder }), isFailure('DiskFull', /no space left/));
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

  it('stays bounded in memory with 200 MB of output and a slow log, which does not hold it up', async function () {
    this.timeout('3m');
    const log = new Writable({
      highWaterMark: 1 << 16,
      write: (_chunk, _encoding, done) => setTimeout(done, 1),
    });
    const before = process.memoryUsage().rss;
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
    let lines = 0;
    const script = 'yes "0123456789012345678901234567890123456789" | head -c 205000000';
    const { stdout } = await s.stepWith({ log }).run(sh(script), { onLine: () => lines++ });
    clearInterval(timer);
    assert.equal(lines, 5_000_000);
    assert.equal(stdout.length, 65_536);
    assert.ok(peak - before < 150 * 2 ** 20, `${Math.round((peak - before) / 2 ** 20)} MiB more`);
  });
});
