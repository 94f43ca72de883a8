/** Images from the commit, and their boot tests. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { bootAttempt, imageMeta, type BootAttempt, type ImageMeta } from '../domain/metadata.js';
import { refOf } from '../domain/stream.js';
import { bootTest } from '../images/boot.js';
import { imageKinds } from '../images/index.js';
import { virtualizationOf } from '../images/virtualization.js';
import { needJson, readJson, writeJson } from '../store/store.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { imageArgs, type ImageArgs } from '../domain/inputs.js';
import { attempt } from '../domain/names.js';

export const imageActivities = (host: Host) => {
  const { store } = host;
  const recordOf = (args: ImageArgs) => join(store.archDir(args, args.arch), `image-${args.kind}.json`);
  const out = (args: ImageArgs) => join(store.archDir(args, args.arch), 'build');

  return {
    /** Makes one image. */
    image: asStep(host, imageArgs, async (step, args): Promise<ImageMeta> => {
      const stream = await frozenStream(host, args);
      const declared = stream.images.find((image) => image.kind === args.kind);
      const kind = imageKinds[args.kind];
      if (!kind || !declared)
        throw new Failure('StreamInvalid', `${args.stream}: has no image of kind ${args.kind}`);
      const work = store.work(args, args.step);
      await rm(work, { recursive: true, force: true });
      await Promise.all([mkdir(work, { recursive: true }), mkdir(out(args), { recursive: true })]);
      const made = await kind.build(
        step,
        {
          arch: args.arch,
          repo: store.repo(stream.name),
          commit: args.commit,
          ref: refOf(stream, args.arch),
          remote: stream.osname,
          osname: stream.osname,
          size: declared.size,
          name: `${stream.name}-${args.build}-${args.kind}.${args.arch}`,
          work,
          out: out(args),
        },
        kind.options.parse(declared.options),
      );
      const meta: ImageMeta = {
        path: made.path,
        sha256: made.sha256,
        size: made.size,
        ...(made.uncompressedSha256 === undefined ? {} : { 'uncompressed-sha256': made.uncompressedSha256 }),
        ...(made.uncompressedSize === undefined ? {} : { 'uncompressed-size': made.uncompressedSize }),
      };
      await writeJson(recordOf(args), meta);
      await rm(work, { recursive: true, force: true });
      return meta;
    }),

    /**
     * Boots an image once and compares the booted commit. A test that fails is an answer, not a failure of the step: the
     * workflow decides on another attempt. Every attempt is recorded, with a console log of its own.
     */
    boot: asStep(host, imageArgs.extend({ attempt }), async (step, args): Promise<BootAttempt> => {
      const stream = await frozenStream(host, args);
      const kind = imageKinds[args.kind];
      if (!kind) throw new Failure('StreamInvalid', `no such image kind: ${args.kind}`);
      const work = store.work(args, args.step);
      await rm(work, { recursive: true, force: true });
      await mkdir(work, { recursive: true });
      const log = `${args.step}.console.log`;
      const console = join(store.logs(args), log);
      const meta = await needJson(recordOf(args), imageMeta);
      const disk = await kind.bootDisk(step, join(out(args), meta.path), work);
      const result = await bootTest(step, {
        disk: disk.path,
        format: disk.format,
        arch: args.arch,
        commit: args.commit,
        test: stream.bootTest,
        virtualization: virtualizationOf(host.settings),
        console,
        work,
      });
      const verdict: BootAttempt = { ...result, log };
      const file = join(store.archDir(args, args.arch), `boot-${args.kind}.json`);
      const attempts = (await readJson(file, z.array(bootAttempt))) ?? [];
      await writeJson(file, [...attempts.filter((attempt) => attempt.log !== log), verdict]);
      await rm(work, { recursive: true, force: true });
      return verdict;
    }),
  };
};
