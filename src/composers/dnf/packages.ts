/** Resolve and download: TypeScript's side of resolve.py. */
import { createHash } from 'node:crypto';
import { access, link, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure, failureKinds, type FailureCode } from '../../domain/failures.js';
import { lockedPackage, type Lockfile } from '../../domain/lockfile.js';
import { packageName } from '../../domain/names.js';
import { otherThanLocked } from '../../rpm/headers.js';
import { notSignedBy, signatureCommands as commandsFor } from '../../rpm/signatures.js';
import { packageRoot } from '../../settings.js';
import type { Argv, Step } from '../../steps/step.js';
import type { ComposeInput, RepoInput } from '../composer.js';
import { readTreefile, type Treefile } from './treefile.js';

/** All actions of resolve.py are asked for on its standard input. */
export const programCommand: Argv = ['python3', '-I', join(packageRoot, 'src/composers/dnf/resolve.py')];

const keyringOf = (input: ComposeInput, repo: RepoInput) => join(input.work, 'keys', repo.id);

/** Imports a repo's keys into a key ring of its own, and checks files against that. */
export const signatureCommands = (
  input: ComposeInput,
  repo: RepoInput,
  files: readonly string[],
): readonly [Argv, Argv] => commandsFor(keyringOf(input, repo), repo.gpgKeys, files);

const failed = z.object({ failure: z.string(), message: z.string(), details: z.array(z.string()) });
const resolved = z.object({
  packages: z.record(packageName, lockedPackage),
  repos: z.record(z.string(), z.object({ timestamp: z.number(), repomd: z.string() })),
});
const downloaded = z.object({ downloaded: z.record(z.string(), z.string()) });

/** Where the RPMs of a run are: `<package name>.rpm`. */
export const packagesDir = (input: ComposeInput) => join(input.work, 'packages');

/** What is depsolved. */
export interface Wanted {
  readonly repos: readonly RepoInput[];
  /** What dnf takes as such: names, globs, NEVRAs, provides, paths, `@group`. */
  readonly packages: readonly string[];
  readonly exclude: readonly string[];
  /** Are packages wanted that are only recommended? */
  readonly recommends: boolean;
  /** By name: no other `[epoch:]version-release.arch` of these packages counts. */
  readonly limit?: Readonly<Record<string, string>>;
}

/** See `Composer.resolve`. One Python process; metadata that did not change is not fetched again. */
export async function resolve(step: Step, input: ComposeInput): Promise<Lockfile> {
  const { repos, ...wanted } = await readTreefile(input.treefile, input.arch);
  return resolveWanted(step, input, { ...wantedBy(wanted), repos: chosenRepos(input, repos) });
}

/** What a treefile asks for. */
export const wantedBy = ({
  packages,
  excludePackages: exclude,
  recommends,
}: Pick<Treefile, 'packages' | 'excludePackages' | 'recommends'>) => ({ packages, exclude, recommends });

export async function resolveWanted(step: Step, input: ComposeInput, wanted: Wanted): Promise<Lockfile> {
  return lockfileOf(step, input, await ask(step, input, resolved, { action: 'resolve', ...wanted }));
}

/** Keeps a copy of the metadata: what this run was resolved against stays the same while the cache goes on. */
async function lockfileOf(
  step: Step,
  input: ComposeInput,
  { packages, repos }: z.infer<typeof resolved>,
): Promise<Lockfile> {
  const metadata = join(input.work, 'metadata');
  await rm(metadata, { recursive: true, force: true });
  await step.run(['cp', '-a', '--', await metadataCache(input), metadata]);
  return {
    metadata: {
      generated: new Date().toISOString(),
      rpmmd_repos: Object.fromEntries(
        Object.entries(repos).map(([id, { timestamp, repomd }]) => [
          id,
          { generated: new Date(timestamp * 1000).toISOString(), repomd },
        ]),
      ),
    },
    packages,
  };
}

/** What is planned: fixes of a released tree. */
export interface WantedFixes {
  /** Folder of the tree's RPM database. */
  readonly database: string;
  /** Of each of its packages: the `[epoch:]version-release.arch` that it counts as. */
  readonly released: Readonly<Record<string, string>>;
  /** `exact`: no later version will do. */
  readonly fixes: readonly { readonly name: string; readonly evr: string; readonly exact: boolean }[];
  /** Id of the repo whose packages are fixes too; null for none. */
  readonly given: string | null;
  readonly exclude: readonly string[];
}

const planned = resolved.extend({ gone: z.array(z.string()), fixes: z.array(z.string()) });

/**
 * The changes of a released tree that bring the fixes, and what these strictly need, and nothing else. Of a fix the newest version in the
 * repos. Fails with FixNotFound, DepsolveFailed, LockfileDrift, PackageSignature, RepoUnreachable.
 */
export async function planFixes(
  step: Step,
  input: ComposeInput,
  wanted: WantedFixes,
): Promise<{
  /** The packages that are changed or added. */
  readonly changed: Lockfile;
  /** Names of those that another obsoletes. */
  readonly gone: readonly string[];
  /** Names of those that were asked for. */
  readonly fixes: readonly string[];
}> {
  const persistdir = join(input.work, 'system');
  const answer = await ask(step, input, planned, {
    action: 'plan',
    persistdir,
    repos: input.repos,
    ...wanted,
  });
  return { changed: await lockfileOf(step, input, answer), gone: answer.gone, fixes: answer.fixes };
}

/** See `Composer.download`. */
export async function download(step: Step, input: ComposeInput, lockfile: Lockfile): Promise<void> {
  const { repos } = await readTreefile(input.treefile, input.arch);
  return downloadFrom(step, input, chosenRepos(input, repos), lockfile);
}

/** Packages are cached by digest; digest and signature are verified in every run. They are in `packagesDir` then. */
export async function downloadFrom(
  step: Step,
  input: ComposeInput,
  repos: readonly RepoInput[],
  lockfile: Lockfile,
): Promise<void> {
  const out = join(input.cache, 'packages');
  await mkdir(out, { recursive: true });
  const wanted = Object.entries(lockfile.packages).map(([name, locked]) => ({ name, ...locked }));
  const frozen = join(input.work, 'metadata');
  const there = await access(frozen).then(
    () => true,
    () => false,
  );
  const { downloaded: files } = await ask(step, input, downloaded, {
    action: 'download',
    repos,
    wanted,
    out,
    ...(there ? { cachedir: frozen } : {}),
  });
  for (const repo of input.repos) {
    const own = wanted.filter((one) => (one.repo ?? input.repos[0]?.id) === repo.id);
    await verifySignatures(
      step,
      input,
      repo,
      own.map((one) => ({ name: `${one.name}-${one.evra}`, file: files[one.name] ?? '' })),
    );
  }
  const unsigned = wanted.filter(
    (one) => one.repo !== undefined && !input.repos.some(({ id }) => id === one.repo),
  );
  if (unsigned.length > 0)
    throw new Failure(
      'StreamInvalid',
      `the lockfile names repos that the stream has not: ${unsigned.map((one) => `${one.name} (${one.repo})`).join(', ')}`,
    );
  const others = await otherThanLocked(
    step,
    wanted.map((one) => ({ ...one, file: files[one.name] ?? '' })),
    join(input.work, 'headers'),
  );
  if (others.length > 0)
    throw new Failure('PackageChecksum', `not the packages that the metadata names: ${others.join('; ')}`);
  const folder = packagesDir(input);
  await rm(folder, { recursive: true, force: true });
  await mkdir(`${folder}.new`, { recursive: true });
  for (const one of wanted) {
    const target = join(`${folder}.new`, `${one.name}.rpm`);
    await rm(target, { force: true });
    // A hard link: the cache may be cleaned while the run goes on.
    await link(files[one.name] ?? '', target).catch(() =>
      step.run(['cp', '--', files[one.name] ?? '', target]),
    );
  }
  await rename(`${folder}.new`, folder);
}

const sources = z.object({
  sources: z.record(
    z.string(),
    z.object({
      name: z.string(),
      evra: z.string(),
      digest: z.string(),
      repo: z.string(),
      /** Source RPMs among those that were asked for, which make what it needs to be built. */
      needs: z.array(z.string()),
    }),
  ),
});
export type FoundSources = z.infer<typeof sources>['sources'];

/** Which of these source RPMs (file names) the repos of `input` have. `makes`: binary packages and the source RPM of each. */
export async function findSources(
  step: Step,
  input: ComposeInput,
  srpms: readonly string[],
  makes: Readonly<Record<string, string>>,
): Promise<FoundSources> {
  const answer = await ask(step, input, sources, { action: 'sources', repos: input.repos, srpms, makes });
  return answer.sources;
}

const versions = z.object({ versions: z.record(z.string(), z.array(z.string())) });

/** What the repos of `input` have of these packages: `[epoch:]version-release.arch`, by name. */
export async function findVersions(
  step: Step,
  input: ComposeInput,
  names: readonly string[],
): Promise<Record<string, readonly string[]>> {
  const answer = await ask(step, input, versions, { action: 'versions', repos: input.repos, names });
  return answer.versions;
}

/** Checks RPM files against a repo's keys and no others. */
async function verifySignatures(
  step: Step,
  input: ComposeInput,
  repo: RepoInput,
  packages: readonly { name: string; file: string }[],
): Promise<void> {
  const files = packages.map(({ file }) => file);
  const unsigned = new Set(await notSignedBy(step, repo.gpgKeys, files, keyringOf(input, repo)));
  const bad = packages.filter(({ file }) => unsigned.has(file)).map(({ name }) => name);
  if (bad.length > 0)
    throw new Failure(
      'PackageSignature',
      `not signed by a key of repo ${repo.id}: ${bad.slice(0, 20).join(', ')}${bad.length > 20 ? ` and ${bad.length - 20} more` : ''}`,
    );
}

/** How a program ends that its limits end, see src/rpm/limits.py: by the kernel, by libsolv, by Python, or by writing no further. */
const atLimit = /was killed by SIG(XCPU|XFSZ|SEGV|ABRT)|Out of memory|MemoryError|File too large/;

function beyondLimits(error: unknown): never {
  if (error instanceof Failure && atLimit.test([error.message, ...error.tail].join('\n')))
    throw new Failure(
      'MetadataRefused',
      `the repos' metadata crashed its reader, or takes more memory, time or disk than it may: ${error.message}`,
      error.tail,
    );
  throw error;
}

/** Runs resolve.py; its failures become ours. */
async function ask<Schema extends z.ZodType>(
  step: Step,
  input: ComposeInput,
  schema: Schema,
  request: {
    readonly action: 'resolve' | 'plan' | 'download' | 'sources' | 'versions';
    readonly [key: string]: unknown;
  },
): Promise<z.infer<Schema>> {
  const persistdir = join(input.work, 'dnf');
  const cachedir = await metadataCache(input);
  await Promise.all([persistdir, cachedir].map((folder) => mkdir(folder, { recursive: true })));
  const { arch, releasever } = input;
  const { stdout } = await step
    .run(programCommand, {
      input: JSON.stringify({ cachedir, persistdir, arch, releasever, ...request }),
      capture: 'all',
      onLine: (line) => {
        const [, done, total] = /^progress (\d+) (\d+)$/.exec(line) ?? [];
        if (done !== undefined) step.progress({ done: Number(done), total: Number(total), unit: 'packages' });
      },
    })
    .catch(beyondLimits);
  const answer: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  const failure = failed.safeParse(answer);
  if (failure.success) {
    const { failure: code, message, details } = failure.data;
    throw new Failure(code in failureKinds ? (code as FailureCode) : 'CommandFailed', message, details);
  }
  return schema.parse(answer);
}

/**
 * The metadata cache of these repos under these keys: with a key changed, or its verification switched on, nothing that
 * was accepted before counts.
 */
export async function metadataCache(input: Pick<ComposeInput, 'repos' | 'cache'>): Promise<string> {
  const hash = createHash('sha256');
  for (const repo of input.repos) {
    hash.update(JSON.stringify([repo.id, repo.baseurl, repo.metadataSigned]));
    for (const key of repo.gpgKeys) hash.update(await readFile(key));
  }
  return join(input.cache, `metadata-${hash.digest('hex').slice(0, 16)}`);
}

function chosenRepos(input: ComposeInput, ids: readonly string[]): readonly RepoInput[] {
  const unknown = ids.filter((id) => !input.repos.some((repo) => repo.id === id));
  if (unknown.length > 0)
    throw new Failure(
      'StreamInvalid',
      `${input.treefile}: \`repos\`: the stream declares no repo ${unknown.join(', ')}`,
    );
  return ids.length === 0 ? input.repos : input.repos.filter((repo) => ids.includes(repo.id));
}
