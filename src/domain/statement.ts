/**
 * A signed statement: what a SIG member decides, in a form that can be signed (`gpg --clearsign` of the JSON text), checked and
 * kept. Who may decide is settled by its signature, not by who reaches Temporal.
 */
import { z } from 'zod';
import { buildId } from './build-id.js';
import { advisoryId, architecture, name, packageName, sha256 } from './names.js';

/** About a signed rebuild that an accepted build has become. */
export const rebuildDecisions = ['accept', 'release', 'redo', 'rework', 'abandon'] as const;
export type RebuildDecision = (typeof rebuildDecisions)[number];
/** About security releases: `fix` asks for one; the others are words on its case. */
export const fixDecisions = ['fix', 'approve-fix', 'accept-fix', 'dismiss-fix'] as const;
export type FixDecision = (typeof fixDecisions)[number];
export const decisions = [
  ...(['promote', 'approve', 'reject', 'withdraw', 'rollback', 'announce'] as const),
  ...rebuildDecisions,
  ...fixDecisions,
] as const;
export type Decision = (typeof decisions)[number];
export const isRebuildDecision = (decision: Decision): decision is RebuildDecision =>
  (rebuildDecisions as readonly string[]).includes(decision);

export const isFixDecision = (decision: Decision): decision is FixDecision =>
  (fixDecisions as readonly string[]).includes(decision);

/** Does a later word on an attempt end an earlier one of the same approver? An attempt that one accepts may still be redone, or released. */
export const contradicts = (later: RebuildDecision, earlier: RebuildDecision): boolean =>
  later !== earlier && later !== 'accept' && !(later === 'release' && earlier === 'accept');

/** How the inputs of a reworked attempt differ from those of the accepted build. */
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

/** What a person asks a security release for. */
export const fixRequest = z.strictObject({
  advisories: z.array(advisoryId).max(20),
  /** `name-[epoch:]version-release.arch`, as the stream's repos have them. */
  packages: z
    .array(z.string().regex(/^[A-Za-z0-9][\w.:+~^-]+$/, { error: 'write name-[epoch:]version-release.arch' }))
    .max(50),
  /** Is nothing of it shown or told in public before its release? */
  embargo: z.boolean(),
});
export type FixRequest = z.infer<typeof fixRequest>;

export const statement = z.strictObject({
  /** Format. */
  'treeline-statement': z.literal(1),
  stream: name,
  decision: z.enum(decisions),
  /** The build that is decided about; of a rollback: the release that is taken back; about a security release: the release it is made from. */
  build: buildId,
  /**
   * Of a decision about a signed rebuild: the attempt, counted from 1. Of `withdraw`: what is taken back is one's word on this attempt;
   * without it all that one has said of the build.
   */
  attempt: z.int().min(1).optional(),
  /** Of `release`: the signed build that the attempt has made. */
  signed: buildId.optional(),
  /** Of `redo` and `rework`: are signed packages taken from earlier attempts where their sources are the same? */
  reuse: z.boolean().optional(),
  /** Of `rework`; of `redo` those of the attempt that is redone, if it had any; of `approve-fix` those of the plan. */
  changes: reworkChanges.optional(),
  /** Of `fix`. */
  fix: fixRequest.optional(),
  /** Of `fix` and `approve-fix`: source RPMs that were given, sha256 by file name. */
  srpms: z
    .record(
      z.string().regex(/^[A-Za-z0-9][\w.+~^-]*\.src\.rpm$/, { error: 'a file name of a source RPM' }),
      sha256,
    )
    .optional(),
  /** Of `approve-fix`, `accept-fix`, `dismiss-fix`, and of a `withdraw` of these. */
  case: z
    .string()
    .regex(/^\d{8}-\d{1,4}$/)
    .optional(),
  /** Of `promote`, `approve` and `release`: ids of the security cases whose fixes the build lacks, and which is to be released all the same. */
  unfixed: z.array(z.string().regex(/^\d{8}-\d{1,4}$/)).optional(),
  /** Ostree commit per architecture: of the build; of `release` and `accept`: of the signed build; of `accept-fix`: of the case's build. */
  commits: z.partialRecord(architecture, sha256),
  /**
   * The release that was the newest when this was signed; null before the first. An approval counts only while it still is. Of a
   * rollback: the release to return to.
   */
  onto: buildId.nullable(),
  /** When it was made; ISO 8601, UTC. */
  time: z.iso.datetime(),
  /** 32 hex digits, never used twice. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  /** For people. */
  reason: z.string().max(500).optional(),
});
export type Statement = z.infer<typeof statement>;

/** The same text for changes that are the same. */
export const changesText = ({ pin, drop, files }: ReworkChanges): string =>
  JSON.stringify([Object.entries(pin).sort(([a], [b]) => (a < b ? -1 : 1)), [...drop].sort(), files]);

/** A statement whose signature and content were checked. */
export interface Verified {
  readonly statement: Statement;
  /** Name of the approver, as the stream file has it. */
  readonly approver: string;
  /** Primary key's fingerprint: 40 hex digits, upper case. */
  readonly fingerprint: string;
}

/** Largest signed statement that is looked at, in characters. */
export const maxStatement = 8192;
