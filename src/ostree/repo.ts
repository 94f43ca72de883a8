/** The ostree commands that several steps use, as pure argv builders and small readers. */
import { createHash } from 'node:crypto';
import { Failure } from '../domain/failures.js';
import type { Architecture, Target } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { exists } from '../store/store.js';

export const ostree = (repo: string, ...args: string[]): [string, ...string[]] => [
  'ostree',
  `--repo=${repo}`,
  ...args,
];

/** Makes a repo, once. */
export async function initRepo(
  step: Step,
  repo: string,
  mode: 'archive' | 'bare-user' = 'archive',
): Promise<void> {
  if (!(await exists(`${repo}/config`))) await step.run(ostree(repo, 'init', `--mode=${mode}`));
}

/** Name of a staging repo's remote: one for each location, as two runs of a line may look at different ones at the same time. */
export const remoteOf = (arch: Architecture, { url }: Pick<Target, 'url'>): string =>
  `published-${arch}-${createHash('sha256').update(url).digest('hex').slice(0, 8)}`;

/** Configures a remote whose commits and summary must be signed with one of the keys. Replaces one of the same name. */
export const remoteCommands = (
  repo: string,
  name: string,
  url: string,
  keyFiles: readonly string[],
): [string, ...string[]][] => [
  ostree(repo, 'remote', 'delete', '--if-exists', name),
  ostree(repo, 'remote', 'add', '--set=gpg-verify=true', '--set=gpg-verify-summary=true', name, url),
  ...keyFiles.map((file) => ostree(repo, 'remote', 'gpg-import', `--keyring=${file}`, name)),
];

/** The same command for a remote whose summary is not looked at. */
export const withoutSummary = ([program, ...args]: [string, ...string[]]): [string, ...string[]] => [
  program,
  ...args.map((arg) => (arg === '--set=gpg-verify-summary=true' ? '--set=gpg-verify-summary=false' : arg)),
];

/** Value of a string key of a commit's metadata; undefined if there is none. */
export async function commitMetadata(
  step: Step,
  repo: string,
  commit: string,
  key: string,
): Promise<string | undefined> {
  const { stdout, exitCode } = await step.run(ostree(repo, 'show', `--print-metadata-key=${key}`, commit), {
    okCodes: [0, 1],
  });
  return exitCode === 0 ? stdout.trim().replace(/^'(.*)'$/s, '$1') : undefined;
}

/** What a ref of a repo points to; undefined if there is no such ref. */
export async function resolveRef(step: Step, repo: string, ref: string): Promise<string | undefined> {
  const { stdout, exitCode } = await step.run(ostree(repo, 'rev-parse', ref), { okCodes: [0, 1] });
  return exitCode === 0 ? stdout.trim() : undefined;
}

/** What the summary of a repo says that each ref points to; nothing where there is no summary. */
export async function summaryRefs(step: Step, repo: string): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await step.run(ostree(repo, 'summary', '--view'), { okCodes: [0, 1], capture: 'all' });
  const entries = stdout.matchAll(/^\* (\S+)\n +Latest Commit .*\n +([0-9a-f]{64})$/gm);
  return Object.fromEntries(Array.from(entries, ([, ref = '', commit = '']) => [ref, commit]));
}

/** Parent and time stamp of a commit that is in the repo. */
export async function commitFacts(
  step: Step,
  repo: string,
  commit: string,
): Promise<{ parent?: string; timestamp: string }> {
  const { stdout } = await step.run(ostree(repo, 'log', commit), { capture: 'all' });
  const first = stdout.split(/^commit /m)[1] ?? '';
  const date = /^Date:\s+(.+)$/m.exec(first)?.[1];
  if (!date) throw new Failure('CommitInvalid', `${commit}: ostree shows no date for it`);
  const parent = /^Parent:\s+([0-9a-f]{64})$/m.exec(first)?.[1];
  return { timestamp: new Date(date).toISOString(), ...(parent ? { parent } : {}) };
}

export const signCommitCommand = (repo: string, commit: string, key: string, home: string) =>
  ostree(repo, 'gpg-sign', `--gpg-homedir=${home}`, commit, key);

export const summaryCommand = (repo: string, key: string, home: string) =>
  ostree(repo, 'summary', '--update', `--gpg-sign=${key}`, `--gpg-homedir=${home}`);
