/** The boot test: does an image boot into the commit that it was made from? */
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { Architecture } from '../domain/names.js';
import type { Accelerator, BootAttempt } from '../domain/metadata.js';
import type { Stream } from '../domain/stream.js';
import { formatSeconds } from '../domain/units.js';
import type { Step } from '../steps/step.js';
import { bootedLine } from './console.js';
import { startMachine } from './qemu.js';
import { makeSeed } from './seed.js';
import { chooseAccelerator, markKvmUnusable, type Virtualization } from './virtualization.js';
import { watch, type Outcome } from './watch.js';

export interface BootOptions {
  /** The image; it is only read. */
  disk: string;
  format: 'qcow2' | 'raw';
  arch: Architecture;
  /** Checksum of the commit that must be booted. */
  commit: string;
  /** The stream's settings for boot tests. */
  test: Stream['bootTest'];
  /** Path of the console log, which is kept: it has all power-ons of this test. */
  console: string;
  virtualization: Virtualization;
  /** Scratch folder of this test alone; exists. */
  work: string;
}

export type BootResult = Omit<BootAttempt, 'log'>;

/** Guests are started again so often after a fault of the virtual machine's. */
const mostFaults = 2;

/**
 * Boots the image in QEMU on a throw-away overlay, with a network that leads nowhere, until its console shows a login prompt and the
 * expected commit, or what nothing good can follow. What is not the image's fault is not held against it: where KVM does not go on, this
 * host does not use it again, and the same test goes on under TCG; so it does where a guest stands still or is late under KVM, of which
 * KVM is to blame if TCG boots it. A guest that stands still under TCG is started once more, with one processor. Throws where there can be
 * no verdict: DiskFull, ToolMissing.
 */
export async function bootTest(step: Step, options: BootOptions): Promise<BootResult> {
  const { arch, commit, console, virtualization } = options;
  if (arch !== 'x86_64')
    throw new Failure('BootTestFailed', `${arch}: only x86_64 images can be boot tested`);
  await mkdir(dirname(console), { recursive: true });
  await writeFile(console, '');
  const seed = await seedFor(step, options);
  const choice = await chooseAccelerator(step, virtualization);
  let { accelerator } = choice;
  // With one processor nothing races in the guest, nor between QEMU's threads: a console that fell silent under load was seen twice.
  let alone = false;
  const remarks = choice.why === undefined ? [] : [`no KVM: ${choice.why}`];
  const say = async (line: string) => {
    step.note(line);
    await appendFile(console, `\ntreeline: ${line}\n`);
  };
  /** What KVM did not get done, if it should turn out that TCG does. */
  let doubt: string | undefined;
  const startAgain = async (remark: string) => {
    remarks.push(remark);
    await say(
      `${remark}; started again under ${accelerator.toUpperCase()}${alone ? ' with one processor' : ''}`,
    );
  };
  for (let faults = 0; ;) {
    const way = { accelerator, alone, seed };
    const { how, reason, seconds, lines, failedUnits } = await powerOn(step, options, way);
    if (how === 'kvm' && virtualization.wanted === 'auto') {
      await markKvmUnusable(step, virtualization, `it stopped a guest: ${reason}`);
      accelerator = 'tcg';
      await startAgain(`KVM stopped the guest: ${reason}`);
      continue;
    }
    if (how === 'still' && accelerator === 'tcg') {
      alone = true;
      await startAgain(`not booted under TCG: ${reason}, after ${formatSeconds(seconds)}`);
      continue;
    }
    if ((how === 'still' || how === 'late') && accelerator === 'kvm' && virtualization.wanted === 'auto') {
      accelerator = 'tcg';
      doubt = `${reason}, after ${formatSeconds(seconds)}`;
      await startAgain(`not booted under KVM: ${doubt}`);
      continue;
    }
    if (how === 'emulator' && faults++ < mostFaults) {
      await startAgain(`fault of the virtual machine, not of the image: ${reason}`);
      continue;
    }
    if (how === 'booted' && failedUnits.length > 0)
      remarks.push(`failed, as they may: ${failedUnits.join(', ')}`);
    const result = { seconds, accelerator, ...(remarks.length === 0 ? {} : { remarks }) };
    const after = `after ${formatSeconds(seconds)} under ${accelerator.toUpperCase()}`;
    if (how === 'booted') {
      if (doubt !== undefined)
        await markKvmUnusable(step, virtualization, `it did not boot a guest: ${doubt}`);
      step.note(`booted ${commit} ${after}`);
      return { passed: true, commit, ...result };
    }
    const why = `${how === 'kvm' ? 'KVM stopped the guest: ' : ''}${reason}, ${after}`;
    // A guest that never spoke has a console log too.
    await say(why);
    return { passed: false, reason: why, lines: [...lines], ...result };
  }
}

/** Asks ostree in the guest and says it as a tree with a probe of its own would. */
const probeScript = `ostree admin status | sed -n 's/^\\* [^ ]* \\([0-9a-f]\\{64\\}\\)\\..*/${bootedLine} \\1/p' > /dev/console`;

const seedFor = async (step: Step, { test, work, commit }: BootOptions) =>
  test.probe === 'cloud-init'
    ? makeSeed(step, work, `boot-test-${commit.slice(0, 12)}`, { runcmd: [['sh', '-c', probeScript]] })
    : undefined;

async function powerOn(
  step: Step,
  options: BootOptions,
  { accelerator, alone, seed }: { accelerator: Accelerator; alone: boolean; seed: string | undefined },
): Promise<Outcome> {
  const { work, disk, format, commit, console, test } = options;
  const overlay = join(work, 'boot-overlay.qcow2');
  await step.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', format, '-b', disk, overlay]);
  const machine = await startMachine(step, {
    ...{ accelerator, seed, console, work, disk: overlay, network: 'restrict=on' },
    memoryMiB: test.memory / 2 ** 20,
    cpus: alone ? 1 : test.cpus,
  });
  try {
    return await watch(step, machine, { accelerator, commit, patient: alone, test });
  } finally {
    step.tell(undefined);
    await machine.quit();
    await rm(overlay, { force: true });
  }
}
