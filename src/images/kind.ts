/**
 * What an image kind is. To add one: write `src/images/<kind>.ts` that exports an `ImageKind`, and name it in
 * `src/images/index.ts`.
 */
import type { z } from 'zod';
import type { Architecture } from '../domain/names.js';
import type { Argv, Step } from '../steps/step.js';

export interface ImageInput {
  readonly arch: Architecture;
  /** The staging ostree repo that holds the commit. */
  readonly repo: string;
  readonly commit: string;
  readonly ref: string;
  /** Name of the ostree remote that the deployment's origin names: upgrades come from there. */
  readonly remote: string;
  readonly osname: string;
  /** Virtual size in bytes. */
  readonly size: number;
  /** File name without its extension, such as `sample-20261123_01-qcow2.x86_64`. */
  readonly name: string;
  /** Scratch folder of this image alone; exists. */
  readonly work: string;
  /** Folder for the result; exists. */
  readonly out: string;
}

export interface ImageResult {
  /** File name within `out`. */
  readonly path: string;
  /** Hex sha256 and bytes of the file. */
  readonly sha256: string;
  readonly size: number;
  /** The same of the raw content, for compressed files. */
  readonly uncompressedSha256?: string;
  readonly uncompressedSize?: number;
}

export interface ImageKind<Options extends z.ZodType = z.ZodType> {
  readonly kind: string;
  /** The architectures whose images can be made, and booted. */
  readonly architectures: readonly Architecture[];
  /** One line for people. */
  readonly description: string;
  /** Schema of `images[].options` in the stream file: strict, each key with a default and a description. */
  readonly options: Options;
  /** What `build` runs, for `--dry-run`; what is known only at run time stands in angle brackets. */
  commands(input: ImageInput, options: z.infer<Options>): readonly Argv[];
  /** Idempotent: the result appears under its name only when it is whole. */
  build(step: Step, input: ImageInput, options: z.infer<Options>): Promise<ImageResult>;
  /** Makes (in `work`) or names a disk image that QEMU can boot from the built file, with its format. */
  bootDisk(step: Step, file: string, work: string): Promise<{ path: string; format: 'qcow2' | 'raw' }>;
}
