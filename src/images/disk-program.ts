/**
 * The program behind `makeDisk`: `node disk-program.js <specification file>`. It runs as one contained command, in a
 * mount and PID namespace of its own: however it ends, the kernel takes its mounts and loop device away.
 * Exit code 1 comes with a `diskFailure` as the last line of standard output; the commands' output is on standard error.
 */
import { mkdir, readFile, rename, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { systemPath } from '../settings.js';
import { noSpace } from '../steps/ending.js';
import { createStep } from '../steps/run.js';
import type { Step } from '../steps/step.js';
import { customise } from './customise.js';
import { checkTitle, prepareLoader, writeBootCode } from './disk-loader.js';
import { diskSpec, issues, MiB, rootLabel, type diskFailure, type DiskSpec } from './disk.js';

/** Before the root partition: the partition table; behind it: its copy. */
const margin = MiB;
const rootType = '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709';
/** Bit 59, `grow-file-system` of the Discoverable Partitions Specification: systemd grows it at the first boot. */
const attributes = 'LegacyBIOSBootable,GUID:59';
/**
 * The whole list, so that no distribution's mke2fs.conf decides: extlinux reads neither `64bit` nor `metadata_csum`.
 */
const ext4Features =
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize';
async function makeDisk(step: Step, spec: DiskSpec) {
  const part = `${spec.disk}.part`;
  const root = join(spec.work, 'root');
  await rm(part, { force: true });
  await emptyDisk(step, part, spec.size);
  await mkdir(root, { recursive: true });
  const range = `offset=${margin},sizelimit=${spec.size - 2 * margin}`;
  await step.run(['mount', '-t', 'ext4', '-o', `loop,${range},noinit_itable`, part, root]);
  try {
    await fill(step, root, spec);
  } catch (error) {
    throw await explained(step, error, root, spec);
  }
  // What was written and deleted again becomes holes, in the raw file and in all that is made from it.
  await step.run(['fstrim', root]);
  await step.run(['umount', root]);
  await writeBootCode(part);
  await rename(part, spec.disk);
}

async function emptyDisk(step: Step, file: string, size: number) {
  await writeFile(file, '', { flag: 'wx' });
  await truncate(file, size);
  const sectors = (bytes: number) => bytes / 512;
  const table = `label: gpt\nfirst-lba: 34\nstart=${sectors(margin)}, size=${sectors(size - 2 * margin)}, type=${rootType}, name=root, attrs="${attributes}"\n`;
  await step.run(['sfdisk', '--quiet', '--no-reread', '--no-tell-kernel', file], { input: table });
  const blocks = `${(size - 2 * margin) / 1024}k`;
  await step.run([
    'mkfs.ext4',
    '-q',
    '-F',
    '-b',
    '4096',
    '-O',
    ext4Features,
    '-L',
    rootLabel,
    '-E',
    `offset=${margin}`,
    file,
    blocks,
  ]);
}

async function fill(step: Step, root: string, spec: DiskSpec) {
  const repo = `--repo=${join(root, 'ostree/repo')}`;
  const refspec = `${spec.remote}:${spec.ref}`;
  await step.run(['ostree', 'admin', 'init-fs', '--modern', root]);
  await step.run(['ostree', 'admin', 'os-init', `--sysroot=${root}`, spec.osname]);
  await prepareLoader(join(root, 'boot'));
  await step.run(['ostree', repo, 'pull-local', '--untrusted', '--disable-fsync', spec.repo, spec.commit]);
  await step.run(['ostree', repo, 'refs', `--create=${refspec}`, spec.commit]);
  const kargs = spec.kargs.map((karg) => `--karg-append=${karg}`);
  await step.run([
    'ostree',
    'admin',
    'deploy',
    `--sysroot=${root}`,
    `--os=${spec.osname}`,
    ...kargs,
    refspec,
  ]);
  const osRoot = join(root, 'ostree/deploy', spec.osname);
  await customise(join(osRoot, 'deploy', `${spec.commit}.0`), join(osRoot, 'var'), spec.customise);
  checkTitle(await readFile(join(root, 'boot/syslinux/syslinux.cfg'), 'utf8'));
  await step.run(['extlinux', '--install', join(root, 'boot/syslinux')]);
}

/** Turns "no space" into what it means: the image is too small, or the host's disk is full. */
async function explained(step: Step, error: unknown, root: string, spec: DiskSpec): Promise<unknown> {
  const host = await statfs(spec.work);
  if (host.bavail * host.bsize < 64 * MiB)
    return new Failure('DiskFull', `${spec.work}: no space left on the disk`);
  const text = error instanceof Failure ? [error.message, ...error.tail].join('\n') : String(error);
  const full =
    (error instanceof Failure && error.code === 'DiskFull') ||
    noSpace.test(text) ||
    text.includes('min-free-space');
  if (!full) return error;
  const { stdout } = await step.run(['ostree', `--repo=${spec.repo}`, 'ls', '-R', spec.commit], {
    capture: 'all',
  });
  const bytes = stdout
    .split('\n')
    .reduce((sum, line) => sum + Number(/^-\d+ \d+ \d+ +(\d+) /.exec(line)?.[1] ?? 0), 0);
  const image = await statfs(root);
  const mib = (size: number) => `${Math.ceil(size / MiB)} MiB`;
  return new Failure(
    'ImageFailed',
    `the commit's files (${mib(bytes)}) do not fit: a disk of ${mib(spec.size)} has a root of ${mib(image.blocks * image.bsize)}, of which ostree keeps 3 % free. Raise the image's size in the stream file.`,
  );
}

async function main(file: string | undefined) {
  const step = createStep({
    signal: new AbortController().signal,
    log: process.stderr,
    path: process.env['PATH'] ?? systemPath,
    home: process.env['HOME'] ?? '/',
    contain: false,
  });
  try {
    await makeDisk(step, diskSpec.parse(JSON.parse(await readFile(file ?? '', 'utf8'))));
  } catch (error) {
    const failure =
      error instanceof Failure
        ? error
        : error instanceof z.ZodError
          ? new Failure('ImageFailed', issues(error))
          : new Failure(
              'CommandFailed',
              `disk program: ${error instanceof Error ? error.message : String(error)}`,
            );
    const { code, message, tail } = failure;
    process.stdout.write(
      `${JSON.stringify({ code, message, tail: [...tail] } satisfies z.infer<typeof diskFailure>)}\n`,
    );
    process.exitCode = 1;
  }
}

// As the first process of its PID namespace it would ignore SIGTERM; its end is the end of all that it started.
process.on('SIGTERM', () => process.exit(143));
await main(process.argv[2]);
