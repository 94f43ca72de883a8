/** Commands that run inside the tree, with the tree's own programs. */
import { join } from 'node:path';
import type { Argv, RunOptions, RunResult, Step } from '../../steps/step.js';

/** What package scripts and dracut need of root's powers; the rest is dropped. */
const kept = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];
// Without the first, bubblewrap leaves root all that it has.
const capabilities = ['--cap-drop', 'ALL', ...kept.flatMap((capability) => ['--cap-add', capability])];

const isolation = [
  '--unshare-pid',
  '--unshare-net',
  '--unshare-ipc',
  '--unshare-uts',
  '--die-with-parent',
  ...capabilities,
];

/** argv with the tree as its root: no network, no processes of the host, mounts that end with it. */
export const insideCommand = (tree: string, argv: readonly string[]): Argv => [
  'bwrap',
  ...['--bind', tree, '/', '--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp', '--tmpfs', '/run'],
  ...isolation,
  '--',
  ...argv,
];

/** A program of the host that changes its root to the tree by itself (rpm), with what scripts need mounted there. */
export const aroundCommand = (tree: string, argv: readonly string[]): Argv => [
  'bwrap',
  ...['--bind', '/', '/', '--dev', join(tree, 'dev'), '--proc', join(tree, 'proc')],
  ...['--tmpfs', join(tree, 'tmp'), '--tmpfs', join(tree, 'run')],
  ...isolation,
  '--',
  ...argv,
];

/** Runs a command inside the tree. */
export const runInside = (
  step: Step,
  tree: string,
  argv: readonly string[],
  options?: RunOptions,
): Promise<RunResult> =>
  step.run(insideCommand(tree, argv), {
    ...options,
    env: { HOME: '/tmp', PATH: '/usr/sbin:/usr/bin', ...options?.env },
  });
