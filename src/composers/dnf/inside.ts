/** Commands that run inside the tree, with the tree's own programs, or on it: both in a sandbox that has the tree and nothing else. */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import { packageRoot } from '../../settings.js';
import { ownPrograms, procAt, sandboxed, type SandboxLimits } from '../../steps/sandbox.js';
import type { Argv, RunOptions, RunResult, Step } from '../../steps/step.js';

/** What scriptlets and dracut need of root's powers. */
const capabilities = 'CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETFCAP SETGID SETUID'.split(' ');

/** Several times what a large tree needs. */
export const composeLimits: SandboxLimits = {
  processes: 1024,
  memory: 8 * 2 ** 30,
  together: 8 * 2 ** 30,
  seconds: 3600,
  file: 8 * 2 ** 30,
};

const mountPoints = ['dev', 'proc', 'tmp', 'run'];

/** argv with the tree as its root. `files`: of this machine, by where they are inside, read-only. */
export const insideCommand = (tree: string, argv: Argv, files: Readonly<Record<string, string>> = {}): Argv =>
  sandboxed(argv, {
    mounts: [
      ...['--bind', tree, '/', '--dev', '/dev', ...procAt('/proc'), '--tmpfs', '/tmp', '--tmpfs', '/run'],
      ...Object.entries(files).flatMap(([inside, file]) => ['--ro-bind', file, inside]),
    ],
    capabilities,
    disk: tree,
    limits: composeLimits,
  });

/** Where `aroundCommand` has the tree and our own programs. */
export const around = { tree: '/tree', programs: '/programs' } as const;

/** What has to be mounted in the tree for programs that change their root to it. */
export const treeMounts: readonly string[] = [
  ...['--dev', join(around.tree, 'dev'), ...procAt(join(around.tree, 'proc'))],
  ...['--tmpfs', join(around.tree, 'tmp'), '--tmpfs', join(around.tree, 'run')],
];

/** A program of this machine (librpm) that works on the tree. It sees this machine's /usr, read-only. */
export const aroundCommand = (tree: string, argv: Argv, mounts: readonly string[] = []): Argv =>
  sandboxed(argv, {
    mounts: [
      ...ownPrograms,
      ...['--ro-bind', join(packageRoot, 'src/composers/dnf'), around.programs],
      ...[...procAt('/proc'), '--dev', '/dev', '--tmpfs', '/tmp', '--bind', tree, around.tree],
      ...mounts,
    ],
    // librpm changes its root to the tree, and lets nothing that it starts do so (install.py).
    capabilities: [...capabilities, 'SETPCAP', 'SYS_CHROOT'],
    disk: tree,
    limits: composeLimits,
  });

/** Fails with ComposeFailed where one of these is not there, or a link or file. */
export async function requireFolders(tree: string, folders: readonly string[]): Promise<void> {
  for (const folder of folders)
    if (!(await lstat(join(tree, folder)).catch(() => undefined))?.isDirectory())
      throw new Failure('ComposeFailed', `a package or script made /${folder} something else than a folder`);
}

/** Runs a command inside the tree. Fails with ComposeFailed where the tree has no folders to mount on. */
export async function runInside(
  step: Step,
  tree: string,
  argv: Argv,
  { files, ...options }: RunOptions & { readonly files?: Readonly<Record<string, string>> } = {},
): Promise<RunResult> {
  await requireFolders(tree, mountPoints);
  return step.run(insideCommand(tree, argv, files), {
    ...options,
    env: { HOME: '/tmp', PATH: '/usr/sbin:/usr/bin', ...options.env },
  });
}
