/**
 * A signed statement: what a SIG member says, in a form that can be signed (`gpg --clearsign` of the JSON text), checked and kept. Who may
 * say it is settled by its signature, not by who reaches Temporal. Each kind is one file in `decisions/`, and in the list here.
 */
import { z } from 'zod';
import { abandon } from './decisions/abandon.js';
import { accept } from './decisions/accept.js';
import { acceptFix } from './decisions/accept-fix.js';
import { announce } from './decisions/announce.js';
import { approve } from './decisions/approve.js';
import { approveFix } from './decisions/approve-fix.js';
import { matter, type About, type Kind } from './decisions/decision.js';
import { dismissFix } from './decisions/dismiss-fix.js';
import { fix } from './decisions/fix.js';
import { promote } from './decisions/promote.js';
import { redo } from './decisions/redo.js';
import { reject } from './decisions/reject.js';
import { release } from './decisions/release.js';
import { report } from './decisions/report.js';
import { rework } from './decisions/rework.js';
import { rollback } from './decisions/rollback.js';
import { withdraw } from './decisions/withdraw.js';
import type { Approval } from './promotion.js';

/** Those about an attempt in the order in which they are shown: the most final is last. */
const kinds = [
  ...([promote, approve, reject, withdraw, report, rollback, announce] as const),
  ...([accept, release, redo, rework, abandon] as const),
  ...([fix, approveFix, acceptFix, dismissFix] as const),
] as const;
type Listed = (typeof kinds)[number];

const [first, ...others] = kinds;
export const statement = z.discriminatedUnion('decision', [
  first.schema,
  ...others.map(({ schema }) => schema),
]);
export type Statement = z.infer<typeof statement>;
export type Decision = Statement['decision'];
/** Statements of these kinds. */
export type StatementOf<D extends Decision> = Extract<Statement, { decision: D }>;

type NameOf<A extends About> = Extract<Listed, { readonly about: A }>['name'];
/** About the last attempt at a signed rebuild. */
export type RebuildDecision = NameOf<'attempt'>;
/** On a security case. */
export type FixDecision = NameOf<'case'>;

/** What its kind declares. */
export function kindOf(decision: Decision): Kind {
  const kind = kinds.find(({ name }) => name === decision);
  if (!kind) throw new TypeError(`${decision}: no such kind of statement`);
  return kind;
}
const isAbout =
  <A extends About>(about: A) =>
  (name: Decision): name is Extract<Decision, NameOf<A>> =>
    kindOf(name).about === about;
export const isRebuildDecision = isAbout('attempt');
/** Is it about the last attempt at a signed rebuild? */
export const isAboutAttempt = <S extends { readonly decision: Decision }>(
  said: S,
): said is Extract<S, { readonly decision: RebuildDecision }> => isRebuildDecision(said.decision);
export const isFixDecision = isAbout('case');
/** What only the security group may say. */
export const securityDecisions: readonly string[] = kinds.flatMap(({ name, group }) =>
  group === 'security' ? [name] : [],
);
const names = kinds.map(({ name }) => name);
export const rebuildDecisions = names.filter(isRebuildDecision);
export const fixDecisions = names.filter(isFixDecision);

/** Does a later word end an earlier one of the same person on the same matter? */
export const ends = (later: Decision, earlier: Decision): boolean => kindOf(earlier).endedBy.includes(later);

type Answered<K> = K extends { readonly to: infer To } ? Exclude<To, undefined> : never;
/** What can be asked of the archive of statements: may this be carried out? */
const asked = [...new Set(kinds.flatMap(({ to }): Answered<Listed>[] => (to === undefined ? [] : [to])))];
export const question = matter.extend({ decision: z.enum(asked) });
export type Question = Readonly<z.infer<typeof question>>;

/** Parses a statement strictly. Else answers what is wrong with it, in one line that names the field. */
export function readStatement(
  value: unknown,
):
  | { readonly said: Statement; readonly mistake?: never }
  | { readonly said?: never; readonly mistake: string } {
  const parsed = statement.safeParse(value);
  if (parsed.success) return { said: parsed.data };
  const [issue] = parsed.error.issues;
  const field = issue?.path.map(String).join('.') ?? '';
  if (issue?.code === 'invalid_union')
    return { mistake: `decision: write one of ${kinds.map(({ name }) => name).join(', ')}` };
  if (issue?.code === 'unrecognized_keys') {
    const decision = isObject(value) ? String(value.decision) : '';
    const names = issue.keys.map((key) => (field === '' ? key : `${field}.${key}`));
    return { mistake: `${names.join(', ')}: no field of a statement \`${decision}\`` };
  }
  const missing = issue?.code === 'invalid_type' && issue.message.endsWith('received undefined');
  return { mistake: `${field || '(statement)'}: ${missing ? 'missing' : (issue?.message ?? '')}` };
}
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** A statement whose signature and content were checked. */
export interface Verified<S extends Statement = Statement> {
  readonly statement: S;
  /** Name of its author, as the stream file has it. */
  readonly approver: string;
  /** Primary key's fingerprint: 40 hex digits, upper case. */
  readonly fingerprint: string;
}

/** As it is shown and kept: who has said so, and when. */
export const approvalOf = ({
  approver,
  fingerprint,
  statement: { nonce, time: at },
}: Verified): Approval => ({
  ...{ approver, fingerprint, nonce, at },
});

/** Largest signed statement that is looked at, in characters. */
export const maxStatement = 8192;
