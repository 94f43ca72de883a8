/** How the workflows of promotion are addressed and what is said to them; free of workflow code, so that clients may import it. */
import { z } from 'zod';
import { buildId } from '../../domain/build-id.js';
import { caseId } from '../../domain/names.js';
import type { Promotion } from '../../domain/promotion.js';
import { reworkChanges } from '../../domain/rework-changes.js';
import { affecting } from '../../domain/shapes.js';

/** The long-lived workflow of a stream. */
export const streamId = (stream: string) => `stream/${stream}`;
/** One promotion of a build. */
export const promotionId = (stream: string, build: string) => `promotion/${stream}/${build}`;
/** The release of a build. */
export const releaseId = (stream: string, build: string) => `release/${stream}/${build}`;
/** One attempt at the signed rebuild of an accepted build. */
export const rebuildId = (stream: string, build: string, attempt: number) =>
  `rebuild/${stream}/${build}/${attempt}`;
/** Of the runs of a line, the one that publishes. */
export const publicationId = (line: string) => `publication/${line}`;
/** The return from a release to the one before. */
export const rollbackId = (stream: string, build: string) => `rollback/${stream}/${build}`;
/** The scheduled look at the cadence: proposes a candidate, reminds. */
export const candidateId = (stream: string) => `candidate/${stream}`;

/** The scheduled look for advisories. */
export const watchId = (stream: string) => `watch/${stream}`;
/** A security case, from its opening to its release. */
export const securityId = (stream: string, id: string) => `security/${stream}/${id}`;
/** One build of a security case. */
export const fixId = (stream: string, id: string, attempt: number) => `fix/${stream}/${id}/${attempt}`;

/**
 * Limit of one workflow task of a workflow that lives for months: a crowded machine may miss Temporal's own, 10 s, again and again while it
 * replays a history. It is also how long such a workflow waits after its worker died within a task.
 */
export const workflowTaskTimeout = '30 seconds';

/** Argument of the signal `promote` and the update `promote`. */
export const promoteRequest = z.object({
  build: buildId,
  /** Clear-signed statement of an approver; without it the build is only proposed. */
  statement: z.string().optional(),
  /** Who proposes, for a proposal without a statement, such as `schedule`. */
  by: z.string().max(200).optional(),
});
export type PromoteRequest = Readonly<z.infer<typeof promoteRequest>>;

/** Argument of the signal `decide` and the update `decide`: every other decision. */
export const decideRequest = z.object({
  /** Clear-signed statement. */
  statement: z.string(),
});
export type DecideRequest = Readonly<z.infer<typeof decideRequest>>;

/** Argument of the signal `advisories`, from the watch: each opens a case unless one knows it, or joins one that still waits for more. */
export const advisoriesFound = z.object({ found: z.array(affecting).max(1000).readonly() });
export type AdvisoriesFound = Readonly<z.infer<typeof advisoriesFound>>;

/** Argument of the update `retry`: once more what failed, or goes on with what waits for a person. */
export const retryRequest = z.object({
  /** A build, or the id of a security case. */
  build: z.union([buildId, caseId], { error: 'write a build id or the id of a security case' }),
  /** For an announcement in doubt: was the mail sent, or shall it go again? */
  mail: z.enum(['sent', 'again']).optional(),
});
export type RetryRequest = Readonly<z.infer<typeof retryRequest>>;

/** Argument of the update `checkRework`: could an attempt be made with these changes? Nothing is decided by it. */
export const reworkRequest = z.object({ build: buildId, changes: reworkChanges });
export type ReworkRequest = Readonly<z.infer<typeof reworkRequest>>;

/** Answer of the updates. They fail with StatementRefused or BuildNotReleasable. */
export interface Answer {
  /** One line for people: what was accepted and what comes next. */
  readonly message: string;
  readonly promotion?: Promotion;
}
