/**
 * Publication. All that is bulky goes first and stays invisible (objects, images); then a short switch of refs and
 * summary; an independent client pulls; metadata names the build last.
 */
import { join } from 'node:path';
import { buildId } from '../domain/build-id.js';
import { Failure } from '../domain/failures.js';
import { buildIndex } from '../domain/metadata.js';
import { stepRecord } from '../domain/run.js';
import { acceptedKeys, isSignedLine, refOf, signedLine, type Architecture } from '../domain/stream.js';
import { addPushed, nothingPushed } from '../publish/push.js';
import { compareFiles, publishedBelow, verifyFiles } from '../publish/readers.js';
import { assembleMeta, putMeta, putRecords } from '../publish/meta.js';
import {
  publishIndex,
  pruneBuilds,
  pushIndex,
  readIndex,
  removeBuilds,
  withdrawBuild,
} from '../publish/build-index.js';
import { writeBuildPages, writeInstancePage } from '../publish/pages.js';
import {
  buildlogsPlace,
  hasSigned,
  headOf,
  keepSwitched,
  pullAsClient,
  pushObjects,
  restoreRefs,
  switchRefs,
  takeCommit,
} from '../publish/repo.js';
import { pushTree } from '../publish/push-tree.js';
import { publishTo } from '../publish/targets/index.js';
import type { Pushed } from '../publish/targets/target.js';
import { readFix } from '../store/fix-record.js';
import { needJson, writeJson } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { commitFacts, ostree } from '../ostree/repo.js';
import { publishArgs, stepArgs, type PublishArgs } from '../domain/inputs.js';
import { z } from 'zod';

const commitsOf = (args: PublishArgs) => Object.entries(args.commits) as [Architecture, string][];

export const publishActivities = (host: Host) => {
  const { store } = host;
  const archBuild = (args: PublishArgs, arch: Architecture) => join(store.archDir(args, arch), 'build');

  return {
    /**
     * Copies the signed commits into the snapshot repo, sets the refs there and checks them: version, parent, wholeness,
     * signature, and that the published head is still the parent. Attempts at signed rebuilds are all made on the current release, so there
     * the head may be any build that is signed with the stream's keys. Fails with CommitInvalid, PublishConflict.
     */
    snapshot: asStep(host, publishArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = buildlogsPlace(host, stream);
      for (const [arch, commit] of commitsOf(args)) {
        const ref = refOf(stream, arch);
        await takeCommit(step, place, store.repo(stream.name), commit, {
          key: stream.signingKey,
          version: args.build,
        });
        const { parent } = await commitFacts(step, place.repo, commit);
        const head = await headOf(step, place, ref);
        const [keys, work] = [acceptedKeys(stream), store.work(args, 'head', arch)];
        const known = head === commit || head === parent;
        const attempt = () => head === undefined || hasSigned(step, place, head, { keys, work });
        if (!known && !(isSignedLine(stream.name) && (await attempt())))
          throw new Failure(
            'PublishConflict',
            `${ref}: points to ${head ?? 'nothing'} now, but this build was made on ${parent ?? 'nothing'}`,
          );
        await step.run(ostree(place.repo, 'refs', '--force', `--create=${ref}`, commit));
      }
      await step.run(ostree(place.repo, 'prune', '--refs-only', '--depth=0'));
    }),

    /** Pushes objects and deltas that the target lacks. Nothing is deleted or replaced. */
    pushRepo: asStep(host, publishArgs, async (step, args): Promise<Pushed> =>
      pushObjects(step, buildlogsPlace(host, await frozenStream(host, args))),
    ),

    /** Pushes images, checksums, signatures, lockfile and logs, as yet named by nothing. */
    pushImages: asStep(host, publishArgs, async (step, args): Promise<Pushed> => {
      const stream = await frozenStream(host, args);
      let total = nothingPushed;
      for (const [arch] of commitsOf(args)) {
        const folder = archBuild(args, arch);
        await putRecords(store, args, arch);
        const target = publishTo(stream.publish.buildlogs);
        total = addPushed(total, await target.putFolder(step, folder, `builds/${args.build}/${arch}`, 'new'));
      }
      return total;
    }),

    /** The switch: refs, then summary and its signature, staged beside their place and renamed at the end. */
    switchRefs: asStep(host, publishArgs, async (step, args): Promise<void> =>
      switchRefs(step, buildlogsPlace(host, await frozenStream(host, args)), args.run),
    ),

    /** Returns readers to refs, summary and list of builds of the former publication, or to none if there was none. */
    restoreRefs: asStep(host, publishArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      await restoreRefs(step, buildlogsPlace(host, stream));
      await withdrawBuild(host, step, stream, args.build);
    }),

    /** An independent client: a fresh repo pulls each ref from the readers' address with GPG and summary verification. */
    verify: asStep(host, publishArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      const place = buildlogsPlace(host, stream);
      const refs = Object.fromEntries(commitsOf(args).map(([arch, commit]) => [refOf(stream, arch), commit]));
      await pullAsClient(step, place, refs, { keys: acceptedKeys(stream), work: store.work(args, 'verify') });
      for (const [arch, commit] of commitsOf(args))
        await verifyFiles(
          step,
          `${place.target.url}/builds/${args.build}/${arch}`,
          await assembleMeta(host, args, arch, commit, []),
        );
    }),

    /** Writes and pushes meta.json, the build pages and, last, builds.json, which leads readers to the build. */
    metadata: asStep(
      host,
      publishArgs.extend({ steps: z.array(stepRecord).max(1000).readonly() }),
      async (step, args): Promise<void> => {
        const stream = await frozenStream(host, args);
        const target = stream.publish.buildlogs;
        for (const [arch, commit] of commitsOf(args))
          await putMeta(host, args, arch, await assembleMeta(host, args, arch, commit, args.steps));
        const index = await publishIndex(
          host,
          stream,
          args.build,
          commitsOf(args).map(([arch]) => arch),
        );
        await writeBuildPages(step, host, stream, index);
        for (const [arch] of commitsOf(args))
          await publishTo(target).putFolder(
            step,
            archBuild(args, arch),
            `builds/${args.build}/${arch}`,
            'changed',
          );
        const published = store.published(stream.name);
        await pushTree(step, target, join(published, 'pages'));
        await pushIndex(step, stream, join(published, 'next-builds.json'));
      },
    ),

    /**
     * Compares all that readers get of the build, its pages and the list of builds with what was pushed, byte for byte: a later push
     * may have put an earlier one out of reach. Then this is what a later failure returns readers to. Fails with VerificationFailed.
     */
    compare: asStep(host, publishArgs, async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      const published = store.published(stream.name);
      const next = join(published, 'next-builds.json');
      const files = [
        { file: next, path: 'builds.json', moves: true },
        ...(await publishedBelow(join(published, 'pages'), '', true)),
      ];
      for (const [arch] of commitsOf(args))
        files.push(...(await publishedBelow(archBuild(args, arch), `builds/${args.build}/${arch}/`, false)));
      await compareFiles(step, stream.publish.buildlogs, files);
      // Whole or not at all: others read it at any time.
      await writeJson(join(published, 'builds.json'), await needJson(next, buildIndex));
      // The build is published by now. Housekeeping writes this page again within the hour.
      await writeInstancePage(host).catch((error: unknown) => step.note(`instance page: ${String(error)}`));
      await keepSwitched(buildlogsPlace(host, stream), args.run);
    }),

    /** Removes builds that are older than the stream's retention from the target; answers their ids. */
    prune: asStep(host, stepArgs, async (step, args): Promise<string[]> => {
      // What a security case's build looks at is the release location: nothing is pruned there.
      const isFix = (await readFix(store, args)) !== undefined;
      const stream = isFix ? await loadStream(host.settings, args.stream) : await frozenStream(host, args);
      return pruneBuilds(host, step, stream);
    }),

    /**
     * Removes the builds of attempts that are not released from the testing location, unless `release.rebuild.keepAbandoned` keeps them.
     * Ids that no run has taken are passed over. Idempotent.
     */
    clearTesting: asStep(
      host,
      stepArgs.extend({ builds: z.array(buildId).max(1000).readonly() }),
      async (step, args): Promise<void> => {
        const stream = await loadStream(host.settings, args.stream);
        const line = signedLine(stream);
        if (!line || stream.release?.rebuild?.keepAbandoned === true) return;
        const ids: string[] = [];
        for (const id of args.builds)
          if (buildId.safeParse(id).success && (await store.runOf(line.name, id)) !== undefined) ids.push(id);
        await removeBuilds(host, step, line, ids, await readIndex(host, line, step.signal));
      },
    ),
  };
};
