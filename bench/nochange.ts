/** A nightly without changes, against bare dnf: fetch the metadata and depsolve, nothing else. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTreefile } from '../src/composers/dnf/treefile.js';
import type { Settings } from '../src/settings.js';
import type { Step } from '../src/steps/step.js';
import { loadStream } from '../src/streams/load.js';
import { arch, streamName, type Running } from './instance.js';
import { runNightly } from './workflow.js';

export interface NoChange {
  /** Seconds of each nightly, from the workflow's start to its close. */
  readonly workflow: readonly number[];
  /** Seconds of each `dnf makecache` and `dnf install --assumeno`, together. */
  readonly dnf: readonly number[];
}

/** In turns. The last published build must be of the present inputs. */
export async function measureNoChange(
  settings: Settings,
  running: Running,
  step: Step,
  times: number,
): Promise<NoChange> {
  const workflow: number[] = [];
  const dnf: number[] = [];
  for (let i = 0; i < times; i++) {
    dnf.push(await bareDnf(settings, step));
    workflow.push((await runNightly(settings, running, 'no-change')).wall);
  }
  return { workflow, dnf };
}

async function bareDnf(settings: Settings, step: Step): Promise<number> {
  const stream = await loadStream(settings, streamName);
  const treefile = await readTreefile(stream.treefile, arch);
  const work = join(settings.state, 'work', 'bare-dnf');
  await rm(work, { recursive: true, force: true });
  await mkdir(join(work, 'root'), { recursive: true });
  const repos = stream.repos.flatMap((repo) => [
    `[${repo.id}]`,
    `name=${repo.id}`,
    `baseurl=${repo.baseurl}`,
    'gpgcheck=1',
    `repo_gpgcheck=${repo.metadataSigned ? 1 : 0}`,
    `gpgkey=${repo.gpgKeys.map((key) => `file://${key}`).join(' ')}`,
  ]);
  const main = ['[main]', 'plugins=0', `reposdir=${join(work, 'none')}`, 'install_weak_deps=0', 'best=1'];
  const conf = join(work, 'dnf.conf');
  await writeFile(conf, [...main, ...repos, ''].join('\n'));
  const options = [
    `--config=${conf}`,
    `--installroot=${join(work, 'root')}`,
    `--releasever=${stream.releasever}`,
    `--setopt=cachedir=${join(work, 'cache')}`,
  ];
  const started = performance.now();
  await step.run(['dnf', '--quiet', '--assumeyes', ...options, 'makecache']);
  // 1: the answer `no`, which is what was asked for.
  const { stdout, stderr } = await step.run(
    ['dnf', ...options, '--assumeno', 'install', ...treefile.packages],
    { okCodes: [1] },
  );
  const seconds = (performance.now() - started) / 1000;
  if (!/Operation aborted/.test(stdout + stderr)) throw new Error(`bare dnf failed: ${stderr.slice(-500)}`);
  return seconds;
}
