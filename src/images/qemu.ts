/** Virtual machines: one QEMU process in a contained command, watched and steered over its machine protocol. */
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Accelerator } from '../domain/metadata.js';
import type { Argv, Step } from '../steps/step.js';
import { acceleratorArgv, isKvmTrouble } from './accelerator.js';
import { Qmp, socketName, type QmpEvent } from './qmp.js';

export interface MachineOptions {
  accelerator: Accelerator;
  /** A qcow2 that the machine may write to. */
  disk: string;
  /** Seed for cloud-init: an ISO image. */
  seed?: string | undefined;
  memoryMiB: number;
  cpus: number;
  /** Where the serial console goes. What is there already is kept. */
  console: string;
  /** Scratch folder; exists. */
  work: string;
  /** Options of QEMU's user-mode network: `restrict=on` for one that leads nowhere. */
  network: string;
}

/** How a machine ended, or came to stand still for good. */
export type MachineEnd =
  | { readonly how: 'off' | 'rebooted' | 'panicked' }
  /** KVM did not start or did not go on. */
  | { readonly how: 'kvm'; readonly reason: string }
  /** QEMU stopped the guest: its run state, such as `io-error`. */
  | { readonly how: 'stopped'; readonly status: string; readonly diskFull: boolean }
  | { readonly how: 'died'; readonly error: Error };

export interface Machine {
  /** Resolves when there is an `end`. Never rejects. */
  readonly ended: Promise<MachineEnd>;
  readonly end: MachineEnd | undefined;
  /** What this machine has written to its console. */
  consoleText(): Promise<string>;
  /** Ends QEMU at once; what the guest wrote is kept. Harmless when it is over. */
  quit(): Promise<void>;
  /** Presses the power button. */
  powerDown(): Promise<void>;
  /** What each of the guest's processors does; nothing where QEMU does not say it within 10 s. */
  processors(): Promise<('halted' | 'running')[]>;
}

/** Starts a machine; it lives until it is switched off, quit, or the step ends. A reboot in the guest ends it too. */
export async function startMachine(step: Step, options: MachineOptions): Promise<Machine> {
  const { work } = options;
  const before = await stat(options.console).then(
    ({ size }) => size,
    () => 0,
  );
  let end: MachineEnd | undefined;
  let resolve: (end: MachineEnd) => void;
  const ended = new Promise<MachineEnd>((resolved) => (resolve = resolved));
  const endBy = (how: MachineEnd) => resolve((end ??= how));

  const events: QmpEvent[] = [];
  /** What QEMU says of KVM on its standard error. */
  const trouble: string[] = [];
  const qmp = await Qmp.listen(work, (event) => {
    events.push(event);
    if (event.name === 'STOP') void stopped();
  });
  /** The event does not say why the machine stands still: its status does. */
  const stopped = async () => {
    const answer = runState.safeParse(await qmp.execute('query-status'));
    if (!answer.success || answer.data.running) return;
    const { status } = answer.data;
    // What QEMU said comes another way, and later.
    if (status === 'internal-error') await sleep(300);
    endBy(
      status === 'internal-error' && options.accelerator === 'kvm'
        ? { how: 'kvm', reason: trouble[0] ?? status }
        : { how: 'stopped', status, diskFull: events.some(isDiskFull) },
    );
  };
  const over = step
    .run(machineArgv(options), { cwd: work, onLine: (line) => isKvmTrouble(line) && trouble.push(line) })
    .then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
    )
    .then(async (error) => {
      await qmp.close();
      if (!error) endBy(endOf(events));
      else if (trouble[0] !== undefined) endBy({ how: 'kvm', reason: trouble[0] });
      else endBy({ how: 'died', error });
    });
  return {
    ended,
    get end() {
      return end;
    },
    consoleText: async () =>
      (await readFile(options.console).catch(() => Buffer.alloc(0))).subarray(before).toString('utf8'),
    quit: async () => {
      await qmp.execute('quit');
      await over;
    },
    powerDown: async () => {
      await qmp.execute('system_powerdown');
    },
    processors: async () => {
      const registers = qmp.execute('human-monitor-command', { 'command-line': 'info registers -a' });
      const answer = z
        .string()
        .safeParse(await Promise.race([registers, sleep(10_000, undefined, { ref: false })]));
      return [...(answer.data ?? '').matchAll(/\bHLT=([01])/g)].map(([, halted]) =>
        halted === '1' ? 'halted' : 'running',
      );
    },
  };
}

const runState = z.object({ status: z.string(), running: z.boolean() });

const isDiskFull = ({ name, data }: QmpEvent) => name === 'BLOCK_IO_ERROR' && data.nospace === true;

/** What QEMU's last events say of an orderly end. */
function endOf(events: readonly QmpEvent[]): MachineEnd {
  if (events.some(({ name }) => name === 'GUEST_PANICKED')) return { how: 'panicked' };
  const reason = events.findLast(({ name }) => name === 'SHUTDOWN')?.data.reason;
  return { how: reason === 'guest-reset' ? 'rebooted' : 'off' };
}

export function machineArgv(options: MachineOptions): Argv {
  const { accelerator, disk, seed, memoryMiB, cpus, console, network } = options;
  // `graphics=off` sends the BIOS' messages to the serial console too. By pvpanic a kernel says that it panics.
  return [
    'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none',
    '-machine', 'q35,graphics=off', ...acceleratorArgv(accelerator), '-smp', `${cpus}`, '-m', `${memoryMiB}`,
    '-drive', `file=${quoted(disk)},format=qcow2,if=virtio,cache=unsafe,discard=unmap`,
    ...(seed === undefined ? [] : ['-drive', `file=${quoted(seed)},format=raw,if=virtio,readonly=on`]),
    '-chardev', `file,id=console,path=${quoted(console)},append=on`, '-serial', 'chardev:console',
    // Without its ROM, or the BIOS waits for somebody who wants to boot from the network.
    '-netdev', `user,id=net,${network}`, '-device', 'virtio-net-pci,netdev=net,romfile=', '-device', 'virtio-rng-pci',
    '-device', 'pvpanic', '-qmp', `unix:${socketName}`,
  ]; // prettier-ignore
}

/** QEMU reads a doubled comma as one. */
const quoted = (path: string) => path.replaceAll(',', ',,');
