/** The pages of the release location: timeline, candidate, calendar, a page per release, the feed. */
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../host.js';
import type { ReleaseIndex } from '../domain/release.js';
import type { Stream } from '../domain/stream.js';
import { readKey } from '../keys/gpg.js';
import { writeReleasePages } from '../pages/write.js';
import { homeLink } from '../publish/pages.js';
import { isSplit, releasePlace } from '../publish/repo.js';
import { pushTree } from '../publish/push-tree.js';
import { releasedFixes } from '../store/released-fixes.js';
import { readWatch } from '../store/watch-record.js';
import type { Step } from '../steps/step.js';
import { writeJson, writeWhole, type Store } from '../store/store.js';
import { calendarOf } from './calendar.js';
import { notesOf, releaseOf } from './documents.js';
import { publicView, type StreamKnowledge } from './public-view.js';
import { currentRelease, readView, recalledView } from '../store/releases.js';
import { securityFacts } from './security-facts.js';
import { toFeed } from './texts/feed.js';

/** Rows of the calendar on the page. */
const [past, coming] = [6, 6];
/** Releases in the feed, and of these the ones whose pages are written again. */
const [listed, newest] = [50, 3];

/**
 * Writes and pushes the pages, the feed and, of a release by copy, `stream.json` as the index and the stream workflow's view say. `releases.json` itself
 * comes after them, from the caller. Idempotent: what a killed try of the same run left is replaced.
 */
export async function publishReleasePages(
  step: Step,
  host: Host,
  stream: Stream,
  run: string,
  index: ReleaseIndex,
): Promise<void> {
  const place = releasePlace(host, stream);
  const { files: target } = place;
  const { name, title, description, osname, ref, architectures, release } = stream;
  const known = publicView(await allKnown(host.store, name, index), index);
  const now = new Date();
  const current = currentRelease(index);
  const key = await readKey(step, stream.signingKey);
  const folder = join(host.store.releases(name), `pages-${run}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  try {
    await copyFile(stream.signingKey, join(folder, 'signing-key.asc'));
    const releases = await knownReleases(step, host, stream, index);
    // The newest ones gain links; one that was taken back gains its warning. The others stay as they are.
    const pages = releases.filter(
      ({ rolledBack }, place) => place >= releases.length - newest || rolledBack !== undefined,
    );
    const cadence = release?.cadence;
    const calendar = await calendarOf(step, host, stream, index, { now, past, coming });
    const home = homeLink(host, target);
    const shown = {
      ...{ name, title, description, osname, ref: release?.ref ?? ref, architectures, url: target.url },
      ...(isSplit(place) ? { repo: place.target.url } : {}),
      ...{ fingerprint: key.fingerprint, builds: stream.publish.buildlogs.url, home },
      testing: stream.publish.testing?.url,
      security: release?.security !== undefined,
    };
    await writeReleasePages(folder, {
      generated: now.toISOString(),
      stream: shown,
      index,
      view: { ...known.view, current: current?.version ?? null },
      approvers: release?.approvers.map((approver) => approver.name) ?? [],
      calendar,
      ...(cadence?.upstream ? { upstream: cadence.upstream.name } : {}),
      ...(release?.security ? { security: await securityFacts(step, host, stream, index, known) } : {}),
      pages,
    });
    await writeWhole(join(folder, 'releases.atom'), toFeed(releases, { title, url: target.url, name }));
    // Of two targets it is part of the switch: nothing else may write it.
    const metadata = current && !isSplit(place) && (await releaseOf(step, host, stream, current.version));
    if (metadata) await writeJson(join(folder, 'stream.json'), metadata);
    await pushTree(step, target, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function allKnown(store: Store, name: string, index: ReleaseIndex): Promise<StreamKnowledge> {
  const [view, watch, fixes] = await Promise.all([
    readView(store, name),
    readWatch(store, name),
    releasedFixes(store, name),
  ]);
  return { view: view ?? recalledView(name, undefined, index), watch, fixes };
}

/** The newest releases with their notes, oldest first. */
async function knownReleases(step: Step, host: Host, stream: Stream, { releases }: ReleaseIndex) {
  const known = [];
  for (const entry of releases.slice(-listed)) {
    const notes = await notesOf(step, host, stream, entry.version);
    if (!notes) continue;
    const next = releases[releases.indexOf(entry) + 1]?.version;
    known.push({ notes, entry, next, rolledBack: entry.treeline['rolled-back'] });
  }
  return known;
}
