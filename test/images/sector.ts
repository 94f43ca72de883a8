/** Guests of one boot sector: a moment to wait, a text for the serial console, and an end. */
import { truncate, writeFile } from 'node:fs/promises';
import { bootSector } from '../../src/images/kvm-probe.js';

const endings = {
  /** hlt, for ever. */
  halt: 'f4 ebfd',
  /** Tells pvpanic that the kernel panics: port 0x505. */
  panic: 'ba0505 b001 ee f4 ebfd',
  /** Writes the second sector of the first disk, by BIOS service 0x13, 0x03. */
  write: 'b80103 bb007c b90200 ba8000 cd13 f4 ebfd',
  /** By the keyboard controller. */
  reboot: 'b0fe e664 f4 ebfd',
} as const;

export interface Guest {
  readonly says: string;
  /** Before it says so. */
  readonly waitSeconds?: number;
  readonly then?: keyof typeof endings;
}

/** Writes a raw disk of 1 MiB. The text is at most some 400 bytes. */
export async function writeGuest(
  disk: string,
  { says, waitSeconds = 0, then = 'halt' }: Guest,
): Promise<void> {
  const word = (value: number) => Buffer.from([value & 0xff, value >> 8]).toString('hex');
  const microseconds = waitSeconds * 1e6;
  // BIOS service 0x15, 0x86: waits for cx:dx microseconds.
  const wait = `b486 b9${word(Math.floor(microseconds / 2 ** 16))} ba${word(microseconds % 2 ** 16)} cd15 fa`;
  const start = '31c0 8ed8 8ec0 fc';
  // Each character up to the zero goes to port 0x3f8. Without interrupts, or the BIOS' last words come between them.
  const print = 'ac 84c0 7406 baf803 ee ebf5';
  const length = (...parts: string[]) => parts.join('').replaceAll(' ', '').length / 2;
  const textAt = 0x7c00 + length(start, wait, 'be0000', print, endings[then]);
  const text = Buffer.from(`\r\n${says}\0`).toString('hex');
  await writeFile(disk, bootSector([start, wait, `be${word(textAt)}`, print, endings[then], text].join(' ')));
  await truncate(disk, 2 ** 20);
}
