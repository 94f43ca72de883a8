/** Images from the commit, and their boot tests. */
import { appendFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { bootAttempt, imageMeta, type BootAttempt, type ImageMeta } from '../domain/metadata.js';
import { refOf } from '../domain/stream.js';
import { bootTest } from '../images/boot.js';
import { workingAccelerator } from '../images/qemu.js';
import { imageKinds } from '../images/index.js';
import { needJson, readJson, writeJson } from '../store/store.js';
import { asStep, frozenStream, type Host } from './host.js';
import { imageArgs, type ImageArgs } from './inputs.js';
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
      const started = Date.now();
      const meta = await needJson(recordOf(args), imageMeta);
      const disk = await kind.bootDisk(step, join(out(args), meta.path), work);
      const verdict: BootAttempt = await bootTest(step, {
        disk: disk.path,
        format: disk.format,
        arch: args.arch,
        commit: args.commit,
        timeoutSeconds: stream.bootTest.timeout,
        memoryMiB: stream.bootTest.memory / 2 ** 20,
        cpus: stream.bootTest.cpus,
        probe: stream.bootTest.probe,
        console,
        work,
      }).then(
        (result) => ({
          passed: true,
          seconds: result.seconds,
          accelerator: result.accelerator,
          commit: result.commit,
          log,
        }),
        async (error: unknown) => {
          if (!(error instanceof Failure) || error.code !== 'BootTestFailed') throw error;
          // A guest that never spoke has a console log too: why the attempt failed stands in it.
          await appendFile(console, `\ntreeline: ${error.message}\n`);
          return {
            passed: false,
            seconds: (Date.now() - started) / 1000,
            accelerator: await workingAccelerator(step, work),
            reason: error.message,
            log,
          };
        },
      );
      const file = join(store.archDir(args, args.arch), `boot-${args.kind}.json`);
      const attempts = (await readJson(file, z.array(bootAttempt))) ?? [];
      await writeJson(file, [...attempts.filter((attempt) => attempt.log !== log), verdict]);
      await rm(work, { recursive: true, force: true });
      return verdict;
    }),
  };
};
