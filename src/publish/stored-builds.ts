/** What the build store has of the published builds. The target is not asked. */
import { join } from 'node:path';
import { buildIndex, buildMeta, type BuildIndex, type BuildMeta } from '../domain/metadata.js';
import { readJson, unlessDamaged, writeJson, type OnDamaged, type Run, type Store } from '../store/store.js';

export interface StoredBuild {
  readonly id: string;
  readonly run: Run;
  /** One for each architecture whose metadata is there and not damaged. */
  readonly metas: readonly BuildMeta[];
}

/** `builds.json` as this instance last published it; undefined before the first publication. */
export const storedIndex = (store: Store, stream: string): Promise<BuildIndex | undefined> =>
  readJson(join(store.published(stream), 'builds.json'), buildIndex);

const keptFile = (store: Store, run: Run) => join(store.runDir(run), 'kept.json');

/** `kept.json` of a run whose build is not published, and kept for a release: as a build of the index. */
const keptRecord = buildIndex.shape.builds.element;

/** Keeps a build that is not published, so that a release finds it. Idempotent. */
export const keepBuild = (store: Store, run: Run, build: BuildIndex['builds'][number]): Promise<void> =>
  writeJson(keptFile(store, run), build);

/** A build that is kept; undefined for any other. */
export async function keptBuild(
  store: Store,
  stream: string,
  id: string,
): Promise<BuildIndex['builds'][number] | undefined> {
  const run = await store.runOf(stream, id);
  const kept = run === undefined ? undefined : await readJson(keptFile(store, { stream, run }), keptRecord);
  return kept?.id === id ? kept : undefined;
}

/** A build of the index; undefined where its run is not known here. Damaged metadata are passed over. */
export async function storedBuild(
  store: Store,
  stream: string,
  { id, arches }: BuildIndex['builds'][number],
  onDamaged: OnDamaged = () => undefined,
): Promise<StoredBuild | undefined> {
  const run = await store.runOf(stream, id);
  if (run === undefined) return undefined;
  const own = { stream, run };
  const metas = await Promise.all(
    arches.map((arch) =>
      readJson(join(store.archDir(own, arch), 'build', 'meta.json'), buildMeta).catch(
        unlessDamaged(onDamaged),
      ),
    ),
  );
  return { id, run: own, metas: metas.filter((meta) => meta !== undefined) };
}

/**
 * The builds of an index that are known here, newest first. Default: of the stored index. Metadata that are damaged are told and passed
 * over; a damaged index is StoreDamaged.
 */
export async function storedBuilds(
  store: Store,
  stream: string,
  { index, onDamaged }: { index?: BuildIndex | undefined; onDamaged?: OnDamaged } = {},
): Promise<StoredBuild[]> {
  const { builds = [] } = index ?? (await storedIndex(store, stream)) ?? {};
  const found = await Promise.all(builds.map((entry) => storedBuild(store, stream, entry, onDamaged)));
  return found.filter((build) => build !== undefined);
}
