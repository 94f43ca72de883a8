/** Paths in a tree that is not this machine's root: links in it lead where they lead for those who have the tree as their root. */
import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { readFileText } from './read-file.js';

/** As many as the kernel follows. */
const mostLinks = 40;

/**
 * Where `path` of the tree at `root` is on this machine: a path without any link on the way, below `root` whatever the tree has. The last
 * part is not followed unless `follow` says so; parts that are not there stay as they are. Nothing may run in the tree meanwhile: its
 * commands have ended, with all that they started, when it is edited. Fails with ComposeFailed for links in a circle.
 */
export async function inRoot(root: string, path: string, { follow = false } = {}): Promise<string> {
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
      if (++links > mostLinks) throw new Failure('ComposeFailed', `/${path}: its links lead in a circle`);
      if (target.startsWith('/')) found.length = 0;
      rest.push(...target.split('/').reverse());
    }
  }
  return join(root, ...found);
}

/** A text below `root` of at most 4 MiB; empty where there is no such file. Fails with ComposeFailed for what is no text file. */
export async function readInRoot(root: string, path: string): Promise<string> {
  const file = await inRoot(root, path, { follow: true });
  const there = await lstat(file).catch(() => undefined);
  return there ? readFileText(file, 4 * 2 ** 20, 'ComposeFailed') : '';
}

async function linkAt(path: string): Promise<string | undefined> {
  const info = await lstat(path).catch(() => undefined);
  return info?.isSymbolicLink() ? readlink(path) : undefined;
}
