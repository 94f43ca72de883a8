/**
 * The room in which a source package is built when there is no mock: somebody else's code, so it gets no network, no
 * user of the machine and nothing of it but /usr.
 */
import { chown, lchown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ownPrograms, procAt, sandboxed as inSandbox, type SandboxLimits } from '../../steps/sandbox.js';
import type { Argv } from '../../steps/step.js';

/** Bounds of one build; `seconds` is the wall-clock time of the whole build. */
export type Limits = Omit<SandboxLimits, 'together'>;
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

const environment = { HOME: inside, PATH: '/usr/bin:/usr/sbin', LANG: 'C.UTF-8', TMPDIR: '/tmp' };

/**
 * A command inside. Needs root; the capabilities that change the user go with that change, and nothing in the build gets new ones.
 */
export const sandboxed = (work: string, limits: Limits, argv: Argv): Argv =>
  inSandbox(
    [
      ...(['setpriv', `--reuid=${buildUser}`, `--regid=${buildUser}`, '--clear-groups'] as const),
      ...['--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all', '--no-new-privs', '--'],
      ...['prlimit', `--nproc=${limits.processes}`, '--', ...argv],
    ],
    {
      mounts: [
        ...['--hostname', 'builder', ...ownPrograms],
        ...['passwd', 'group'].flatMap((name) => ['--ro-bind', join(work, 'etc', name), `/etc/${name}`]),
        ...[...procAt('/proc'), '--dev', '/dev'],
        ...['--bind', work, inside, '--bind', join(work, 'tmp'), '/tmp'],
        ...['--symlink', '../tmp', '/var/tmp', '--chdir', inside, '--clearenv'],
        ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
      ],
      capabilities: ['SETUID', 'SETGID', 'SETPCAP'],
      disk: work,
      // Compilers side by side.
      limits: { ...limits, together: 4 * limits.memory },
    },
  );
