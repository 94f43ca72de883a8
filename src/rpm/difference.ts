/** Package difference of two commits, from the RPM databases that they carry; versions are compared by librpm. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { packageChange } from '../domain/metadata.js';
import { packageRoot } from '../settings.js';
import type { Step } from '../steps/step.js';

export const packageDifferenceRecord = z.object({
  /** Number of packages in the new commit. */
  packages: z.int(),
  /** To the old commit; absent without one. */
  pkgdiff: z.array(packageChange).optional(),
});
export type PackageDifference = z.infer<typeof packageDifferenceRecord>;

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
    await step.run(['ostree', `--repo=${repo}`, 'checkout', '--user-mode', '--subpath=/usr/share/rpm', checksum, folder]);
    databases.push(folder);
  }
  const program = join(packageRoot, 'src/rpm/packages.py');
  const { stdout } = await step.run(['python3', '-I', program, ...databases], { capture: 'all' });
  return packageDifferenceRecord.parse(JSON.parse(stdout));
}
