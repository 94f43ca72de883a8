/** The packages of a signed rebuild: `packages.json`, and how they may differ from those that were approved. */
import { z } from 'zod';
import type { LockedPackage, Lockfile } from './lockfile.js';
import type { ReworkChanges } from './rework-changes.js';

export const rebuildPackage = z.object({
  /** File name in `packages/`: `<name>-<evra>.rpm`. */
  file: z.string(),
  /** `[epoch:]version-release.arch` */
  evra: z.string(),
  /** `sha256:<hex>` of the file as it is in `packages/`, its signature with it. */
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  /** `rebuilt` in the build system and signed by us, or the `accepted` file itself. */
  origin: z.enum(['rebuilt', 'accepted']),
  /** Of a rebuilt one: `evra` of the package that was accepted, which counts where versions are compared with those of repos. */
  accepted: z.string().optional(),
  /** Fingerprint of the key that a rebuilt one is signed with: 40 hex digits, upper case. */
  key: z.string().optional(),
  /** File name of the source RPM. */
  sourcerpm: z.string().optional(),
  /** Of a rebuilt one: `sha256:<hex>` of the source RPM that was submitted to the build system. */
  source: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional(),
});
export type RebuildPackage = z.infer<typeof rebuildPackage>;

/** `packages.json`, by package name. */
export const rebuildPackages = z.record(z.string(), rebuildPackage);
export type RebuildPackages = z.infer<typeof rebuildPackages>;

/**
 * What a package counts as where versions are compared with those of repos and advisories: a rebuilt one as the package that it was
 * rebuilt for, since its own dist tag says nothing about repos. `accepted`: the run's `accepted.json`, for records of before they had it.
 */
export function comparedEvra(
  name: string,
  { evra }: Pick<LockedPackage, 'evra'>,
  records: RebuildPackages | undefined,
  accepted: Lockfile | undefined,
): string {
  const of = <T>(all: Readonly<Record<string, T>> | undefined) =>
    all && Object.hasOwn(all, name) ? all[name] : undefined;
  const record = of(records);
  if (record?.origin !== 'rebuilt') return evra;
  return record.accepted ?? of(accepted?.packages)?.evra ?? evra;
}

/** `rebuild.json` of a signed rebuild's run: the accepted build, and which attempt at it this is. */
export const rebuildRecord = z.object({ accepted: z.string(), attempt: z.int() });

/** `accepted-run.json`: the nightly build that is redone. */
export const acceptedRun = z.object({
  stream: z.string(),
  run: z.string(),
  build: z.string(),
  commit: z.string().regex(/^[0-9a-f]{64}$/),
});
export type AcceptedRun = z.infer<typeof acceptedRun>;

/**
 * What `accepted` has other than `approved`, but for `changes`: a line each, for people. Empty where all is as it was approved. A rework
 * with the current files may add packages, which the stream's repos then vouch for.
 */
export function lockfileDrift(
  approved: Lockfile,
  accepted: Lockfile,
  changes: ReworkChanges | undefined,
): string[] {
  const lines: string[] = [];
  const names = new Set([...Object.keys(approved.packages), ...Object.keys(accepted.packages)]);
  for (const name of [...names].sort()) {
    const [old, fresh] = [approved.packages[name], accepted.packages[name]];
    const pinned = changes && Object.hasOwn(changes.pin, name) ? changes.pin[name] : undefined;
    if (changes?.drop.includes(name)) {
      if (fresh) lines.push(`${name}: is there, although it was dropped`);
    } else if (pinned !== undefined) {
      if (fresh?.evra !== pinned)
        lines.push(`${name}: is ${fresh?.evra ?? 'not there'}, pinned to ${pinned}`);
    } else if (!old) {
      if (changes?.files !== 'current') lines.push(`${name}: ${fresh?.evra ?? ''} was not approved`);
    } else if (!fresh) {
      if (changes?.files !== 'current') lines.push(`${name}: ${old.evra} is missing`);
    } else {
      const differs = (['evra', 'digest', 'sourcerpm', 'repo'] as const).filter(
        (key) => old[key] !== fresh[key],
      );
      if (differs.length > 0)
        lines.push(
          `${name}: ${differs.map((key) => `${key} ${fresh[key] ?? 'none'}`).join(', ')} was not approved`,
        );
    }
  }
  return lines;
}

/** A list for a failure's message: the first few, and how many more there are. */
export const firstOf = (lines: readonly string[], most = 20): string =>
  lines.slice(0, most).join('; ') + (lines.length > most ? `; and ${lines.length - most} more` : '');
