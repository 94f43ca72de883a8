/** How releases and rollbacks are started. */
import { z } from 'zod';
import { buildId } from '../../domain/build-id.js';
import { attempt, name } from '../../domain/names.js';
import { caseToRelease } from '../decisions/security-messages.js';

/** Of every release. Who approved is told by the signed statements alone. */
const common = {
  stream: name,
  /** What readers get: of a rebuild the signed build. */
  build: buildId,
  /** The release that the approvals were given on; null before the first. */
  onto: buildId.nullable(),
};

/** Input of `release/<stream>/<build>`: what is released, and by which decision. */
export const releaseInput = z.discriminatedUnion('kind', [
  /** A promoted build as it is. */
  z.object({ ...common, kind: z.literal('copy') }),
  /** A signed rebuild. */
  z.object({
    ...common,
    kind: z.literal('rebuild'),
    /** The accepted build, which the decision is about. */
    accepted: buildId,
    /** The attempt that has made the signed build. */
    attempt,
  }),
  /** The build of a security case, whose approvals count. */
  z.object({
    ...common,
    kind: z.literal('fix'),
    fix: caseToRelease,
    /** Are releases of the stream signed rebuilds? */
    signed: z.boolean(),
  }),
]);
export type ReleaseInput = Readonly<z.infer<typeof releaseInput>>;

/** Input of `rollback/<stream>/<build>`. */
export const rollbackInput = z.object({
  stream: name,
  /** The release that is taken back. */
  build: buildId,
  /** The release to return to. */
  to: buildId,
  reason: z.string().optional(),
});
export type RollbackInput = Readonly<z.infer<typeof rollbackInput>>;
