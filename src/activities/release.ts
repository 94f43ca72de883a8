/** The steps of a release by copy: from a published build to the release location. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { ReleaseEntry } from '../domain/release.js';
import { releaseRefOf, type Architecture, type Stream } from '../domain/stream.js';
import { addPushed, nothingPushed, pushed, pushOptions, verifyFiles, type Pushed } from '../publish/push.js';
import {
  forgetPushed,
  headOf,
  keepSwitched,
  pullAsClient,
  pushObjects,
  releasePlace,
  restoreRefs,
  switchRefs,
  takeCommit,
  type Place,
} from '../publish/repo.js';
import { differing, fetchPublished, removeAt, rsync } from '../publish/target.js';
import { checkCommit, checkFiles, metasOf, releaseRefs } from '../release/check.js';
import { writeDocuments } from '../release/documents.js';
import { publishReleasePages } from '../release/publish-pages.js';
import { readReleases, withRelease, withRollback } from '../release/release-index.js';
import type { Step } from '../steps/step.js';
import { exists, readText, writeJson, writeWhole } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { asStep, frozenStream, type Host, type StepArgs } from './host.js';
import { ostree } from './ostree.js';

export interface ReleaseArgs extends StepArgs {
  readonly build: string;
  /** The release that readers have until now; null before the first. */
  readonly onto: string | null;
  /** Names of those who approved it. */
  readonly approvers: readonly string[];
}

/** What the workflow needs to know of the release. */
export interface ReleasePlan {
  readonly commits: Readonly<Partial<Record<Architecture, string>>>;
  /** Is the announcement held until approvers let it go? */
  readonly hold: boolean;
}

export const releaseActivities = (host: Host) => {
  const { store } = host;

  /** Commits of a release per ref, from the index. */
  async function refsOf(step: Step, stream: Stream, build: string): Promise<Record<string, string>> {
    const index = await readReleases(host, stream, step.signal);
    const entry = index.releases.find(({ version }) => version === build);
    if (!entry) throw new Failure('HeadMoved', `${build}: is not in releases.json`);
    return Object.fromEntries(
      entry.commits.map(({ architecture, checksum }) => [releaseRefOf(stream, architecture), checksum]),
    );
  }

  /** The release location must still be where it was when the approvals were given. */
  async function requireHead(step: Step, stream: Stream, { build, onto }: ReleaseArgs): Promise<void> {
    const place = releasePlace(host, stream);
    const former = onto === null ? {} : await refsOf(step, stream, onto);
    const { metas } = await metasOf(host, stream, build, step.signal);
    for (const [ref, commit] of Object.entries(releaseRefs(stream, metas))) {
      const head = await headOf(step, place, ref);
      // It may be there already: a try that was killed right after its switch.
      if (head !== former[ref] && head !== commit)
        throw new Failure(
          'HeadMoved',
          `${place.target.url}/repo ${ref}: is ${head ?? 'nothing'}; the approval was given on ${former[ref] ?? 'nothing'}`,
        );
    }
  }

  async function setRefs(step: Step, repo: string, refs: Readonly<Record<string, string>>): Promise<void> {
    for (const [ref, commit] of Object.entries(refs))
      await step.run(ostree(repo, 'refs', '--force', `--create=${ref}`, commit));
  }

  /** Says that what has the build's names at the release location is of this instance, and may be taken back. */
  const claim = (stream: Stream, build: string) =>
    join(releasePlace(host, stream).published, 'pushed', build);

  /** Fails with PublishConflict where another content has the name of one of the build's files or documents. */
  async function requireFree(
    step: Step,
    { target }: Place,
    folders: readonly (readonly [folder: string, path: string])[],
  ): Promise<void> {
    for (const [folder, path] of folders) {
      const conflicts = await differing(step, target, folder, path);
      if (conflicts.length > 0)
        throw new Failure('PublishConflict', `${target.url}/${path}: has another ${conflicts.join(', ')}`);
    }
  }

  /** Metadata and pages, `releases.json` last; then this instance's own record. */
  async function publishReleases(
    step: Step,
    stream: Stream,
    run: string,
    index: Awaited<ReturnType<typeof readReleases>>,
  ): Promise<void> {
    const place = releasePlace(host, stream);
    await publishReleasePages(step, host, stream, run, index);
    const next = join(place.published, 'next-releases.json');
    await writeJson(next, index);
    await rsync(step, place.target, ['--times', '--delay-updates'], [next], 'releases.json');
    await writeJson(join(place.published, 'releases.json'), index);
    await keepSwitched(place, run);
  }

  return {
    /** Fails with BuildNotReleasable, BuildDamaged. Changes nothing. */
    checkBuild: asStep(host, async (step, args: ReleaseArgs): Promise<ReleasePlan> => {
      const stream = await frozenStream(host, args);
      const { announce } = needRelease(stream);
      const { run, metas } = await metasOf(host, stream, args.build, step.signal);
      const index = await readReleases(host, stream, step.signal);
      const listed = index.releases.find(({ version }) => version === args.build);
      for (const meta of metas) {
        const { architecture, 'ostree-commit': commit } = meta;
        const released = listed?.commits.find((entry) => entry.architecture === architecture);
        if (listed && released?.checksum !== commit)
          throw new Failure('PublishConflict', `${args.build}: is released already, with other commits`);
        const work = store.work(args, 'check', architecture);
        await checkFiles(step, host, stream, run, meta, work);
        await checkCommit(step, store.repo(stream.name), commit, releaseRefOf(stream, architecture), work);
      }
      const commits = Object.fromEntries(metas.map((meta) => [meta.architecture, meta['ostree-commit']]));
      return { commits, hold: announce.hold };
    }),

    /** Is the release location where it was at the approval? Fails with HeadMoved. */
    checkHead: asStep(host, async (step, args: ReleaseArgs): Promise<void> =>
      requireHead(step, await frozenStream(host, args), args),
    ),

    /** Copies the commits into the release repo and sets the release refs there. Fails with HeadMoved, CommitInvalid. */
    takeRelease: asStep(host, async (step, args: ReleaseArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      await requireHead(step, stream, args);
      const place = releasePlace(host, stream);
      await mkdir(store.releases(stream.name), { recursive: true });
      const { metas } = await metasOf(host, stream, args.build, step.signal);
      const signed = { key: stream.signingKey, version: args.build };
      for (const meta of metas)
        await takeCommit(step, place, store.repo(stream.name), meta['ostree-commit'], signed);
      await setRefs(step, place.repo, releaseRefs(stream, metas));
    }),

    /** Writes release notes, wiki text, announcement and release.json. */
    documents: asStep(host, async (step, args: ReleaseArgs): Promise<void> => {
      const { build, onto: former, approvers } = args;
      await writeDocuments(step, host, await frozenStream(host, args), {
        run: args,
        build,
        former,
        approvers,
      });
    }),

    /** Pushes objects that the release location lacks. */
    pushReleaseRepo: asStep(host, async (step, args: ReleaseArgs): Promise<Pushed> =>
      pushObjects(step, releasePlace(host, await frozenStream(host, args)), args.run),
    ),

    /**
     * Pushes the build's files and the release's documents, as yet named by nothing, and compares every byte at the target. Fails
     * with PublishConflict, before it pushes anything, where something else has such a name.
     */
    pushReleaseFiles: asStep(host, async (step, args: ReleaseArgs): Promise<Pushed> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const { run, metas } = await metasOf(host, stream, args.build, step.signal);
      const files = metas.map(
        ({ architecture }) =>
          [join(store.archDir(run, architecture), 'build'), `builds/${args.build}/${architecture}/`] as const,
      );
      const documents = [store.releaseFiles(stream.name, args.build), `releases/${args.build}/`] as const;
      const claimed = claim(stream, args.build);
      if (!(await exists(claimed))) {
        await requireFree(step, place, [...files, documents]);
        await writeWhole(claimed, '');
      }
      let total = nothingPushed;
      for (const [folder, path] of files) {
        const { stdout } = await rsync(step, place.target, pushOptions, [`${folder}/`], path);
        total = addPushed(total, pushed(stdout));
      }
      await requireFree(step, place, files);
      const options = ['--recursive', '--times', '--checksum', '--delay-updates'];
      await rsync(step, place.target, options, [`${documents[0]}/`], documents[1]);
      return total;
    }),

    /** An independent client pulls the commits by checksum: whole and signed, before any ref names them. Fails with VerificationFailed. */
    tryRelease: asStep(host, async (step, args: ReleaseArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const { metas } = await metasOf(host, stream, args.build, step.signal);
      const work = store.work(args, 'client');
      await pullAsClient(step, place, releaseRefs(stream, metas), {
        key: stream.signingKey,
        work,
        unnamed: true,
      });
      for (const meta of metas)
        await verifyFiles(step, `${place.target.url}/builds/${args.build}/${meta.architecture}`, meta);
    }),

    /** The point of no return: ref, then summary and its signature, renamed together. */
    switchRelease: asStep(host, async (step, args: ReleaseArgs): Promise<void> =>
      switchRefs(step, releasePlace(host, await frozenStream(host, args)), args.run),
    ),

    /** Adds the release to releases.json, and writes stream metadata, feed and pages. Idempotent. */
    releaseMetadata: asStep(
      host,
      async (step, args: ReleaseArgs & Pick<ReleasePlan, 'commits'>): Promise<void> => {
        const stream = await frozenStream(host, args);
        const { url } = releasePlace(host, stream).target;
        const [arch] = stream.architectures;
        const entry: ReleaseEntry = {
          version: args.build,
          metadata: `${url}/releases/${args.build}/release.json`,
          commits: Object.entries(args.commits).map(([architecture, checksum]) => ({
            architecture: architecture as Architecture,
            checksum,
          })),
          treeline: {
            released: new Date().toISOString(),
            ref: arch === undefined ? stream.ref : releaseRefOf(stream, arch),
            page: `${url}/releases/${args.build}/index.html`,
            former: args.onto,
            approvers: [...args.approvers],
          },
        };
        const index = withRelease(await readReleases(host, stream, step.signal), entry);
        await publishReleases(step, stream, args.run, index);
      },
    ),

    /** What readers get that is not what was released; nothing, if all is well. Changes nothing. */
    checkDrift: asStep(host, async (step, args: ReleaseArgs): Promise<string[]> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const { target } = place;
      const drift: string[] = [];
      const look = (check: Promise<void>) =>
        check.catch((error: unknown) => {
          if (!(error instanceof Failure) || error.code !== 'VerificationFailed') throw error;
          drift.push(error.message);
        });
      const { metas, run } = await metasOf(host, stream, args.build, step.signal);
      const work = store.work(args, 'drift');
      await look(pullAsClient(step, place, releaseRefs(stream, metas), { key: stream.signingKey, work }));
      for (const meta of metas) {
        const path = `builds/${args.build}/${meta.architecture}/`;
        await look(verifyFiles(step, `${target.url}/${path.slice(0, -1)}`, meta));
        const folder = join(store.archDir(run, meta.architecture), 'build');
        for (const file of await differing(step, target, folder, path))
          drift.push(`${target.url}/${path}${file}: is another than was released`);
      }
      const own = await readText(join(place.published, 'releases.json'));
      for (const [path, wanted] of [
        ['releases.json', own],
        ['stream.json', undefined],
        [`releases/${args.build}/index.html`, undefined],
        [`releases/${args.build}/notes.json`, undefined],
      ] as const) {
        const found = (await fetchPublished(step, target, path))?.toString();
        if (found === undefined) drift.push(`${target.url}/${path}: is missing`);
        else if (wanted !== undefined && found !== wanted)
          drift.push(`${target.url}/${path}: is another than was published`);
      }
      return drift;
    }),

    /** Pushes everything again, comparing contents, and switches again. Only forward: nothing is taken away. */
    repairRelease: asStep(host, async (step, args: ReleaseArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const { metas, run } = await metasOf(host, stream, args.build, step.signal);
      const options = ['--recursive', '--links', '--times', '--checksum', '--delay-updates'];
      for (const part of ['objects', 'config'])
        await rsync(step, place.target, options, [join(place.repo, part)], 'repo/');
      for (const { architecture } of metas) {
        const folder = join(store.archDir(run, architecture), 'build');
        await rsync(step, place.target, options, [`${folder}/`], `builds/${args.build}/${architecture}/`);
      }
      const documents = store.releaseFiles(stream.name, args.build);
      await rsync(step, place.target, options, [`${documents}/`], `releases/${args.build}/`);
      await switchRefs(step, place, args.run);
    }),

    /**
     * Takes back what was pushed for a release that is not published: readers stay on, or are returned to, the former one. One that
     * is in releases.json is left alone.
     */
    undoRelease: asStep(host, async (step, args: ReleaseArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const index = await readReleases(host, stream, step.signal);
      if (index.releases.some(({ version }) => version === args.build))
        return step.note('is released: left alone');
      const began = await exists(join(place.published, `next-${args.run}`));
      const made = await metasOf(host, stream, args.build, step.signal).catch(() => ({ metas: [] }));
      for (const [ref, commit] of Object.entries(releaseRefs(stream, made.metas)))
        if (!began && (await headOf(step, place, ref)) === commit)
          return step.note(`${ref}: readers have it already, from an earlier try: left alone`);
      const former = args.onto === null ? {} : await refsOf(step, stream, args.onto);
      for (const arch of stream.architectures) {
        const ref = releaseRefOf(stream, arch);
        const commit = former[ref];
        if (commit !== undefined) await setRefs(step, place.repo, { [ref]: commit });
        else if (await exists(place.repo)) await step.run(ostree(place.repo, 'refs', '--delete', ref));
      }
      if (began) {
        await restoreRefs(step, place);
        await rm(join(place.published, `next-${args.run}`), { recursive: true, force: true });
      }
      await forgetPushed(place);
      const claimed = claim(stream, args.build);
      if (await exists(claimed)) {
        const empty = join(place.published, 'empty');
        await removeAt(step, place.target, 'builds', [args.build], empty);
        await removeAt(step, place.target, 'releases', [args.build], empty);
        await rm(claimed);
      }
      await rm(store.releaseDir(stream.name, args.build), { recursive: true, force: true });
    }),

    /** Rollback: checks the former release's commits in the release repo, and sets the refs there to them. */
    takeFormer: asStep(host, async (step, args: ReleaseArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const refs = await refsOf(step, stream, args.build);
      for (const [ref, commit] of Object.entries(refs))
        await checkCommit(step, place.repo, commit, ref, store.work(args, 'former'));
      await setRefs(step, place.repo, refs);
    }),

    /** Rollback: after the switch, readers must get the former release; then the index says so. */
    rollbackMetadata: asStep(host, async (step, args: ReleaseArgs & { reason?: string }): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const refs = await refsOf(step, stream, args.build);
      await pullAsClient(step, place, refs, { key: stream.signingKey, work: store.work(args, 'client') });
      const mark = { at: new Date().toISOString(), reason: args.reason };
      const index = withRollback(await readReleases(host, stream, step.signal), args.build, mark);
      await publishReleases(step, stream, args.run, index);
    }),

    /** The release pages as the stream workflow's view and releases.json say now. Nothing for a stream without releases. */
    releasePages: asStep(host, async (step, args: StepArgs): Promise<void> => {
      const stream = await loadStream(host.settings, args.stream);
      if (!stream.release || !stream.publish.release) return;
      await publishReleasePages(step, host, stream, args.run, await readReleases(host, stream, step.signal));
    }),

    /** Removes the run's scratch folder. */
    cleanUpRelease: async (run: { stream: string; run: string }): Promise<void> => {
      await rm(store.work(run), { recursive: true, force: true });
    },
  };
};

/** Fails with StreamInvalid for a stream that has no releases. */
export function needRelease(stream: Stream): NonNullable<Stream['release']> {
  if (!stream.release)
    throw new Failure('StreamInvalid', `${stream.name}: release: missing: add the section`);
  return stream.release;
}
