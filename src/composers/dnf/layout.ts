/** The layout that ostree wants of a commit: configuration in usr/etc, nothing in var, links for the rest. */
import { chmod, lstat, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import { inRoot } from '../../steps/in-root.js';
import type { Step } from '../../steps/step.js';
import { requireFolders } from './inside.js';
import { moveContent, refuseFiles } from './own-folders.js';
import { tmpfilesLine, varEntries, type TmpfilesEntry } from './tmpfiles.js';

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
/** Folders in which a file of a tree would never be seen. */
const ownFolders = Object.keys(links).filter((path) => path !== 'ostree');
/** Mount points, empty in a commit. */
const mountPoints = ['boot', 'dev', 'proc', 'run', 'sys', 'sysroot', 'var'];

/** What systemd-tmpfiles makes for `links`, whatever the packages have there. */
const linkTargets: readonly TmpfilesEntry[] = [
  { path: '/var/home', mode: 0o755 },
  { path: '/var/roothome', mode: 0o700 },
  { path: '/var/srv', mode: 0o755 },
  { path: '/var/mnt', mode: 0o755 },
  { path: '/var/opt', mode: 0o755 },
  { path: '/run/media', mode: 0o755 },
  ...['', '/bin', '/sbin', '/lib', '/share', '/src', '/etc'].map((folder) => ({
    path: `/var/usrlocal${folder}`,
    mode: 0o755,
  })),
].map((entry) => ({ type: 'd', user: 'root', group: 'root', ...entry }));

/**
 * What belongs to the machine that installs, not to the tree. Fails with ComposeFailed where /etc, /usr or /var is no folder: from here on
 * this tree is edited from outside.
 */
export async function resetMachine(tree: string): Promise<void> {
  await requireFolders(tree, ['etc', 'usr', 'var']);
  const machineId = join(tree, 'etc/machine-id');
  await rm(machineId, { recursive: true, force: true });
  await writeFile(machineId, '', { flag: 'wx' });
  await chmod(machineId, 0o444);
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
}

/**
 * Turns an installed root into an ostree tree, in place. Folders and links in /var, and in /opt, /usr/local, /home and so on, which
 * are links into it, become tmpfiles.d lines. Files in /var are dropped, with a note; the check of the content lists those that are packaged.
 * Fails with ComposeFailed for files in the others, which nobody would find on the machine. Not idempotent: a tree goes through it once.
 */
export async function toOstreeLayout(
  step: Step,
  tree: string,
  { tmpIsDir }: { tmpIsDir: boolean },
): Promise<void> {
  await refuseFiles(step, tree, ownFolders);
  for (const [path, target] of Object.entries(links))
    if (target.includes('var/')) await moveContent(tree, path, join(dirname(path), target));
  const entries = await varEntries(step, tree);
  const lines = new Map([...entries, ...linkTargets].map((entry) => [entry.path, tmpfilesLine(entry)]));
  const tmpfiles = await inRoot(tree, 'usr/lib/tmpfiles.d', { follow: true });
  await mkdir(tmpfiles, { recursive: true });
  const file = join(tmpfiles, '00-treeline-var.conf');
  await rm(file, { recursive: true, force: true });
  await writeFile(
    file,
    [...lines].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => `${line}\n`),
    { flag: 'wx' },
  );

  if (await lstat(join(tree, 'usr/etc')).catch(() => undefined))
    throw new Failure('ComposeFailed', "a package or script made /usr/etc, which is ostree's");
  await rename(join(tree, 'etc'), join(tree, 'usr/etc'));
  for (const [path, target] of Object.entries(links)) {
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
