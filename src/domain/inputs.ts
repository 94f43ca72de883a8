/**
 * What activities take, as schemas: `asStep` checks every input by one of these before anything else is done with it. Ids are patterns
 * that can be no path, no option and no key of a prototype; what a schema does not know is dropped.
 */
import { z } from 'zod';
import { buildId } from './build-id.js';
import {
  architecture,
  attempt,
  caseId,
  kindName,
  lineName,
  packageName,
  packageVersion,
  prose,
  runId,
  sha256,
  srpmFile,
  stepId,
} from './names.js';
import type { StreamView } from './promotion.js';
import { runRecord } from './run.js';
import { question } from './statement.js';
import { advisory, fix } from './shapes.js';
import { srpms } from './decisions/decision.js';
import { reworkChanges } from './rework-changes.js';

export const runArgs = z.object({ stream: lineName, run: runId });

/** Every step's: whose step it is, and under which id it is logged. */
export const stepArgs = runArgs.extend({
  /** Id of the step: the activity's id in Temporal and the name of its log. */
  step: stepId,
});
export type StepArgs = Readonly<z.infer<typeof stepArgs>>;

export const archArgs = stepArgs.extend({ arch: architecture });
export type ArchStepArgs = Readonly<z.infer<typeof archArgs>>;

/** Commits by architecture. */
export const commits = z.partialRecord(architecture, sha256).readonly();

export const imageArgs = archArgs.extend({ kind: kindName, build: buildId, commit: sha256 });
export type ImageArgs = Readonly<z.infer<typeof imageArgs>>;

export const publishArgs = stepArgs.extend({ build: buildId, commits });
export type PublishArgs = Readonly<z.infer<typeof publishArgs>>;

/** A run's record: what it is filed under is checked as any run. */
export const filedRecord = runRecord.extend(runArgs.shape);

/** ISO 8601, UTC. */
export const time = z.iso.datetime();

export const fixes = z.array(fix).max(1000).readonly();

export const releaseArgs = stepArgs.extend({
  build: buildId,
  /** The release that readers have until now; null before the first. */
  onto: buildId.nullable(),
  /** The question that signed statements must have answered: the steps ask it themselves. */
  decided: question.readonly(),
  /** Of a signed rebuild, which `build` then is: the accepted build. */
  accepted: buildId.optional(),
  /** Of a security release. */
  security: z
    .object({ case: caseId, advisories: z.array(advisory).max(1000).readonly() })
    .readonly()
    .optional(),
});
export type ReleaseArgs = Readonly<z.infer<typeof releaseArgs>>;

export const caseArgs = stepArgs.extend({ case: caseId });
export const fixArgs = archArgs.extend({ case: caseId });
export type FixArgs = Readonly<z.infer<typeof fixArgs>>;

/** A key under which something is told once. */
export const tellKey = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,199}$/, { error: 'letters, digits, `_`, `.` and `-`' });

export const sigArgs = stepArgs.extend({
  /** Tells this news from others: it is mailed once under one key. */
  key: tellKey,
  subject: z.string().max(1000),
  /** Plain text. */
  text: prose,
  /** Kind of news, for webhooks. */
  event: z.string().regex(/^[a-z][a-z-]{0,39}$/),
  build: buildId.optional(),
  /** `security`: mailed to `release.security.to` alone, and no webhook is told. Default: the SIG. */
  audience: z.enum(['sig', 'security']).optional(),
});
export type SigArgs = Readonly<z.infer<typeof sigArgs>>;

/** What the security group approves. */
const fixApproval = z
  .object({
    case: caseId,
    /** The release that it is made from. */
    base: buildId,
    changes: reworkChanges,
    srpms: srpms.optional(),
  })
  .readonly();
export type FixApproval = z.infer<typeof fixApproval>;

export const approvedArgs = archArgs.extend({
  /** The accepted build. */
  build: buildId,
  /** The release that was the newest when it was promoted. */
  onto: buildId.nullable(),
  attempt,
  /** What was decided about the attempt before. */
  kind: z.enum(['first', 'redo', 'rework']).optional(),
  reuse: z.boolean(),
  changes: reworkChanges.optional(),
  /** Of a security case; `build` and `onto` are its base then. */
  fix: fixApproval.optional(),
});
export type ApprovedArgs = Readonly<z.infer<typeof approvedArgs>>;

/** See `SourcePackage` of the domain. */
const sourcePackage = z
  .object({
    srpm: srpmFile,
    digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    packages: z
      .array(
        z.object({ name: packageName, evr: packageVersion, arch: z.string().regex(/^\w{1,20}$/) }).readonly(),
      )
      .max(10_000)
      .readonly(),
    noarch: z.boolean(),
  })
  .readonly();

export const rebuildArgs = archArgs.extend({
  source: sourcePackage,
  /** Goes before reimzul's other jobs. */
  urgent: z.boolean().optional(),
});
export type RebuildArgs = Readonly<z.infer<typeof rebuildArgs>>;

/** Of a workflow of Treeline's, such as `release/sample/20261123_01`. */
export const workflowId = z.string().regex(/^[a-z][\w./-]{0,199}$/);

const some = <T extends z.ZodRawShape>(shape: T) => z.array(z.looseObject(shape)).max(10_000);
const viewed = z.looseObject({
  stream: lineName,
  current: buildId.nullable(),
  inWork: buildId.nullable(),
  promotions: some({ build: buildId, phase: z.string() }),
  released: some({ build: buildId, accepted: buildId.optional() }),
  vetoes: some({ build: buildId, by: z.string(), fingerprint: z.string() }),
  security: some({ id: caseId, phase: z.string() }).optional(),
  history: some({ at: z.string(), by: z.string() }),
});
/** What the stream workflow shows: all by which something is found, written or pruned is checked. */
export const streamView = z.custom<StreamView>(
  (value) => viewed.safeParse(value).success,
  'not a stream’s view',
);
