/** The boot test: does an image boot into the commit that it was made from? */
import { appendFile, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../domain/failures.js';
import type { Accelerator, BootAttempt } from '../domain/metadata.js';
import type { Stream } from '../domain/stream.js';
import { formatSeconds } from '../domain/units.js';
import type { Step } from '../steps/step.js';

import { bootedLine, judge, lastLines, tellingLines } from './console.js';
import { LiveView } from './live-view.js';
import { Patience } from './patience.js';
import { startMachine, type Machine, type MachineEnd } from './qemu.js';
import { makeSeed } from './seed.js';
import { chooseAccelerator, markKvmUnusable, type Virtualization } from './virtualization.js';

export interface BootOptions {
  /** The image; it is only read. */
  disk: string;
  format: 'qcow2' | 'raw';
  arch: 'x86_64' | 'aarch64';
  /** Checksum of the commit that must be booted. */
  commit: string;
  /** The stream's settings for boot tests. */
  test: Stream['bootTest'];
  /** Path of the console log, which is kept. */
  console: string;
  virtualization: Virtualization;
  /** Scratch folder of this test alone; exists. */
  work: string;
}

export type BootResult = Omit<BootAttempt, 'log'>;

/** What came of one power-on. `kvm` and `emulator` are no fault of the image's. */
interface Outcome {
  readonly how: 'booted' | 'failed' | 'kvm' | 'emulator';
  readonly reason: string;
  /** Lines of the console, or of QEMU. */
  readonly lines: readonly string[];
  /** Units that failed, as they may. */
  readonly failedUnits?: readonly string[];
  /** From power-on. */
  readonly seconds: number;
}

/** Asks ostree in the guest and says it as a tree with a probe of its own would. */
const probeScript = `ostree admin status | sed -n 's/^\\* [^ ]* \\([0-9a-f]\\{64\\}\\)\\..*/${bootedLine} \\1/p' > /dev/console`;

/** After the login prompt, for the line with the commit: in seconds of an idle machine with KVM. cloud-init ends long after the prompt. */
const graceSeconds = { console: 30, 'cloud-init': 180 } as const;

/** Guests are started again so often after a fault of the emulator's. */
const mostFaults = 2;

/**
 * Boots the image in QEMU on a throw-away overlay, with a network that leads nowhere, until its console shows a login prompt and the
 * expected commit, or what nothing good can follow. What is not the image's fault is not held against it: where KVM does not go on, this
 * host does not use it again, and the same test goes on under TCG. Throws where there can be no verdict: DiskFull, ToolMissing.
 */
export async function bootTest(step: Step, options: BootOptions): Promise<BootResult> {
  const { arch, commit, console, virtualization } = options;
  if (arch !== 'x86_64')
    throw new Failure('BootTestFailed', `${arch}: only x86_64 images can be boot tested`);
  await mkdir(dirname(console), { recursive: true });
  await rm(console, { force: true });
  const seed = await seedFor(step, options);
  const choice = await chooseAccelerator(step, virtualization);
  let { accelerator } = choice;
  const remarks = choice.why === undefined ? [] : [`no KVM: ${choice.why}`];
  for (let faults = 0; ;) {
    const { how, reason, seconds, lines, failedUnits = [] } = await powerOn(step, options, accelerator, seed);
    const under = `under ${accelerator.toUpperCase()}`;
    let again: string | undefined;
    if (how === 'kvm' && virtualization.wanted === 'auto') {
      again = `KVM stopped the guest: ${reason}`;
      await markKvmUnusable(step, virtualization, `it stopped a guest: ${reason}`);
      accelerator = 'tcg';
    } else if (how === 'emulator' && faults++ < mostFaults)
      again = `fault of the virtual machine, not of the image: ${reason}`;
    if (again !== undefined) {
      remarks.push(again);
      await say(step, console, `${again}; started again under ${accelerator.toUpperCase()}`);
      continue;
    }
    if (failedUnits.length > 0) remarks.push(`failed, as they may: ${failedUnits.join(', ')}`);
    const result = { seconds, accelerator, ...(remarks.length === 0 ? {} : { remarks }) };
    if (how === 'booted') {
      step.note(`booted ${commit} in ${seconds.toFixed(1)} s ${under}`);
      return { passed: true, commit, ...result };
    }
    const why = `${how === 'kvm' ? 'KVM stopped the guest: ' : ''}${reason}, after ${formatSeconds(seconds)} ${under}`;
    await say(step, console, why);
    return { passed: false, reason: why, lines: [...lines], ...result };
  }
}

/** Into the step's log, and the console's: a guest that never spoke has a console log too. */
async function say(step: Step, console: string, line: string): Promise<void> {
  step.note(line);
  await appendFile(console, `\ntreeline: ${line}\n`);
}

const seedFor = (step: Step, { test, work, commit }: BootOptions) =>
  test.probe === 'cloud-init'
    ? makeSeed(step, work, `boot-test-${commit.slice(0, 12)}`, { runcmd: [['sh', '-c', probeScript]] })
    : undefined;

async function powerOn(
  step: Step,
  options: BootOptions,
  accelerator: Accelerator,
  seed: string | undefined,
): Promise<Outcome> {
  const overlay = join(options.work, 'boot-overlay.qcow2');
  const argv = ['-q', '-f', 'qcow2', '-F', options.format, '-b', options.disk, overlay];
  await step.run(['qemu-img', 'create', ...argv]);
  const before = await stat(options.console).then(
    ({ size }) => size,
    () => 0,
  );
  const machine = await startMachine(step, {
    ...options,
    accelerator,
    disk: overlay,
    seed,
    memoryMiB: options.test.memory / 2 ** 20,
    cpus: options.test.cpus,
    network: 'restrict=on',
  });
  try {
    return await watch(step, machine, options, accelerator, before);
  } finally {
    step.tell(undefined);
    await machine.quit();
    await rm(overlay, { force: true });
  }
}

/** Looks at machine and console until there is a verdict. */
async function watch(
  step: Step,
  machine: Machine,
  options: BootOptions,
  accelerator: Accelerator,
  before: number,
): Promise<Outcome> {
  const { timeout, probe, mayFail } = options.test;
  const patience = new Patience();
  const live = new LiveView(step, accelerator);
  let login: number | undefined;
  let settled = false;
  for (let last = performance.now(); ; await sleep(250)) {
    step.signal.throwIfAborted();
    // In this order: what QEMU wrote before its end is read, and counts.
    const { end } = machine;
    const text = (await readFile(options.console).catch(() => Buffer.alloc(0)))
      .subarray(before)
      .toString('utf8');
    const now = performance.now();
    patience.pass((now - last) / 1000, {
      accelerator,
      load: loadavg()[0] ?? 0,
      cores: availableParallelism(),
    });
    last = now;
    live.show(text, patience.passed);
    const outcome = (how: Outcome['how'], reason: string, lines = tellingLines(text)): Outcome => ({
      ...{ how, reason, lines },
      seconds: patience.passed,
    });

    const seen = judge(text, options.commit);
    const failed = seen.state === 'failed' || (seen.state === 'booted' && seen.failedUnits.length > 0);
    if (failed && !end && !settled) {
      // The lines that explain it follow.
      settled = true;
      await sleep(1000);
      continue;
    }
    if (seen.state === 'failed') return outcome(seen.emulator ? 'emulator' : 'failed', seen.reason);
    if (seen.state === 'booted') {
      const fatal = seen.failedUnits.filter((unit) => !mayFail.includes(unit));
      if (fatal.length > 0) return outcome('failed', `failed units: ${fatal.join(', ')}`);
      return { ...outcome('booted', ''), failedUnits: seen.failedUnits };
    }
    if (end?.how === 'kvm') return outcome('kvm', end.reason);
    if (end) return outcome('failed', `${whyEnded(end)}: ${seen.missing}`);
    if (seen.login) login ??= patience.worth;
    if (login !== undefined && patience.worth - login > graceSeconds[probe])
      return outcome('failed', `a login prompt, but ${seen.missing}`);
    if (patience.isOver(timeout)) return outcome('failed', seen.missing);
  }
}

/** Throws for an end from which nothing can be said of the image. */
function whyEnded(end: MachineEnd): string {
  switch (end.how) {
    case 'off':
      return 'the guest switched off';
    case 'rebooted':
      return 'the guest rebooted';
    case 'panicked':
      return 'kernel panic';
    case 'kvm':
      return `KVM stopped the guest (${end.reason})`;
    case 'stopped':
      if (end.diskFull) throw new Failure('DiskFull', 'no space left for what the guest writes');
      return `QEMU stopped the guest (${end.status})`;
    case 'died':
      if (end.error instanceof Failure && end.error.code !== 'CommandFailed') throw end.error;
      return `QEMU died: ${end.error.message}`;
  }
}
