/**
 * What the SIG has decided, from the archive of signed statements alone. A release asks this, not the workflow that started it: whoever
 * can start workflows on the server cannot thereby release.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import type { Statement, Verified } from '../domain/statement.js';
import { openKeyring, type Keyring } from '../keys/statement.js';
import type { Step } from '../steps/step.js';
import { readText, type Store } from '../store/store.js';

/** What is asked for. */
export interface Question {
  readonly decision: 'promote' | 'rollback' | 'announce' | 'release';
  /** Of `release`: the accepted build. */
  readonly build: string;
  /** Of a promotion and a release: the newest release now. Of a rollback: the release to return to. */
  readonly onto: string | null;
  /** Of a promotion: the build's commits, by architecture. Of `release`: the signed build's. */
  readonly commits?: Readonly<Partial<Record<string, string>>>;
  /** Of `release`. */
  readonly attempt?: number | undefined;
  /** Of `release`: the signed build. */
  readonly signed?: string | undefined;
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
  const keyring = await openKeyring(step, release.approvers, work);
  try {
    const said = await statementsOn(keyring, store.statements(stream), stream, question.build);
    const { decision, build } = question;
    const last = lastWords(said, question, release);
    const veto = last.find(({ statement }) => statement.decision === 'reject');
    if (veto) throw new Failure('StatementRefused', `${build}: rejected by ${veto.approver}`);
    const standing = last.filter(({ statement }) => statement.decision !== 'reject');
    const needed = release.approvals[decision];
    if (standing.length < needed)
      throw new Failure(
        'StatementRefused',
        `${build}: ${standing.length} of ${needed} signed statements for this ${decision} still stand (${standing.map(({ approver }) => approver).join(', ') || 'nobody'})`,
      );
    return standing;
  } finally {
    await keyring.close();
  }
}

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
  const oldest = Date.now() - (proposalAge + statementAge) * 1000;
  const last = new Map<string, Verified>();
  for (const verified of said) {
    const { decision, time } = verified.statement;
    // A veto stands until it is withdrawn; a yes grows old.
    const yes =
      answers(verified.statement, question) &&
      (decision !== 'promote' || proposerCounts) &&
      Date.parse(time) >= oldest;
    const no =
      (question.decision === 'promote' || question.decision === 'release') &&
      (decision === 'reject' || decision === 'withdraw');
    if (yes || no) last.set(verified.fingerprint, verified);
  }
  return [...last.values()].filter(({ statement }) => statement.decision !== 'withdraw');
}

/** Is this statement a yes to the question? */
function answers({ decision, onto, commits, attempt, signed }: Statement, question: Question): boolean {
  if (question.decision === 'announce') return decision === 'announce';
  if (question.decision === 'rollback') return decision === 'rollback' && onto === question.onto;
  const same = Object.entries(question.commits ?? {}).every(
    ([arch, commit]) => commits[arch as keyof typeof commits] === commit,
  );
  if (onto !== question.onto || !same) return false;
  if (question.decision === 'promote') return decision === 'promote' || decision === 'approve';
  return (
    decision === 'release' &&
    attempt !== undefined &&
    attempt === question.attempt &&
    signed !== undefined &&
    signed === question.signed
  );
}
