/**
 * What the SIG has decided, from the archive of signed statements alone. A release asks this, not the workflow that started it: whoever
 * can start workflows on the server cannot thereby release.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import {
  changesText,
  contradicts,
  isFixDecision,
  isRebuildDecision,
  type FixDecision,
  type RebuildDecision,
  type ReworkChanges,
  type Decision,
  type Statement,
  type Verified,
} from '../domain/statement.js';
import { openKeyring, type Keyring } from '../keys/statement.js';
import type { Step } from '../steps/step.js';
import { readText, type Store } from '../store/store.js';

/** What is asked for. */
export interface Question {
  readonly decision: 'promote' | 'rollback' | 'announce' | RebuildDecision | Exclude<FixDecision, 'fix'>;
  /** Of a decision about a signed rebuild: the accepted build. About a security release: the release that it is made from. */
  readonly build: string;
  /** Of a promotion and a release: the newest release now. Of a rollback: the release to return to. */
  readonly onto: string | null;
  /**
   * Of a promotion: the build's commits, by architecture. Of `release` and `accept`: the signed build's. Of `approve-fix`: those of the
   * release that it is made from; of `accept-fix`: those of the case's build.
   */
  readonly commits?: Readonly<Partial<Record<string, string>>> | undefined;
  /** Of a promotion whose signed rebuild has begun: its approvals do not grow old. */
  readonly begun?: boolean | undefined;
  /** Of a decision about a signed rebuild. */
  readonly attempt?: number | undefined;
  /** Of `release`: the signed build. */
  readonly signed?: string | undefined;
  /** Of `redo` and `rework`. */
  readonly reuse?: boolean | undefined;
  /** Of `rework`; of `redo` those of the attempt that is redone, if it had any; of `approve-fix` those of its plan. */
  readonly changes?: ReworkChanges | undefined;
  /** Of a decision about a security release. */
  readonly case?: string | undefined;
  /** Of `approve-fix`: source RPMs that were given. */
  readonly srpms?: Readonly<Record<string, string>> | undefined;
  /** Of a promotion and a release: cases whose fixes the build lacks. Only who says so counts. */
  readonly unfixed?: readonly string[] | undefined;
}

/** Approvers who may decide so: about security releases the security group. */
export const approversFor = (
  { approvers, security }: Pick<ReleaseSettings, 'approvers' | 'security'>,
  decision: Decision,
): ReleaseSettings['approvers'] =>
  isFixDecision(decision) && security && security.approvers.length > 0
    ? approvers.filter(({ name }) => security.approvers.includes(name))
    : approvers;

/** Distinct approvers that are needed. */
function neededFor({ approvals }: ReleaseSettings, decision: Question['decision']): number {
  if (decision === 'approve-fix' || decision === 'accept-fix') return approvals.fix;
  return decision === 'dismiss-fix' ? 1 : approvals[decision];
}

/**
 * The approvers who have decided so and stand by it, with keys that count now. Fails with StatementRefused if they are too few, or one
 * has vetoed the build.
 */
export async function authority(
  step: Step,
  store: Store,
  stream: string,
  release: ReleaseSettings,
  question: Question,
  work: string,
): Promise<Verified[]> {
  const keyring = await openKeyring(step, approversFor(release, question.decision), work);
  try {
    const said = await statementsOn(keyring, store.statements(stream), stream, question.build);
    const { decision, build } = question;
    const last = lastWords(said, question, release);
    const veto = last.find(({ statement }) => statement.decision === 'reject');
    if (veto) throw new Failure('StatementRefused', `${build}: rejected by ${veto.approver}`);
    const standing = last.filter(({ statement }) => statement.decision !== 'reject');
    const needed = neededFor(release, decision);
    if (standing.length < needed)
      throw new Failure(
        'StatementRefused',
        `${build}: ${standing.length} of ${needed} signed statements for this ${decision} still stand (${standing.map(({ approver }) => approver).join(', ') || 'nobody'})${unfixedText(question)}`,
      );
    return standing;
  } finally {
    await keyring.close();
  }
}

const unfixedText = ({ unfixed = [] }: Question) =>
  unfixed.length > 0
    ? `; those that do not name the fixes that it lacks (${unfixed.join(', ')}) do not count`
    : '';

/** All statements about a build whose signatures count now, in the order of their times. */
async function statementsOn(
  keyring: Keyring,
  folder: string,
  stream: string,
  build: string,
): Promise<Verified[]> {
  const found: Verified[] = [];
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names.filter((file) => file.endsWith('.asc'))) {
    const text = await readText(join(folder, name));
    // A quick look first: gpg is asked only about this build's.
    if (!text?.includes(build)) continue;
    const verified = await keyring.verify(text).catch((error: unknown) => {
      if (error instanceof Failure && error.code === 'StatementRefused') return undefined;
      throw error;
    });
    const statement = verified?.statement;
    if (
      verified &&
      statement?.stream === stream &&
      statement.build === build &&
      `${statement.nonce}.asc` === name
    )
      found.push(verified);
  }
  return found.sort((a, b) => Date.parse(a.statement.time) - Date.parse(b.statement.time));
}

/**
 * What each approver said last about the matter: who has withdrawn says nothing any more. What is about other commits or another
 * former release is no word on it; the archive has such statements too.
 */
function lastWords(
  said: readonly Verified[],
  question: Question,
  { proposerCounts, proposalAge, statementAge }: ReleaseSettings,
): Verified[] {
  // A word on an attempt names it, and counts for nothing else: it does not grow old.
  const lasting =
    question.begun === true || isRebuildDecision(question.decision) || isFixDecision(question.decision);
  const oldest = lasting ? 0 : Date.now() - (proposalAge + statementAge) * 1000;
  const last = new Map<string, Verified>();
  for (const verified of said) {
    const { decision, time } = verified.statement;
    // A veto stands until it is withdrawn; a yes grows old.
    const yes =
      answers(verified.statement, question) &&
      (decision !== 'promote' || proposerCounts) &&
      Date.parse(time) >= oldest;
    if (yes || isAgainst(verified.statement, question)) last.set(verified.fingerprint, verified);
  }
  return [...last.values()].filter(
    ({ statement }) => statement.decision === 'reject' || answers(statement, question),
  );
}

/** Does this statement end an earlier yes of its author? */
function isAgainst({ decision, attempt, case: about }: Statement, question: Question): boolean {
  const { decision: asked } = question;
  if (asked === 'rollback' || asked === 'announce') return false;
  if (isFixDecision(asked) || about !== undefined)
    return about === question.case && (decision === 'withdraw' || decision === 'dismiss-fix');
  if (decision === 'reject') return true;
  if (decision === 'withdraw') return attempt === undefined || attempt === question.attempt;
  if (!isRebuildDecision(asked) || !isRebuildDecision(decision) || attempt !== question.attempt) return false;
  // Another redo or rework is asked for instead; another tree or release is no word on this one.
  return decision === asked ? asked === 'redo' || asked === 'rework' : contradicts(decision, asked);
}

/** Is this statement a yes to the question? */
function answers(statement: Statement, question: Question): boolean {
  const { decision, onto } = statement;
  switch (question.decision) {
    case 'announce':
      return decision === 'announce';
    case 'rollback':
      return decision === 'rollback' && onto === question.onto;
    case 'promote':
      return (
        (decision === 'promote' || decision === 'approve') &&
        onto === question.onto &&
        saysUnfixed(statement, question) &&
        Object.entries(question.commits ?? {}).every(
          ([arch, commit]) => statement.commits[arch as keyof Statement['commits']] === commit,
        )
      );
    case 'approve-fix':
      return (
        decision === 'approve-fix' &&
        statement.case === question.case &&
        onto === question.onto &&
        sameCommits(statement, question) &&
        inputsText(statement) === inputsText(question)
      );
    case 'accept-fix':
      return (
        decision === 'accept-fix' && statement.case === question.case && sameCommits(statement, question)
      );
    case 'dismiss-fix':
      return decision === 'dismiss-fix' && statement.case === question.case;
    default:
      return decision === question.decision && asksTheSame(statement, question);
  }
}

/** What a security release is made with besides its base. */
const inputsText = ({ changes, srpms = {} }: Pick<Question, 'changes' | 'srpms'>): string =>
  JSON.stringify([changes ? changesText(changes) : '', Object.entries(srpms).sort()]);

/** Does it name every fix that the build lacks? */
const saysUnfixed = ({ unfixed = [] }: Statement, { unfixed: lacks = [] }: Question): boolean =>
  lacks.every((one) => unfixed.includes(one));

/** Of a decision about a rebuild: about this attempt, and word for word. */
function asksTheSame(statement: Statement, question: Question): boolean {
  if (question.attempt === undefined || statement.attempt !== question.attempt) return false;
  switch (question.decision) {
    case 'release':
      return (
        question.signed !== undefined &&
        statement.signed === question.signed &&
        statement.onto === question.onto &&
        saysUnfixed(statement, question) &&
        sameCommits(statement, question)
      );
    case 'accept':
      return sameCommits(statement, question);
    case 'redo':
    case 'rework': {
      const [said, asked] = [statement, question].map(({ changes }) => changes && changesText(changes));
      if (question.decision === 'rework' && said === undefined) return false;
      return statement.reuse === question.reuse && said === asked;
    }
    default:
      return true;
  }
}

/** All of them, and at least one. */
function sameCommits({ commits }: Statement, { commits: asked = {} }: Question): boolean {
  const text = (of: Readonly<Partial<Record<string, string>>>) => JSON.stringify(Object.entries(of).sort());
  return Object.keys(asked).length > 0 && text(commits) === text(asked);
}
