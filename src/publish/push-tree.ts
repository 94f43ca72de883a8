/** Pages and metadata, with a folder for each kind. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Target } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { publishTo } from './targets/index.js';

/**
 * Copies what is in a folder to the root of the target, its files last. Each folder in it goes to an address of its own, where a link to
 * a folder is followed by every rsync: within a transfer 3.5 follows none.
 */
export async function pushTree(step: Step, target: Target, folder: string): Promise<void> {
  const to = publishTo(target);
  const entries = await readdir(folder, { withFileTypes: true });
  const [folders, files] = [true, false].map((is) =>
    entries.filter((entry) => entry.isDirectory() === is).map(({ name }) => name),
  ) as [string[], string[]];
  for (const name of folders) await to.putFolder(step, join(folder, name), name, 'changed');
  if (files.length > 0) await to.putFolder(step, folder, '', 'changed', { only: files });
}
