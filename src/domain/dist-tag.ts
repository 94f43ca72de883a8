/** Versions that differ by their dist tag only: what a rebuild may change about a package. Pure. */

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

/** A dist tag as distributions have them (`.el7`, `.el7.centos`), or none at all. */
const anyDistTag = /^(\.[A-Za-z][A-Za-z0-9_]*)*$/;

/**
 * Is `rebuilt` the same release as `accepted`, but for the dist tag? `disttag` is that of the build system, such as `.el7_4`: it
 * stands where `accepted` has another dist tag or none. A release without any is the same as itself.
 */
export function sameRelease(accepted: string, rebuilt: string, disttag: string): boolean {
  if (accepted === rebuilt) return true;
  for (let at = rebuilt.indexOf(disttag); at >= 0; at = rebuilt.indexOf(disttag, at + 1)) {
    const [before, after] = [rebuilt.slice(0, at), rebuilt.slice(at + disttag.length)];
    if (
      accepted.length >= before.length + after.length &&
      accepted.startsWith(before) &&
      accepted.endsWith(after) &&
      anyDistTag.test(accepted.slice(before.length, accepted.length - after.length))
    )
      return true;
  }
  return false;
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
    sameRelease(old.release, fresh.release, disttag)
  );
}

/** The same, of two names of source packages (`name-version-release.src.rpm`). */
export function sameSource(accepted: string, rebuilt: string, disttag: string): boolean {
  const [old, fresh] = [accepted, rebuilt].map((file) => /^(.+-[^-]+)-([^-]+)\.src\.rpm$/.exec(file));
  return (
    old?.[1] !== undefined && old[1] === fresh?.[1] && sameRelease(old[2] ?? '', fresh[2] ?? '', disttag)
  );
}
