/** Paths in a tree that is not this machine's root: links in it lead where they lead for those who have the tree as their root. */
import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, type FailureCode } from '../domain/failures.js';
import { readFileBytes } from './read-file.js';

/** As many as the kernel follows. */
const mostLinks = 40;

/**
 * Where `path` of the tree at `root` is on this machine: a path without any link on the way, below `root` whatever the tree has. The last
 * part is not followed unless `follow` says so; parts that are not there stay as they are. Nothing may run in the tree meanwhile: its
 * commands have ended, with all that they started, when it is edited. Fails with `invalid` for links in a circle.
 */
export async function inRoot(
  root: string,
  path: string,
  { follow = false, invalid = 'ComposeFailed' }: { follow?: boolean; invalid?: FailureCode } = {},
): Promise<string> {
  const rest = path.split('/').reverse();
  const found: string[] = [];
  for (let links = 0; rest.length > 0;) {
    const part = rest.pop() ?? '';
    if (part === '' || part === '.') continue;
    if (part === '..') {
      found.pop();
      continue;
    }
    const last = !follow && rest.every((one) => one === '');
    const target = last ? undefined : await linkAt(join(root, ...found, part));
    if (target === undefined) found.push(part);
    else {
      if (++links > mostLinks) throw new Failure(invalid, `/${path}: its links lead in a circle`);
      if (target.startsWith('/')) found.length = 0;
      rest.push(...target.split('/').reverse());
    }
  }
  return join(root, ...found);
}

/**
 * A text below `root` of at most 4 MiB, whatever its encoding; undefined where there is no such file. Fails with `invalid` for what is no
 * regular file.
 */
export async function readInRoot(
  root: string,
  path: string,
  invalid: FailureCode = 'ComposeFailed',
): Promise<string | undefined> {
  const file = await inRoot(root, path, { follow: true, invalid });
  const there = await lstat(file).catch(() => undefined);
  return there ? (await readFileBytes(file, 4 * 2 ** 20, invalid)).toString('utf8') : undefined;
}

async function linkAt(path: string): Promise<string | undefined> {
  const info = await lstat(path).catch(() => undefined);
  return info?.isSymbolicLink() ? readlink(path) : undefined;
}
