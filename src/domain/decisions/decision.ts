/**
 * What a kind of signed statement declares, in one file each: its fields, who may sign it, how many must, which question it answers, what
 * ends it, when it can be said, and how it is put to people. `../statement.ts` has the list of kinds.
 */
import { z } from 'zod';
import { buildId } from '../build-id.js';
import { architecture, attempt, caseId, name, nonce, sha256, srpmFile } from '../names.js';
import type { Attempt } from '../promotion.js';
import type { ReleaseSettings } from '../release-settings.js';
import { changesText, reworkChanges, type ReworkChanges } from '../rework-changes.js';
import type { SecurityCase } from '../security.js';

/** In every statement. A kind may declare one of them more narrowly. */
const common = {
  /** Format. */
  'treeline-statement': z.literal(1),
  stream: name,
  /** What is decided about. */
  build: buildId,
  /** The build's ostree commit per architecture. */
  commits: z.partialRecord(architecture, sha256),
  /** The current release when this was signed; null before the first. */
  onto: buildId.nullable(),
  /** When it was made; ISO 8601, UTC. */
  time: z.iso.datetime(),
  nonce,
  /** For people. */
  reason: z.string().max(500).optional(),
};
type Common = typeof common;

/** For kinds that must say why. */
export const why = z
  .string({ error: 'say why: --reason TEXT' })
  .max(500)
  .refine((text) => text.trim() !== '', { error: 'say why: --reason TEXT' });
/** Security cases whose fixes the build lacks; it is to be released without them. */
export const unfixed = z.array(caseId).optional();
/** Source RPMs that were given, sha256 by file name. */
export const srpms = z.record(srpmFile, sha256);

/** What a statement is compared with when it is judged: what is about to be carried out. */
export const matter = z.object({
  /** Of a signed rebuild: the accepted build. Of a security release: the release that it is made from. Of a rollback: the release that is taken back. */
  build: buildId,
  /** The current release. Of a rollback: the release to return to. */
  onto: buildId.nullable(),
  /**
   * Of a promotion: the build's commits. Of `release` and `accept`: the signed build's. Of `approve-fix`: those of the release that it is
   * made from; of `accept-fix`: those of the case's build.
   */
  commits: z.partialRecord(architecture, sha256).readonly().optional(),
  /** Of a promotion whose signed rebuild has begun: its approvals do not expire. */
  begun: z.boolean().optional(),
  attempt: attempt.optional(),
  /** Of `release`: the signed build. */
  signed: buildId.optional(),
  /** Of `redo` and `rework`: are signed packages taken from earlier attempts? */
  reuse: z.boolean().optional(),
  changes: reworkChanges.optional(),
  case: caseId.optional(),
  srpms: srpms.readonly().optional(),
  /** Cases whose fixes the build lacks. Only statements that name them count. */
  unfixed: z.array(caseId).max(1000).readonly().optional(),
});
export type Matter = Readonly<z.infer<typeof matter>>;

/** What is known of the matter when a statement about it is made or comes in. */
export interface Known {
  readonly current: string | null;
  /** When the current release was released; ISO 8601. */
  readonly currentSince?: string | undefined;
  /** The last attempt at the signed rebuild of the build, if a promotion of it is open. */
  readonly attempt?: Attempt | undefined;
  /** Does the release of that attempt run? */
  readonly releasing?: boolean | undefined;
  readonly case?: SecurityCase | undefined;
}

/**
 * Whose statements count: the approvers'; those of the security group, which is a part of them; or those of the testers too.
 */
export type Group = 'approvers' | 'security' | 'testers';
/** `build`: a proposed build; `attempt`: the last attempt at its signed rebuild; `case`: a security case; `release`: the current release. */
export type About = 'build' | 'attempt' | 'case' | 'release';
/** The numbers that quorums are taken from. */
export type Needed = ReleaseSettings['approvals'];
type Settings = Pick<ReleaseSettings, 'mode' | 'proposerCounts'>;

/** What all kinds have in common when they are judged. */
export interface Statementlike {
  readonly decision: string;
  readonly build: string;
  readonly attempt?: number | undefined;
  readonly case?: string | undefined;
}

interface Declared<Said, A extends About, To extends string> {
  readonly about: A;
  readonly group: Group;
  /** The question that it says yes to. Absent: nothing is carried out by it, it is a word for or against something else. */
  readonly to?: To;
  /** Distinct people that have to say so. Default: one. */
  readonly quorum?: (needed: Needed) => number;
  /** Does it name what is asked about? Commits, attempt and the like. */
  readonly answers?: (said: Said, asked: Matter) => boolean;
  /** It counts only in streams whose settings say so. */
  readonly counts?: (settings: Settings) => boolean;
  /** It names what it is about so closely that it does not expire. */
  readonly lasting?: boolean;
  /** Later statements of the same person that end it, as far as they concern the same matter. */
  readonly endedBy?: readonly string[];
  /** While it stands, nothing is carried out that it ends, however many want it. */
  readonly vetoes?: boolean;
  /** Does it concern the matter at all? Default: by `about`, the same attempt or case. */
  readonly concerns?: (said: Said, asked: Matter) => boolean;
  /** Build that must have enough passing test reports before what it decides is carried out. */
  readonly tested?: (asked: Matter, settings: Settings) => string | undefined;
  /** Why it cannot be said now. */
  readonly check?: (said: Said, known: Known) => string | undefined;
  /** Of one about an attempt: can it be said of one in this state? */
  readonly offered?: (state: Attempt['state']) => boolean;
  readonly text: {
    /** What signing it does, in the imperative, for help and docs. */
    readonly does: string;
  };
}

type Shape<N extends string, F extends z.ZodRawShape> = Omit<Common, keyof F> &
  F & { decision: z.ZodLiteral<N> };
type Said<N extends string, F extends z.ZodRawShape> = z.infer<z.ZodObject<Shape<N, F>, z.core.$strict>>;

/** A kind as the judgement, the workflows and the command line use it: they need not know which it is. */
export interface Kind<N extends string = string, A extends About = About, To extends string = string> {
  readonly name: N;
  readonly about: A;
  readonly group: Group;
  readonly to: To | undefined;
  readonly endedBy: readonly string[];
  readonly vetoes: boolean;
  readonly lasting: boolean;
  readonly text: { readonly does: string };
  readonly quorum: (needed: Needed) => number;
  readonly counts: (settings: Settings) => boolean;
  readonly answers: (said: Statementlike, asked: Matter) => boolean;
  readonly concerns: (said: Statementlike, asked: Matter) => boolean;
  readonly tested: (asked: Matter, settings: Settings) => string | undefined;
  readonly check: (said: Statementlike, known: Known) => string | undefined;
  readonly offered: (state: Attempt['state']) => boolean;
}

/** Declares a kind of statement: its name, its own fields, and the rest. */
export function decision<
  const N extends string,
  F extends z.ZodRawShape,
  const A extends About,
  const To extends string = never,
>(
  name: N,
  fields: F,
  declared: Declared<Said<N, F>, A, To>,
): Kind<N, A, To> & { readonly schema: z.ZodObject<Shape<N, F>, z.core.$strict> } {
  const { about, group, to, text, vetoes = false, lasting = false, endedBy = [] } = declared;
  const isSaid = (said: Statementlike): said is Statementlike & Said<N, F> => said.decision === name;
  return {
    ...{ name, about, group, to, text, vetoes, lasting, endedBy },
    schema: z.strictObject({ ...common, decision: z.literal(name), ...fields }),
    quorum: (needed) => declared.quorum?.(needed) ?? 1,
    counts: (settings) => declared.counts?.(settings) ?? true,
    answers: (said, asked) =>
      isSaid(said) && said.build === asked.build && (declared.answers?.(said, asked) ?? false),
    concerns: (said, asked) =>
      isSaid(said) && said.build === asked.build && (declared.concerns ?? sameSubject)(said, asked),
    tested: (asked, settings) => declared.tested?.(asked, settings),
    check: (said, known) => (isSaid(said) ? declared.check?.(said, known) : undefined),
    offered: (state) => declared.offered?.(state) ?? true,
  };
}

const sameSubject = (said: Statementlike, asked: Matter) =>
  said.attempt === asked.attempt && said.case === asked.case;

// What kinds compare and check.

/** Commits by architecture, as text: the same for the same ones. */
export const commitsText = (commits: Readonly<Record<string, string | undefined>>): string =>
  Object.entries(commits)
    .map(([arch, commit]) => `${arch} ${commit ?? ''}`)
    .sort()
    .join(', ');

interface WithCommits {
  readonly commits: Readonly<Record<string, string | undefined>>;
}

/** All of the commits, and at least one. */
export const sameCommits = ({ commits }: WithCommits, { commits: asked = {} }: Matter): boolean =>
  Object.keys(asked).length > 0 && commitsText(commits) === commitsText(asked);

/** Does it name every fix that the build lacks? */
export const namesUnfixed = (
  said: { readonly unfixed?: readonly string[] | undefined },
  asked: Matter,
): boolean => (asked.unfixed ?? []).every((one) => said.unfixed?.includes(one));

export const sameChanges = (one: ReworkChanges | undefined, other: ReworkChanges | undefined): boolean =>
  (one && changesText(one)) === (other && changesText(other));

/** For kinds about an attempt: why it cannot be said of the last one; else what `more` says. */
export const ofLastAttempt =
  <S extends { readonly attempt: number }>(
    more: (said: S, last: Attempt, known: Known) => string | undefined = () => undefined,
  ) =>
  (said: S, known: Known): string | undefined => {
    const { attempt: last } = known;
    if (!last) return 'no rebuild of it waits for a decision';
    if (said.attempt !== last.number)
      return `was said of attempt ${said.attempt}; the last is ${last.number}`;
    return more(said, last, known);
  };

/** Why these are not the commits of the attempt. */
export const otherCommits = (
  { commits }: WithCommits,
  { number, commits: made = {} }: Attempt,
): string | undefined =>
  commitsText(commits) === commitsText(made)
    ? undefined
    : `names the commits ${commitsText(commits)}, but attempt ${number} has ${commitsText(made) || 'none'}`;

/** For kinds about a security case: why it cannot be said of it; else what `more` says. */
export const ofOpenCase =
  <S>(more: (said: S, one: SecurityCase, known: Known) => string | undefined = () => undefined) =>
  (said: S, known: Known): string | undefined => {
    const { case: one } = known;
    if (!one) return 'there is none of this id';
    if (['released', 'dismissed', 'fixed'].includes(one.phase)) return `is ${one.phase} already`;
    return more(said, one, known);
  };
