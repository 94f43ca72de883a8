/** The signing role: the only one that sees private keys. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, meaning } from '../domain/failures.js';
import { imageMeta } from '../domain/metadata.js';
import { clearSignCommand, detachSignCommand, readKey, requirePrivateKey, signingHome } from '../keys/gpg.js';
import type { Step } from '../steps/step.js';
import { needJson, readJson, writeJson } from '../store/store.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { stepArgs, type StepArgs, archArgs } from '../domain/inputs.js';
import { buildId } from '../domain/build-id.js';
import { ostree, signCommitCommand, summaryCommand } from '../ostree/repo.js';
import { z } from 'zod';
import { checksumsFile, sha256 } from '../store/checksums.js';
import { kindName, sha256 as commitId } from '../domain/names.js';

/** What the step `commit` records. */
const madeCommit = z.object({ commit: commitId });

export const signActivities = (host: Host) => {
  const home = signingHome(host.settings.state);

  async function signingKey(step: Step, args: StepArgs) {
    const stream = await frozenStream(host, args);
    const key = await readKey(step, stream.signingKey);
    await requirePrivateKey(step, home, key);
    return { key: key.fingerprint, stream };
  }

  return {
    /**
     * Signs the commit in the staging repo: once, a signature of this key that is there already is made again. Before the images,
     * which carry it: without it `ostree admin status` complains on every machine that was installed from one.
     */
    signCommit: asStep(
      host,
      archArgs.extend({ commit: commitId }),
      async (step, args): Promise<{ key: string }> => {
        const { key } = await signingKey(step, args);
        const made = await readJson(join(host.store.archDir(args, args.arch), 'commit.json'), madeCommit);
        if (made?.commit !== args.commit)
          throw new Failure(
            'CommitInvalid',
            `${args.commit}: is not what this run has made; it is not signed`,
          );
        const repo = host.store.repo(args.stream);
        const drop = ostree(repo, 'gpg-sign', '--delete', `--gpg-homedir=${home}`, args.commit, key);
        await step.run(drop, { okCodes: [0, 1] });
        await step
          .run(signCommitCommand(repo, args.commit, key, home))
          .catch(meaning('SigningFailed', args.commit));
        await writeJson(join(host.store.archDir(args, args.arch), 'signed.json'), { key });
        return { key };
      },
    ),

    /** Signs each image (`<image>.asc`), after comparing it with its record, and clear-signs the checksums file. */
    signImages: asStep(
      host,
      archArgs.extend({ images: z.array(kindName).max(50).readonly() }),
      async (step, args): Promise<void> => {
        const { key } = await signingKey(step, args);
        const folder = join(host.store.archDir(args, args.arch), 'build');
        const lines: string[] = [];
        for (const kind of args.images) {
          const meta = await needJson(
            join(host.store.archDir(args, args.arch), `image-${kind}.json`),
            imageMeta,
          );
          const file = join(folder, meta.path);
          const digest = await sha256(file);
          if (digest !== meta.sha256)
            throw new Failure('ImageFailed', `${meta.path}: is ${digest}, but was made as ${meta.sha256}`);
          await step.run(detachSignCommand(home, key, file)).catch(meaning('SigningFailed', meta.path));
          lines.push(`${digest}  ${meta.path}\n`);
        }
        if (lines.length === 0) return;
        const file = join(folder, checksumsFile);
        await writeFile(file, lines.sort().join(''));
        await step.run(clearSignCommand(home, key, file)).catch(meaning('SigningFailed', checksumsFile));
      },
    ),

    /** Writes and signs the summary of the snapshot that is going to be pushed. */
    signSummary: asStep(host, stepArgs, async (step, args): Promise<void> => {
      const { key } = await signingKey(step, args);
      await step
        .run(summaryCommand(host.store.snapshot(args.stream), key, home))
        .catch(meaning('SigningFailed', args.step));
    }),

    /** Writes and signs the summary of the release repo. */
    signReleaseSummary: asStep(host, stepArgs, async (step, args): Promise<void> => {
      const { key } = await signingKey(step, args);
      await step
        .run(summaryCommand(host.store.releaseRepo(args.stream), key, home))
        .catch(meaning('SigningFailed', args.step));
    }),

    /** Clear-signs the announcement, if the stream has an announcer's key. */
    signAnnouncement: asStep(host, stepArgs.extend({ build: buildId }), async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      const keyFile = stream.release?.announce.key;
      if (keyFile === undefined) return;
      const key = await readKey(step, keyFile);
      await requirePrivateKey(step, home, key);
      const file = join(host.store.releaseFiles(stream.name, args.build), 'announcement.txt');
      await step
        .run(clearSignCommand(home, key.fingerprint, file))
        .catch(meaning('SigningFailed', 'announcement.txt'));
    }),
  };
};
