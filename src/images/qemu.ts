/** Virtual machines: one QEMU process in a contained command, steered over a socket in its scratch folder. */
import { open, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Step } from '../steps/step.js';

export type Accelerator = 'kvm' | 'tcg';
type Argv = [string, ...string[]];

export interface MachineOptions {
  /** A qcow2 that the machine may write to. */
  disk: string;
  /** Seed for cloud-init: an ISO image. */
  seed?: string | undefined;
  memoryMiB: number;
  cpus: number;
  /** Where the serial console goes; overwritten. */
  console: string;
  /** Scratch folder; exists. */
  work: string;
  /** Options of QEMU's user-mode network: `restrict=on` for one that leads nowhere. */
  network: string;
}

export interface Machine {
  readonly accelerator: Accelerator;
  /** Resolves when QEMU is over, with its error if it failed. Never rejects. */
  readonly ended: Promise<unknown>;
  readonly over: boolean;
  /** Ends QEMU at once; what the guest wrote is kept. Harmless when it is over. */
  quit(): Promise<void>;
  /** Presses the power button. */
  powerDown(): Promise<void>;
}

/** Starts a machine; it lives until it is switched off, quit, or the step ends. A reboot in the guest ends it too. */
export async function startMachine(step: Step, options: MachineOptions): Promise<Machine> {
  const { work } = options;
  const accelerator = await workingAccelerator(step, work);
  // A former boot's console would be taken for this one's until QEMU overwrites it.
  await Promise.all([join(work, socketName), options.console].map((file) => rm(file, { force: true })));
  let over = false;
  const ended = step.run(machineArgv(accelerator, options), { cwd: work }).then(
    () => ((over = true), undefined),
    (error: unknown) => ((over = true), error),
  );
  const command = (name: string) => Promise.race([ended.then(() => undefined), qmp(work, name, () => over)]);
  return {
    accelerator,
    ended,
    get over() {
      return over;
    },
    quit: async () => {
      await command('quit');
      await ended;
    },
    powerDown: () => command('system_powerdown'),
  };
}

export function machineArgv(accelerator: Accelerator, options: MachineOptions): Argv {
  const { disk, seed, memoryMiB, cpus, console, network } = options;
  // `graphics=off` sends the BIOS' messages to the serial console too.
  return [
    'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none',
    '-machine', 'q35,graphics=off', ...acceleratorArgv(accelerator), '-smp', `${cpus}`, '-m', `${memoryMiB}`,
    '-drive', `file=${quoted(disk)},format=qcow2,if=virtio,cache=unsafe,discard=unmap`,
    ...(seed === undefined ? [] : ['-drive', `file=${quoted(seed)},format=raw,if=virtio,readonly=on`]),
    '-chardev', `file,id=console,path=${quoted(console)}`, '-serial', 'chardev:console',
    // Without its ROM, or the BIOS waits for somebody who wants to boot from the network.
    '-netdev', `user,id=net,${network}`, '-device', 'virtio-net-pci,netdev=net,romfile=', '-device', 'virtio-rng-pci',
    // Relative: a socket's address has room for 107 bytes only.
    '-qmp', `unix:${socketName},server=on,wait=off`,
  ]; // prettier-ignore
}

const acceleratorArgv = (accelerator: Accelerator) =>
  accelerator === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'max'];

/** QEMU reads a doubled comma as one. */
const quoted = (path: string) => path.replaceAll(',', ',,');

let verdict: Promise<Accelerator> | undefined;

/** Which accelerator works on this host: found out once per process. */
export function workingAccelerator(step: Step, work: string): Promise<Accelerator> {
  verdict ??= probeKvm(step, work).catch((error: unknown) => {
    verdict = undefined;
    throw error;
  });
  return verdict;
}

/**
 * A device node does not mean that KVM works: this boots a sector that asks the machine to exit with code 33
 * (`mov dx,0x501; mov al,0x10; out dx,al; hlt`), which takes the BIOS and real mode.
 */
async function probeKvm(step: Step, work: string): Promise<Accelerator> {
  const sector = Buffer.alloc(512);
  sector.set([0xba, 0x01, 0x05, 0xb0, 0x10, 0xee, 0xf4, 0xeb, 0xfd]);
  sector.set([0x55, 0xaa], 510);
  const file = join(work, 'kvm-probe.img');
  await writeFile(file, sector);
  const { exitCode } = await step.run(
    [
      'timeout', '5', 'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
      '-machine', 'pc,graphics=off', ...acceleratorArgv('kvm'), '-m', '64',
      '-device', 'isa-debug-exit,iobase=0x501,iosize=0x04',
      '-drive', `file=${quoted(file)},format=raw,if=ide,snapshot=on`,
    ], // prettier-ignore
    { okCodes: Array.from({ length: 256 }, (_, code) => code).filter((code) => code !== 127) },
  );
  await rm(file);
  const accelerator = exitCode === 33 ? 'kvm' : 'tcg';
  step.note(
    accelerator === 'kvm' ? 'KVM works' : `KVM does not work here (probe: ${exitCode}): emulating with TCG`,
  );
  return accelerator;
}

const socketName = 'qemu.sock';

/** Sends one command over QEMU's machine protocol; waits for the socket while QEMU starts. */
async function qmp(work: string, command: string, over: () => boolean): Promise<void> {
  while (!over()) {
    if (await qmpOnce(work, command)) return;
    await sleep(100);
  }
}

async function qmpOnce(work: string, command: string): Promise<boolean> {
  // A short name for a folder whose path may be too long for a socket's address.
  const folder = await open(work);
  try {
    return await new Promise<boolean>((resolve) => {
      const socket = connect(`/proc/self/fd/${folder.fd}/${socketName}`);
      let answers = '';
      socket.setTimeout(5000, () => socket.destroy());
      socket.on('connect', () => socket.write(`{"execute":"qmp_capabilities"}\n{"execute":"${command}"}\n`));
      socket.on('data', (data) => {
        answers += data.toString();
        if (answers.split('"return"').length > 2) socket.destroy();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(answers.includes('"return"')));
    });
  } finally {
    await folder.close();
  }
}
