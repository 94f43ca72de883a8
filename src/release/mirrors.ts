/** Mirrors of the mirror: which of them serve what it serves. */
import type { Host } from '../host.js';
import { Failure } from '../domain/failures.js';
import type { Stream } from '../domain/stream.js';
import { releasePlace } from '../publish/repo.js';
import { fetchPublished, readPlaced } from '../publish/readers.js';
import type { Step } from '../steps/step.js';

export interface MirrorState {
  /** Addresses. */
  readonly serving: readonly string[];
  /** Those that serve something else, or do not answer: address and reason. */
  readonly behind: readonly string[];
}

/** Looks at each mirror once. One that is away is behind. Fails with TargetUnreachable if the mirror itself is away. */
export async function lookAtMirrors(step: Step, host: Host, stream: Stream): Promise<MirrorState> {
  const { target } = releasePlace(host, stream);
  const names = ['summary', 'summary.sig'] as const;
  const own = await Promise.all(names.map((name) => readPlaced(step, target, `repo/${name}`)));
  const mirrors = stream.release?.rebuild?.mirrors ?? [];
  const found = await Promise.all(
    mirrors.map(async (url) => {
      try {
        const theirs = await Promise.all(names.map((name) => fetchPublished(step, { url }, name)));
        if (theirs.some((content) => content === undefined)) return `${url} (has no summary)`;
        return theirs.every((content, place) => own[place]?.content.equals(content ?? Buffer.of()))
          ? undefined
          : `${url} (an older summary)`;
      } catch (error) {
        if (error instanceof Failure && error.code === 'TargetUnreachable') return `${url} (does not answer)`;
        throw error;
      }
    }),
  );
  return {
    serving: mirrors.filter((_, place) => found[place] === undefined),
    behind: found.filter((why) => why !== undefined),
  };
}
