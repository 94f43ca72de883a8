/** `packages.json` of a signed rebuild: every package of its tree, and whose signature it carries. */
import { z } from 'zod';

export const rebuildPackages = z.record(
  z.string(),
  z.object({
    /** File name in the run's `packages/`. */
    file: z.string(),
    /** `[epoch:]version-release.arch` */
    evra: z.string(),
    /** `sha256:<hex>` of that file. */
    digest: z.string(),
    /** `rebuilt`: from its source, signed with the stream's own key; `accepted`: as it was accepted. */
    origin: z.enum(['rebuilt', 'accepted']),
    /** Fingerprint of the key, for a rebuilt one. */
    key: z.string().optional(),
    sourcerpm: z.string().optional(),
  }),
);
export type RebuildPackages = z.infer<typeof rebuildPackages>;
