/** The image kinds. To add one, name it in the list. */
import type { ImageKind } from './kind.js';
import { qcow2 } from './qcow2.js';
import { vagrantLibvirt } from './vagrant-libvirt.js';

const list: readonly ImageKind[] = [qcow2, vagrantLibvirt];

/** By the name that a stream file's `images[].kind` gives. */
export const imageKinds: Readonly<Record<string, ImageKind>> = Object.fromEntries(
  list.map((kind) => [kind.kind, kind]),
);
