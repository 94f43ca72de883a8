/** Where rpm-ostree works: this run's copy of the treefile's folder, the cache of the key set, and a temporary folder. */
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import type { Step } from '../../steps/step.js';
import { passwordOf } from '../repos.js';
import { exists } from '../../store/store.js';
import type { ComposeInput } from '../composer.js';
import * as commands from './commands.js';
import { failureOf } from './classify.js';
import { expandedTreefile, progressReader, type ExpandedTreefile } from './output.js';
import { keySet, repoFile } from './repo-files.js';

export interface Workspace {
  readonly place: commands.Place;
  /** The treefile, includes and variables expanded. */
  readonly treefile: ExpandedTreefile;
  /** Runs an rpm-ostree command alone on the cache; answers its standard output. */
  readonly run: (argv: commands.Argv, env?: Readonly<Record<string, string>>) => Promise<string>;
}

/** A key set's cache that was unused for so long is removed. */
const cacheDays = 28;

/**
 * Makes ready for one command; may be called any number of times. `fresh` copies the treefile's folder again: only
 * `resolve` does, so that the later steps compose from what was resolved even if the stream's folder changes meanwhile.
 * Fails with ToolMissing (no rpm-ostree, or too old), StreamInvalid (treefile or repos), Busy (cache in use).
 */
export async function openWorkspace(step: Step, input: ComposeInput, fresh = false): Promise<Workspace> {
  const help = await step.run(commands.helpCommand, { capture: 'all' });
  const missing = commands.missingOptions(help.stdout);
  if (missing.length > 0)
    throw new Failure(
      'ToolMissing',
      `this rpm-ostree is too old: it lacks ${missing.join(', ')}. Version 2023.4 has them.`,
    );
  const files = await Promise.all(
    input.repos.map(async (repo) => [`${repo.id}.repo`, repoFile(repo, await passwordOf(repo))] as const),
  );
  const place = {
    repo: input.repo,
    cache: await openCache(input),
    treefile: join(await copyTreefile(input, fresh), basename(input.treefile)),
  };
  for (const [name, text] of files) await writeSecret(join(dirname(place.treefile), name), text);
  const tmp = join(input.work, 'rpm-ostree-tmp');
  await sweep(step, place.cache, tmp);
  const run = (argv: commands.Argv, env = {}) => runAlone(step, place.cache, argv, { TMPDIR: tmp, ...env });
  const treefile = expandedTreefile.parse(JSON.parse(await run(commands.printCommand(place))));
  checkTreefile(treefile, input);
  return { place, treefile, run };
}

/** Only its owner ever reads it, also where it was there with another mode. */
async function writeSecret(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  await writeFile(file, text, { mode: 0o600, flag: 'wx' });
}

async function runAlone(
  step: Step,
  cache: string,
  argv: commands.Argv,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const { exitCode, stdout, stderr } = await step.run(commands.exclusively(cache, argv), {
    env,
    capture: 'all',
    okCodes: [0, 1, commands.busyCode],
    onLine: progressReader((progress) => step.progress(progress)),
  });
  if (exitCode === commands.busyCode) throw new Failure('Busy', `another rpm-ostree works with ${cache}`);
  if (exitCode === 1) throw failureOf(stderr);
  return stdout;
}

/** Copies the treefile's folder without its `*.repo` files: the stream file alone says which repos there are. */
async function copyTreefile(input: ComposeInput, fresh: boolean): Promise<string> {
  const copy = join(input.work, 'treefile');
  if (fresh) await rm(copy, { recursive: true, force: true });
  else if (await exists(copy)) return copy;
  const half = `${copy}.new`;
  await rm(half, { recursive: true, force: true });
  await cp(dirname(input.treefile), half, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !path.endsWith('.repo'),
  }).catch((error: unknown) => {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? new Failure('StreamInvalid', `treefile: no ${input.treefile}`)
      : error;
  });
  await rename(half, copy);
  return copy;
}

const cacheName = /^rpm-ostree-[0-9a-f]{16}$/;

/** The key set's cache folder, marked as used; others that nobody used for long are removed. */
async function openCache({ cache, repos }: ComposeInput): Promise<string> {
  const own = `rpm-ostree-${await keySet(repos)}`;
  const path = join(cache, own);
  await mkdir(path, { recursive: true });
  const now = new Date();
  await utimes(path, now, now);
  for (const name of await readdir(cache)) {
    if (name === own || !cacheName.test(name)) continue;
    const { mtimeMs } = await stat(join(cache, name));
    if (now.getTime() - mtimeMs > cacheDays * 86_400_000)
      await rm(join(cache, name), { recursive: true, force: true });
  }
  return path;
}

/**
 * Removes what an rpm-ostree that was killed left in the cache and in its temporary folder, which it does not do
 * itself. Under the lock, so that what is removed belongs to nobody: a run's folder exists only while it has the lock.
 */
async function sweep(step: Step, cache: string, tmp: string): Promise<void> {
  const left = await leftIn(cache);
  if (await exists(tmp)) left.push(tmp);
  if (!(await removeAlone(step, cache, left)))
    throw new Failure('Busy', `another rpm-ostree works with ${cache}`);
  await mkdir(tmp, { recursive: true });
}

/** The same for every key set's cache below `folder`, whose next run may never come; those that are in use are left alone. */
export async function sweepCaches(step: Step, folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (cacheName.test(name)) await removeAlone(step, join(folder, name), await leftIn(join(folder, name)));
}

const leftIn = async (cache: string): Promise<string[]> =>
  (await readdir(cache))
    .filter((name) => name.startsWith('rpm-ostree-compose.'))
    .map((name) => join(cache, name));

/** False where another process works with the cache: then nothing is removed. */
async function removeAlone(step: Step, cache: string, paths: readonly string[]): Promise<boolean> {
  if (paths.length === 0) return true;
  const argv: commands.Argv = ['rm', '--recursive', '--force', '--one-file-system', '--', ...paths];
  const { exitCode } = await step.run(commands.exclusively(cache, argv), { okCodes: [0, commands.busyCode] });
  return exitCode === 0;
}

/** What rpm-ostree accepts without a word, or what is not its business here. */
function checkTreefile(treefile: ExpandedTreefile, { repos, arch, releasever }: ComposeInput): void {
  const wrong = (sentence: string) => new Failure('StreamInvalid', `treefile: ${sentence}`);
  if (treefile.ref === undefined) throw wrong('add `ref`');
  if (treefile['gpg-key'] !== undefined) throw wrong('remove `gpg-key`: only the signing role signs');
  if (treefile.basearch !== undefined && treefile.basearch !== arch)
    throw wrong(`this host composes for ${treefile.basearch}, not for ${arch}`);
  if (treefile.releasever !== undefined && treefile.releasever !== releasever)
    throw wrong(`\`releasever\` is ${treefile.releasever}, the stream's is ${releasever}`);
  const declared = new Set(repos.map(({ id }) => id));
  const unknown = [...treefile.repos, ...treefile['lockfile-repos']].filter((id) => !declared.has(id));
  if (unknown.length > 0)
    throw wrong(`\`repos\` names ${unknown.join(', ')}, which the stream does not declare`);
}

/**
 * Copies each repo's metadata, as the depsolve used it, to `metadata/<id>` in the work folder; answers the sha256 of
 * each repomd.xml by repo id. A repo whose metadata is not where it is expected in the cache is left out.
 */
export async function keepMetadata(
  cache: string,
  { work, repos, releasever, arch }: ComposeInput,
): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (const { id } of repos) {
    const from = join(cache, 'cache', 'repomd', `${id}-${releasever}-${arch}`, 'repodata');
    if (!(await exists(join(from, 'repomd.xml')))) continue;
    const to = join(work, 'metadata', id);
    await rm(to, { recursive: true, force: true });
    await cp(from, join(to, 'repodata'), { recursive: true });
    sums.set(
      id,
      createHash('sha256')
        .update(await readFile(join(to, 'repodata', 'repomd.xml')))
        .digest('hex'),
    );
  }
  return sums;
}
