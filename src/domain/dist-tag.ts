/** Versions that differ by their dist tag only: what a rebuild may change about a package. Pure. */
import { releaseFits } from './rebuild.js';

export interface Evra {
  /** `0` for none. */
  readonly epoch: string;
  readonly version: string;
  readonly release: string;
  readonly arch: string;
}

/** The parts of `[epoch:]version-release.arch`; undefined for a text that is none. */
export function parseEvra(text: string): Evra | undefined {
  const {
    epoch = '0',
    version,
    release,
    arch,
  } = /^(?:(?<epoch>\d+):)?(?<version>[^-:]+)-(?<release>[^-:]+)\.(?<arch>\w+)$/.exec(text)?.groups ?? {};
  return version === undefined || release === undefined || arch === undefined
    ? undefined
    : { epoch, version, release, arch };
}

/** The same epoch, version and architecture, and the same release but for the dist tag? */
export function sameEvra(accepted: string, rebuilt: string, disttag: string): boolean {
  const [old, fresh] = [parseEvra(accepted), parseEvra(rebuilt)];
  return (
    old !== undefined &&
    fresh !== undefined &&
    old.epoch === fresh.epoch &&
    old.version === fresh.version &&
    old.arch === fresh.arch &&
    releaseFits(old.release, fresh.release, disttag)
  );
}

/** The same, of two names of source packages (`name-version-release.src.rpm`). */
export function sameSource(accepted: string, rebuilt: string, disttag: string): boolean {
  const [old, fresh] = [accepted, rebuilt].map((file) => /^(.+-[^-]+)-([^-]+)\.src\.rpm$/.exec(file));
  return (
    old?.[1] !== undefined && old[1] === fresh?.[1] && releaseFits(old[2] ?? '', fresh[2] ?? '', disttag)
  );
}
