/** What is known of promotions and security cases, as schemas: for whatever takes in what others say of them. */
import { z } from 'zod';
import { buildId } from './build-id.js';
import { srpms } from './decisions/decision.js';
import {
  advisoryId,
  architecture,
  attempt,
  caseId,
  lineName,
  nonce,
  packageName,
  packageVersion,
  prose,
  sha256,
} from './names.js';
import type {
  Approval,
  Attempt,
  DecisionRecord,
  Promotion,
  Released,
  StreamView,
  TestReport,
  Vote,
} from './promotion.js';
import {
  bySeverity,
  type Affecting,
  type CaseTimes,
  type Fix,
  type FixPlan,
  type PlannedChange,
  type SecurityAdvisory,
  type SecurityCase,
} from './security.js';
import { reworkChanges } from './rework-changes.js';
import { rebuildDecisions } from './statement.js';

/** A schema for each field of `T`, also of the optional ones: a field that is forgotten here would be dropped. */
export type Shape<T> = { readonly [K in keyof T]-?: z.ZodType<T[K]> };
const of =
  <T>() =>
  (shape: Shape<T>) =>
    z.object(shape) as unknown as z.ZodType<T, T>;

/** Text of Treeline's own, or of a person. */
const text = z.string();
export const word = z.string().max(1000);
/** ISO 8601, UTC. */
const time = z.string().max(50);
const count = z.int().min(0);
const list = <T extends z.ZodType>(one: T) => z.array(one).max(10_000);

/** Commits by architecture. */
export const commitsByArch = z.record(
  z.string().refine((key) => architecture.safeParse(key).success, {
    error: `write one of ${architecture.options.join(', ')}`,
  }),
  sha256,
);

export const advisory = of<SecurityAdvisory>()({
  id: advisoryId,
  title: prose,
  severity: z.enum(bySeverity),
  cves: z.array(advisoryId).max(1000),
  issued: z.string().max(50).optional(),
  source: z.string().max(5000),
});
export const fix = of<Fix>()({
  name: packageName,
  evr: packageVersion,
  advisories: z.array(advisoryId).max(1000),
});
export const affecting = of<Affecting>()({ advisory, fixes: z.array(fix).max(1000) });

const plannedChange = of<PlannedChange>()({
  name: word,
  from: word.nullable(),
  to: word.nullable(),
  why: z.enum(['fix', 'needed']),
});
export const fixPlan = of<FixPlan>()({
  base: buildId,
  commits: commitsByArch,
  changes: reworkChanges,
  packages: list(plannedChange),
});

const approvalShape = { approver: word, fingerprint: word, nonce, at: time } satisfies Shape<Approval>;
export const approval = of<Approval>()(approvalShape);
const vote = of<Vote>()({
  ...approvalShape,
  onto: buildId.nullable(),
  signed: buildId.optional(),
  reuse: z.boolean().optional(),
  changes: reworkChanges.optional(),
  reason: text.optional(),
});

export const attempted = of<Attempt>()({
  number: attempt,
  kind: z.enum(['first', 'redo', 'rework']),
  reuse: z.boolean().optional(),
  changes: reworkChanges.optional(),
  state: z.enum(['running', 'differs', 'testing', 'failed', 'cancelled']),
  began: time,
  ended: time.optional(),
  build: buildId.optional(),
  commits: commitsByArch.optional(),
  note: text.optional(),
});

const testReport = of<TestReport>()({
  build: buildId,
  by: word,
  result: z.enum(['pass', 'fail']),
  note: text.optional(),
  at: time,
});

export const promotion = of<Promotion>()({
  build: buildId,
  phase: z.enum([
    ...(['proposed', 'rebuilding', 'deciding', 'ready', 'releasing', 'failed'] as const),
    ...(['released', 'rejected', 'withdrawn', 'expired', 'abandoned', 'superseded'] as const),
  ]),
  proposedBy: word,
  proposedAt: time,
  onto: buildId.nullable(),
  approvals: list(approval),
  needed: count,
  missing: list(word),
  expires: time,
  note: text.optional(),
  judgedTo: time.optional(),
  reports: list(testReport).optional(),
  reportsNeeded: count.optional(),
  unfixed: list(caseId).optional(),
  attempts: list(attempted).optional(),
  attemptsBefore: count.optional(),
  votes: z.partialRecord(z.enum(rebuildDecisions), list(vote)).optional(),
  votesNeeded: z.record(z.enum(rebuildDecisions), count).optional(),
});

const caseTimes = of<CaseTimes>()({
  published: time.optional(),
  detected: time,
  planned: time.optional(),
  approved: time.optional(),
  built: time.optional(),
  released: time.optional(),
});
export const securityCase = of<SecurityCase>()({
  id: caseId,
  phase: z.enum([
    ...(['joining', 'building', 'waiting', 'differs', 'ready', 'releasing', 'failed'] as const),
    ...(['released', 'dismissed', 'fixed'] as const),
  ]),
  openedBy: word,
  advisories: list(advisory),
  fixes: list(fix),
  srpms: srpms.optional(),
  embargoed: z.boolean(),
  attempt: count,
  plan: fixPlan.optional(),
  build: buildId.optional(),
  buildCommits: commitsByArch.optional(),
  approvals: list(approval),
  needed: count,
  missing: list(word),
  times: caseTimes,
  judgedTo: time.optional(),
  note: text.optional(),
});

const released = of<Released>()({
  build: buildId,
  accepted: buildId.optional(),
  at: time,
  commits: commitsByArch,
  rolledBack: z.object({ at: time, to: buildId, reason: text.optional() }).optional(),
});
const decided = of<DecisionRecord>()({
  at: time,
  decision: word,
  build: word,
  by: word,
  fingerprint: word.optional(),
  nonce: word.optional(),
  reason: text.optional(),
  refused: text.optional(),
  case: word.optional(),
});
export const streamView = of<StreamView>()({
  stream: lineName,
  current: buildId.nullable(),
  promotions: list(promotion),
  inWork: z.union([buildId, z.literal('')]).nullable(),
  released: list(released),
  vetoes: list(z.object({ build: buildId, by: word, fingerprint: word })),
  security: list(securityCase).optional(),
  attempted: z.record(buildId, count).optional(),
  history: list(decided),
  refused: list(text).optional(),
});
