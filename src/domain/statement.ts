/**
 * A signed statement: what a SIG member decides, in a form that can be signed (`gpg --clearsign` of the JSON text), checked and
 * kept. Who may decide is settled by its signature, not by who reaches Temporal.
 */
import { z } from 'zod';
import { buildId } from './build-id.js';
import { architecture, name, sha256 } from './names.js';

/** About a signed rebuild that an accepted build has become. */
export const rebuildDecisions = ['accept', 'release', 'redo', 'rework', 'abandon'] as const;
export type RebuildDecision = (typeof rebuildDecisions)[number];
export const decisions = [
  ...(['promote', 'approve', 'reject', 'withdraw', 'rollback', 'announce'] as const),
  ...rebuildDecisions,
] as const;
export type Decision = (typeof decisions)[number];
export const isRebuildDecision = (decision: Decision): decision is RebuildDecision =>
  (rebuildDecisions as readonly string[]).includes(decision);

/** Does a later word on an attempt end an earlier one of the same approver? An attempt that one accepts may still be redone, or released. */
export const contradicts = (later: RebuildDecision, earlier: RebuildDecision): boolean =>
  later !== earlier && later !== 'accept' && !(later === 'release' && earlier === 'accept');

const packageName = z.string().regex(/^[A-Za-z0-9][\w.+-]*$/, { error: 'a package name' });

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

export const statement = z.strictObject({
  /** Format. */
  'treeline-statement': z.literal(1),
  stream: name,
  decision: z.enum(decisions),
  /** The build that is decided about; of a rollback: the release that is taken back. */
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
  /** Of `rework`; of `redo` those of the attempt that is redone, if it had any. */
  changes: reworkChanges.optional(),
  /** Ostree commit per architecture: of the build; of `release` and `accept`: of the signed build. */
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
