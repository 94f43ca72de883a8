/** What the page of a stream's security is made of. */
import type { Host } from '../activities/host.js';
import type { ReleaseIndex } from '../domain/release.js';
import type { Stream } from '../domain/stream.js';
import type { SecurityInput } from '../pages/types.js';
import type { Step } from '../steps/step.js';
import type { StreamKnowledge } from './public-view.js';
import { currentRelease } from './release-index.js';

/** Releases on the page. */
const listed = 12;

/** `known` is what `publicView` has left. Reads the lockfiles of the newest releases. */
export async function securityFacts(
  _step: Step,
  _host: Host,
  _stream: Stream,
  index: ReleaseIndex,
  { view, watch, fixes }: StreamKnowledge,
): Promise<Omit<SecurityInput, 'generated' | 'stream'>> {
  const current = currentRelease(index)?.version;
  const releases = index.releases
    .slice(-listed)
    .reverse()
    .map(({ version: build, treeline: { released } }) => ({
      ...{ build, released, current: build === current },
      lacks: undefined,
    }));
  return Promise.resolve({ cases: view.security ?? [], watch, fixes, releases });
}
