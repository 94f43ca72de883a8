/** The kinds of publish targets. */
import type { Target } from '../../domain/stream.js';
import { rsyncTarget } from './rsync.js';
import type { PublishTarget } from './target.js';

interface TargetKind {
  /** Does it serve this location? */
  readonly serves: (location: string) => boolean;
  readonly open: (target: Target) => PublishTarget;
}
const kinds: readonly TargetKind[] = [rsyncTarget];

/** A target as the stream file has it. */
export function publishTo(target: Target): PublishTarget {
  const kind = kinds.find(({ serves }) => serves(target.location));
  if (!kind) throw new TypeError(`${target.location}: no kind of target serves this location`);
  return kind.open(target);
}
