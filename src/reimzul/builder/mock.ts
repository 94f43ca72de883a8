/** Rebuilds a source RPM with mock, where there is one: in a chroot of the target's own packages. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { anyCode, type RunResult, type Step } from '../../steps/step.js';
import type { BuildArchitecture } from '../job.js';

/** Name of mock's configuration for a build, as reimzul chooses it: chained builds have their job's target. */
export function mockConfig(target: string, arch: BuildArchitecture): string {
  const chained = { i386: 'i386', i686: 'i386', ppc: 'ppc', noarch: 'noarch' } as const;
  const own = arch in chained ? chained[arch as keyof typeof chained] : undefined;
  const of = /\.(x86_64|i[36]86|ppc64le|ppc64|noarch)$/;
  return `${own === undefined ? target : target.replace(of, `.${own}`)}.cfg`;
}

/** Runs mock, which puts RPMs, build.log and root.log into `results`. How it ended is its exit code. */
export async function mockRebuild(
  step: Step,
  srpm: string,
  disttag: string,
  config: string,
  results: string,
): Promise<RunResult> {
  await copyFile(config, join(results, 'mock.cfg'));
  return step.run(
    [
      'mock',
      ...['--root', join(results, 'mock.cfg'), '--resultdir', results, '--define', `dist ${disttag}`],
      ...['--cleanup-after', '--rebuild', srpm],
    ],
    { okCodes: anyCode },
  );
}
