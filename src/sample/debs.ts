/** Downloads the Debian packages of the manifest with all that they depend on. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { meaning } from '../domain/failures.js';
import type { Step } from '../steps/step.js';
import { manifest } from './manifest.js';

/**
 * Lets apt resolve the manifest against an empty system and download the result into `debs`, where what is there
 * already is kept and what is of another version goes. apt verifies the archives against its signed indexes.
 * Answers the file names. Fails with `RepoUnreachable`.
 */
export async function downloadDebs(step: Step, debs: string): Promise<string[]> {
  await mkdir(join(debs, 'partial'), { recursive: true });
  const status = join(debs, 'partial', 'status');
  await writeFile(status, '');
  const options = [
    `Dir::State::status=${status}`,
    `Dir::Cache::archives=${debs}`,
    // The machine's own package caches describe another system.
    'Dir::Cache::pkgcache=',
    'Dir::Cache::srcpkgcache=',
    'APT::Install-Recommends=false',
    'APT::Install-Suggests=false',
    'APT::Keep-Downloaded-Packages=true',
    'APT::Sandbox::User=root',
    'Debug::NoLocking=1',
    'Acquire::Retries=3',
    'DPkg::Use-Pty=0',
  ].flatMap((option) => ['-o', option]);
  const install = ['install', '--yes', '--download-only', ...manifest];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const apt = async () => {
    const wanted = await step.run(['apt-get', ...options, '--print-uris', ...install], {
      env,
      capture: 'all',
    });
    // 'uri' file size digest, for each archive that is not in the folder yet.
    const missing = [...wanted.stdout.matchAll(/^'[^']+' (\S+\.deb) /gm)].length;
    step.note(`${missing} packages to download`);
    await step.run(['apt-get', ...options, ...install], { env });
    const all = await step.run(
      [
        'apt-get',
        ...options,
        '-o',
        `Dir::Cache::archives=${join(debs, 'partial', 'none')}`,
        '--print-uris',
        ...install,
      ],
      { env, capture: 'all' },
    );
    return [...all.stdout.matchAll(/^'[^']+' (\S+\.deb) /gm)].map((match) => basename(match[1] ?? ''));
  };
  const names = await apt()
    .catch(async (error: unknown) => {
      step.signal.throwIfAborted();
      step.note(`once more with fresh package lists: ${String(error)}`);
      await step.run(['apt-get', 'update'], { env });
      return apt();
    })
    .catch(meaning('RepoUnreachable', 'Debian packages for the sample'));
  const wanted = new Set(names);
  for (const name of await readdir(debs))
    if (name.endsWith('.deb') && !wanted.has(name)) await rm(join(debs, name));
  return names;
}
