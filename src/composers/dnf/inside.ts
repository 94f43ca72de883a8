/** Commands that run inside the tree, with the tree's own programs. */
import { join } from 'node:path';
import type { RunOptions, RunResult, Step } from '../../steps/step.js';

/** What package scripts and dracut need of root's powers; the rest is dropped. */
const capabilities = [
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
].flatMap((capability) => ['--cap-add', capability]);

const isolation = [
  '--unshare-pid',
  '--unshare-net',
  '--unshare-ipc',
  '--unshare-uts',
  '--die-with-parent',
  ...capabilities,
];

/** Runs argv with the tree as its root: no network, no processes of the host, mounts that end with it. */
export const runInside = (
  step: Step,
  tree: string,
  argv: readonly string[],
  options?: RunOptions,
): Promise<RunResult> =>
  step.run(
    [
      'bwrap',
      '--bind',
      tree,
      '/',
      '--dev',
      '/dev',
      '--proc',
      '/proc',
      '--tmpfs',
      '/tmp',
      '--tmpfs',
      '/run',
      ...isolation,
      '--',
      ...argv,
    ],
    { ...options, env: { HOME: '/tmp', PATH: '/usr/sbin:/usr/bin', ...options?.env } },
  );

/** Runs a program of the host that changes its root to the tree by itself (rpm), with what scripts need mounted there. */
export const runAround = (
  step: Step,
  tree: string,
  argv: readonly string[],
  options?: RunOptions,
): Promise<RunResult> =>
  step.run(
    [
      'bwrap',
      '--bind',
      '/',
      '/',
      '--dev',
      join(tree, 'dev'),
      '--proc',
      join(tree, 'proc'),
      '--tmpfs',
      join(tree, 'tmp'),
      '--tmpfs',
      join(tree, 'run'),
      ...isolation,
      '--',
      ...argv,
    ],
    options,
  );
