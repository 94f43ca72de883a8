/**
 * What the SIG has decided, from the archive of signed statements alone. A release asks this, not the workflow that started it: whoever
 * can start workflows on the server cannot thereby release.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { judge, membersOf, reportsOn, type Archive } from '../domain/judgement.js';
import type { TestReport } from '../domain/promotion.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import type { Question, Statement, Verified } from '../domain/statement.js';
import { openKeyring } from '../keys/statement.js';
import type { Step } from '../steps/step.js';
import { readText, type Store } from '../store/store.js';

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
): Promise<readonly Verified[]> {
  const { build, signed } = question;
  const said = await readArchive(step, store, stream, release, [build, signed], work);
  const { by, refused } = judge(said, question, release, Date.now());
  if (refused !== undefined) throw new Failure('StatementRefused', `${build}: ${refused}`);
  return by;
}

/** Test reports on a build whose signatures count now, each person's last, oldest first. With `commits` only those that are about them. */
export async function readReports(
  step: Step,
  store: Store,
  stream: string,
  release: ReleaseSettings,
  { build, commits }: Pick<Question, 'build' | 'commits'>,
  work: string,
): Promise<TestReport[]> {
  return reportsOn(await readArchive(step, store, stream, release, [build], work), release, build, commits);
}

/**
 * All statements about these builds or security cases whose signatures count now, of people whom the stream file has, in the order of
 * their times.
 */
export async function readArchive(
  step: Step,
  store: Store,
  stream: string,
  release: Pick<ReleaseSettings, 'approvers' | 'testers'>,
  ids: readonly (string | undefined)[],
  work: string,
): Promise<Archive> {
  const folder = store.statements(stream);
  const files = (await readdir(folder).catch((): string[] => [])).filter((file) => file.endsWith('.asc'));
  const texts = await Promise.all(
    files.map(async (file) => ({ file, text: await readText(join(folder, file)) })),
  );
  // A quick look first: gpg is asked only about these.
  const asked = ids.filter((id) => id !== undefined);
  const about = texts.flatMap(({ file, text }) =>
    text !== undefined && asked.some((id) => text.includes(id)) ? [{ file, text }] : [],
  );
  if (about.length === 0) return [];
  const found: Verified[] = [];
  const keyring = await openKeyring(step, membersOf(release, 'testers'), work);
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
        asked.some((id) => isAbout(statement, id)) &&
        `${statement.nonce}.asc` === file
      )
        found.push(verified);
    }
  } finally {
    await keyring.close();
  }
  return found.sort((a, b) => Date.parse(a.statement.time) - Date.parse(b.statement.time));
}

/** Of a build or a security case. */
const isAbout = (said: Statement, id: string): boolean =>
  said.build === id || ('case' in said && said.case === id);
