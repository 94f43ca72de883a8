/**
 * The steps of a release: from a published build to the release location. By copy that is one; a signed release goes to two, mirror and
 * cloud, whose own steps are in signed-release.ts.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { ReleaseEntry, ReleaseNotes } from '../domain/release.js';
import { cvesOf } from '../domain/security.js';
import {
  releasedLine,
  releaseRefOf,
  releaseTargets,
  type Architecture,
  type Stream,
  acceptedKeys,
  needRelease,
} from '../domain/stream.js';
import { verifyDownloads } from '../publish/download.js';
import { addPushed, nothingPushed } from '../publish/push.js';
import { awaitReaders, fetchPublished, verifyFiles } from '../publish/readers.js';
import {
  dropStaged,
  forgetPushed,
  headOf,
  isSplit,
  isStaged,
  keepSwitched,
  pullAsClient,
  pushObjects,
  releasePlace,
  restoreRefs,
  switchRefs,
  takeCommit,
  type ReleasePlace,
} from '../publish/repo.js';
import { publishTo } from '../publish/targets/index.js';
import type { Pushed } from '../publish/targets/target.js';
import { checkCommit, checkFiles, metasOf, releaseRefs } from '../release/check.js';
import { requireDecided } from '../release/decided.js';
import { readNotes, writeDocuments } from '../release/documents.js';
import { isSwitched, refsOf, requireCurrent, requireHead, requireTaken } from '../release/head.js';
import { publishReleasePages } from '../release/publish-pages.js';
import { readReleases } from '../publish/published-releases.js';
import { withRelease, withRollback } from '../store/releases.js';
import { forgetFormer, returnBoth, switchBoth, switchForward, verifyReaders } from '../release/switch.js';
import type { Step } from '../steps/step.js';
import { exists, readText, writeJson, writeWhole } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { asStep, asTask } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { ostree } from '../ostree/repo.js';
import { releaseArgs, runArgs, stepArgs } from '../domain/inputs.js';
import { prose } from '../domain/names.js';

/** What the workflow needs to know of the release. */
export interface ReleasePlan {
  readonly commits: Readonly<Partial<Record<Architecture, string>>>;
  /** Is the announcement held until approvers let it go? */
  readonly hold: boolean;
  /** So many mirrors must serve it before it is announced; absent for none. */
  readonly mirrors?: number | undefined;
}

export const releaseActivities = (host: Host) => {
  const { store } = host;

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
    { files: target }: ReleasePlace,
    folders: readonly (readonly [folder: string, path: string])[],
  ): Promise<void> {
    for (const [folder, path] of folders) {
      const conflicts = await publishTo(target).differing(step, folder, path);
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
    await publishTo(place.files).putFile(step, next, 'releases.json', 'changed');
    await writeJson(join(place.published, 'releases.json'), index);
    await keepSwitched(place, run);
    await forgetFormer(place, run);
  }

  return {
    /** Fails with BuildNotReleasable, BuildDamaged. Changes nothing. */
    checkBuild: asStep(host, releaseArgs, async (step, args): Promise<ReleasePlan> => {
      const stream = await frozenStream(host, args);
      const line = releasedLine(stream);
      const { announce, rebuild } = needRelease(stream);
      const { run, metas } = await metasOf(host, line, args.build, step.signal);
      const index = await readReleases(host, stream, step.signal);
      const listed = index.releases.find(({ version }) => version === args.build);
      for (const meta of metas) {
        const { architecture, 'ostree-commit': commit } = meta;
        const released = listed?.commits.find((entry) => entry.architecture === architecture);
        if (listed && released?.checksum !== commit)
          throw new Failure('PublishConflict', `${args.build}: is released already, with other commits`);
        const work = store.work(args, 'check', architecture);
        await checkFiles(step, host, line, run, meta, work);
        await checkCommit(step, store.repo(line.name), commit, releaseRefOf(stream, architecture), work);
      }
      const commits = Object.fromEntries(metas.map((meta) => [meta.architecture, meta['ostree-commit']]));
      const { mirrors = [], mirrorsNeeded = 0 } = isSplit(releasePlace(host, stream)) ? (rebuild ?? {}) : {};
      const needed = Math.min(mirrorsNeeded, mirrors.length);
      return { commits, hold: announce.hold, ...(needed > 0 ? { mirrors: needed } : {}) };
    }),

    /** Is the release location where it was at the approval? Fails with HeadMoved. */
    checkHead: asStep(host, releaseArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      await requireHead(step, host, stream, releasedLine(stream), args);
    }),

    /** Copies the commits into the release repo and sets the release refs there. Fails with HeadMoved, CommitInvalid. */
    takeRelease: asStep(host, releaseArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      await requireDecided(step, host, stream, args);
      const line = releasedLine(stream);
      await requireHead(step, host, stream, line, args);
      const place = releasePlace(host, stream);
      await mkdir(store.releases(stream.name), { recursive: true });
      const { metas } = await metasOf(host, releasedLine(stream), args.build, step.signal);
      const signed = { key: stream.signingKey, version: args.build };
      for (const meta of metas)
        await takeCommit(step, place, store.repo(line.name), meta['ostree-commit'], signed);
      await setRefs(step, place.repo, releaseRefs(stream, metas));
    }),

    /** Writes release notes, wiki text, announcement and release.json. */
    documents: asStep(host, releaseArgs, async (step, args): Promise<void> => {
      const { build, onto: former, accepted, security } = args;
      const stream = await frozenStream(host, args);
      const approvers = await requireDecided(step, host, stream, args);
      await writeDocuments(step, host, stream, { run: args, build, former, approvers, accepted, security });
    }),

    /** Pushes objects that the release location lacks. */
    pushReleaseRepo: asStep(host, releaseArgs, async (step, args): Promise<Pushed> => {
      const stream = await frozenStream(host, args);
      await requireDecided(step, host, stream, args);
      return pushObjects(step, releasePlace(host, stream));
    }),

    /**
     * Pushes the build's files and the release's documents, as yet named by nothing, and compares every byte at the target. Fails
     * with PublishConflict, before it pushes anything, where something else has such a name.
     */
    pushReleaseFiles: asStep(host, releaseArgs, async (step, args): Promise<Pushed> => {
      const stream = await frozenStream(host, args);
      await requireDecided(step, host, stream, args);
      const place = releasePlace(host, stream);
      const { run, metas } = await metasOf(host, releasedLine(stream), args.build, step.signal);
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
      const target = publishTo(place.files);
      let total = nothingPushed;
      for (const [folder, path] of files) {
        total = addPushed(total, await target.putFolder(step, folder, path, 'new'));
      }
      await requireFree(step, place, files);
      await target.putFolder(step, documents[0], documents[1], 'compared');
      return total;
    }),

    /**
     * An independent client pulls the commits by checksum: whole and signed, before any ref names them. Of a signed release it downloads
     * every image too, with its signatures. Fails with VerificationFailed.
     */
    tryRelease: asStep(host, releaseArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const { metas } = await metasOf(host, releasedLine(stream), args.build, step.signal);
      const work = store.work(args, 'client');
      await pullAsClient(step, place, releaseRefs(stream, metas), {
        keys: acceptedKeys(stream),
        work,
        unnamed: true,
      });
      for (const meta of metas) {
        const url = `${place.files.url.replace(/\/+$/, '')}/builds/${args.build}/${meta.architecture}`;
        if (isSplit(place))
          await verifyDownloads(step, url, meta, {
            key: stream.signingKey,
            work: store.work(args, 'downloads', meta.architecture),
          });
        else await verifyFiles(step, url, meta);
      }
    }),

    /**
     * The point of no return: ref, then summary and its signature, renamed together. Of a signed release cloud's `stream.json` goes right
     * before them; if one of the two fails both are returned.
     */
    switchRelease: asStep(host, releaseArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      if (!(await isSwitched(step, host, stream, args))) {
        await requireDecided(step, host, stream, args);
        if (args.decided.decision !== 'rollback')
          await requireHead(step, host, stream, releasedLine(stream), args);
      }
      await requireTaken(step, host, stream, args);
      if (isSplit(place)) await switchBoth(step, host, stream, args, args.run);
      else await switchRefs(step, place, args.run);
    }),

    /**
     * Adds the release to releases.json, and writes stream metadata, feed and pages. What it says are the notes' own facts. Only for what
     * readers have: the switch asks whether that is decided. Idempotent. Fails with HeadMoved.
     */
    releaseMetadata: asStep(host, releaseArgs, async (step, args): Promise<void> => {
      const { build } = args;
      const stream = await frozenStream(host, args);
      const index = await readReleases(host, stream, step.signal);
      const notes = await readNotes(host, stream.name, build);
      const known = index.releases.some(({ version }) => version === build);
      if (!notes || !(known || (await isSwitched(step, host, stream, args))))
        throw new Failure('HeadMoved', `${build}: is not what readers of ${stream.name} have`);
      const { url } = releasePlace(host, stream).files;
      const [arch] = stream.architectures;
      const entry: ReleaseEntry = {
        version: build,
        metadata: `${url}/releases/${build}/release.json`,
        commits: notes.architectures.map(({ architecture, commit }) => ({ architecture, checksum: commit })),
        treeline: {
          released: new Date().toISOString(),
          ref: arch === undefined ? stream.ref : releaseRefOf(stream, arch),
          page: `${url}/releases/${build}/index.html`,
          former: args.onto,
          ...(notes.accepted === undefined ? {} : { accepted: notes.accepted }),
          approvers: [...notes.approvers],
          ...(notes.security ? { security: namesOf(notes.security) } : {}),
        },
      };
      await publishReleases(step, stream, args.run, withRelease(index, entry));
    }),

    /** What readers get that is not what was released; nothing, if all is well. Changes nothing. */
    checkDrift: asStep(host, releaseArgs, async (step, args): Promise<string[]> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const { files } = place;
      const drift: string[] = [];
      const look = (check: Promise<void>) =>
        check.catch((error: unknown) => {
          if (!(error instanceof Failure) || error.code !== 'VerificationFailed') throw error;
          drift.push(error.message);
        });
      const { metas, run } = await metasOf(host, releasedLine(stream), args.build, step.signal);
      const work = store.work(args, 'drift');
      await look(pullAsClient(step, place, releaseRefs(stream, metas), { keys: acceptedKeys(stream), work }));
      for (const meta of metas) {
        const path = `builds/${args.build}/${meta.architecture}/`;
        await look(verifyFiles(step, `${files.url}/${path.slice(0, -1)}`, meta));
        const folder = join(store.archDir(run, meta.architecture), 'build');
        for (const file of await publishTo(files).differing(step, folder, path))
          drift.push(`${files.url}/${path}${file}: is another than was released`);
      }
      const own = await readText(join(place.published, 'releases.json'));
      const pointer = isSplit(place)
        ? await readText(join(store.releaseFiles(stream.name, args.build), 'release.json'))
        : undefined;
      for (const [path, wanted] of [
        ['releases.json', own],
        ['stream.json', pointer],
        [`releases/${args.build}/index.html`, undefined],
        [`releases/${args.build}/notes.json`, undefined],
      ] as const) {
        await awaitReaders(step, files, [path]);
        const found = (await fetchPublished(step, files, path))?.toString();
        if (found === undefined) drift.push(`${files.url}/${path}: is missing`);
        else if (wanted !== undefined && found !== wanted)
          drift.push(`${files.url}/${path}: is another than was published`);
      }
      return drift;
    }),

    /** Pushes everything again, comparing contents, and switches again. Only forward: nothing is taken away. */
    repairRelease: asStep(host, releaseArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      await requireCurrent(step, host, stream, args.build);
      await requireTaken(step, host, stream, args);
      const place = releasePlace(host, stream);
      const { metas, run } = await metasOf(host, releasedLine(stream), args.build, step.signal);
      const [repo, files] = [publishTo(place.target), publishTo(place.files)];
      await repo.putFolder(step, join(place.repo, 'objects'), 'repo/objects', 'compared');
      await repo.putFile(step, join(place.repo, 'config'), 'repo/config', 'compared');
      for (const { architecture } of metas) {
        const folder = join(store.archDir(run, architecture), 'build');
        await files.putFolder(step, folder, `builds/${args.build}/${architecture}`, 'compared');
      }
      const documents = store.releaseFiles(stream.name, args.build);
      await files.putFolder(step, documents, `releases/${args.build}`, 'compared');
      if (isSplit(place)) await switchForward(step, host, stream, args.build, args.run);
      else await switchRefs(step, place, args.run);
    }),

    /**
     * Takes back what was pushed for a release that is not published: readers stay on, or are returned to, the former one. One that
     * is in releases.json is left alone.
     */
    undoRelease: asStep(host, releaseArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = releasePlace(host, stream);
      const index = await readReleases(host, stream, step.signal);
      if (index.releases.some(({ version }) => version === args.build))
        return step.note('is released: left alone');
      const began = await isStaged(place, args.run);
      const made = await metasOf(host, releasedLine(stream), args.build, step.signal).catch(() => ({
        metas: [],
      }));
      for (const [ref, commit] of Object.entries(releaseRefs(stream, made.metas)))
        if (!began && (await headOf(step, place, ref)) === commit)
          return step.note(`${ref}: readers have it already, from an earlier try: left alone`);
      // Readers first; the rest is only ours.
      if (isSplit(place)) await returnBoth(step, host, stream, args, args.run);
      else if (began) await restoreRefs(step, place);
      const former = args.onto === null ? {} : await refsOf(step, host, stream, args.onto);
      for (const arch of stream.architectures) {
        const ref = releaseRefOf(stream, arch);
        const commit = former[ref];
        if (commit !== undefined) await setRefs(step, place.repo, { [ref]: commit });
        else if (await exists(place.repo)) await step.run(ostree(place.repo, 'refs', '--delete', ref));
      }
      await dropStaged(place, args.run);
      await forgetPushed(place);
      const claimed = claim(stream, args.build);
      if (await exists(claimed)) {
        for (const part of ['builds', 'releases'])
          await publishTo(place.files).remove(step, part, [args.build]);
        await rm(claimed);
      }
      await rm(store.releaseDir(stream.name, args.build), { recursive: true, force: true });
    }),

    /**
     * Rollback: checks the former release's commits in the release repo, and sets the refs there to them. Answers whether there are two
     * targets to switch.
     */
    takeFormer: asStep(host, releaseArgs, async (step, args): Promise<{ split: boolean }> => {
      const stream = await frozenStream(host, args);
      if (args.decided.decision !== 'rollback')
        throw new Failure('StatementRefused', `${args.build}: a rollback is not decided`);
      await requireDecided(step, host, stream, args);
      const place = releasePlace(host, stream);
      const refs = await refsOf(step, host, stream, args.build);
      for (const [ref, commit] of Object.entries(refs))
        await checkCommit(step, place.repo, commit, ref, store.work(args, 'former'));
      await setRefs(step, place.repo, refs);
      return { split: isSplit(place) };
    }),

    /** Rollback: after the switch, readers must get the former release; then the index says so. */
    rollbackMetadata: asStep(
      host,
      releaseArgs.extend({ reason: prose.optional() }),
      async (step, args): Promise<void> => {
        const stream = await frozenStream(host, args);
        const place = releasePlace(host, stream);
        const work = store.work(args, 'client');
        const refs = await refsOf(step, host, stream, args.build);
        if (isSplit(place)) await verifyReaders(step, host, stream, args.build, work);
        else await pullAsClient(step, place, refs, { keys: acceptedKeys(stream), work });
        const mark = { at: new Date().toISOString(), reason: args.reason };
        const index = withRollback(await readReleases(host, stream, step.signal), args.build, mark);
        await publishReleases(step, stream, args.run, index);
      },
    ),

    /** The release pages as the stream workflow's view and releases.json say now. Nothing for a stream without releases. */
    releasePages: asStep(host, stepArgs, async (step, args): Promise<void> => {
      const stream = await loadStream(host.settings, args.stream);
      if (!releaseTargets(stream)) return;
      await publishReleasePages(step, host, stream, args.run, await readReleases(host, stream, step.signal));
    }),

    /** Removes the run's scratch folder. */
    cleanUpRelease: asTask(runArgs, async (run): Promise<void> => {
      await rm(store.work(run), { recursive: true, force: true });
      await forgetFormer({ published: store.releasePublished(run.stream) }, run.run);
    }),
  };
};

/** What `releases.json` says of a security release. */
const namesOf = ({ case: id, advisories }: NonNullable<ReleaseNotes['security']>) => ({
  case: id,
  advisories: advisories.map((advisory) => advisory.id),
  cves: cvesOf(advisories),
});
