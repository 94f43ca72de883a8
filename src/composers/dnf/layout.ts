/** The layout that ostree wants of a commit: configuration in usr/etc, nothing in var, links for the rest. */
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import type { Step } from '../../steps/step.js';

/** Folders of a machine's own data, as links into /var. */
const links: Readonly<Record<string, string>> = {
  home: 'var/home',
  root: 'var/roothome',
  srv: 'var/srv',
  mnt: 'var/mnt',
  opt: 'var/opt',
  media: 'run/media',
  'usr/local': '../var/usrlocal',
  ostree: 'sysroot/ostree',
};
/** Mount points, empty in a commit. */
const mountPoints = ['boot', 'dev', 'proc', 'run', 'sys', 'sysroot', 'var'];

/** Lines for systemd-tmpfiles that make the targets of `links`. */
const linkTargets = [
  'd /var/home 0755 root root -',
  'd /var/roothome 0700 root root -',
  'd /var/srv 0755 root root -',
  'd /var/mnt 0755 root root -',
  'd /var/opt 0755 root root -',
  'd /run/media 0755 root root -',
  ...['', '/bin', '/sbin', '/lib', '/share', '/src', '/etc'].map(
    (folder) => `d /var/usrlocal${folder} 0755 root root -`,
  ),
];

/**
 * Turns an installed root into an ostree tree, in place. What packages have in /var becomes tmpfiles.d lines (folders
 * and links; files there are dropped, with a note). Not idempotent: a tree goes through it once.
 */
export async function toOstreeLayout(
  step: Step,
  tree: string,
  { tmpIsDir }: { tmpIsDir: boolean },
): Promise<void> {
  await writeFile(join(tree, 'etc/machine-id'), '');
  await chmod(join(tree, 'etc/machine-id'), 0o444);
  for (const leftover of [
    '.pwd.lock',
    '.updated',
    'passwd-',
    'group-',
    'shadow-',
    'gshadow-',
    'subuid-',
    'subgid-',
  ])
    await rm(join(tree, 'etc', leftover), { force: true });
  const names = await accounts(tree);
  const lines = await varLines(step, tree, names);
  await mkdir(join(tree, 'usr/lib/tmpfiles.d'), { recursive: true });
  await writeFile(
    join(tree, 'usr/lib/tmpfiles.d/00-treeline-var.conf'),
    [...linkTargets, ...lines, ''].join('\n'),
  );

  if (await lstat(join(tree, 'usr/etc')).catch(() => undefined))
    throw new Failure('ComposeFailed', "a package or script made /usr/etc, which is ostree's");
  await rename(join(tree, 'etc'), join(tree, 'usr/etc'));
  for (const [path, target] of Object.entries(links)) {
    const content = await readdir(join(tree, path)).catch(() => []);
    if (content.length > 0)
      step.note(`/${path} is a machine's own: not in the commit: ${content.slice(0, 10).join(', ')}`);
    await rm(join(tree, path), { recursive: true, force: true });
    await symlink(target, join(tree, path));
  }
  for (const path of [...mountPoints, 'tmp']) await rm(join(tree, path), { recursive: true, force: true });
  for (const path of mountPoints) await mkdir(join(tree, path), { mode: 0o755 });
  if (tmpIsDir) await mkdir(join(tree, 'tmp')).then(() => chmod(join(tree, 'tmp'), 0o1777));
  else await symlink('sysroot/tmp', join(tree, 'tmp'));
  for (const entry of await readdir(tree))
    if (!known.has(entry))
      throw new Failure('ComposeFailed', `a package or script made /${entry}, which no deployment has`);
  await removeSpecial(step, tree);
}

const known = new Set([
  ...mountPoints,
  ...Object.keys(links).filter((path) => !path.includes('/')),
  'tmp',
  'usr',
  'bin',
  'sbin',
  'lib',
  'lib32',
  'lib64',
  'libx32',
]);

/** The tree's own user and group names, by number. */
async function accounts(tree: string): Promise<{ users: Map<number, string>; groups: Map<number, string> }> {
  const read = async (file: string) => {
    const text = await readFile(join(tree, 'etc', file), 'utf8').catch(() => '');
    const fields = text.split('\n').map((line) => line.split(':'));
    return new Map(
      fields.flatMap(([name, , id]): [number, string][] => (name && id ? [[Number(id), name]] : [])),
    );
  };
  return { users: await read('passwd'), groups: await read('group') };
}

/** What is in /var, as tmpfiles.d lines, sorted by path. */
async function varLines(
  step: Step,
  tree: string,
  { users, groups }: Awaited<ReturnType<typeof accounts>>,
): Promise<string[]> {
  const lines: string[] = [];
  const quote = (path: string) =>
    /[\s"'\\%]/.test(path) ? `"${path.replace(/["\\]/g, '\\$&').replaceAll('%', '%%')}"` : path;
  const visit = async (folder: string): Promise<void> => {
    for (const name of (await readdir(join(tree, folder))).sort()) {
      const path = `${folder}/${name}`;
      const info = await lstat(join(tree, path));
      const owner = `${users.get(info.uid) ?? info.uid} ${groups.get(info.gid) ?? info.gid}`;
      if (info.isDirectory()) {
        // systemd makes these itself, with its own modes.
        if (!['var/tmp', 'var/log/journal'].includes(path))
          lines.push(
            `d ${quote(`/${path}`)} ${(info.mode & 0o7777).toString(8).padStart(4, '0')} ${owner} -`,
          );
        await visit(path);
      } else if (info.isSymbolicLink())
        lines.push(`L ${quote(`/${path}`)} - - - - ${await readlink(join(tree, path))}`);
      else step.note(`/${path} is not in the commit: a machine's own data starts empty`);
    }
  };
  await visit('var');
  return lines;
}

/** ostree commits files, folders and links only. */
async function removeSpecial(step: Step, tree: string): Promise<void> {
  await step.run([
    'find',
    tree,
    '-xdev',
    '!',
    '-type',
    'f',
    '!',
    '-type',
    'd',
    '!',
    '-type',
    'l',
    '-print',
    '-delete',
  ]);
}
