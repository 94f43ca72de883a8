/** Watches one power-on: the machine, its console and the time, until there is a verdict. */
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../domain/failures.js';
import type { Accelerator } from '../domain/metadata.js';
import type { Stream } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { judge, tellingLines } from './console.js';
import { LiveView } from './live-view.js';
import { Patience } from './patience.js';
import type { Machine, MachineEnd } from './qemu.js';

/** What came of one power-on. */
export interface Outcome {
  /**
   * `kvm`: KVM did not go on; `emulator`: the virtual machine's fault. Neither says anything of the image. `still`: it prints nothing any
   * more; `late`: out of time, both for whatever reason.
   */
  readonly how: 'booted' | 'failed' | 'still' | 'late' | 'kvm' | 'emulator';
  /** Why it has not booted. */
  readonly reason: string;
  /** The console's lines that show it. */
  readonly lines: readonly string[];
  readonly failedUnits: readonly string[];
  /** From power-on. */
  readonly seconds: number;
}

export interface Expected {
  readonly accelerator: Accelerator;
  readonly commit: string;
  /** Is a guest that stands still given all its time? There is nothing else to try then. */
  readonly patient: boolean;
  readonly test: Pick<Stream['bootTest'], 'timeout' | 'probe' | 'mayFail'>;
}

/** After the login prompt, for the line with the commit: in seconds of an idle machine with KVM. cloud-init ends long after the prompt. */
const graceSeconds = { console: 30, 'cloud-init': 180 } as const;

/** Part of the time limit. A guest that prints nothing for so long before its login prompt stands still, or its console or the virtual machine does. */
const silence = 0.2;

/** Returns when the guest has booted, or cannot any more. Throws DiskFull or ToolMissing where that is why QEMU ended. */
export async function watch(step: Step, machine: Machine, expected: Expected): Promise<Outcome> {
  const { accelerator, commit, patient, test } = expected;
  const cores = availableParallelism();
  const patience = new Patience();
  const live = new LiveView(step, accelerator);
  let login: number | undefined;
  let printed = { text: '', at: 0 };
  let settled = false;
  for (let last = performance.now(); ; await sleep(250)) {
    step.signal.throwIfAborted();
    // In this order: what QEMU wrote before its end is read, and counts.
    const { end } = machine;
    const text = await machine.consoleText();
    const now = performance.now();
    patience.pass((now - last) / 1000, { accelerator, cores, load: loadavg()[0] ?? 0 });
    last = now;
    live.show(text, patience.passed);
    const outcome = (how: Outcome['how'], reason: string, failedUnits: readonly string[] = []) => ({
      ...{ how, reason, failedUnits, lines: tellingLines(text), seconds: patience.passed },
    });

    const seen = judge(text, commit);
    const trouble = seen.state === 'failed' || (seen.state === 'booted' && seen.failedUnits.length > 0);
    if (trouble && !end && !settled) {
      // The lines that explain it follow.
      settled = true;
      await sleep(1000);
      continue;
    }
    if (seen.state === 'failed') return outcome(seen.emulator ? 'emulator' : 'failed', seen.reason);
    if (seen.state === 'booted') {
      const fatal = seen.failedUnits.filter((unit) => !test.mayFail.includes(unit));
      if (fatal.length > 0) return outcome('failed', `failed units: ${fatal.join(', ')}`, fatal);
      return outcome('booted', '', seen.failedUnits);
    }
    if (end?.how === 'kvm') return outcome('kvm', end.reason);
    if (end) return outcome('failed', `${whyEnded(end)}: ${seen.missing}`);
    if (seen.login) login ??= patience.worth;
    if (login !== undefined && patience.worth - login > graceSeconds[test.probe])
      return outcome('failed', `a login prompt, but ${seen.missing}`);
    if (text !== printed.text) printed = { text, at: patience.worth };
    const isStill = login === undefined && patience.worth - printed.at >= silence * test.timeout;
    if (isStill && !patient) {
      const processors = (await machine.processors()).join(' and ');
      return outcome('still', `the guest stands still${processors && `, ${processors}`}: ${seen.missing}`);
    }
    if (patience.isOver(test.timeout)) return outcome('late', seen.missing);
  }
}

/** Throws for an end from which nothing can be said of the image. */
function whyEnded(end: Exclude<MachineEnd, { how: 'kvm' }>): string {
  switch (end.how) {
    case 'off':
      return 'the guest switched off';
    case 'rebooted':
      return 'the guest rebooted';
    case 'panicked':
      return 'kernel panic';
    case 'stopped':
      if (end.diskFull) throw new Failure('DiskFull', 'no space left for what the guest writes');
      return `QEMU stopped the guest (${end.status})`;
    case 'died':
      if (end.error instanceof Failure && end.error.code !== 'CommandFailed') throw end.error;
      return `QEMU died: ${end.error.message}`;
  }
}
