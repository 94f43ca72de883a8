/** A source package that was rebuilt, and when its packages are those that were accepted. */
import { z } from 'zod';

/** A source package of an accepted build. */
export interface SourcePackage {
  /** File name of the SRPM, `<name>-<version>-<release>.src.rpm`. */
  readonly srpm: string;
  /** `sha256:<hex>` of the SRPM. */
  readonly digest: string;
  /** Packages of the accepted lockfile that must come out of it. `evr`: `[epoch:]version-release`, with whatever dist tag. */
  readonly packages: readonly { readonly name: string; readonly evr: string; readonly arch: string }[];
  /** Are all of its packages `noarch`? */
  readonly noarch: boolean;
}

export const rebuiltPackage = z.object({
  name: z.string(),
  /** `[epoch:]version-release`, as the RPM itself says. */
  evr: z.string(),
  arch: z.string(),
  /** Name of the RPM's file. */
  file: z.string(),
  /** `sha256:<hex>` of the file. */
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  /** Bytes. */
  size: z.int(),
});
export type RebuiltPackage = z.infer<typeof rebuiltPackage>;

/** `result.json` of a rebuilt source package, beside its RPMs; written last. */
export const rebuiltSource = z.object({
  srpm: z.string(),
  /** Host name of the builder, as it says itself; empty where it does not. */
  builder: z.string(),
  /** Of the results: `YYYYMMDDHHMMSS` by the builder's clock. */
  timestamp: z.string(),
  /** The folder of the results. */
  url: z.string(),
  /** URL of build.log. */
  log: z.string(),
  /** How often it was submitted. */
  tries: z.int().min(1),
  /** The source RPM that the build system made of it, with the release of the rebuild, beside its packages. */
  source: z.object({ file: z.string(), digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) }),
  packages: z.array(rebuiltPackage),
});
export type RebuiltSource = z.infer<typeof rebuiltSource>;

/** `[epoch:]version-release` in its parts; epoch 0 is the same as none. */
export function splitEvr(evr: string): { epoch: string; version: string; release: string } {
  const [, epoch = '0', version = '', release = ''] = /^(?:(\d+):)?(.*)-([^-]*)$/.exec(evr) ?? [];
  return { epoch, version, release };
}

/** What distributions put for `%{?dist}`: `.el7`, `.el7_4`, `.el7.centos`, `.fc27`. */
const distTag = /^(\.[A-Za-z][A-Za-z0-9_]*)*$/;
const wellKnown = /\.(el|fc)\d/;

/**
 * Is `rebuilt` what becomes of the accepted release when it is built with `dist` set to `disttag`? A spec has it anywhere in its release
 * (`1%{?dist}`, `1%{?dist}.2`) or not at all, so: the same text with the dist tag in the place of another or of none; or the very
 * same release, unless that has the tag of another distribution.
 */
export function releaseFits(accepted: string, rebuilt: string, disttag: string): boolean {
  if (rebuilt === accepted) return accepted.includes(disttag) || !wellKnown.test(accepted);
  for (let at = rebuilt.indexOf(disttag); at >= 0; at = rebuilt.indexOf(disttag, at + 1)) {
    const [before, after] = [rebuilt.slice(0, at), rebuilt.slice(at + disttag.length)];
    // Not from the middle of a longer tag: `.el7_4` is not in `.el7_42`.
    if (!/^(\.|$)/.test(after) || !accepted.startsWith(before) || !accepted.endsWith(after)) continue;
    if (accepted.length < before.length + after.length) continue;
    if (distTag.test(accepted.slice(before.length, accepted.length - after.length))) return true;
  }
  return false;
}

/** Do epoch and version stay the same, and does the release fit? */
export function evrFits(accepted: string, rebuilt: string, disttag: string): boolean {
  const [a, r] = [splitEvr(accepted), splitEvr(rebuilt)];
  if (a.version === '' || a.epoch !== r.epoch || a.version !== r.version) return false;
  return releaseFits(a.release, r.release, disttag);
}
