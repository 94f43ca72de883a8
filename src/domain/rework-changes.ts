/** How the inputs of a reworked attempt, or of a security release, differ from those of the accepted build. */
import { z } from 'zod';
import { packageName } from './names.js';

export const reworkChanges = z.strictObject({
  /** Package versions to take instead: name to `[epoch:]version-release.arch`, as the stream's repos have them. */
  pin: z.record(
    packageName,
    z.string().regex(/^[\w.:+~^-]+$/, { error: 'write [epoch:]version-release.arch' }),
  ),
  /** Packages to leave out. */
  drop: z.array(packageName),
  /** Whose treefile and stream file: the accepted build's, or as they are now (also for image settings). */
  files: z.enum(['accepted', 'current']),
});
export type ReworkChanges = z.infer<typeof reworkChanges>;

/** Nothing is changed: the accepted inputs. */
export const isEmpty = ({ pin, drop, files }: ReworkChanges): boolean =>
  Object.keys(pin).length === 0 && drop.length === 0 && files === 'accepted';

/** The same text for changes that are the same. */
export const changesText = ({ pin, drop, files }: ReworkChanges): string =>
  JSON.stringify([Object.entries(pin).sort(([a], [b]) => (a < b ? -1 : 1)), [...drop].sort(), files]);
