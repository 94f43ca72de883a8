/** Writes the build pages of a publication: the stream's, the new build's and, for its link forward, the one before. */
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Host } from '../host.js';
import { lockfile } from '../domain/lockfile.js';
import type { BuildIndex, BuildMeta } from '../domain/metadata.js';
import { baseOf, releaseTargets, type Stream, type Target } from '../domain/stream.js';
import { outcomeOf } from '../pages/facts.js';
import type { BuildInput, StreamFacts } from '../pages/types.js';
import { writeInstance, writePages } from '../pages/write.js';
import { contentFile, contentRecord } from '../rpm/content.js';
import { lackingIn, releasedFixes } from '../store/released-fixes.js';
import type { Step } from '../steps/step.js';
import { needJson, readJson, unlessDamaged } from '../store/store.js';
import { listStreams, loadStream } from '../streams/load.js';
import { storedBuilds } from './stored-builds.js';

const newest = 2;

/** Fills `published/pages`, which is then pushed to the stream's root. */
export async function writeBuildPages(
  step: Step,
  host: Host,
  stream: Stream,
  index: BuildIndex,
): Promise<void> {
  const folder = join(host.store.published(stream.name), 'pages');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await copyFile(stream.signingKey, join(folder, 'signing-key.asc'));
  const problems: string[] = [];
  const builds = await readMetas(host, stream.name, problems, index);
  const fixes = await releasedFixes(host.store, baseOf(stream.name));
  const pages: Omit<BuildInput, 'stream'>[] = [];
  for (const [place, metas] of builds.slice(0, newest).entries())
    for (const meta of metas) {
      const ofArch = builds.map(
        (others) => others.find((other) => other.architecture === meta.architecture)?.buildid,
      );
      const run = await host.store.runOf(stream.name, meta.buildid);
      if (run === undefined) continue;
      const at = (name: string) =>
        join(host.store.archDir({ stream: stream.name, run }, meta.architecture), name);
      const packages = await needJson(at('lockfile.json'), lockfile);
      pages.push({
        meta,
        lockfile: packages,
        content: await readJson(at(contentFile), contentRecord),
        lacks: fixes.length > 0 ? await lackingIn(step, fixes, { [meta.architecture]: packages }) : [],
        previous: ofArch[place + 1],
        next: ofArch[place - 1],
      });
    }
  const generated = new Date().toISOString();
  await writePages(folder, { generated, stream: facts(host, stream), builds, pages, problems });
}

/**
 * Metadata of the published builds that this store has, newest first. What is damaged goes to `problems`, with paths below the state
 * folder: readers need not know where that is.
 */
async function readMetas(
  { store }: Host,
  stream: string,
  problems: string[],
  index?: BuildIndex,
): Promise<BuildMeta[][]> {
  const onDamaged = (problem: string) => void problems.push(problem.replaceAll(`${store.state}/`, ''));
  const builds = await storedBuilds(store, stream, { index, onDamaged }).catch(unlessDamaged(onDamaged));
  return (builds ?? []).map(({ metas }) => [...metas]).filter(({ length }) => length > 0);
}

function facts(host: Host, stream: Stream): StreamFacts {
  const { name, title, description, ref, osname, publish } = stream;
  const home = homeLink(host, publish.buildlogs);
  const files = releaseTargets(stream)?.files;
  const releases = files && `${files.url}/index.html`;
  return { name, title, description, ref, osname, url: publish.buildlogs.url, home, releases };
}

/** Link from a target's root to the instance page, if the target is below this instance's web root. */
export function homeLink(host: Host, target: Target): string | undefined {
  const inside = relative(host.store.www(), target.location);
  if (inside.startsWith('..') || inside.startsWith('/')) return undefined;
  const up = inside.split('/').map(() => '..');
  return `${up.join('/')}/index.html`;
}

/** Writes the instance page: its streams, as the store has them now. */
export async function writeInstancePage(host: Host): Promise<void> {
  const streams = [];
  for (const name of await listStreams(host.settings)) {
    const stream = await loadStream(host.settings, name).catch(() => undefined);
    if (!stream) continue;
    const problems: string[] = [];
    const [latest] = await readMetas(host, name, problems);
    const first = latest?.[0];
    if (!first && problems.length === 0) continue;
    const inside = relative(host.store.www(), stream.publish.buildlogs.location);
    const url = inside.startsWith('..')
      ? `${stream.publish.buildlogs.url}/index.html`
      : `${inside}/index.html`;
    const { title, description } = stream;
    streams.push({
      name,
      title,
      description,
      url,
      problems,
      ...(latest && first
        ? {
            latest: {
              id: first.buildid,
              timestamp: first['ostree-timestamp'],
              outcome: outcomeOf(...latest),
            },
          }
        : {}),
    });
  }
  await writeInstance(host.store.www(), { generated: new Date().toISOString(), streams });
}
