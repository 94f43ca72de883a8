/** A Vagrant box for the libvirt provider: a gzipped tar of metadata, Vagrantfile and the disk as `box.img`. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { compression, convertCommand, digest, toQcow2 } from './convert.js';
import type { Customisation } from './customise.js';
import { diskCommand, GiB, makeDisk } from './disk.js';
import type { Argv } from '../steps/step.js';
import type { ImageKind } from './kind.js';

const options = z.strictObject({
  memory: z.int().min(256).default(1024).describe('Memory in MiB that the box asks for.'),
  cpus: z.int().min(1).default(2).describe('Processors that the box asks for.'),
  compression,
});

/** Vagrant's well-known public keys: it logs in with their private halves once, and puts a key of its own there. */
const insecureKeys = [
  'ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key',
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y vagrant insecure public key',
];

/** What Vagrant expects of a box, and no wait for a cloud's metadata. */
const boxDeployment: Partial<Customisation> = {
  requires: ['/usr/bin/sudo'],
  user: { name: 'vagrant', shell: '/bin/bash', authorizedKeys: insecureKeys },
  files: [
    { path: '/etc/sudoers.d/vagrant', mode: 0o440, text: 'vagrant ALL=(ALL) NOPASSWD: ALL\n' },
    { path: '/etc/cloud/cloud-init.disabled', mode: 0o644, text: '' },
  ],
};

const vagrantfile = ({ memory, cpus }: z.infer<typeof options>) => `Vagrant.configure('2') do |config|
  # The system is an image: nothing is synced into it unless asked for.
  config.vm.synced_folder '.', '/vagrant', disabled: true
  config.vm.provider :libvirt do |libvirt|
    libvirt.memory = ${memory}
    libvirt.cpus = ${cpus}
    libvirt.disk_bus = 'virtio'
  end
end
`;

const members = ['metadata.json', 'Vagrantfile', 'box.img'] as const;

const tarCommand = (tar: string, folder: string): Argv => [
  ...(['tar', '--create', '--format=gnu', `--file=${tar}`] as const),
  ...['--owner=0', '--group=0', '--numeric-owner', '--mode=0644', '--mtime=@0'],
  `--directory=${folder}`,
  ...members,
];

/** Vagrant wants a gzipped tar. What is large in it is compressed already: more than the least effort gains nothing. */
const gzipCommand = (tar: string): Argv => ['gzip', '-1', '--no-name', '--force', tar];

export const vagrantLibvirt: ImageKind<typeof options> = {
  kind: 'vagrant-libvirt',
  architectures: ['x86_64'],
  description: 'Vagrant box for libvirt, with the user `vagrant` and cloud-init switched off',
  options,
  commands: ({ work }, { compression }) => [
    diskCommand(join(work, '<disk.json>')),
    convertCommand(join(work, '<disk.raw>'), join(work, 'box/box.img'), compression),
    tarCommand(join(work, 'box.tar'), join(work, 'box')),
    gzipCommand(join(work, 'box.tar')),
  ],
  async build(step, input, chosen) {
    const path = `${input.name}.box`;
    const part = join(input.out, `.${path}.part`);
    const folder = join(input.work, 'box');
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    const raw = await makeDisk(step, input, boxDeployment);
    await toQcow2(step, raw, join(folder, 'box.img'), {
      size: input.size,
      compression: chosen.compression,
    });
    await rm(raw);
    const metadata = { provider: 'libvirt', format: 'qcow2', virtual_size: Math.ceil(input.size / GiB) };
    await writeFile(join(folder, 'metadata.json'), `${JSON.stringify(metadata)}\n`);
    await writeFile(join(folder, 'Vagrantfile'), vagrantfile(chosen));
    const tar = join(input.work, 'box.tar');
    await step.run(tarCommand(tar, folder));
    const uncompressed = await digest(step, tar);
    await step.run(gzipCommand(tar));
    // By copy and rename: the scratch folder may be on another file system than the results.
    await step.run(['cp', '--reflink=auto', `${tar}.gz`, part]);
    const made = await digest(step, part);
    await rename(part, join(input.out, path));
    await rm(folder, { recursive: true });
    await rm(`${tar}.gz`);
    return { path, ...made, uncompressedSha256: uncompressed.sha256, uncompressedSize: uncompressed.size };
  },
  async bootDisk(step, file, work) {
    await step.run(['tar', '--extract', '--gzip', `--file=${file}`, `--directory=${work}`, 'box.img']);
    return { path: join(work, 'box.img'), format: 'qcow2' };
  },
};
