/** The stream's `builds.json`, and what is removed when it has grown beyond the stream's retention. */
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../host.js';
import { compareIds } from '../domain/build-id.js';
import { buildIndex, emptyIndex, type BuildIndex } from '../domain/metadata.js';
import { isOpenCase } from '../domain/security.js';
import { baseOf, type Architecture, type Stream } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { readFix } from '../store/fix-record.js';
import { currentRelease, emptyReleases, readView, storedReleases } from '../store/releases.js';
import { readJson, writeJson, type Run } from '../store/store.js';
import { streamRun } from '../domain/run.js';
import { storedIndex } from './stored-builds.js';
import { fetchPublished, pastCaches } from './readers.js';
import { publishTo } from './targets/index.js';

const published = (host: Host, stream: Stream, name: string) => join(host.store.published(stream.name), name);

/** `builds.json` as last published: this instance's record of it, or on a new builder what the target has. */
export async function readIndex(host: Host, stream: Stream, signal?: AbortSignal): Promise<BuildIndex> {
  const own = await storedIndex(host.store, stream.name);
  if (own) return own;
  const content = await fetchPublished(
    { signal: signal ?? new AbortController().signal },
    stream.publish.buildlogs,
    'builds.json',
    pastCaches,
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

/** Takes a build out of `builds.json` at the target, if this run has put it there and has not come to its end. Idempotent. */
export async function withdrawBuild(host: Host, step: Step, stream: Stream, id: string): Promise<void> {
  const file = published(host, stream, 'next-builds.json');
  const next = await readJson(file, buildIndex);
  const own = await storedIndex(host.store, stream.name);
  const names = (index: BuildIndex | undefined) => index?.builds.some((build) => build.id === id) ?? false;
  if (!next || !names(next) || names(own)) return;
  await writeJson(file, { ...next, builds: next.builds.filter((build) => build.id !== id) });
  await pushIndex(step, stream, file);
}

/** From here on the builds of this index are those that readers are led to. */
export const pushIndex = (step: Step, { publish }: Stream, file: string) =>
  publishTo(publish.buildlogs).putFile(step, file, 'builds.json', 'changed');

/**
 * Removes builds beyond `retention.builds` from the target, the index first, so that no reader is led to what is going. Answers their
 * ids. Objects of the ostree repo stay: their removal is a pass of its own.
 */
export async function pruneBuilds(host: Host, step: Step, stream: Stream): Promise<string[]> {
  const index = await readIndex(host, stream, step.signal);
  const needed = await neededBuilds(host, stream);
  const old = index.builds
    .filter(({ id }, place) => place >= stream.retention.builds && !needed.has(id))
    .map(({ id }) => id);
  await removeBuilds(host, step, stream, old, index);
  return old;
}

/**
 * Builds that stay however old they are: those whose promotion is open, with what their rebuilds have made; the release that readers have,
 * from which a security release is made; what open security cases have made and are made from.
 */
async function neededBuilds({ store }: Host, stream: Stream): Promise<Set<string>> {
  const base = baseOf(stream.name);
  const { promotions = [], security = [] } = (await readView(store, base)) ?? {};
  const current = currentRelease((await storedReleases(store, base)) ?? emptyReleases(base))?.version;
  const builds = [
    ...promotions.flatMap(({ build, attempts = [] }) => [build, ...attempts.map((attempt) => attempt.build)]),
    ...security.filter(({ phase }) => isOpenCase(phase)).flatMap(({ build, plan }) => [build, plan?.base]),
    current,
  ];
  return new Set(builds.filter((id) => id !== undefined));
}

/** Removes these builds from the target, the index first; answers those that are left. Idempotent. */
export async function removeBuilds(
  host: Host,
  step: Step,
  stream: Stream,
  ids: readonly string[],
  index: BuildIndex,
): Promise<BuildIndex['builds']> {
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
    await pushIndex(step, stream, file);
  }
  if (ids.length > 0) await publishTo(stream.publish.buildlogs).remove(step, 'builds', ids);
  // Our own record last: a try that broke off above is done again in full.
  if (gone.length > 0)
    await rename(published(host, stream, 'pruned-builds.json'), published(host, stream, 'builds.json'));
  return builds;
}

/**
 * Removes runs beyond `retention.runs` from the store, but those that are `alive` (by their ids) and those of builds that are published
 * or needed. Answers their ids.
 */
export async function pruneRuns(host: Host, stream: Stream, alive: ReadonlySet<string>): Promise<string[]> {
  const { builds = [] } = (await storedIndex(host.store, stream.name)) ?? {};
  const needed = new Set([...(await neededBuilds(host, stream)), ...builds.map(({ id }) => id)]);
  const kept = new Set<string | undefined>([streamRun, ...alive]);
  for (const id of needed) kept.add(await host.store.runOf(stream.name, id));
  const folder = host.store.runsDir(stream.name);
  const removed: string[] = [];
  for (const run of (await newestFirst(folder)).slice(stream.retention.runs)) {
    if (kept.has(run) || (await isOfOpenCase(host, { stream: stream.name, run }))) continue;
    await rm(join(folder, run), { recursive: true, force: true });
    removed.push(run);
  }
  return removed;
}

/** It may wait for its approval, and has no build yet. */
async function isOfOpenCase({ store }: Host, run: Run): Promise<boolean> {
  const fix = await readFix(store, run);
  if (!fix) return false;
  const { security = [] } = (await readView(store, baseOf(run.stream))) ?? {};
  return security.some(({ id, phase }) => id === fix.case && isOpenCase(phase));
}

async function newestFirst(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const entries = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(join(folder, name))).mtimeMs })),
  );
  return entries.sort((a, b) => b.time - a.time).map(({ name }) => name);
}
