/** The packages of a signed rebuild: `packages.json`. */
import { z } from 'zod';

export const rebuildPackage = z.object({
  /** File name in `packages/`: `<name>-<evra>.rpm`. */
  file: z.string(),
  /** `[epoch:]version-release.arch` */
  evra: z.string(),
  /** `sha256:<hex>` of the file as it is in `packages/`, its signature with it. */
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  /** `rebuilt` in the build system and signed by us, or the `accepted` file itself. */
  origin: z.enum(['rebuilt', 'accepted']),
  /** Fingerprint of the key that a rebuilt one is signed with: 40 hex digits, upper case. */
  key: z.string().optional(),
  /** File name of the source RPM. */
  sourcerpm: z.string().optional(),
});
export type RebuildPackage = z.infer<typeof rebuildPackage>;

/** `packages.json`, by package name. */
export const rebuildPackages = z.record(z.string(), rebuildPackage);
export type RebuildPackages = z.infer<typeof rebuildPackages>;
