/** What the command line knows of releases: from the stream workflow if it answers, else from the build store. */
import type { Client } from '@temporalio/client';
import type { Promotion, Released } from '../domain/promotion.js';
import type { SecurityCase } from '../domain/security.js';
import { readView, releasedOf, storedReleases } from '../store/releases.js';
import type { Store } from '../store/store.js';
import { findBuild } from './builds.js';
import { needView } from './entity.js';
import { CliError, exitCodes } from './output.js';

export interface Known {
  /** The release that readers have now; null before the first. */
  readonly current: string | null;
  /** Newest first. */
  readonly released: readonly Released[];
  /** Open ones, oldest first. */
  readonly promotions: readonly Promotion[];
  /** Security cases, newest first. */
  readonly security?: readonly SecurityCase[] | undefined;
}

export async function knownReleases(
  store: Store,
  stream: string,
  client: Client | undefined,
): Promise<Known> {
  const view = client && (await needView(client, stream).catch(() => undefined));
  if (view) return view;
  const index = await storedReleases(store, stream);
  const released = index ? releasedOf(index) : [];
  const { promotions = [], security } = (await readView(store, stream)) ?? {};
  return { current: standing(released, 0) ?? null, released, promotions, security };
}

/** The release to which readers return from this one. */
export const formerRelease = ({ released }: Pick<Known, 'released'>, build: string): string | undefined =>
  standing(released, released.findIndex((release) => release.build === build) + 1);

/** What readers had once the release at this place was out: itself or, where it was taken back, what they were returned to. */
function standing(released: readonly Released[], place: number): string | undefined {
  const back = released[place]?.rolledBack;
  if (!back) return released[place]?.build;
  const to = released.findIndex(({ build }) => build === back.to);
  return to > place ? standing(released, to) : undefined;
}

/** Commits of a release or of a published build. Throws `CliError`. */
export async function commitsOf(
  store: Store,
  stream: string,
  build: string,
  { released }: Pick<Known, 'released'>,
): Promise<Readonly<Record<string, string>>> {
  const release = released.find((one) => one.build === build);
  if (release) return release.commits;
  const { metas } = await findBuild(store, `${stream}/${build}`);
  if (metas.length === 0)
    throw new CliError(`${stream} ${build}: its files are gone from the build store`, exitCodes.notFound);
  return Object.fromEntries(metas.map((meta) => [meta.architecture, meta['ostree-commit']]));
}
