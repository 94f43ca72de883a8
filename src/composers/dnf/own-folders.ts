/** Folders of a tree that belong to the machine: /opt, /usr/local, /home and so on, which are links into /var in a commit. */
import { lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import { inRoot } from '../../steps/in-root.js';
import { portions } from '../../steps/portions.js';
import { anyCode, type Step } from '../../steps/step.js';
import { queryCommand } from './database.js';

/** All files in a folder, recursively, but no links; none if there is no such folder. */
async function filesIn(tree: string, folder: string): Promise<string[]> {
  const place = await inRoot(tree, folder);
  const info = await lstat(place).catch(() => undefined);
  if (!info?.isDirectory()) return [];
  const entries = await readdir(place, { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await filesIn(tree, path)));
    else if (!entry.isSymbolicLink()) found.push(path);
  }
  return found;
}

const shownFiles = 20;

/**
 * Fails with ComposeFailed if there are files in these folders; of root's own only for packaged ones: programs that run as root leave
 * theirs there.
 */
export async function refuseFiles(step: Step, tree: string, folders: readonly string[]): Promise<void> {
  const lost: string[] = [];
  for (const folder of folders) {
    const files = await filesIn(tree, folder);
    const owners = await ownersOf(step, tree, files);
    for (const file of files) {
      const owner = owners.get(file);
      if (owner !== undefined) lost.push(`/${file} of ${owner}`);
      else if (folder !== 'root') lost.push(`/${file}, made by a script`);
      else step.note(`/${file} is not in the commit: a machine's own`);
    }
  }
  if (lost.length === 0) return;
  const more = lost.length > shownFiles ? ` and ${lost.length - shownFiles} more` : '';
  throw new Failure(
    'ComposeFailed',
    `files in folders that belong to the machine would not be in the commit: ${lost.slice(0, shownFiles).join('; ')}${more}. Package them below /usr, or drop them by \`remove-files\` or \`remove-from-packages\``,
  );
}

/** Names of the packages that own files. */
async function ownersOf(step: Step, tree: string, files: readonly string[]): Promise<Map<string, string>> {
  const owners = new Map<string, string>();
  for (const some of portions(files)) {
    const { stdout } = await step.run(
      queryCommand(
        tree,
        ...['--file', '--queryformat', '[%{=NAME} %{FILENAMES}\\n]', '--'],
        ...some.map((file) => `/${file}`),
      ),
      { okCodes: anyCode, capture: 'all' },
    );
    for (const line of stdout.split('\n')) {
      const [, name, path] = /^(\S+) \/(.*)$/.exec(line) ?? [];
      if (name !== undefined && path !== undefined) owners.set(path, name);
    }
  }
  return owners;
}

/** Moves what a folder of the tree has; what is there already at the other place stays. A link is no folder. */
export async function moveContent(tree: string, from: string, to: string): Promise<void> {
  const [old, fresh] = [await inRoot(tree, from), await inRoot(tree, to)];
  const info = await lstat(old).catch(() => undefined);
  if (!info?.isDirectory()) return;
  const there = await lstat(fresh).catch(() => undefined);
  if (!there) {
    await mkdir(dirname(fresh), { recursive: true });
    await rename(old, fresh);
    return;
  }
  if (!there.isDirectory()) return;
  for (const entry of await readdir(old, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await moveContent(tree, source, target);
    else if (!(await lstat(join(fresh, entry.name)).catch(() => undefined)))
      await rename(join(old, entry.name), join(fresh, entry.name));
  }
}
