/** What image kinds share once the raw disk is made: conversion and digests, with progress in bytes. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import type { Argv, Step } from '../steps/step.js';

/** How the clusters of a qcow2 are compressed. zlib costs five times the time of zstd, and more space. */
export const compression = z
  .enum(['zstd', 'zlib', 'none'])
  .default('zstd')
  .describe('Compression of the disk’s clusters; QEMU before 5.1 reads `zlib` only.');
export type Compression = z.infer<typeof compression>;

export const convertCommand = (raw: string, target: string, compression: Compression): Argv => [
  ...(['qemu-img', 'convert', '-p', '-f', 'raw', '-O', 'qcow2'] as const),
  ...(compression === 'none' ? [] : ['-c', '-o', `compression_type=${compression}`]),
  raw,
  target,
];

/** Converts a raw disk of `size` bytes to a qcow2 `target`, overwriting it. */
export async function toQcow2(
  step: Step,
  raw: string,
  target: string,
  { size, compression }: { size: number; compression: Compression },
): Promise<void> {
  await step.run(convertCommand(raw, target, compression), {
    onLine: (line) => {
      const percent = /\((\d+\.\d+)\/100%\)/.exec(line)?.[1];
      if (percent)
        step.progress({ done: Math.round((size * Number(percent)) / 100), total: size, unit: 'bytes' });
    },
  });
}

/** Hex sha256 and size in bytes of a file. */
export async function digest(step: Step, file: string): Promise<{ sha256: string; size: number }> {
  const { size } = await stat(file);
  const hash = createHash('sha256');
  let done = 0;
  for await (const chunk of createReadStream(file, {
    highWaterMark: 1024 * 1024,
    signal: step.signal,
  }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    done += chunk.length;
    step.progress({ done, total: size, unit: 'bytes' });
  }
  return { sha256: hash.digest('hex'), size };
}
