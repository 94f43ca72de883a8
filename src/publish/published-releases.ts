/** The stream's `releases.json` as it is published. */
import { releaseIndex, type ReleaseIndex } from '../domain/release.js';
import { releaseTargets, type Stream } from '../domain/stream.js';
import type { Host } from '../host.js';
import { emptyReleases, storedReleases } from '../store/releases.js';
import { fetchPublished, pastCaches } from './readers.js';

/** `releases.json` as last published: this instance's record of it, or on a new builder what the release location has. */
export async function readReleases(host: Host, stream: Stream, signal: AbortSignal): Promise<ReleaseIndex> {
  const { name } = stream;
  const own = await storedReleases(host.store, name);
  if (own) return own;
  const files = releaseTargets(stream)?.files;
  const content = files && (await fetchPublished({ signal }, files, 'releases.json', pastCaches));
  return content === undefined
    ? emptyReleases(name)
    : releaseIndex.parse(JSON.parse(content.toString('utf8')));
}
