/** From the package repos to a commit in the staging repo. These steps of a run share a host's disk and are pinned to it. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ComposeInput, RepoInput } from '../composers/composer.js';
import { headersOf, resolvedRepos } from '../composers/repos.js';
import { composerOf } from '../composers/index.js';
import { hashInputs, inputHashKey } from '../composers/input-hash.js';
import { Failure } from '../domain/failures.js';
import { lockfile } from '../domain/lockfile.js';
import {
  acceptedKeys,
  baseOf,
  isSignedLine,
  refOf,
  releaseRefOf,
  type Architecture,
  type Stream,
  type Target,
} from '../domain/stream.js';
import { signatureFailure } from '../keys/ostree-trouble.js';
import { asReader, awaitReaders, fetchPublished, readPlaced, urlOf } from '../publish/readers.js';
import { movingFiles, releasePlace } from '../publish/repo.js';
import { packageDifference } from '../rpm/difference.js';
import { causeOf } from '../steps/cause.js';
import { fetchBytes } from '../steps/http.js';
import type { Step } from '../steps/step.js';
import { exists, needJson, writeJson, type Run } from '../store/store.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import {
  commitFacts,
  commitMetadata,
  initRepo,
  ostree,
  remoteCommands,
  remoteOf,
  resolveRef,
} from '../ostree/repo.js';
import { type ArchStepArgs, archArgs, time } from '../domain/inputs.js';
import { sha256 } from '../domain/names.js';
import { buildId } from '../domain/build-id.js';

export interface Parent {
  readonly commit: string;
  readonly version: string | undefined;
  readonly inputHash: string | undefined;
}

export const composeActivities = (host: Host) => {
  const { store } = host;
  const file = (run: Run, arch: Architecture, name: string) => join(store.archDir(run, arch), name);
  const readLockfile = (args: ArchStepArgs) => needJson(file(args, args.arch, 'lockfile.json'), lockfile);

  return {
    /**
     * Pulls the commit that the new one follows into the staging repo, verifying summary and commit signatures: the last published build, of
     * signed builds the current release. Answers nothing if there is none yet. Fails with ParentInvalid, ReadersBehind, TargetUnreachable.
     */
    parent: asStep(host, archArgs, async (step, args): Promise<Parent | undefined> => {
      const stream = await frozenStream(host, args);
      const repo = store.repo(stream.name);
      await mkdir(store.streamDir(stream.name), { recursive: true });
      await initRepo(step, repo);
      const { target, begun } = parentPlace(host, stream);
      const ref = refOf(stream, args.arch);
      // A stale cache would give an older head, on which nothing may be published. On this host a folder may be another one, and empty.
      for (const path of movingFiles([ref]))
        if (await readPlaced(step, target, path)) await awaitReaders(step, target, [path]);
      if ((await fetchPublished(step, target, 'repo/summary')) === undefined) {
        if (await exists(begun))
          throw new Failure(
            'ParentInvalid',
            `${target.url}/repo: has no summary, although builds were published there`,
          );
        return undefined;
      }
      const remote = remoteOf(args.arch, target);
      for (const command of remoteCommands(repo, remote, `${target.url}/repo`, acceptedKeys(stream)))
        await step.run(command);
      if (!(await pullVerified(step, ostree(repo, 'pull', remote, ref)))) return undefined;
      const commit = await resolveRef(step, repo, `${remote}:${ref}`);
      if (commit === undefined) return undefined;
      const [version, inputHash] = await Promise.all([
        commitMetadata(step, repo, commit, 'version'),
        commitMetadata(step, repo, commit, inputHashKey),
      ]);
      return { commit, version, inputHash };
    }),

    /** Depsolves; writes the lockfile. Answers the hash of all inputs, by which an unchanged nightly is known. */
    resolve: asStep(host, archArgs, async (step, args): Promise<{ packages: number; inputHash: string }> => {
      const stream = await frozenStream(host, args);
      const locked = await composerOf(stream.composer).resolve(step, await composeInput(host, stream, args));
      await writeJson(file(args, args.arch, 'lockfile.json'), locked);
      const inputHash = await hashInputs(stream, args.arch, join(store.runDir(args), 'source'), locked);
      await writeJson(file(args, args.arch, 'inputs.json'), { inputHash });
      return { packages: Object.keys(locked.packages).length, inputHash };
    }),

    /** Fetches and verifies the locked packages. */
    download: asStep(host, archArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      await composerOf(stream.composer).download(
        step,
        await composeInput(host, stream, args),
        await readLockfile(args),
      );
    }),

    /** Makes the tree. */
    compose: asStep(
      host,
      archArgs.extend({ parent: sha256.optional() }),
      async (step, args): Promise<void> => {
        const stream = await frozenStream(host, args);
        const composed = await composerOf(stream.composer).compose(
          step,
          await composeInput(host, stream, args),
          await readLockfile(args),
          args.parent,
        );
        await writeJson(file(args, args.arch, 'composed.json'), composed);
      },
    ),

    /** Have the package repos stayed as they were when the lockfile was made? Answers the ids of those that have not. */
    inputs: asStep(host, archArgs, async (step, args): Promise<{ changed: string[] }> => {
      const { repos, releasever } = await frozenStream(host, args);
      const { metadata } = await readLockfile(args);
      const changed: string[] = [];
      for (const repo of await resolvedRepos(repos, { arch: args.arch, releasever })) {
        const before = metadata.rpmmd_repos[repo.id]?.repomd;
        if (before === undefined) continue;
        const now = createHash('sha256')
          .update(await readRepomd(step, repo))
          .digest('hex');
        step.note(`${repo.id}: repomd.xml was ${before}, is ${now}`);
        if (now !== before) changed.push(repo.id);
      }
      return { changed };
    }),

    /** Commits the tree with parent and version, and checks what came out. */
    commit: asStep(
      host,
      archArgs.extend({ build: buildId, parent: sha256.optional(), date: time }),
      async (step, args): Promise<{ commit: string }> => {
        const stream = await frozenStream(host, args);
        const input = await composeInput(host, stream, args);
        const { inputHash } = await needJson(
          file(args, args.arch, 'inputs.json'),
          z.object({ inputHash: z.string() }),
        );
        const commit = await composerOf(stream.composer).commit(step, input, {
          ref: refOf(stream, args.arch),
          releaseRef: releaseRefOf(stream, args.arch),
          version: args.build,
          parent: args.parent,
          metadata: { [inputHashKey]: inputHash, 'treeline.stream': stream.name },
          timestamp: Math.floor(new Date(args.date).getTime() / 1000),
        });
        const [version, facts] = await Promise.all([
          commitMetadata(step, input.repo, commit, 'version'),
          commitFacts(step, input.repo, commit),
        ]);
        if (version !== args.build || facts.parent !== args.parent)
          throw new Failure(
            'CommitInvalid',
            `${commit}: version ${version ?? 'none'} and parent ${facts.parent ?? 'none'}, but wanted ${args.build} and ${args.parent ?? 'none'}`,
          );
        await writeJson(file(args, args.arch, 'commit.json'), { commit, ...facts, inputHash });
        return { commit };
      },
    ),

    /** The packages of the commit, and their difference to the parent's. */
    diff: asStep(
      host,
      archArgs.extend({ commit: sha256, parent: sha256.optional() }),
      async (step, args): Promise<{ changes: number }> => {
        const work = store.work(args, 'diff', args.arch);
        const record = await packageDifference(step, store.repo(args.stream), args.commit, args.parent, work);
        await writeJson(file(args, args.arch, 'pkgdiff.json'), record);
        return { changes: record.pkgdiff?.length ?? 0 };
      },
    ),
  };
};

/**
 * Where a line's next commit finds its parent, and this instance's record of what was published there. Readers of releases follow the
 * history of releases: attempts at signed rebuilds, of which most are never released, are no part of it.
 */
function parentPlace(host: Host, stream: Stream): { readonly target: Target; readonly begun: string } {
  const { name, publish } = stream;
  if (!isSignedLine(name))
    return { target: publish.buildlogs, begun: join(host.store.published(name), 'builds.json') };
  const { target, published } = releasePlace(host, { ...stream, name: baseOf(name) });
  return { target, begun: join(published, 'releases.json') };
}

/** What the composer's steps of a run work on; its folders are there then. */
export async function composeInput(
  { store }: Host,
  stream: Stream,
  args: ArchStepArgs,
): Promise<ComposeInput> {
  const work = store.work(args, 'compose', args.arch);
  const cache = store.cache(stream.name, args.arch);
  await Promise.all([
    mkdir(work, { recursive: true }),
    mkdir(cache, { recursive: true }),
    mkdir(store.archDir(args, args.arch), { recursive: true }),
  ]);
  const { treefile, releasever } = stream;
  const repos = await resolvedRepos(stream.repos, { arch: args.arch, releasever });
  return { treefile, releasever, repos, arch: args.arch, work, cache, repo: store.repo(stream.name) };
}

/**
 * Runs a pull that verifies signatures. Between a publisher's renames a reader may see a summary with another's signature, so a bad
 * signature counts only when it is still bad a little later. False if the remote has no such ref.
 */
async function pullVerified(step: Step, command: [string, ...string[]]): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const { exitCode, stderr } = await step.run(command, { okCodes: [0, 1] });
    if (exitCode === 0) return true;
    if (/No such branch|Refspec .* not found/.test(stderr)) return false;
    const failure = signatureFailure('the last published commit', stderr);
    if (!failure) throw new Failure('TargetUnreachable', causeOf('', stderr));
    if (attempt === 3) throw failure;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function readRepomd(step: Step, repo: RepoInput): Promise<Buffer> {
  const { baseurl } = repo;
  const path = 'repodata/repomd.xml';
  if (baseurl.startsWith('file://')) return readFile(new URL(`${baseurl.replace(/\/?$/, '/')}${path}`));
  const content = await fetchBytes(urlOf({ url: baseurl }, path), {
    ...{ ...asReader(step), away: 'RepoUnreachable', refused: 'RepoRefused' },
    headers: await headersOf(repo),
  });
  if (content === undefined) throw new Failure('RepoUnreachable', `${baseurl}/${path}: HTTP status 404`);
  return content;
}
