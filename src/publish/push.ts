/** What pushes have in common: the files that they carry, what they moved. */
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Pushed } from './targets/target.js';

export const nothingPushed: Pushed = { files: 0, newBytes: 0, sentBytes: 0 };

export const addPushed = (a: Pushed, b: Pushed): Pushed => ({
  files: a.files + b.files,
  newBytes: a.newBytes + b.newBytes,
  sentBytes: a.sentBytes + b.sentBytes,
});

/** Files of a repo that a push carries, relative to it: what never changes under its name. */
export async function objectFiles(repo: string): Promise<string[]> {
  const files = ['config'];
  for (const part of ['objects', 'deltas', 'delta-indexes']) {
    const entries = await readdir(join(repo, part), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries)
      if (entry.isFile()) files.push(join(relative(repo, entry.parentPath), entry.name));
  }
  return files;
}
