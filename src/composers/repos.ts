/** The package repos of a stream as composers and other readers get them. */
import { readFile, stat } from 'node:fs/promises';
import { Failure } from '../domain/failures.js';
import type { Architecture } from '../domain/names.js';
import { expandRepo } from '../domain/repos.js';
import { knowSecret } from '../domain/secrets.js';
import type { RepoInput } from './composer.js';

/**
 * The repos with their URLs' variables filled in. Their passwords can be read then, and are masked from now on. Fails with
 * StreamInvalid for a password file that is missing, empty or open to others.
 */
export const resolvedRepos = (
  repos: readonly RepoInput[],
  of: { readonly arch: Architecture; readonly releasever: string },
): Promise<RepoInput[]> =>
  Promise.all(
    repos.map(async (repo) => {
      await passwordOf(repo);
      return expandRepo(repo, of);
    }),
  );

/** The password of a repo with credentials. Read at each use: it may change. One line end after it does not count. */
export async function passwordOf({ id, credentials }: RepoInput): Promise<string | undefined> {
  if (!credentials) return undefined;
  const { passwordFile } = credentials;
  const invalid = (why: string) =>
    new Failure('StreamInvalid', `repos.${id}.credentials.passwordFile: ${passwordFile}: ${why}`);
  const [text, { mode }] = await Promise.all([readFile(passwordFile, 'utf8'), stat(passwordFile)]).catch(
    (error: unknown) => {
      throw invalid(`cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    },
  );
  if ((mode & 0o077) !== 0) throw invalid('others may read it: `chmod 600` it');
  const password = text.replace(/\r?\n$/, '');
  if (password === '' || /[\x00-\x1f]/.test(password)) throw invalid('must have one line, the password');
  knowSecret(password);
  return password;
}

/** Headers for requests to a repo. */
export async function headersOf(repo: RepoInput): Promise<Record<string, string>> {
  const password = await passwordOf(repo);
  if (password === undefined || !repo.credentials) return {};
  const pair = Buffer.from(`${repo.credentials.username}:${password}`).toString('base64');
  return { authorization: `Basic ${pair}` };
}
