/**
 * What the SIG has decided, from the archive of signed statements alone. A release asks this, not the workflow that started it: whoever
 * can start workflows on the server cannot thereby release.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { Group } from '../domain/decisions/decision.js';
import type { Architecture } from '../domain/names.js';
import type { TestReport } from '../domain/promotion.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import { ends, kindOf, type Question, type Verified } from '../domain/statement.js';
import { openKeyring } from '../keys/statement.js';
import type { Step } from '../steps/step.js';
import { readText, type Store } from '../store/store.js';

/** Those who may sign statements of a group. */
export const membersOf = (
  { approvers, testers, security }: Pick<ReleaseSettings, 'approvers' | 'testers' | 'security'>,
  group: Group,
): ReleaseSettings['approvers'] => {
  if (group === 'testers') return [...approvers, ...testers];
  return group === 'security' && security && security.approvers.length > 0
    ? approvers.filter(({ name }) => security.approvers.includes(name))
    : approvers;
};

/**
 * The approvers who have decided so and stand by it, with keys that count now. Fails with StatementRefused if they are too few, if one
 * has vetoed the build, or if passing test reports on what would be released are too few.
 */
export async function authority(
  step: Step,
  store: Store,
  stream: string,
  release: ReleaseSettings,
  question: Question,
  work: string,
): Promise<Verified[]> {
  const { decision, build } = question;
  const { group, quorum, tested } = kindOf(decision);
  const refused = (why: string) => new Failure('StatementRefused', `${build}: ${why}`);
  const said = await statementsOn(step, store, stream, membersOf(release, group), build, work);
  const last = lastWords(said, question, release);
  const veto = last.find(({ statement }) => kindOf(statement.decision).vetoes);
  if (veto) throw refused(`rejected by ${veto.approver}`);
  const needed = quorum(release.approvals);
  if (last.length < needed)
    throw refused(
      `${last.length} of ${needed} signed statements for this ${decision} still stand (${last.map(({ approver }) => approver).join(', ') || 'nobody'})${unfixedText(question)}`,
    );
  const { reports } = release.approvals;
  const toTest = reports > 0 ? tested(question, release) : undefined;
  if (toTest === undefined) return last;
  const { commits } = question;
  const passed = (await reportsOn(step, store, stream, release, { build: toTest, commits }, work)).filter(
    ({ result }) => result === 'pass',
  );
  if (passed.length < reports)
    throw refused(
      `${passed.length} of ${reports} passing test reports on ${toTest} (${passed.map(({ by }) => by).join(', ') || 'nobody'})`,
    );
  return last;
}

/** Test reports on a build whose signatures count now, each person's last, oldest first. With `commits` only those that are about them. */
export async function reportsOn(
  step: Step,
  store: Store,
  stream: string,
  release: ReleaseSettings,
  { build, commits = {} }: Pick<Question, 'build' | 'commits'>,
  work: string,
): Promise<TestReport[]> {
  const last = new Map<string, TestReport>();
  for (const { statement, approver: by, fingerprint } of await statementsOn(
    step,
    store,
    stream,
    membersOf(release, 'testers'),
    build,
    work,
  )) {
    if (statement.decision !== 'report') continue;
    if (
      !Object.entries(commits).every(([arch, commit]) => statement.commits[arch as Architecture] === commit)
    )
      continue;
    const { result, note, time: at } = statement;
    last.delete(fingerprint);
    last.set(fingerprint, { build, by, result, ...(note === undefined ? {} : { note }), at });
  }
  return [...last.values()];
}

const unfixedText = ({ unfixed = [] }: Question) =>
  unfixed.length > 0
    ? `; those that do not name the fixes that it lacks (${unfixed.join(', ')}) do not count`
    : '';

/** All statements of these people about a build whose signatures count now, in the order of their times. */
async function statementsOn(
  step: Step,
  store: Store,
  stream: string,
  people: ReleaseSettings['approvers'],
  build: string,
  work: string,
): Promise<Verified[]> {
  const folder = store.statements(stream);
  const files = (await readdir(folder).catch((): string[] => [])).filter((file) => file.endsWith('.asc'));
  const texts = await Promise.all(
    files.map(async (file) => ({ file, text: await readText(join(folder, file)) })),
  );
  // A quick look first: gpg is asked only about this build's.
  const about = texts.flatMap(({ file, text }) => (text?.includes(build) ? [{ file, text }] : []));
  if (about.length === 0) return [];
  const found: Verified[] = [];
  const keyring = await openKeyring(step, people, work);
  try {
    for (const { file, text } of about) {
      const verified = await keyring.verify(text).catch((error: unknown) => {
        if (error instanceof Failure && error.code === 'StatementRefused') return undefined;
        throw error;
      });
      const { statement } = verified ?? {};
      if (
        verified &&
        statement?.stream === stream &&
        statement.build === build &&
        `${statement.nonce}.asc` === file
      )
        found.push(verified);
    }
  } finally {
    await keyring.close();
  }
  return found.sort((a, b) => Date.parse(a.statement.time) - Date.parse(b.statement.time));
}

/**
 * What each approver said last about the matter, if that is a yes or a veto: who has withdrawn says nothing any more. What is about other
 * commits or another former release is no word on it; the archive has such statements too.
 */
function lastWords(said: readonly Verified[], question: Question, release: ReleaseSettings): Verified[] {
  const asked = kindOf(question.decision);
  const lasting = asked.lasting || question.begun === true;
  const oldest = lasting ? 0 : Date.now() - (release.proposalAge + release.statementAge) * 1000;
  const isYes = ({ statement }: Verified) => {
    const kind = kindOf(statement.decision);
    return kind.to === question.decision && kind.answers(statement, question);
  };
  const last = new Map<string, Verified>();
  for (const verified of said) {
    const { statement, fingerprint } = verified;
    const kind = kindOf(statement.decision);
    // A veto stands until it is withdrawn; an approval expires.
    const counts = isYes(verified) && kind.counts(release) && Date.parse(statement.time) >= oldest;
    const against = ends(statement.decision, question.decision) && kind.concerns(statement, question);
    if (counts || against) last.set(fingerprint, verified);
  }
  return [...last.values()].filter((one) => kindOf(one.statement.decision).vetoes || isYes(one));
}
