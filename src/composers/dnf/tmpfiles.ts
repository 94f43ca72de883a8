/** What packages have in /var, as lines of tmpfiles.d. */
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { readInRoot } from '../../steps/in-root.js';
import type { Step } from '../../steps/step.js';

/** What systemd-tmpfiles makes at boot. */
export interface TmpfilesEntry {
  readonly type: string;
  readonly path: string;
  readonly mode?: number;
  readonly user?: string;
  readonly group?: string;
  /** Of a link. */
  readonly target?: string;
}

const hex = (character: string) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
const control = /[\x00-\x1f\x7f]/g;

/**
 * A line as systemd-tmpfiles reads it: fields may be quoted, with C's escapes; in the path and in a link's target, which is the rest
 * of the line, unquoted, `%` begins a specifier.
 */
export function tmpfilesLine({ type, path, mode, user, group, target }: TmpfilesEntry): string {
  const text = (value: string) => value.replaceAll('%', '%%').replaceAll('\\', '\\\\').replace(control, hex);
  const field = /[\s\x00-\x1f\x7f"'\\%]/.test(path) ? `"${text(path).replaceAll('"', '\\"')}"` : path;
  const octal = mode === undefined ? '-' : mode.toString(8).padStart(4, '0');
  const argument = target === undefined ? '' : ` ${text(target).replace(/^ | $/g, hex)}`;
  return `${type} ${field} ${octal} ${user ?? '-'} ${group ?? '-'} -${argument}`;
}

/** The folders and links that are in /var. */
export async function varEntries(step: Step, tree: string): Promise<TmpfilesEntry[]> {
  const { users, groups } = await accounts(tree);
  const entries: TmpfilesEntry[] = [];
  const visit = async (folder: string): Promise<void> => {
    for (const name of (await readdir(join(tree, folder))).sort()) {
      const path = `${folder}/${name}`;
      const info = await lstat(join(tree, path));
      if (info.isDirectory()) {
        const owner = {
          user: users.get(info.uid) ?? `${info.uid}`,
          group: groups.get(info.gid) ?? `${info.gid}`,
        };
        // systemd makes these itself, with its own modes.
        if (!['var/tmp', 'var/log/journal'].includes(path))
          entries.push({ type: 'd', path: `/${path}`, mode: info.mode & 0o7777, ...owner });
        await visit(path);
      } else if (info.isSymbolicLink())
        entries.push({ type: 'L', path: `/${path}`, target: await readlink(join(tree, path)) });
      else step.note(`/${path} is not in the commit: a machine's own data starts empty`);
    }
  };
  await visit('var');
  return entries;
}

/** The tree's own user and group names, by number. */
async function accounts(tree: string): Promise<{ users: Map<number, string>; groups: Map<number, string> }> {
  const read = async (file: string) => {
    const text = (await readInRoot(tree, `etc/${file}`)) ?? '';
    const fields = text.split('\n').map((line) => line.split(':'));
    return new Map(
      fields.flatMap(([name, , id]): [number, string][] => (name && id ? [[Number(id), name]] : [])),
    );
  };
  return { users: await read('passwd'), groups: await read('group') };
}
