/**
 * Publication. All that is bulky goes first and stays invisible (objects, images); then a short switch of refs and
 * summary; an independent client pulls; metadata names the build last.
 */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, meaning } from '../domain/failures.js';
import { buildMeta } from '../domain/metadata.js';
import type { StepRecord } from '../domain/run.js';
import { refOf, type Architecture } from '../domain/stream.js';
import { fetchPublished, rsync } from '../publish/target.js';
import { exists, readText, writeWhole } from '../store/store.js';
import {
  objectFiles,
  pushed,
  pushOptions,
  switchOptions,
  verifyFiles,
  type Pushed,
} from '../publish/push.js';
import { assembleMeta } from '../publish/meta.js';
import { publishIndex, pruneBuilds } from '../publish/build-index.js';
import { writeBuildPages } from '../publish/pages.js';
import { asStep, frozenStream, type Host, type StepArgs } from './host.js';
import { commitFacts, commitMetadata, initRepo, ostree, remoteCommands, resolveRef } from './ostree.js';

export interface PublishArgs extends StepArgs {
  readonly build: string;
  readonly commits: Readonly<Partial<Record<Architecture, string>>>;
}

const commitsOf = (args: PublishArgs) => Object.entries(args.commits) as [Architecture, string][];

export const publishActivities = (host: Host) => {
  const { store } = host;
  /** Object files of the last publication's snapshot, a line each. */
  const publishedObjects = (stream: string) => join(store.published(stream), 'objects');
  const archBuild = (args: PublishArgs, arch: Architecture) => join(store.archDir(args, arch), 'build');

  return {
    /**
     * Copies the signed commits into the snapshot repo, sets the refs there and checks them: version, parent, wholeness,
     * signature, and that the published head is still the parent. Fails with CommitInvalid, PublishConflict.
     */
    snapshot: asStep(host, async (step, args: PublishArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      const [staging, snapshot] = [store.repo(stream.name), store.snapshot(stream.name)];
      await initRepo(step, snapshot);
      const check = 'signing-key';
      for (const command of remoteCommands(snapshot, check, stream.publish.buildlogs.url, stream.signingKey))
        await step.run(command);
      for (const [arch, commit] of commitsOf(args)) {
        const ref = refOf(stream, arch);
        await step
          .run(ostree(snapshot, 'pull-local', `--remote=${check}`, '--gpg-verify', staging, commit))
          .catch(meaning('CommitInvalid', `${commit}: is not whole, or not signed with the stream's key`));
        const version = await commitMetadata(step, snapshot, commit, 'version');
        if (version !== args.build)
          throw new Failure(
            'CommitInvalid',
            `${commit}: version ${version ?? 'none'}, but the build is ${args.build}`,
          );
        if (await exists(join(snapshot, 'state', `${commit}.commitpartial`)))
          throw new Failure('CommitInvalid', `${commit}: is not whole in the snapshot`);
        const { parent } = await commitFacts(step, snapshot, commit);
        const head = (await fetchPublished(step, stream.publish.buildlogs, `repo/refs/heads/${ref}`))
          ?.toString()
          .trim();
        if (head !== parent && head !== commit)
          throw new Failure(
            'PublishConflict',
            `${ref}: points to ${head ?? 'nothing'} now, but this build was made on ${parent ?? 'nothing'}`,
          );
        await step.run(ostree(snapshot, 'refs', '--force', `--create=${ref}`, commit));
      }
      await step.run(ostree(snapshot, 'remote', 'delete', check));
      await step.run(ostree(snapshot, 'prune', '--refs-only', '--depth=0'));
    }),

    /** Pushes objects and deltas that the target lacks. Nothing is deleted or replaced. */
    pushRepo: asStep(host, async (step, args: PublishArgs): Promise<Pushed> => {
      const stream = await frozenStream(host, args);
      const snapshot = store.snapshot(stream.name);
      // Only what the last publication did not have: rsync would else send and compare a list of every object.
      const known = new Set((await readText(publishedObjects(stream.name)))?.split('\n'));
      const fresh = (await objectFiles(snapshot)).filter((file) => !known.has(file));
      const list = join(store.published(stream.name), `push-${args.run}`);
      await writeWhole(list, fresh.join('\n'));
      const onLine = (line: string) => {
        const left = /to-chk=(\d+)\//.exec(line);
        if (left)
          step.progress({ done: fresh.length - Number(left[1]), total: fresh.length, unit: 'objects' });
      };
      const options = [...pushOptions, `--files-from=${list}`];
      const { stdout } = await rsync(step, stream.publish.buildlogs, options, [`${snapshot}/`], 'repo/', {
        onLine,
      });
      await rm(list);
      return pushed(stdout);
    }),

    /** Pushes images, checksums, signatures, lockfile and logs, as yet named by nothing. */
    pushImages: asStep(host, async (step, args: PublishArgs): Promise<Pushed> => {
      const stream = await frozenStream(host, args);
      let total: Pushed = { files: 0, newBytes: 0, sentBytes: 0 };
      for (const [arch] of commitsOf(args)) {
        const folder = archBuild(args, arch);
        await mkdir(folder, { recursive: true });
        await cp(join(store.archDir(args, arch), 'lockfile.json'), join(folder, 'lockfile.json'));
        const onLine = (line: string) => {
          const bytes = /^\s*([\d,]+)\s+(\d+)%/.exec(line);
          const [done, percent] = [Number(bytes?.[1]?.replaceAll(',', '') ?? 0), Number(bytes?.[2] ?? 0)];
          if (percent > 0) step.progress({ done, total: Math.round((done * 100) / percent), unit: 'bytes' });
        };
        const { stdout } = await rsync(
          step,
          stream.publish.buildlogs,
          pushOptions,
          [`${folder}/`],
          `builds/${args.build}/${arch}/`,
          { onLine },
        );
        const now = pushed(stdout);
        total = {
          files: total.files + now.files,
          newBytes: total.newBytes + now.newBytes,
          sentBytes: total.sentBytes + now.sentBytes,
        };
      }
      return total;
    }),

    /** The switch: refs, then summary and its signature, staged beside their place and renamed at the end. */
    switchRefs: asStep(host, async (step, args: PublishArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      const snapshot = store.snapshot(stream.name);
      const next = join(store.published(stream.name), `next-${args.run}`);
      await rm(next, { recursive: true, force: true });
      await mkdir(next, { recursive: true });
      // All of `refs`, with its empty folders: ostree commands at the target want them.
      for (const part of ['refs', 'summary', 'summary.sig'])
        await cp(join(snapshot, part), join(next, part), { recursive: true });
      await rsync(step, stream.publish.buildlogs, switchOptions, [`${next}/`], 'repo/');
    }),

    /** Returns readers to the refs and summary of the former publication, or to none if there was none. */
    restoreRefs: asStep(host, async (step, args: PublishArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      // The target is not what it was taken for: the next push looks at every object.
      await rm(publishedObjects(stream.name), { force: true });
      const former = join(store.published(stream.name), 'refs');
      await mkdir(former, { recursive: true });
      const only = ['--include=/refs/***', '--include=/summary', '--include=/summary.sig', '--exclude=*'];
      await rsync(
        step,
        stream.publish.buildlogs,
        [...switchOptions, '--delete-after', ...only],
        [`${former}/`],
        'repo/',
      );
    }),

    /** An independent client: a fresh repo pulls each ref from the readers' address with GPG and summary verification. */
    verify: asStep(host, async (step, args: PublishArgs): Promise<void> => {
      const stream = await frozenStream(host, args);
      const work = store.work(args, 'verify');
      await rm(work, { recursive: true, force: true });
      await mkdir(work, { recursive: true });
      const repo = join(work, 'repo');
      // `bare-user` spares compressing every object again.
      await initRepo(step, repo, 'bare-user');
      const { url } = stream.publish.buildlogs;
      // A readers' server that is away for a moment is waited for; one that has something else is not.
      await fetchPublished(step, stream.publish.buildlogs, 'repo/summary');
      for (const command of remoteCommands(repo, 'client', `${url}/repo`, stream.signingKey))
        await step.run(command);
      for (const [arch, commit] of commitsOf(args)) {
        const ref = refOf(stream, arch);
        await step
          .run(ostree(repo, 'pull', '--disable-fsync', 'client', ref))
          .catch(meaning('VerificationFailed', `${url}/repo ${ref}`));
        const head = await resolveRef(step, repo, `client:${ref}`);
        if (head !== commit)
          throw new Failure(
            'VerificationFailed',
            `${url}/repo ${ref}: a client got ${head ?? 'nothing'} instead of ${commit}`,
          );
        await verifyFiles(
          step,
          `${url}/builds/${args.build}/${arch}`,
          await assembleMeta(host, args, arch, commit, []),
        );
      }
      await rm(work, { recursive: true, force: true });
    }),

    /** Writes and pushes meta.json, the build pages and, last, builds.json. From here on the build is published. */
    metadata: asStep(
      host,
      async (step, args: PublishArgs & { steps: readonly StepRecord[] }): Promise<void> => {
        const stream = await frozenStream(host, args);
        const target = stream.publish.buildlogs;
        for (const [arch, commit] of commitsOf(args)) {
          const folder = archBuild(args, arch);
          const meta = await assembleMeta(host, args, arch, commit, args.steps);
          await cp(store.logs(args), join(folder, 'logs'), { recursive: true });
          await writeWhole(join(folder, 'meta.json'), `${JSON.stringify(buildMeta.parse(meta), null, 2)}\n`);
        }
        const index = await publishIndex(
          host,
          stream,
          args.build,
          commitsOf(args).map(([arch]) => arch),
        );
        await writeBuildPages(host, stream, index);
        for (const [arch] of commitsOf(args))
          await rsync(
            step,
            target,
            ['--recursive', '--times'],
            [`${archBuild(args, arch)}/`],
            `builds/${args.build}/${arch}/`,
          );
        const published = store.published(stream.name);
        await rsync(
          step,
          target,
          ['--recursive', '--times', '--delay-updates'],
          [`${join(published, 'pages')}/`],
          '',
        );
        await rsync(
          step,
          target,
          ['--times', '--delay-updates'],
          [join(published, 'next-builds.json')],
          'builds.json',
        );
        await writeWhole(
          publishedObjects(stream.name),
          (await objectFiles(store.snapshot(stream.name))).join('\n'),
        );
        // What readers have now is what a later failure returns them to.
        await cp(join(published, 'next-builds.json'), join(published, 'builds.json'));
        await rm(join(published, 'refs'), { recursive: true, force: true });
        await cp(join(published, `next-${args.run}`), join(published, 'refs'), { recursive: true });
        await rm(join(published, `next-${args.run}`), { recursive: true, force: true });
      },
    ),

    /** Removes what is older than the stream's retention: builds at the target, runs in the store. */
    prune: asStep(host, async (step, args: StepArgs): Promise<{ builds: string[]; runs: number }> =>
      pruneBuilds(host, step, await frozenStream(host, args)),
    ),
  };
};
