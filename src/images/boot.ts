/** The boot test: does an image boot into the commit that it was made from? */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../domain/failures.js';
import type { Step } from '../steps/step.js';
import { bootedLine, judge, lastLines } from './console.js';
import { startMachine, type Accelerator, type Machine } from './qemu.js';
import { makeSeed } from './seed.js';

export interface BootOptions {
  /** The image; it is only read. */
  disk: string;
  format: 'qcow2' | 'raw';
  arch: 'x86_64' | 'aarch64';
  /** Checksum of the commit that must be booted. */
  commit: string;
  /** How long the guest may take to its login prompt. */
  timeoutSeconds: number;
  memoryMiB: number;
  cpus: number;
  /** Path of the console log, which is kept. */
  console: string;
  /** Who prints the booted commit: the tree by itself, or cloud-init on the test's behalf. */
  probe: 'console' | 'cloud-init';
  /** Scratch folder of this test alone; exists. */
  work: string;
}

export interface BootResult {
  readonly accelerator: Accelerator;
  /** From QEMU's start to the verdict. */
  readonly seconds: number;
  readonly commit: string;
}

/** Asks ostree in the guest and says it as a tree with a probe of its own would. */
const probeScript = `ostree admin status | sed -n 's/^\\* [^ ]* \\([0-9a-f]\\{64\\}\\)\\..*/${bootedLine} \\1/p' > /dev/console`;

/**
 * Boots the image in QEMU on a throw-away overlay, with a network that leads nowhere, until its console shows a login
 * prompt and the expected commit. Throws BootTestFailed, with what was seen and the console's last lines.
 */
export async function bootTest(step: Step, options: BootOptions): Promise<BootResult> {
  const { arch, disk, format, commit, work, timeoutSeconds } = options;
  if (arch !== 'x86_64')
    throw new Failure('BootTestFailed', `${arch}: only x86_64 images can be boot tested`);
  await mkdir(dirname(options.console), { recursive: true });
  const overlay = join(work, 'boot-overlay.qcow2');
  await step.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', format, '-b', disk, overlay]);
  const seed =
    options.probe === 'cloud-init'
      ? await makeSeed(step, work, `boot-test-${commit.slice(0, 12)}`, {
          runcmd: [['sh', '-c', probeScript]],
        })
      : undefined;
  const machine = await startMachine(step, { ...options, disk: overlay, seed, network: 'restrict=on' });
  const started = Date.now();
  const seconds = () => (Date.now() - started) / 1000;
  try {
    const failed = await watch(step, machine, options, () => seconds() > timeoutSeconds);
    const how = `under ${machine.accelerator.toUpperCase()}`;
    if (failed)
      throw new Failure(
        'BootTestFailed',
        `${failed.reason}, after ${Math.round(seconds())} s ${how}`,
        failed.tail,
      );
    step.note(`booted ${commit} in ${seconds().toFixed(1)} s ${how}`);
    return { accelerator: machine.accelerator, seconds: seconds(), commit };
  } finally {
    await machine.quit();
    await rm(overlay, { force: true });
  }
}

/** Looks at the console until there is a verdict; answers nothing when the guest has booted. */
async function watch(step: Step, machine: Machine, options: BootOptions, late: () => boolean) {
  for (;;) {
    step.signal.throwIfAborted();
    // In this order: what QEMU wrote before its end is read, and counts.
    const [over, inTime] = [machine.over, !late()];
    const text = await readFile(options.console, 'utf8').catch(() => '');
    const verdict = judge(text, options.commit);
    const failed = (reason: string, more: readonly string[] = []) => ({
      reason,
      tail: [...lastLines(text), ...more],
    });
    if (verdict.state === 'booted') return undefined;
    if (verdict.state === 'failed') return failed(verdict.reason);
    if (over) {
      const error = await machine.ended;
      const tail = error instanceof Failure ? error.tail : [];
      return failed(
        error instanceof Error
          ? `QEMU died: ${error.message}`
          : `the guest switched off or rebooted: ${verdict.missing}`,
        tail,
      );
    }
    if (!inTime) return failed(`${verdict.missing} in ${options.timeoutSeconds} s`);
    await sleep(250);
  }
}
