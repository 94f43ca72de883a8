/** The boot loader of disks: extlinux, written to by ostree's syslinux backend at each deployment. */
import { mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';

/** Where distributions keep it. */
const mbrPlaces = [
  '/usr/lib/syslinux/mbr/gptmbr.bin',
  '/usr/lib/EXTLINUX/gptmbr.bin',
  '/usr/share/syslinux/gptmbr.bin',
  '/usr/lib/syslinux/bios/gptmbr.bin',
];

/**
 * ostree takes its syslinux backend only where this link is there before the first deployment. It keeps the lines
 * that it does not know and makes its own DEFAULT, unless one is there.
 */
export async function prepareLoader(boot: string) {
  await mkdir(join(boot, 'loader.0'));
  await symlink('loader.0', join(boot, 'loader'));
  await mkdir(join(boot, 'syslinux'));
  await writeFile(join(boot, 'loader.0/syslinux.cfg'), 'SERIAL 0 115200\nPROMPT 0\nTIMEOUT 10\n');
  await symlink('../loader/syslinux.cfg', join(boot, 'syslinux/syslinux.cfg'));
  // Kernel paths are written as seen from a boot partition; with one partition this link leads there.
  await symlink('.', join(boot, 'boot'));
}

/**
 * ostree's labels have spaces, `Sample 1 (ostree:0)`; syslinux takes the first word as the label and hands the others to
 * the kernel, behind its arguments. systemd would take such a `1` for a run level and boot into rescue mode.
 */
export function checkTitle(config: string) {
  const title = /^DEFAULT (.*)$/m.exec(config)?.[1];
  if (title === undefined) throw new Failure('ImageFailed', 'ostree wrote no boot entry for the deployment');
  const word = title
    .split(' ')
    .slice(1)
    .find((part) => /^(?:1|-?s|-b|S|single|rescue|emergency)$/.test(part));
  if (word !== undefined)
    throw new Failure(
      'ImageFailed',
      `boot title \`${title}\`: systemd takes the word \`${word}\` for a run level. Change PRETTY_NAME in the tree's os-release.`,
    );
}

/** Puts the code that finds the bootable partition into the disk's first sector. */
export async function writeBootCode(file: string) {
  for (const place of mbrPlaces) {
    const code = await readFile(place).catch(() => undefined);
    if (!code) continue;
    const disk = await open(file, 'r+');
    try {
      await disk.write(code, 0, Math.min(code.length, 440), 0);
      await disk.sync();
    } finally {
      await disk.close();
    }
    return;
  }
  throw new Failure('ToolMissing', 'gptmbr.bin (syslinux): not installed. Run `treeline doctor`.');
}
