/** Indexes a folder of RPMs, with a `repodata` that is always whole. */
import { link, mkdir, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from '../steps/step.js';

/**
 * Indexes the RPMs of `rpms` and makes the result visible by one rename, after `sign` had the path of the new repomd.xml:
 * `repodata` is a link to a numbered folder. The metadata files of the generation before stay readable beside the new ones, for clients that read its
 * repomd.xml a moment ago; older generations go.
 */
export async function indexRepo(
  step: Step,
  rpms: string,
  sign?: (repomd: string) => Promise<void>,
): Promise<void> {
  const link_ = join(rpms, 'repodata');
  const current = await readlink(link_).catch(() => undefined);
  const generation = Number(current?.replace('generation-', '').replace('/repodata', '') ?? 0) + 1;
  const folder = join(rpms, `generation-${generation}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await step.run([
    'createrepo_c',
    '--quiet',
    '--no-database',
    '--general-compress-type',
    'gz',
    '--workers',
    '2',
    '--excludes',
    'generation-*',
    '--outputdir',
    folder,
    ...(current === undefined
      ? []
      : ['--update', '--update-md-path', join(rpms, `generation-${generation - 1}`)]),
    rpms,
  ]);
  const repodata = join(folder, 'repodata');
  await sign?.(join(repodata, 'repomd.xml'));
  const own = new Set(await readdir(repodata));
  if (current !== undefined)
    for (const name of await readdir(join(rpms, current)))
      if (!own.has(name)) await link(join(rpms, current, name), join(repodata, name));
  await rm(`${link_}.new`, { force: true });
  await symlink(`generation-${generation}/repodata`, `${link_}.new`);
  await rename(`${link_}.new`, link_);
  for (const name of await readdir(rpms))
    if (name.startsWith('generation-') && Number(name.slice('generation-'.length)) < generation - 1)
      await rm(join(rpms, name), { recursive: true, force: true });
}
