/**
 * The room in which a source package is built when there is no mock: somebody else's code, so it gets no network, no
 * user of the machine and nothing of it but /usr.
 */
import { chown, lchown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Argv } from '../../steps/step.js';

/** Bounds of one build. */
export interface Limits {
  /** Wall-clock time of the whole build. */
  readonly seconds: number;
  /** Address space of each process, in bytes. */
  readonly memory: number;
  /** Processes and threads at a time. */
  readonly processes: number;
  /** Size of each file that is written, in bytes. */
  readonly file: number;
}
export const usualLimits: Limits = {
  seconds: 4 * 3600,
  memory: 4 * 2 ** 30,
  processes: 512,
  file: 4 * 2 ** 30,
};

/** Of no account on the machine: between the numbers of Debian's and systemd's users. */
export const buildUser = 65_530;

/** Where `work` is inside. */
export const inside = '/build';

/** Makes `work` the build user's: a home, a place for temporary files, and the accounts that the build sees. */
export async function prepareSandbox(work: string): Promise<void> {
  await mkdir(join(work, 'etc'), { recursive: true });
  await mkdir(join(work, 'tmp'), { recursive: true });
  const user = `${buildUser}:${buildUser}`;
  await writeFile(
    join(work, 'etc/passwd'),
    `root:x:0:0:root:/:/bin/sh\nbuilder:x:${user}:builder:${inside}:/bin/sh\n`,
  );
  await writeFile(join(work, 'etc/group'), `root:x:0:\nbuilder:x:${buildUser}:\n`);
  for (const entry of await readdir(work, { recursive: true, withFileTypes: true }))
    await lchown(join(entry.parentPath, entry.name), buildUser, buildUser);
  await chown(work, buildUser, buildUser);
}

/**
 * A command inside. Needs root: bubblewrap's namespaces without a user namespace, which not every machine allows; the
 * capabilities that change the user go with that change, and nothing in the build gets new ones.
 */
export const sandboxed = (work: string, limits: Limits, argv: Argv): Argv => [
  'bwrap',
  '--die-with-parent',
  '--new-session',
  ...['--unshare-pid', '--unshare-ipc', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
  ...['--hostname', 'builder'],
  ...['--ro-bind', '/usr', '/usr'],
  ...['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
  ...['--perms', '0755', '--dir', '/etc', '--perms', '0755', '--dir', '/var'],
  // Compilers are reached through /etc/alternatives.
  ...['alternatives', 'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'rpm'].flatMap((name) => [
    '--ro-bind-try',
    `/etc/${name}`,
    `/etc/${name}`,
  ]),
  ...['passwd', 'group'].flatMap((name) => ['--ro-bind', join(work, 'etc', name), `/etc/${name}`]),
  ...['--proc', '/proc', '--dev', '/dev'],
  ...['--bind', work, inside, '--bind', join(work, 'tmp'), '/tmp'],
  ...['--symlink', '../tmp', '/var/tmp'],
  ...['--chdir', inside, '--clearenv'],
  ...Object.entries({ HOME: inside, PATH: '/usr/bin:/usr/sbin', LANG: 'C.UTF-8', TMPDIR: '/tmp' }).flatMap(
    ([name, value]) => ['--setenv', name, value],
  ),
  ...['--cap-drop', 'ALL', ...['SETUID', 'SETGID', 'SETPCAP'].flatMap((cap) => ['--cap-add', `CAP_${cap}`])],
  ...['--', 'setpriv', `--reuid=${buildUser}`, `--regid=${buildUser}`, '--clear-groups'],
  ...['--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', '--'],
  'prlimit',
  ...[`--as=${limits.memory}`, `--nproc=${limits.processes}`, `--fsize=${limits.file}`, '--core=0', '--'],
  ...argv,
];
