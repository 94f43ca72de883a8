/** How a security case and its builds are started, and what they and the stream say to each other. */
import { z } from 'zod';
import { buildId } from '../../domain/build-id.js';
import { srpms } from '../../domain/decisions/decision.js';
import { attempt, caseId, name } from '../../domain/names.js';
import { advisory, affecting, commitsByArch, fix, fixPlan, securityCase } from '../../domain/shapes.js';
import { signal } from '../messages.js';
import { turn, turnId } from './signals.js';

/**
 * `running`; `waits`: has done what can be done without an approval; `differs`: waits for `accept-fix`; `built`: tested, and in the
 * build store; `failed`, `cancelled`.
 */
const fixState = z.enum(['running', 'waits', 'differs', 'built', 'failed', 'cancelled']);
export type FixState = z.infer<typeof fixState>;

/** Input of `security/<stream>/<case>`. */
export const securityInput = z.object({
  stream: name,
  case: securityCase,
  /** How its last build stands, when the workflow has continued as new. */
  fix: fixState.optional(),
  /** What people were asked for when it has continued as new, and since when (in milliseconds since 1970). */
  asked: z.object({ key: z.string(), since: z.number() }).optional(),
  /** Of one whose release runs: the accepted build of the release that it is made from. */
  accepted: buildId.optional(),
});
export type SecurityInput = Readonly<z.infer<typeof securityInput>>;

/** Input of `fix/<stream>/<case>/<attempt>`. */
export const fixInput = z.object({
  stream: name,
  /** Id of the case. */
  case: caseId,
  /** Counted from 1. */
  attempt,
  fixes: z.array(fix).max(1000).readonly(),
  /** Source RPMs that a person gave: `sha256` by file name. */
  srpms: srpms.optional(),
  /** Are releases of the stream signed rebuilds? The build is then of its line of signed builds. */
  signed: z.boolean(),
  /** Nobody is told how it ended. */
  embargoed: z.boolean(),
});
export type FixInput = Readonly<z.infer<typeof fixInput>>;

/** The build, in the build store alone. */
export interface FixResult {
  readonly build: string;
  readonly commits: Readonly<Record<string, string>>;
}

/** To `security/<stream>/<case>`, from its builds. */
const news = z.object({
  attempt,
  state: fixState,
  plan: fixPlan.optional(),
  build: buildId.optional(),
  commits: commitsByArch.optional(),
  /** What differs, or why it failed. */
  note: z.string().optional(),
});
export type FixNews = Readonly<z.infer<typeof news>>;
export const fixNews = signal('fixNews', news);

/** To `fix/<stream>/<case>/<attempt>`: enough approvers have signed for its plan; its statements are looked at. */
export const approvedSignal = signal('approved');
/** Tells its last news again, to a case that was lost meanwhile. */
export const sayAgainSignal = signal('sayAgain');

/** To `security/<stream>/<case>`, from the stream: advisories that were found while it waits for such. */
export const joinSignal = signal('join', z.array(affecting).max(1000).readonly());
/** It is this case's turn: nothing else is being released. `accepted`: the accepted build of the newest release. */
const ofCase = turn.extend({ accepted: buildId.nullable() });
export type CaseTurn = Readonly<z.infer<typeof ofCase>>;
export const caseTurn = signal('caseTurn', ofCase);

/** To `stream/<stream>`, from its cases: as it is now, with the turn that it last took or gave back. */
export const caseChanged = signal('caseChanged', securityCase, turnId.optional());

/** To `promotion/<stream>/<build>`, from the stream: what the SIG is told about a security case. */
const toPromotion = z.object({
  /** Id of the case. */
  case: caseId,
  text: z.string(),
});
export type PromotionNews = Readonly<z.infer<typeof toPromotion>>;
export const promotionNews = signal('promotionNews', toPromotion);

/** What a release needs to know of its case. */
export const caseToRelease = z.object({
  /** Id of the case. */
  case: caseId,
  advisories: z.array(advisory).max(1000).readonly(),
  plan: fixPlan,
  srpms: srpms.optional(),
  /** The accepted build of the base: other builds are compared with it. */
  accepted: buildId,
});
export type CaseToRelease = Readonly<z.infer<typeof caseToRelease>>;
