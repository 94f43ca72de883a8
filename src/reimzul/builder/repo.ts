/** Reimzul's `createrepo` and `tosign`: the repo of a target, and the packages that wait for a signature. */
import { copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { indexRepo } from '../../rpm/index-repo.js';
import type { Step } from '../../steps/step.js';
import { createrepoRequest, jobTarget, packageName, timestamp } from '../job.js';

/** Left behind by one that crashed: then no request is served until a person has removed it, as with reimzul's. */
export const lockName = '.repolock';

/** Makes the repo of a target again; does nothing if somebody does that already. */
export async function createrepo(
  step: Step,
  say: (line: string) => void,
  repo: string,
  data: unknown,
): Promise<void> {
  const { target } = createrepoRequest.parse(data);
  const folder = join(repo, target);
  await mkdir(folder, { recursive: true });
  const lock = join(folder, lockName);
  try {
    await writeFile(lock, '', { flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    return say(`createrepo of ${target}: dropped, since there is ${lock}`);
  }
  try {
    await indexRepo(step, folder);
  } finally {
    await rm(lock, { force: true });
  }
  say(`createrepo of ${target}: done`);
}

const toSignJob = z.looseObject({ pkgname: packageName, target: jobTarget, timestamp });

/** Copies every RPM of a package's timestamp flat into `folder/<target>/`, over what is there. */
export async function toSign(repo: string, folder: string, data: unknown): Promise<void> {
  const { pkgname, target, timestamp: time } = toSignJob.parse(data);
  const to = join(folder, target);
  await mkdir(to, { recursive: true });
  const from = join(repo, target, pkgname, time);
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.rpm')) continue;
    const half = join(to, `.${entry.name}`);
    await copyFile(join(entry.parentPath, entry.name), half);
    await rename(half, join(to, entry.name));
  }
}
