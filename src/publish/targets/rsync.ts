/** A folder, an rsync daemon or a host by ssh: written to by rsync. */
import { mkdir, mkdtemp, readFile, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import type { Target } from '../../domain/stream.js';
import { causeOf } from '../../steps/cause.js';
import { noSpace, tailOf } from '../../steps/ending.js';
import { anyCode, type Argv, type RunOptions, type RunResult, type Step } from '../../steps/step.js';
import type { How, Placed, PublishTarget, Pushed } from './target.js';

export const rsyncTarget = {
  serves: (location: string) => /^(\/|(rsync|ssh):\/\/)/.test(location),
  open: (target: Target) => new RsyncTarget(target),
};

/**
 * For every copy: a link to a folder at the target stays what it is (what we send has no links that could lead elsewhere); new folders
 * and files are for all to read, whatever the modes here; `--stats` tells what was moved.
 */
const always = ['--mkpath', '--keep-dirlinks', '--chmod=D0755,F0644', '--stats'] as const;

/** Times are kept, so that a later look is quick. */
const options: Readonly<Record<How, readonly string[]>> = {
  new: ['--recursive', '--links', '--times', '--ignore-existing', '--info=progress2', '--no-inc-recursive'],
  changed: ['--recursive', '--times', '--delay-updates'],
  compared: ['--recursive', '--times', '--checksum', '--delay-updates'],
};

/** Folders of a target that may be links to other disks. */
const mayBeLinks = ['repo', 'builds', 'releases', 'logs'];

class RsyncTarget implements PublishTarget {
  constructor(readonly target: Target) {}

  async putFolder(
    step: Step,
    folder: string,
    path: string,
    how: How,
    { only }: { readonly only?: readonly string[] } = {},
  ): Promise<Pushed> {
    const list = only ? { input: only.join('\n') } : {};
    const argv = this.#copy(
      [...options[how], ...(only ? ['--files-from=-'] : [])],
      [`${folder}/`],
      below(path),
    );
    const onLine = (line: string) => tellProgress(step, line, only?.length);
    return statsOf((await this.#run(step, argv, { ...list, onLine })).stdout);
  }

  async putFile(step: Step, file: string, path: string, how: How): Promise<Pushed> {
    return statsOf((await this.#run(step, this.#copy(options[how], [file], path))).stdout);
  }

  async replace(step: Step, folder: string, path: string, names: readonly string[]): Promise<void> {
    const only = names.flatMap((name) => [`--include=/${name}`, `--include=/${name}/***`]);
    const how = [...options.compared, '--delete-after', ...only, '--exclude=*'];
    await this.#run(step, this.#copy(how, [`${folder}/`], below(path)));
  }

  remove(step: Step, path: string, names: readonly string[]): Promise<void> {
    return inScratch((empty) => this.replace(step, empty, path, names));
  }

  async differing(step: Step, folder: string, path: string): Promise<string[]> {
    const how = ['--recursive', '--checksum', '--existing', '--dry-run', '--out-format=%i %n'];
    const argv = this.#copy(how, [`${folder}/`], below(path));
    const { stdout } = await this.#run(step, argv, { capture: 'all' });
    return stdout.split('\n').flatMap((line) => {
      // `<f` sent, `>f` received, each with `c`: the checksum differs. Times alone do not count.
      const changed = /^[<>]f(c|\.s)\S* (.+)$/.exec(line);
      return changed?.[2] === undefined ? [] : [changed[2]];
    });
  }

  async read(step: Step, path: string): Promise<Placed | undefined> {
    const placed = async (file: string) => ({
      content: await readFile(file),
      time: (await stat(file)).mtime,
    });
    const { location } = this.target;
    if (location.startsWith('/'))
      return placed(join(location, path)).catch((error: unknown) => {
        const { code = '', message } = error as NodeJS.ErrnoException;
        if (['ENOENT', 'ENOTDIR'].includes(code)) return undefined;
        throw new Failure('PublishRefused', message);
      });
    return inScratch(async (folder) => {
      const argv = this.#rsync(['--times', '--copy-links', '--', this.#address(path), `${folder}/`]);
      const result = await step.run(argv, { okCodes: rsyncCodes });
      if (result.exitCode === 0) return placed(join(folder, basename(path)));
      if (/No such file or directory/.test(result.stderr)) return undefined;
      throw rsyncFailure(this.target, result);
    });
  }

  async reach(step: Step): Promise<void> {
    await makeFolder(this.target);
    const links = (await this.#listed(step, '')).filter(
      ({ type, name }) => type === 'l' && mayBeLinks.includes(name),
    );
    for (const { name } of links)
      if ((await this.#listed(step, `${name}/`)).length === 0)
        throw new Failure(
          'PublishRefused',
          `${this.target.location}/${name}: is a link that leads nowhere: is its disk mounted?`,
        );
  }

  /** Unknown of an rsync daemon, and of an ssh account that may not ask. */
  async free(step: Step, part: string): Promise<number | undefined> {
    const { location } = this.target;
    if (location.startsWith('/')) {
      await makeFolder(this.target);
      const { bavail, bsize } = await statfs(join(location, part)).catch(() => statfs(location));
      return bavail * bsize;
    }
    if (!location.startsWith('ssh://')) return undefined;
    const { shell, url, user } = sshOf(this.target);
    // A shell at the other end reads these words: only a path that means itself goes there.
    if (!/^[\w./-]+$/.test(url.pathname)) return undefined;
    const host = `${user}${url.hostname.replace(/^\[(.*)\]$/, '$1')}`;
    const folders = [url.pathname, `${url.pathname.replace(/\/+$/, '')}/${part}`];
    const { stdout } = await step.run([...shell, '--', host, ...df, ...folders], { okCodes: anyCode });
    // The folder may not be there yet: then there is one line, and an exit code of its own.
    const free = stdout.match(/^\s*\d+\s*$/gm)?.at(-1);
    return free === undefined ? undefined : Number(free);
  }

  commands(source: { readonly folder: string } | { readonly file: string }, path: string, how: How): Argv[] {
    return [
      'folder' in source
        ? this.#copy(options[how], [`${source.folder}/`], below(path))
        : this.#copy(options[how], [source.file], path),
    ];
  }

  /** A trailing `/` of a source means what is in it. */
  #copy(how: readonly string[], sources: readonly string[], path: string): Argv {
    return this.#rsync([...always, ...how, '--', ...sources, this.#address(path)]);
  }

  async #run(step: Step, argv: Argv, run: RunOptions = {}): Promise<RunResult> {
    await makeFolder(this.target);
    const result = await step.run(argv, { ...run, okCodes: rsyncCodes });
    if (result.exitCode === 0) return result;
    throw rsyncFailure(this.target, result);
  }

  /** What is in a folder of the target, itself included: empty if there is no such folder. */
  async #listed(step: Step, path: string): Promise<{ type: string; name: string }[]> {
    const argv = this.#rsync(['--list-only', '--no-motd', '--', this.#address(path)]);
    const result = await step.run(argv, { okCodes: rsyncCodes, capture: 'all' });
    if (result.exitCode === 23 && /No such file/.test(result.stderr)) return [];
    if (result.exitCode !== 0) throw rsyncFailure(this.target, result);
    return result.stdout.split('\n').flatMap((line) => {
      // `lrwxrwxrwx 4 2026/11/26 10:00:00 builds -> /other/disk`
      const [, type, name] = /^(.)[rwxsStT-]{9}\S* +[\d,.]+ +\S+ +\S+ (.*?)(?: -> .*)?$/.exec(line) ?? [];
      return type === undefined || name === undefined ? [] : [{ type, name }];
    });
  }

  #rsync(args: readonly string[]): Argv {
    if (!this.target.location.startsWith('ssh://')) return ['rsync', ...args];
    // rsync splits this word at spaces itself; no shell sees it, and the schema allows no space in its parts.
    return ['rsync', '-e', sshOf(this.target).shell.join(' '), ...args];
  }

  /** rsync's name of a path at the target. */
  #address(path: string): string {
    const { location } = this.target;
    const { url, user } = location.startsWith('ssh://') ? sshOf(this.target) : {};
    const base = url ? `${user}${url.hostname}:${url.pathname}` : location;
    return `${base.replace(/\/+$/, '')}/${path}`;
  }
}

const df = ['df', '--block-size=1', '--output=avail'];

/** A folder at the target, into which something is copied. */
const below = (path: string) => (path === '' || path.endsWith('/') ? path : `${path}/`);

async function inScratch<R>(body: (folder: string) => Promise<R>): Promise<R> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-target-'));
  return body(folder).finally(() => rm(folder, { recursive: true, force: true }));
}

/** The remote shell of an `ssh://` target. */
function sshOf(target: Target): { shell: [string, ...string[]]; url: URL; user: string } {
  const url = new URL(target.location);
  const shell: [string, ...string[]] = ['ssh', '-oBatchMode=yes', ...(url.port ? [`-p${url.port}`] : [])];
  if (target.identityFile) shell.push(`-i${target.identityFile}`);
  if (target.knownHostsFile) shell.push(`-oUserKnownHostsFile=${target.knownHostsFile}`);
  return { shell, url, user: url.username ? `${url.username}@` : '' };
}

/** Reads `--info=progress2`: `1,234 56% 1.2MB/s 0:00:01 (xfr#3, to-chk=2/9)`. With a number of files by those, else by bytes. */
function tellProgress(step: Step, line: string, files: number | undefined): void {
  if (files !== undefined) {
    const left = /to-chk=(\d+)\//.exec(line);
    if (left) step.progress({ done: files - Number(left[1]), total: files, unit: 'objects' });
    return;
  }
  const bytes = /^\s*([\d,]+)\s+(\d+)%/.exec(line);
  const [done, percent] = [Number(bytes?.[1]?.replaceAll(',', '') ?? 0), Number(bytes?.[2] ?? 0)];
  if (percent > 0) step.progress({ done, total: Math.round((done * 100) / percent), unit: 'bytes' });
}

/** Reads `--stats`. */
export function statsOf(stats: string): Pushed {
  const number = (pattern: RegExp) => Number((pattern.exec(stats)?.[1] ?? '0').replaceAll(',', ''));
  return {
    files: number(/Number of regular files transferred: ([\d,]+)/),
    newBytes: number(/Total transferred file size: ([\d,]+)/),
    sentBytes: number(/Total bytes sent: ([\d,]+)/),
  };
}

/** Makes the folder of a target that is one. Fails with PublishRefused, DiskFull. */
async function makeFolder({ location }: Target): Promise<void> {
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
const rsyncCodes = [...Array.from({ length: 100 }, (_, i) => i), 255];

/** rsync's exit codes: 5 and 10 to 12, 30, 35 and ssh's 255 are a target that is away; 11 is a file error, such as a full disk. */
function rsyncFailure(target: Target, { exitCode, stderr }: RunResult): Failure {
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
