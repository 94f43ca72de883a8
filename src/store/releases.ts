/** The stream's `releases.json`, and what the stream workflow knows (`view.json`), in the build store. */
import { join } from 'node:path';
import { z } from 'zod';
import { isOpen, type Released, type StreamView } from '../domain/promotion.js';
import { releaseIndex, type ReleaseEntry, type ReleaseIndex } from '../domain/release.js';
import { readJson, writeJson, type Store } from './store.js';

/** `releases.json` before the first release. */
export const emptyReleases = (stream: string): ReleaseIndex => ({
  stream,
  metadata: { 'last-modified': new Date(0).toISOString() },
  releases: [],
});

/** `releases.json` as this instance last published it; undefined before the first release. */
export const storedReleases = (store: Store, stream: string): Promise<ReleaseIndex | undefined> =>
  readJson(join(store.releasePublished(stream), 'releases.json'), releaseIndex);

/** The release that readers have: the newest that was not taken back. */
export const currentRelease = ({ releases }: ReleaseIndex): ReleaseEntry | undefined =>
  releases.findLast((entry) => entry.treeline['rolled-back'] === undefined);

/**
 * The index with this release, as its newest: of signed builds the older one may be released later. One that is there already stays as
 * it is.
 */
export function withRelease(index: ReleaseIndex, entry: ReleaseEntry): ReleaseIndex {
  if (index.releases.some(({ version }) => version === entry.version)) return index;
  const releases = [...index.releases, entry];
  return { ...index, metadata: { 'last-modified': entry.treeline.released }, releases };
}

/** The index in which every release newer than `to` is marked as taken back; a mark that is there stays. */
export function withRollback(
  index: ReleaseIndex,
  to: string,
  mark: { at: string; reason?: string | undefined },
): ReleaseIndex {
  const reason = mark.reason === undefined ? {} : { reason: mark.reason };
  const place = index.releases.findIndex(({ version }) => version === to);
  const releases = index.releases.map((entry, at) =>
    at <= place || entry.treeline['rolled-back']
      ? entry
      : { ...entry, treeline: { ...entry.treeline, 'rolled-back': { at: mark.at, to, ...reason } } },
  );
  return { ...index, metadata: { 'last-modified': mark.at }, releases };
}

/** The releases as the stream workflow knows them, newest first. */
export const releasedOf = ({ releases }: ReleaseIndex): Released[] =>
  releases
    .map(({ version, commits, treeline }) => ({
      build: version,
      ...(treeline.accepted === undefined ? {} : { accepted: treeline.accepted }),
      at: treeline.released,
      commits: Object.fromEntries(commits.map(({ architecture, checksum }) => [architecture, checksum])),
      ...(treeline['rolled-back'] ? { rolledBack: treeline['rolled-back'] } : {}),
    }))
    .reverse();

const viewFile = (store: Store, stream: string) => join(store.releases(stream), 'view.json');

/** What the stream workflow last knew; undefined before it has run. */
export const readView = (store: Store, stream: string): Promise<StreamView | undefined> =>
  readJson(viewFile(store, stream), z.custom<StreamView>());

export const saveView = (store: Store, view: StreamView): Promise<void> =>
  writeJson(viewFile(store, view.stream), view);

/** What a stream workflow begins with: decisions, promotions and security cases as last saved, releases as releases.json has them. */
export function recalledView(stream: string, saved: StreamView | undefined, index: ReleaseIndex): StreamView {
  return {
    stream,
    current: currentRelease(index)?.version ?? null,
    promotions: saved?.promotions.filter(({ phase }) => isOpen(phase)) ?? [],
    inWork: null,
    released: releasedOf(index),
    vetoes: saved?.vetoes ?? [],
    ...(saved?.security ? { security: saved.security } : {}),
    ...(saved?.attempted ? { attempted: saved.attempted } : {}),
    history: saved?.history ?? [],
  };
}
