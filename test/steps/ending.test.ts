/** Whatever ends a step ends all that it started. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { exists } from '../../src/store/store.js';
import { loopDevicesWith, mountsWith, processesWith } from './processes.js';
import { makeScratch, until, type Scratch } from './scratch.js';

const runner = new URL('../../src/steps/run.js', import.meta.url).href;

describe('the end of a step', function () {
  let s: Scratch;
  let mark: string;
  beforeEach(async () => {
    s = await makeScratch('ending');
    mark = `mark-${randomUUID()}`;
  });
  afterEach(() => s.remove());

  const gone = (what = mark) =>
    until(`the end of ${what}`, async () => ((await processesWith(what)).length === 0 ? true : undefined));

  /** Runs a shell script and cancels it once `count` processes of it are there; all of them end. */
  async function cancelled(script: string, count: number): Promise<void> {
    const controller = new AbortController();
    const reason = new Error('cancelled by the test');
    const running = s.stepWith({ signal: controller.signal }).run(['sh', '-c', script, mark]);
    const rejected = assert.rejects(running, (error) => error === reason);
    await until('its start', async () => ((await processesWith(mark)).length >= count ? true : undefined));
    await sleep(100);
    controller.abort(reason);
    await rejected;
    await gone();
  }
  // `setpriv` becomes `unshare`, which starts the shell: two processes before any child of the shell's.
  const ends = (title: string, script: string, count = 2) =>
    it(`cancellation ends ${title}`, () => cancelled(script, count));

  ends('a hang', 'sleep 1000; true');
  ends('a program that ignores SIGTERM', "trap '' TERM; while :; do sleep 0.2; done");
  ends('a grandchild that holds the output', `sh -c 'trap "" TERM; sleep 1000; true' "$0" & wait`, 3);
  ends(
    'a grandchild in a session of its own',
    `setsid sh -c 'trap "" TERM HUP; sleep 1000; true' "$0" & sleep 1000; true`,
    3,
  );

  it('a program that ends well after SIGTERM is still cancelled', async () => {
    const file = s.at('ended-well');
    await cancelled(`trap 'touch ${file}; exit 0' TERM; while :; do sleep 0.05; done`, 2);
    assert.ok(await exists(file));
  });

  it('a step that is cancelled already starts nothing', async () => {
    const reason = new Error('too late');
    const file = s.at('started');
    await assert.rejects(
      s.stepWith({ signal: AbortSignal.abort(reason) }).run(['touch', file]),
      (error) => error === reason,
    );
    assert.equal((await s.step.run(['ls', s.folder])).stdout.includes('started'), false);
  });

  it('a command that ends leaves no daemon behind, also one that holds its output', async () => {
    const { stdout } = await s.step.run([
      'sh',
      '-c',
      `setsid sh -c 'sleep 1000; true' "$0" & echo done`,
      mark,
    ]);
    assert.equal(stdout, 'done\n');
    await gone();
  });

  it('a mount of a step is seen by nobody else and goes with it', async () => {
    await s.write('m/keep', '');
    await s.step.run(['sh', '-c', `mount -t tmpfs ${mark} m && ! test -e m/keep`], { cwd: s.folder });
    assert.deepEqual(await mountsWith(mark), []);
    assert.equal((await s.step.run(['ls', s.at('m')])).stdout, 'keep\n');
  });

  it('SIGKILL of the worker leaves no process, mount or loop device', async () => {
    await s.step.run(['sh', '-c', `mkdir m && truncate -s 2M ${mark}.img && mkfs.ext4 -q ${mark}.img`], {
      cwd: s.folder,
    });
    const script = `mount -o loop ${mark}.img m && setsid sh -c 'trap "" TERM HUP; sleep 1000; true' "$0" & sleep 1000; true`;
    const worker = await s.write(
      'worker.mjs',
      `import { createStep } from ${JSON.stringify(runner)};
      import { createWriteStream } from 'node:fs';
      const path = '/usr/sbin:/usr/bin:/sbin:/bin';
      const step = createStep({ signal: new AbortController().signal, log: createWriteStream('worker.log'), path, home: '.' });
      await step.run(['sh', '-c', ${JSON.stringify(script)}, process.argv[2]]);`,
    );
    const child = spawn(process.execPath, [worker, mark], { cwd: s.folder, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await until('the mount', async () => ((await mountsWith(s.at('m'))).length > 0 ? true : undefined));
    assert.equal(loopDevicesWith(mark).length, 1);
    assert.ok((await processesWith(mark)).length >= 4);
    child.kill('SIGKILL');
    await ended;
    await gone();
    await until('the end of the mount', async () =>
      (await mountsWith(s.at('m'))).length === 0 ? true : undefined,
    );
    await until('the end of the loop device', () => (loopDevicesWith(mark).length === 0 ? true : undefined));
  });
});
