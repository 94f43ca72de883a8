/**
 * Tries KVM with a guest of one boot sector, which does what boot loaders and kernels begin with: interrupts in 16 and 32 bits, and
 * paging in 64 bits. A KVM without the processor's help gets through a BIOS, and stops ordinary guests at just these.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Accelerator } from '../domain/metadata.js';
import { anyCode, type Argv, type Step } from '../steps/step.js';
import { acceleratorArgv, isKvmTrouble } from './accelerator.js';

/** Loaded at 0x7c00. The left column is the code, the right one says what it does. */
const code = [
  ['fafc 31c0 8ed88ec08ed0 bc007c', 'no interrupts; segments 0, stack below the sector'],
  ['66c70680004d7c0000 cd20', '16 bits: set interrupt 0x20 to the iret at 0x7c4d, and call it'],
  ['bf0010 b90010 6631c0 66f3ab', 'zeros from 0x1000 to 0x5000'],
  ['c7060041a37c c70602410800 c7060441008e', 'interrupt table at 0x4000: 0x20 is the iret at 0x7ca3'],
  ['0f0116ce7c 0f011ed47c 0f20c00c010f22c0 ea4e7c0800', 'load both tables, protected mode, jump to 0x7c4e'],
  ['cf', '0x7c4d: iret'],
  ['66b81000 8ed88ed0 bc007c0000 cd20', '32 bits: data and stack; interrupt 0x20'],
  ['66c70500100000 0320 66c70500200000 0330 c6050030000083', 'page tables at 0x1000: the first 2 MiB'],
  ['b800100000 0f22d8 0f20e00c200f22e0', 'cr3; cr4: physical address extension'],
  ['b9800000c0 0f32 80cc01 0f30', 'long mode'],
  ['0f20c0 0fbae81f 0f22c0 eaa47c00001800', 'cr0: paging; jump to 0x7ca4'],
  ['cf', '0x7ca3: iret'],
  ['66ba0105 b010 ee', '64 bits: 0x10 to port 0x501, which ends QEMU with exit code 33'],
  ['f4 ebfd', 'or halt'],
  ['0000000000000000 ffff0000009acf00 ffff00000092cf00 00000000009a2000', '0x7cae: segments: -, code 32, data, code 64'],
  ['1f00ae7c0000 ff0100400000', '0x7cce: addresses and sizes of both tables'],
] as const; // prettier-ignore

/** A disk of one sector with this code (hexadecimal; white space does not count). */
export function bootSector(hex: string): Buffer {
  const sector = Buffer.alloc(512);
  sector.set(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
  sector.set([0x55, 0xaa], 510);
  return sector;
}

const passed = 33;
/** `timeout`'s own exit code. TCG takes a third of a second. */
const [late, lateSeconds] = [124, 10];

/** Runs the guest. Answers what is wrong with the accelerator, if anything. */
export async function tryAccelerator(step: Step, accelerator: Accelerator): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-kvm-'));
  const argv: Argv = [
    'timeout', `${lateSeconds}`, 'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
    '-machine', 'pc,graphics=off', ...acceleratorArgv(accelerator), '-m', '64',
    '-device', 'isa-debug-exit,iobase=0x501,iosize=0x04', '-drive', 'file=probe.img,format=raw,if=ide,snapshot=on',
  ]; // prettier-ignore
  try {
    await writeFile(join(folder, 'probe.img'), bootSector(code.map(([hex]) => hex).join('')));
    const notMissing = anyCode.filter((exitCode) => exitCode !== 127);
    const { exitCode, stderr } = await step.run(argv, { cwd: folder, okCodes: notMissing });
    if (exitCode === passed) return undefined;
    const why =
      exitCode === late ? `did not end within ${lateSeconds} s` : `ended with exit code ${exitCode}`;
    return stderr.split('\n').find(isKvmTrouble) ?? `a guest of one sector ${why}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
