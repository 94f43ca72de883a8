/** The stream's `builds.json`, and what is removed when it has grown beyond the stream's retention. */
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../activities/host.js';
import { compareIds } from '../domain/build-id.js';
import { buildIndex, emptyIndex, type BuildIndex } from '../domain/metadata.js';
import { baseOf, type Architecture, type Stream } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { readView } from '../release/release-index.js';
import { writeJson } from '../store/store.js';
import { streamRun } from '../workflows/stream-messages.js';
import { storedIndex } from './stored-builds.js';
import { fetchPublished, removeAt, rsync } from './target.js';

const published = (host: Host, stream: Stream, name: string) => join(host.store.published(stream.name), name);

/** `builds.json` as last published: this instance's record of it, or on a new builder what the target has. */
export async function readIndex(host: Host, stream: Stream, signal?: AbortSignal): Promise<BuildIndex> {
  const own = await storedIndex(host.store, stream.name);
  if (own) return own;
  const content = await fetchPublished(
    { signal: signal ?? new AbortController().signal },
    stream.publish.buildlogs,
    'builds.json',
  );
  return content === undefined ? emptyIndex() : buildIndex.parse(JSON.parse(content.toString('utf8')));
}

/** Writes `next-builds.json`: the index with this build. Idempotent. */
export async function publishIndex(
  host: Host,
  stream: Stream,
  id: string,
  arches: Architecture[],
): Promise<BuildIndex> {
  const index = await readIndex(host, stream);
  const builds = [{ id, arches }, ...index.builds.filter((build) => build.id !== id)].sort((a, b) =>
    compareIds(a.id, b.id),
  );
  const next: BuildIndex = { ...index, timestamp: new Date().toISOString(), builds };
  await writeJson(published(host, stream, 'next-builds.json'), next);
  return next;
}

/**
 * Removes builds beyond `retention.builds` from the target, the index first, so that no reader is led to what is going,
 * and runs beyond `retention.runs` from the store. Objects of the ostree repo stay: their removal is a pass of its own.
 */
export async function pruneBuilds(
  host: Host,
  step: Step,
  stream: Stream,
): Promise<{ builds: string[]; runs: number }> {
  const index = await readIndex(host, stream, step.signal);
  // A build whose promotion is open stays, and so does what its rebuild has made.
  const { promotions = [] } = (await readView(host.store, baseOf(stream.name))) ?? {};
  const proposed = new Set(
    promotions.flatMap(({ build, attempts = [] }) => [build, ...attempts.map((attempt) => attempt.build)]),
  );
  const old = index.builds
    .filter(({ id }, place) => place >= stream.retention.builds && !proposed.has(id))
    .map(({ id }) => id);
  const builds = await removeBuilds(host, step, stream, old, index);
  return { builds: old, runs: await pruneRuns(host, stream, new Set(builds.map(({ id }) => id))) };
}

/** Removes these builds from the target, the index first; answers those that are left. Idempotent. */
export async function removeBuilds(
  host: Host,
  step: Step,
  stream: Stream,
  ids: readonly string[],
  index: BuildIndex,
): Promise<BuildIndex['builds']> {
  const target = stream.publish.buildlogs;
  const gone = index.builds.filter(({ id }) => ids.includes(id));
  const builds = index.builds.filter((build) => !gone.includes(build));
  if (gone.length > 0) {
    const tombstones = [...gone.map(({ id }) => ({ id })), ...index['tombstone-builds']];
    const next: BuildIndex = {
      ...index,
      timestamp: new Date().toISOString(),
      builds,
      'tombstone-builds': tombstones,
    };
    const file = published(host, stream, 'pruned-builds.json');
    await writeJson(file, next);
    await rsync(step, target, ['--times', '--delay-updates'], [file], 'builds.json');
  }
  await removeAt(step, target, 'builds', [...ids], published(host, stream, 'empty'));
  // Our own record last: a try that broke off above is done again in full.
  if (gone.length > 0)
    await rename(published(host, stream, 'pruned-builds.json'), published(host, stream, 'builds.json'));
  return builds;
}

async function pruneRuns(host: Host, stream: Stream, kept: ReadonlySet<string>): Promise<number> {
  const keep = new Set<string | undefined>([streamRun]);
  for (const id of kept) keep.add(await host.store.runOf(stream.name, id));
  const folder = host.store.runsDir(stream.name);
  const old = (await newestFirst(folder))
    .slice(stream.retention.runs)
    .map(({ name }) => name)
    .filter((run) => !keep.has(run));
  for (const run of old) await rm(join(folder, run), { recursive: true, force: true });
  await sweepScratch(join(host.settings.state, 'work'));
  return old.length;
}

/** A run removes its own scratch folder; one that was terminated cannot. No run lasts for a week. */
async function sweepScratch(work: string): Promise<void> {
  const week = 7 * 86_400_000;
  for (const { name, time } of await newestFirst(work))
    if (Date.now() - time > week) await rm(join(work, name), { recursive: true, force: true });
}

async function newestFirst(folder: string): Promise<{ name: string; time: number }[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const entries = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(join(folder, name))).mtimeMs })),
  );
  return entries.sort((a, b) => b.time - a.time);
}
