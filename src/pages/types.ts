/** What the pages are rendered from. */
import type { CadenceRow } from '../domain/cadence.js';
import type { Lockfile } from '../domain/lockfile.js';
import type { BootTestResult, BuildMeta } from '../domain/metadata.js';
import type { Architecture } from '../domain/names.js';
import type { StreamView } from '../domain/promotion.js';
import type { ReleaseEntry, ReleaseIndex, ReleaseNotes } from '../domain/release.js';
import type { Lack, ReleasedFix, SecurityCase } from '../domain/security.js';
import type { Stream } from '../domain/stream.js';
import type { ContentRecord } from '../rpm/content.js';
import type { WatchRecord } from '../store/watch-record.js';

/** What the boot tests of a build came to. */
export type Outcome = BootTestResult['outcome'] | 'untested';

/** A stream as its pages show it. */
export interface StreamFacts extends Pick<Stream, 'name' | 'title' | 'description' | 'ref' | 'osname'> {
  /** Where readers find the stream's root: the publish target's address. */
  readonly url: string;
  /** Link from the stream's root to the instance page, such as `../../index.html`, where there is one. */
  readonly home?: string | undefined;
  /** The stream's releases: http(s) address, or link from the stream's root such as `../../releases/sample/index.html`. */
  readonly releases?: string | undefined;
}

export interface StreamEntry extends Damaged {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Link to the stream's pages, relative to the instance page, such as `buildlogs/sample/index.html`. */
  readonly url: string;
  readonly latest?:
    { readonly id: string; readonly timestamp: string; readonly outcome: Outcome } | undefined;
}

/** Files of a stream that this instance finds damaged: which, and what is wrong. */
export interface Damaged {
  readonly problems?: readonly string[] | undefined;
}

export interface InstanceInput {
  /** ISO 8601, UTC. */
  readonly generated: string;
  readonly streams: readonly StreamEntry[];
}

export interface StreamInput extends Damaged {
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
  /** What is left out or changed; absent for a build that was not checked. */
  readonly content?: ContentRecord | undefined;
  /** Fixes of released security cases that it lacks. */
  readonly lacks?: readonly Lack[] | undefined;
}

/** A stream as its release pages show it: `ref` is the template of the release ref, `url` the release location. */
export interface ReleaseStreamFacts extends Omit<StreamFacts, 'releases'> {
  readonly architectures: readonly Architecture[];
  /** The signing key's: 40 hex digits. */
  readonly fingerprint: string;
  /** Where readers find the location of `repo/`, if it is not `url`. */
  readonly repo?: string | undefined;
  /** The folder of the build pages, without `index.html`: http(s) address, or link from the release location's root. */
  readonly builds?: string | undefined;
  /** Likewise the folder of the pages of signed builds that wait for a decision. */
  readonly testing?: string | undefined;
  /** Has it security releases, and with them a page of its security? */
  readonly security?: boolean | undefined;
}

export interface ReleasesInput {
  /** ISO 8601, UTC. */
  readonly generated: string;
  readonly stream: ReleaseStreamFacts;
  readonly index: ReleaseIndex;
  /** `view.current` names the release that readers have. */
  readonly view: StreamView;
  /** Names of all who may decide. */
  readonly approvers: readonly string[];
  /** Oldest first; empty for a stream without a cadence. */
  readonly calendar: readonly CadenceRow[];
  /** Name of the upstream whose builds the calendar names. Default `Upstream`. */
  readonly upstream?: string | undefined;
}

/** A release, and the fixes of later security releases that it lacks. */
export interface ReleaseLacks {
  readonly build: string;
  /** ISO 8601, UTC. */
  readonly released: string;
  /** Do readers have it now? */
  readonly current: boolean;
  /** Undefined where its packages are not known any more. */
  readonly lacks: readonly Lack[] | undefined;
}

/** All of it public: see `publicView`. */
export interface SecurityInput extends Pick<ReleasesInput, 'generated' | 'stream'> {
  /** Newest first. */
  readonly cases: readonly SecurityCase[];
  readonly watch: WatchRecord | undefined;
  readonly fixes: readonly ReleasedFix[];
  /** Newest first. */
  readonly releases: readonly ReleaseLacks[];
}

export interface ReleaseInput extends Pick<ReleaseStreamFacts, 'home' | 'builds'> {
  readonly notes: ReleaseNotes;
  /** The release after this one. */
  readonly next?: string | undefined;
  /** Set when the release was taken back. */
  readonly rolledBack?: ReleaseEntry['treeline']['rolled-back'];
}
