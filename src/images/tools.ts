/** Programs that images and boot tests need. */
import { tool } from '../steps/tools.js';

export const imageTools = [
  tool('ostree', 'ostree'),
  tool('sfdisk', 'fdisk', 'util-linux'),
  tool('mkfs.ext4', 'e2fsprogs'),
  tool('extlinux', 'extlinux', 'syslinux-extlinux'),
  tool('qemu-img', 'qemu-utils', 'qemu-img'),
  tool('qemu-system-x86_64', 'qemu-system-x86', 'qemu-kvm'),
  tool('genisoimage', 'genisoimage'),
  tool('mount', 'mount', 'util-linux'),
  tool('fstrim', 'util-linux'),
  tool('tar', 'tar'),
  tool('gzip', 'gzip'),
];
