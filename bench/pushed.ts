/** What the push of an update moves: the workflow's, and a 2015 rsync of the whole repo. */
import { cp, readdir, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { statsOf } from '../src/publish/targets/rsync.js';
import { refOf } from '../src/domain/stream.js';
import { readKey, signingHome } from '../src/keys/gpg.js';
import { bumpPackage } from '../src/sample/make.js';
import type { Settings } from '../src/settings.js';
import type { Step } from '../src/steps/step.js';
import { Store } from '../src/store/store.js';
import { loadStream } from '../src/streams/load.js';
import { arch, streamName, type Running } from './instance.js';
import { runNightly } from './workflow.js';

export interface Update {
  /** Objects that the target did not have before. */
  readonly newObjects: number;
  readonly newBytes: number;
  /** What rsync sent for the repo's objects, its file list included. */
  readonly sentBytes: number;
  /** What `rsync -a --delete` of the whole repo sends, from a repo that was pulled into an emptied folder. */
  readonly wholeRepoSentBytes: number;
}

/** Publishes a new version of one package and measures the nightly that follows. */
export async function measureUpdate(settings: Settings, running: Running, step: Step): Promise<Update> {
  const stream = await loadStream(settings, streamName);
  const target = join(stream.publish.buildlogs.location, 'repo');
  const former = join(settings.state, 'former');
  await step.run(['cp', '-a', target, former]);
  const before = await objects(target);
  await bumpPackage(step, join(settings.state, 'sample'), 'netbase');
  const { activities } = await runNightly(settings, running, 'published');
  const added = [...(await objects(target))].filter(([path]) => !before.has(path));
  const answer = activities.find(({ id }) => id === 'push-repo')?.result ?? '';
  const { sentBytes } = z.object({ sentBytes: z.number() }).parse(JSON.parse(answer));
  const newBytes = added.reduce((sum, [, size]) => sum + size, 0);
  const wholeRepoSentBytes = await wholeRepo(settings, step, former);
  await rm(former, { recursive: true });
  return { newObjects: added.length, newBytes, sentBytes, wholeRepoSentBytes };
}

/** Objects and deltas of a repo: size by path. */
async function objects(repo: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const part of ['objects', 'deltas', 'delta-indexes']) {
    const entries = await readdir(join(repo, part), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries.filter((one) => one.isFile())) {
      const path = join(entry.parentPath, entry.name);
      found.set(relative(repo, path), (await stat(path)).size);
    }
  }
  return found;
}

/** The 2015 way with the same update: pull the published repo, add the commit, rsync all of it over the former target. */
async function wholeRepo(settings: Settings, step: Step, former: string): Promise<number> {
  const stream = await loadStream(settings, streamName);
  const ref = refOf(stream, arch);
  const staging = new Store(settings.state).snapshot(streamName);
  const repo = `--repo=${join(settings.state, 'repo-2015')}`;
  const { fingerprint } = await readKey(step, stream.signingKey);
  // Over HTTP, so that nothing is linked: under the web root for as long as the pull takes.
  const served = join(settings.state, 'www', 'former');
  await cp(former, served, { recursive: true });
  await step.run(['ostree', repo, 'init', '--mode=archive']);
  await step.run([
    'ostree',
    repo,
    'remote',
    'add',
    '--no-gpg-verify',
    'published',
    `http://127.0.0.1:${settings.webPort}/former`,
  ]);
  await step.run(['ostree', repo, 'pull', '--mirror', 'published', ref]);
  await rm(served, { recursive: true });
  await step.run(['ostree', repo, 'pull-local', staging, ref]);
  await step.run([
    'ostree',
    repo,
    'summary',
    '--update',
    `--gpg-sign=${fingerprint}`,
    `--gpg-homedir=${signingHome(settings.state)}`,
  ]);
  // `--no-whole-file`: as to another host, where rsync sends differences.
  const options = ['--archive', '--delete', '--no-whole-file', '--stats'];
  const { stdout } = await step.run([
    'rsync',
    ...options,
    `${join(settings.state, 'repo-2015')}/`,
    `${former}/`,
  ]);
  return statsOf(stdout).sentBytes;
}
