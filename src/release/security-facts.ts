/** What the page of a stream's security is made of. */
import type { Host } from '../host.js';
import { Failure } from '../domain/failures.js';
import type { ReleaseIndex } from '../domain/release.js';
import type { Lack, ReleasedFix } from '../domain/security.js';
import type { Stream } from '../domain/stream.js';
import type { ReleaseLacks, SecurityInput } from '../pages/types.js';
import { lackingIn } from '../store/released-fixes.js';
import type { Step } from '../steps/step.js';
import { packageSetsOf } from '../store/lockfiles.js';
import type { StreamKnowledge } from './public-view.js';
import { currentRelease } from '../store/releases.js';

/** Releases on the page. */
const listed = 12;

/** `known` is what `publicView` has left. Reads the lockfiles of the newest releases. */
export async function securityFacts(
  step: Step,
  host: Host,
  stream: Stream,
  index: ReleaseIndex,
  { view, watch, fixes }: StreamKnowledge,
): Promise<Omit<SecurityInput, 'generated' | 'stream'>> {
  const current = currentRelease(index)?.version;
  const releases: ReleaseLacks[] = [];
  for (const { version: build, treeline } of index.releases.slice(-listed).reverse()) {
    const lacks = await lacksOf(step, host, stream, build, fixes);
    releases.push({ build, released: treeline.released, current: build === current, lacks });
  }
  return { cases: view.security ?? [], watch, fixes, releases };
}

/** Undefined where the release's packages are not known, such as on a new builder. */
async function lacksOf(
  step: Step,
  { store }: Host,
  stream: Stream,
  build: string,
  fixes: readonly ReleasedFix[],
): Promise<Lack[] | undefined> {
  try {
    return await lackingIn(step, fixes, await packageSetsOf(store, stream, build));
  } catch (error) {
    if (error instanceof Failure && error.code === 'BuildNotReleasable') return undefined;
    throw error;
  }
}
