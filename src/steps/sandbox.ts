/** Foreign code (package scriptlets, post-process scripts, dracut, builds of source packages) in a sandbox: TypeScript's side of sandbox.py. */
import { join } from 'node:path';
import { packageRoot } from '../settings.js';
import type { Argv } from './step.js';

export interface SandboxLimits {
  /** At a time. */
  readonly processes: number;
  /** Address space of each process, in bytes. */
  readonly memory: number;
  /** Memory that all processes have for themselves, in bytes. */
  readonly together: number;
  readonly seconds: number;
  /** Size of each file, in bytes. */
  readonly file: number;
}

/** Bytes that stay free on the disk, and in the machine's memory. */
const free = 256 * 2 ** 20;

/** Nothing of the machine is there but what `mounts` (bubblewrap's options) bring. */
const isolation = [
  ...['--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
  ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL'],
];

/** A read-only view of the sandbox's own processes. Root may write to kernel settings by their modes alone, whatever its capabilities. */
export const procAt = (path: string): readonly string[] => ['--proc', path, '--remount-ro', path];

/** The machine's programs, read-only. */
export const ownPrograms: readonly string[] = [
  ...['--ro-bind', '/usr', '/usr'],
  ...['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
  ...['--perms', '0755', '--dir', '/etc', '--perms', '0755', '--dir', '/var'],
  // Compilers are reached through /etc/alternatives.
  ...['alternatives', 'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'rpm'].flatMap((name) => [
    '--ro-bind-try',
    `/etc/${name}`,
    `/etc/${name}`,
  ]),
];

/**
 * A command in a sandbox: `capabilities` are those of root's that it needs (`CHOWN`, …), `disk` is a folder on the disk that it writes
 * to. Needs root. What exceeds a limit is ended, and the command fails.
 */
export const sandboxed = (
  argv: Argv,
  {
    mounts,
    capabilities,
    disk,
    limits,
  }: {
    readonly mounts: readonly string[];
    readonly capabilities: readonly string[];
    readonly disk: string;
    readonly limits: SandboxLimits;
  },
): Argv => [
  ...(['python3', '-I', join(packageRoot, 'src/steps/sandbox.py')] as const),
  ...[JSON.stringify({ ...limits, free, disk }), '--', 'bwrap', ...mounts, ...isolation],
  ...capabilities.flatMap((name) => ['--cap-add', `CAP_${name}`]),
  '--',
  ...argv,
];
