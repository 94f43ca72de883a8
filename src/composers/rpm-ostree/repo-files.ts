/** The `*.repo` files that rpm-ostree reads beside the treefile, and the cache folder that belongs to their keys. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Failure } from '../../domain/failures.js';
import type { RepoInput } from '../composer.js';

/** One line without white space or control characters, so that a value can add neither a key nor a section. */
const oneWord = /^[^\s\p{C}]+$/u;

/** What hinders rpm-ostree from using a repo: the field, and what is wrong with it. */
export function repoProblem({
  id,
  baseurl,
  gpgKeys,
}: RepoInput): { field: 'id' | 'baseurl' | 'gpgKeys'; why: string } | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(id))
    return {
      field: 'id',
      why: `\`${JSON.stringify(id)}\` is no repo id: use letters, digits, \`_\`, \`.\` and \`-\``,
    };
  if (!oneWord.test(baseurl)) return { field: 'baseurl', why: 'no spaces, line ends or control characters' };
  // rpm-ostree never imports the keys of a file:// repo, and then refuses every package of it.
  if (!/^https?:\/\//.test(baseurl))
    return {
      field: 'baseurl',
      why: 'rpm-ostree verifies packages from `http://` and `https://` only: serve the folder',
    };
  if (gpgKeys.length === 0)
    return { field: 'gpgKeys', why: 'name at least one key: unsigned packages are never used' };
  const odd = gpgKeys.find((key) => !key.startsWith('/') || !oneWord.test(key) || key.includes(','));
  return odd === undefined
    ? undefined
    : {
        field: 'gpgKeys',
        why: `\`${JSON.stringify(odd)}\` is no absolute path without spaces and commas`,
      };
}

/**
 * A repo's INI file. Packages are always verified; its name is the id. With credentials it is a secret. Fails with StreamInvalid for a
 * repo or password that rpm-ostree cannot use.
 */
export function repoFile(repo: RepoInput, password?: string): string {
  const { id, baseurl, gpgKeys, metadataSigned, credentials, priority, cost } = repo;
  const wrong = repoProblem(repo);
  if (wrong)
    throw new Failure(
      'StreamInvalid',
      `repos.${wrong.field === 'id' ? '' : `${id}.`}${wrong.field}: ${wrong.why}`,
    );
  // It fills in variables there, and takes `\` away.
  if (password !== undefined && !/^[^\s\\$]+$/.test(password))
    throw new Failure(
      'StreamInvalid',
      `repos.${id}.credentials: rpm-ostree reads no password with spaces, \`\\\` or \`$\``,
    );
  return [
    `[${id}]`,
    `name=${id}`,
    `baseurl=${baseurl}`,
    'enabled=1',
    'gpgcheck=1',
    `repo_gpgcheck=${metadataSigned ? 1 : 0}`,
    `gpgkey=${gpgKeys.map((key) => `file://${key}`).join(' ')}`,
    ...(credentials && password !== undefined
      ? [`username=${credentials.username}`, `password=${password}`]
      : []),
    ...(priority === undefined ? [] : [`priority=${priority}`]),
    ...(cost === undefined ? [] : [`cost=${cost}`]),
    '',
  ].join('\n');
}

/**
 * Names the set of keys and what they must have signed, 16 hex digits. rpm-ostree does not verify again what is in its
 * cache, so each set has a cache of its own. Fails with StreamInvalid where a key file cannot be read.
 */
export async function keySet(repos: readonly RepoInput[]): Promise<string> {
  const parts = await Promise.all(
    repos.map(async ({ id, gpgKeys, metadataSigned }) => ({
      id,
      metadataSigned,
      keys: (await Promise.all(gpgKeys.map((key) => keyDigest(id, key)))).sort(),
    })),
  );
  parts.sort((a, b) => (a.id < b.id ? -1 : 1));
  return sha256(JSON.stringify(parts)).slice(0, 16);
}

async function keyDigest(id: string, path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Failure(
      'StreamInvalid',
      `repos.${id}.gpgKeys: \`${path}\` cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
    );
  });
  if (!text.includes('-----BEGIN PGP PUBLIC KEY BLOCK-----'))
    throw new Failure('StreamInvalid', `repos.${id}.gpgKeys: \`${path}\` is no ASCII-armoured public key`);
  return sha256(text);
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
