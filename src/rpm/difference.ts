/** Package difference of two commits, from the RPM databases that they carry; versions are compared by librpm. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { packageChange } from '../domain/metadata.js';
import { packageRoot } from '../settings.js';
import type { Argv, Step } from '../steps/step.js';

export const packageDifferenceRecord = z.object({
  /** Number of packages in the new commit. */
  packages: z.int(),
  /** To the old commit; absent without one. */
  pkgdiff: z.array(packageChange).optional(),
});
export type PackageDifference = z.infer<typeof packageDifferenceRecord>;

export const checkoutCommand = (repo: string, commit: string, folder: string): Argv => [
  'ostree',
  `--repo=${repo}`,
  ...['checkout', '--user-mode', '--subpath=/usr/share/rpm', commit, folder],
];

/** The new database first, then the old one. */
export const compareCommand = (databases: readonly string[]): Argv => [
  'python3',
  '-I',
  join(packageRoot, 'src/rpm/packages.py'),
  ...databases,
];

/** Reads the packages of `commit` and how they differ from those of `old`. `work` is a scratch folder of its own, emptied first. */
export async function packageDifference(
  step: Step,
  repo: string,
  commit: string,
  old: string | undefined,
  work: string,
): Promise<PackageDifference> {
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const databases: string[] = [];
  for (const [index, checksum] of [commit, ...(old === undefined ? [] : [old])].entries()) {
    const folder = join(work, String(index));
    await step.run(checkoutCommand(repo, checksum, folder));
    databases.push(folder);
  }
  const { stdout } = await step.run(compareCommand(databases), { capture: 'all' });
  return packageDifferenceRecord.parse(JSON.parse(stdout));
}
