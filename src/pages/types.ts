/** What the pages are rendered from. */
import type { Lockfile } from '../domain/lockfile.js';
import type { BootTestResult, BuildMeta } from '../domain/metadata.js';
import type { Stream } from '../domain/stream.js';

/** What the boot tests of a build came to. */
export type Outcome = BootTestResult['outcome'] | 'untested';

/** A stream as its pages show it. */
export interface StreamFacts extends Pick<Stream, 'name' | 'title' | 'description' | 'ref' | 'osname'> {
  /** Where readers find the stream's root: the publish target's address. */
  readonly url: string;
  /** Link from the stream's root to the instance page, such as `../../index.html`, where there is one. */
  readonly home?: string | undefined;
}

export interface StreamEntry {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Link to the stream's pages, relative to the instance page, such as `buildlogs/sample/index.html`. */
  readonly url: string;
  readonly latest?:
    { readonly id: string; readonly timestamp: string; readonly outcome: Outcome } | undefined;
}

export interface InstanceInput {
  /** ISO 8601, UTC. */
  readonly generated: string;
  readonly streams: readonly StreamEntry[];
}

export interface StreamInput {
  /** ISO 8601, UTC. */
  readonly generated: string;
  readonly stream: StreamFacts;
  /** Newest build first, one entry per architecture. */
  readonly builds: readonly (readonly BuildMeta[])[];
}

export interface BuildInput {
  readonly stream: StreamFacts;
  readonly meta: BuildMeta;
  readonly lockfile: Lockfile;
  /** Id of the published build before this one, of the same architecture. */
  readonly previous?: string | undefined;
  /** Id of the published build after this one, of the same architecture. */
  readonly next?: string | undefined;
}
