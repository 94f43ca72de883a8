/**
 * A signed statement: what a SIG member decides, in a form that can be signed (`gpg --clearsign` of the JSON text), checked and
 * kept. Who may decide is settled by its signature, not by who reaches Temporal.
 */
import { z } from 'zod';
import { buildId } from './build-id.js';
import { architecture, name, sha256 } from './names.js';

export const decisions = ['promote', 'approve', 'reject', 'withdraw', 'rollback', 'announce'] as const;
export type Decision = (typeof decisions)[number];

export const statement = z.strictObject({
  /** Format. */
  'treeline-statement': z.literal(1),
  stream: name,
  decision: z.enum(decisions),
  /** The build that is decided about; of a rollback: the release that is taken back. */
  build: buildId,
  /** Its ostree commit per architecture. */
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
