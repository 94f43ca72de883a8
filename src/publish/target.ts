/** Publish targets: one way to write to all of them, rsync, be it a folder, a daemon or a host by ssh. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { Target } from '../domain/stream.js';
import { causeOf } from '../steps/cause.js';
import { noSpace, tailOf } from '../steps/ending.js';
import { type Argv, type RunOptions, type RunResult, type Step } from '../steps/step.js';

/** The remote shell of an `ssh://` target. */
export function sshOf(target: Target): { shell: [string, ...string[]]; url: URL; user: string } {
  const url = new URL(target.location);
  const shell: [string, ...string[]] = ['ssh', '-oBatchMode=yes', ...(url.port ? [`-p${url.port}`] : [])];
  if (target.identityFile) shell.push(`-i${target.identityFile}`);
  if (target.knownHostsFile) shell.push(`-oUserKnownHostsFile=${target.knownHostsFile}`);
  return { shell, url, user: url.username ? `${url.username}@` : '' };
}

/** rsync's name of a target, and the remote shell for it. */
export function rsyncAddress(target: Target): { base: string; shell: string[] } {
  if (!target.location.startsWith('ssh://')) return { base: target.location, shell: [] };
  const { shell, url, user } = sshOf(target);
  // rsync splits this word at spaces itself; no shell sees it, and the schema allows no space in its parts.
  return { base: `${user}${url.hostname}:${url.pathname}`, shell: ['-e', shell.join(' ')] };
}

/**
 * For every copy: a link to a folder at the target stays what it is (what we send has no links that could lead elsewhere); new folders
 * and files are for all to read, whatever the modes here.
 */
const always = ['--mkpath', '--keep-dirlinks', '--chmod=D0755,F0644'] as const;

/**
 * rsync's argv for a copy of `sources` (local paths, a trailing `/` means the content) to `path` below the target.
 * `options` come after those of every copy; nothing is ever deleted unless they say so.
 */
export function rsyncCommand(
  target: Target,
  options: readonly string[],
  sources: readonly string[],
  path: string,
): Argv {
  const { base, shell } = rsyncAddress(target);
  return ['rsync', ...shell, ...always, ...options, '--', ...sources, `${base.replace(/\/+$/, '')}/${path}`];
}

/** Runs rsync to a target. Fails with TargetUnreachable (tried again), PublishConflict or CommandFailed. */
export async function rsync(
  step: Step,
  target: Target,
  options: readonly string[],
  sources: readonly string[],
  path: string,
  run: RunOptions = {},
): Promise<RunResult> {
  await makeFolder(target);
  const result = await step.run(rsyncCommand(target, options, sources, path), {
    ...run,
    okCodes: rsyncCodes,
  });
  if (result.exitCode === 0) return result;
  throw rsyncFailure(target, result);
}

/**
 * Copies what is in a folder to the root of the target, its files last. Each folder in it goes to an address of its own, where a link to
 * a folder is followed by every rsync: within a transfer 3.5 follows none.
 */
export async function pushTree(step: Step, target: Target, folder: string): Promise<void> {
  const options = ['--recursive', '--times', '--delay-updates'];
  const entries = await readdir(folder, { withFileTypes: true });
  const [folders, files] = [true, false].map((is) =>
    entries.filter((entry) => entry.isDirectory() === is).map(({ name }) => name),
  ) as [string[], string[]];
  for (const name of folders) await rsync(step, target, options, [`${join(folder, name)}/`], `${name}/`);
  if (files.length > 0)
    await rsync(
      step,
      target,
      options,
      files.map((name) => join(folder, name)),
      '',
    );
}

/** Makes the folder of a target that is one. Fails with PublishRefused, DiskFull. */
export async function makeFolder({ location }: Target): Promise<void> {
  if (!location.startsWith('/')) return;
  await mkdir(location, { recursive: true }).catch((error: unknown) => {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const why: Readonly<Record<string, string>> = {
      EEXIST: 'is not a folder, or a link that leads nowhere',
      ENOTDIR: 'is not a folder',
      ENOENT: 'is a link that leads nowhere: is its disk mounted?',
    };
    throw new Failure(
      code === 'ENOSPC' || code === 'EDQUOT' ? 'DiskFull' : 'PublishRefused',
      `${location}: ${why[code] ?? message}`,
    );
  });
}

/** All that rsync and ssh end with themselves; not 126 and 127, which say that rsync is not there. */
export const rsyncCodes = [...Array.from({ length: 100 }, (_, i) => i), 255];

/** rsync's exit codes: 5 and 10 to 12, 30, 35 and ssh's 255 are a target that is away; 11 is a file error, such as a full disk. */
export function rsyncFailure(target: Target, { exitCode, stderr }: RunResult): Failure {
  const tail = tailOf(stderr);
  const text = `${target.location}: ${causeOf('', stderr) || `rsync ended with exit code ${exitCode}`}`;
  if (noSpace.test(stderr)) return new Failure('DiskFull', text, tail);
  // By SIGTERM or the like.
  if (exitCode === 20) return new Failure('CommandKilled', text, tail);
  if (/max connections/.test(stderr)) return new Failure('TargetUnreachable', text, tail);
  if (
    /Unknown module|auth failed|@ERROR|module is read only|Permission denied|Read-only file system|Host key verification failed/.test(
      stderr,
    )
  )
    return new Failure('PublishRefused', text, tail);
  // The other side may hang up over it, which says less.
  const link = /^.*Too many levels of symbolic links.*$/m.exec(stderr)?.[0];
  if (link !== undefined)
    return new Failure(
      'PublishRefused',
      `${target.location}: ${link}. The rsync there follows no such link: mount the disk there instead`,
      tail,
    );
  // A file where a folder must be, or the other way round.
  if (/could not make way for|cannot delete non-empty directory|Not a directory|Is a directory/.test(stderr))
    return new Failure('PublishConflict', text, tail);
  if ([5, 10, 12, 30, 35, 255].includes(exitCode)) return new Failure('TargetUnreachable', text, tail);
  return new Failure('CommandFailed', text, tail);
}

/** Folders of a target that may be links to other disks. */
const mayBeLinks = ['repo', 'builds', 'releases', 'logs'];

/**
 * Can the target be written to? A folder is made; a host is asked for a listing. A link at the target that leads nowhere would be replaced
 * by a folder, so that its disk's content is gone for readers. Fails with TargetUnreachable, PublishRefused.
 */
export async function reachTarget(step: Step, target: Target): Promise<void> {
  await makeFolder(target);
  const links = (await listed(step, target, '')).filter(
    ({ type, name }) => type === 'l' && mayBeLinks.includes(name),
  );
  for (const { name } of links)
    if ((await listed(step, target, `${name}/`)).length === 0)
      throw new Failure(
        'PublishRefused',
        `${target.location}/${name}: is a link that leads nowhere: is its disk mounted?`,
      );
}

/** What is in a folder of the target, itself included: empty if there is no such folder. */
async function listed(step: Step, target: Target, path: string): Promise<{ type: string; name: string }[]> {
  const { base, shell } = rsyncAddress(target);
  const folder = `${base.replace(/\/+$/, '')}/${path}`;
  const argv: Argv = ['rsync', ...shell, '--list-only', '--no-motd', '--', folder];
  const result = await step.run(argv, { okCodes: rsyncCodes, capture: 'all' });
  if (result.exitCode === 23 && /No such file/.test(result.stderr)) return [];
  if (result.exitCode !== 0) throw rsyncFailure(target, result);
  return result.stdout.split('\n').flatMap((line) => {
    // `lrwxrwxrwx 4 2026/11/26 10:00:00 builds -> /other/disk`
    const [, type, name] = /^(.)[rwxsStT-]{9}\S* +[\d,.]+ +\S+ +\S+ (.*?)(?: -> .*)?$/.exec(line) ?? [];
    return type === undefined || name === undefined ? [] : [{ type, name }];
  });
}

/** Removes a file at the root of the target. One that is gone already is fine. */
export async function removeFileAt(step: Step, target: Target, name: string, empty: string): Promise<void> {
  await mkdir(empty, { recursive: true });
  const options = ['--recursive', '--delete', `--include=/${name}`, '--exclude=*'];
  await rsync(step, target, options, [`${empty}/`], '');
}

/** Removes folders below a folder of the target, with all that is in them. What is gone already is fine. */
export async function removeAt(
  step: Step,
  target: Target,
  parent: string,
  names: readonly string[],
  empty: string,
): Promise<void> {
  await mkdir(empty, { recursive: true });
  for (const name of names)
    await rsync(
      step,
      target,
      ['--recursive', '--delete', `--include=/${name}/***`, '--exclude=*'],
      [`${empty}/`],
      `${parent}/`,
    );
}

/** Files below `folder` that the target has already, but with another content. */
export async function differing(step: Step, target: Target, folder: string, path: string): Promise<string[]> {
  const options = ['--recursive', '--checksum', '--existing', '--dry-run', '--out-format=%i %n'];
  const { stdout } = await rsync(step, target, options, [`${folder}/`], path, { capture: 'all' });
  return stdout.split('\n').flatMap((line) => {
    // `<f` sent, `>f` received, each with `c`: the checksum differs. Times alone do not count.
    const changed = /^[<>]f(c|\.s)\S* (.+)$/.exec(line);
    return changed?.[2] === undefined ? [] : [changed[2]];
  });
}
