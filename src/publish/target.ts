/** Publish targets: one way to write to all of them, rsync, be it a folder, a daemon or a host by ssh. */
import { mkdir } from 'node:fs/promises';
import { Failure, type FailureCode } from '../domain/failures.js';
import type { Target } from '../domain/stream.js';
import { causeOf } from '../steps/cause.js';
import { tailOf } from '../steps/ending.js';
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
function rsyncAddress(target: Target): { base: string; shell: string[] } {
  if (!target.location.startsWith('ssh://')) return { base: target.location, shell: [] };
  const { shell, url, user } = sshOf(target);
  // rsync splits this word at spaces itself; no shell sees it, and the schema allows no space in its parts.
  return { base: `${user}${url.hostname}:${url.pathname}`, shell: ['-e', shell.join(' ')] };
}

/**
 * rsync's argv for a copy of `sources` (local paths, a trailing `/` means the content) to `path` below the target.
 * `options` come first; nothing is ever deleted unless they say so.
 */
export function rsyncCommand(
  target: Target,
  options: readonly string[],
  sources: readonly string[],
  path: string,
): Argv {
  const { base, shell } = rsyncAddress(target);
  return ['rsync', ...shell, '--mkpath', ...options, '--', ...sources, `${base.replace(/\/+$/, '')}/${path}`];
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
  if (target.location.startsWith('/')) await mkdir(target.location, { recursive: true });
  const result = await step.run(rsyncCommand(target, options, sources, path), {
    ...run,
    okCodes: rsyncCodes,
  });
  if (result.exitCode === 0) return result;
  throw rsyncFailure(target, result);
}

/** All that rsync and ssh end with themselves; not 126 and 127, which say that rsync is not there. */
const rsyncCodes = [...Array.from({ length: 100 }, (_, i) => i), 255];

/** rsync's exit codes: 5 and 10 to 12, 30, 35 and ssh's 255 are a target that is away; 11 is a file error, such as a full disk. */
function rsyncFailure(target: Target, { exitCode, stderr }: RunResult): Failure {
  const tail = tailOf(stderr);
  const text = `${target.location}: ${causeOf('', stderr) || `rsync ended with exit code ${exitCode}`}`;
  if (/No space left|Disk quota/.test(stderr)) return new Failure('DiskFull', text, tail);
  // By SIGTERM or the like.
  if (exitCode === 20) return new Failure('CommandKilled', text, tail);
  if (/max connections/.test(stderr)) return new Failure('TargetUnreachable', text, tail);
  if (
    /Unknown module|auth failed|@ERROR|module is read only|Permission denied|Host key verification failed/.test(
      stderr,
    )
  )
    return new Failure('PublishRefused', text, tail);
  if ([5, 10, 12, 30, 35, 255].includes(exitCode)) return new Failure('TargetUnreachable', text, tail);
  return new Failure('CommandFailed', text, tail);
}

/** Can the target be written to? A folder is made; a host is asked for a listing. */
export async function reachTarget(step: Step, target: Target): Promise<void> {
  if (target.location.startsWith('/')) {
    await mkdir(target.location, { recursive: true });
    return;
  }
  const { base, shell } = rsyncAddress(target);
  const result = await step.run(
    ['rsync', ...shell, '--list-only', '--no-motd', '--', base.replace(/\/?$/, '/')],
    {
      okCodes: rsyncCodes,
    },
  );
  // 23: the folder itself is not there yet; rsync makes it.
  if (result.exitCode !== 0 && !(result.exitCode === 23 && /No such file/.test(result.stderr)))
    throw rsyncFailure(target, result);
}

/** Reads a file by the target's reader address; undefined for 404. Fails with TargetUnreachable; with `refused` for 401 and 403. */
export async function fetchPublished(
  step: Pick<Step, 'signal'>,
  target: Pick<Target, 'url'>,
  path: string,
  {
    headers = {},
    refused = 'TargetUnreachable',
  }: { headers?: Readonly<Record<string, string>>; refused?: FailureCode } = {},
): Promise<Buffer | undefined> {
  const url = `${target.url.replace(/\/+$/, '')}/${path}`;
  const away = (why: string) => new Failure('TargetUnreachable', `${url}: ${why}`);
  const response = await fetch(url, {
    headers,
    signal: AbortSignal.any([step.signal, AbortSignal.timeout(30_000)]),
  }).catch((error: unknown) => {
    step.signal.throwIfAborted();
    const cause =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw away(cause);
  });
  if (response.status === 404) return undefined;
  if ([401, 403].includes(response.status))
    throw new Failure(refused, `${url}: HTTP status ${response.status}`);
  if (!response.ok) throw away(`HTTP status ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
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
