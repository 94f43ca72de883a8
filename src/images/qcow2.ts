/** GenericCloud: a qcow2 whose first boot is provisioned by the cloud-init that the tree carries. */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { compression, convertCommand, digest, toQcow2 } from './convert.js';
import { diskCommand, makeDisk } from './disk.js';
import type { ImageKind } from './kind.js';

const options = z.strictObject({ compression });

export const qcow2: ImageKind<typeof options> = {
  kind: 'qcow2',
  architectures: ['x86_64'],
  description: 'GenericCloud disk for OpenStack, libvirt and the like; provisioned by cloud-init',
  options,
  commands: ({ name, out, work }, { compression }) => [
    diskCommand(join(work, '<disk.json>')),
    convertCommand(join(work, '<disk.raw>'), join(out, `.${name}.qcow2.part`), compression),
  ],
  async build(step, input, { compression }) {
    const path = `${input.name}.qcow2`;
    const part = join(input.out, `.${path}.part`);
    const raw = await makeDisk(step, input);
    await toQcow2(step, raw, part, { size: input.size, compression });
    await rm(raw);
    const made = await digest(step, part);
    await rename(part, join(input.out, path));
    return { path, ...made };
  },
  bootDisk: (_step, file) => Promise.resolve({ path: file, format: 'qcow2' }),
};
