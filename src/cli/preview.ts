/** What a person sees before they sign a promotion. */
import type { Lockfile } from '../domain/lockfile.js';
import type { BuildMeta } from '../domain/metadata.js';
import { formatBytes } from '../domain/units.js';
import { lockfileOf } from '../store/lockfiles.js';
import type { Store } from '../store/store.js';
import { findBuild } from './builds.js';
import { paint, printTable } from './output.js';

export interface PackageRow {
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly from: string;
  readonly to: string;
}

/** How two lockfiles differ, by name. Which of two versions is the newer one is not judged here. */
export function changedPackages(former: Lockfile, now: Lockfile): PackageRow[] {
  const names = [...new Set([...Object.keys(former.packages), ...Object.keys(now.packages)])].sort();
  return names.flatMap((name): PackageRow[] => {
    const [from, to] = [former.packages[name], now.packages[name]];
    if (from?.evra === to?.evra && from?.digest === to?.digest) return [];
    const change = from === undefined ? 'added' : to === undefined ? 'removed' : 'changed';
    return [{ name, change, from: from?.evra ?? '', to: to?.evra ?? '' }];
  });
}

/** Prints commits, images, tests and package changes of a build that would replace the release `onto`. */
export async function showPromotion(
  store: Store,
  stream: string,
  build: string,
  onto: string | null,
): Promise<void> {
  const { metas } = await findBuild(store, `${stream}/${build}`);
  const replaces = onto === null ? 'the first release' : `replaces the release ${onto}`;
  console.log(paint('bold', `${stream} ${build}: ${replaces}`));
  for (const meta of metas) {
    console.log(`\n${meta.architecture}  commit ${meta['ostree-commit']}  made ${meta['ostree-timestamp']}`);
    showImages(meta);
    await showPackages(store, stream, meta, onto);
  }
  console.log();
}

export function showImages({ images, treeline }: BuildMeta): void {
  if (Object.keys(images).length === 0) return console.log('no images');
  printTable(
    ['IMAGE', 'FILE', 'SIZE', 'BOOT TEST'],
    Object.entries(images).map(([kind, { path, size }]) => {
      const test = treeline.tests.boot[kind];
      const attempts = test && test.attempts.length > 1 ? ` (${test.attempts.length} attempts)` : '';
      return [kind, path, formatBytes(size), test ? `${test.outcome}${attempts}` : 'not tested'];
    }),
  );
}

export async function showPackages(
  store: Store,
  stream: string,
  meta: BuildMeta,
  onto: string | null,
): Promise<void> {
  const { architecture, buildid, treeline } = meta;
  if (onto === null)
    return console.log(`${treeline.packages} packages, all new: there is no release before it`);
  const [former, now] = await Promise.all([
    lockfileOf(store, stream, onto, architecture),
    lockfileOf(store, stream, buildid, architecture),
  ]);
  if (!former || !now)
    return console.log(`package changes are not known: the lockfile of ${former ? buildid : onto} is gone`);
  const rows = changedPackages(former, now);
  if (rows.length === 0) return console.log(`the same packages as ${onto}`);
  console.log(`${rows.length} ${rows.length === 1 ? 'package differs' : 'packages differ'} from ${onto}:`);
  printTable(
    ['PACKAGE', 'CHANGE', 'RELEASED', 'NEW'],
    rows.map(({ name, change, from, to }) => [name, change, from, to]),
  );
}
