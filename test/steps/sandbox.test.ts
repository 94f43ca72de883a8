/** The sandbox of foreign code: what its limits are worth, and how it ends. What gets out of it is tried in test/attacks/package.test.ts. */
import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../src/domain/failures.js';
import { systemPath } from '../../src/settings.js';
import { createStep } from '../../src/steps/run.js';
import { ownPrograms, procAt, sandboxed, type SandboxLimits } from '../../src/steps/sandbox.js';
import type { RunOptions, RunResult } from '../../src/steps/step.js';

const MiB = 2 ** 20;
const wide: SandboxLimits = {
  processes: 100,
  memory: 4096 * MiB,
  together: 4096 * MiB,
  seconds: 60,
  file: 64 * MiB,
};

describe('sandbox', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'treeline-sandbox-'))));
  after(() => rm(folder, { recursive: true, force: true }));

  /** Runs a script of Python. */
  function run(
    script: string,
    limits: Partial<SandboxLimits> = {},
    options?: RunOptions,
    signal?: AbortSignal,
  ): Promise<RunResult> {
    const step = createStep({
      signal: signal ?? new AbortController().signal,
      log: createWriteStream(join(folder, 'log'), { flags: 'a' }),
      path: systemPath,
      home: folder,
    });
    const argv = sandboxed(['python3', '-I', '-c', script], {
      mounts: [
        ...ownPrograms,
        ...procAt('/proc'),
        '--dev',
        '/dev',
        '--bind',
        folder,
        '/work',
        '--chdir',
        '/work',
      ],
      capabilities: [],
      disk: folder,
      limits: { ...wide, ...limits },
    });
    return step.run(argv, options);
  }

  async function failure(...args: Parameters<typeof run>): Promise<Failure> {
    const error: unknown = await run(...args).catch((reason: unknown) => reason);
    assert.ok(error instanceof Failure, String(error));
    return error;
  }

  it('passes on input, output and exit code', async () => {
    const { stdout, exitCode } = await run(
      'import sys; print(sys.stdin.read().upper()); sys.exit(3)',
      {},
      { input: 'said', okCodes: [3] },
    );
    assert.deepEqual([stdout.trim(), exitCode], ['SAID', 3]);
  });

  const limits: Record<
    string,
    { script: string; limits: Partial<SandboxLimits>; says: RegExp; code?: string }
  > = {
    'more processes than it may have at a time': {
      script: 'import os, time\nfor _ in range(30):\n  if os.fork() == 0: break\ntime.sleep(50)',
      limits: { processes: 10 },
      says: /^python3 was ended: more than 10 processes$/,
    },
    'more memory than its processes may have together': {
      script: 'import os, time\nos.fork(); os.fork()\nx = b"x" * (60 << 20)\ntime.sleep(50)',
      limits: { together: 128 * MiB },
      says: /^python3 was ended: more than 128 MiB of memory$/,
    },
    'more memory than one of them may have': {
      script: 'x = b"x" * (600 << 20)',
      limits: { memory: 512 * MiB },
      says: /MemoryError/,
      code: 'ResourcesExhausted',
    },
    'more time than it has': {
      script: 'import os, time\nos.setsid()\nos.fork()\ntime.sleep(50)',
      limits: { seconds: 1 },
      says: /^python3 was ended: it took longer than 1 s$/,
    },
    'a larger file than it may write': {
      script:
        'import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nopen("large", "wb").write(b"x" * (2 << 20))',
      limits: { file: MiB },
      says: /File too large/,
    },
  };
  for (const [what, { script, limits: some, says, code = 'CommandFailed' }] of Object.entries(limits))
    it(`ends what takes ${what}, and says so`, async () => {
      const begun = performance.now();
      const ended = await failure(script, some);
      assert.equal(ended.code, code);
      assert.match(ended.message, says);
      assert.ok(performance.now() - begun < 40_000);
    });

  it('ends what fills the disk that it writes to, before it is full', async () => {
    const step = createStep({
      signal: new AbortController().signal,
      log: createWriteStream(join(folder, 'log'), { flags: 'a' }),
      path: systemPath,
      home: folder,
    });
    const disk = join(folder, 'disk');
    const script = 'import time\nopen("/work/file", "wb").write(b"x" * (32 << 20))\ntime.sleep(50)';
    const inside = sandboxed(['python3', '-I', '-c', script], {
      mounts: [...ownPrograms, ...procAt('/proc'), '--dev', '/dev', '--bind', disk, '/work'],
      capabilities: [],
      disk,
      limits: wide,
    });
    // The disk is gone with the command: each has mounts of its own.
    const mount = 'mkdir -p "$0" && mount -t tmpfs -o size=280m none "$0" && exec "$@"';
    await assert.rejects(step.run(['sh', '-c', mount, disk, ...inside]), { code: 'DiskFull' });
  });

  it('ends with all that runs in it when it is cancelled', async () => {
    const controller = new AbortController();
    const script =
      'import os, time\nif os.fork() == 0: os.setsid()\nprint("on", flush=True)\nwhile True:\n  open("alive", "w").write("x"); time.sleep(0.05)';
    const onLine = (line: string) => line === 'on' && controller.abort(new Error('enough'));
    await assert.rejects(run(script, {}, { onLine }, controller.signal), /enough/);
    await rm(join(folder, 'alive'), { force: true });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await assert.rejects(rm(join(folder, 'alive')), { code: 'ENOENT' });
  });
});
