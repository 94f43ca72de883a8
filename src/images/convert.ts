/** What image kinds share once the raw disk is made: conversion and digests, with progress in bytes. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Argv, Step } from '../steps/step.js';

export const convertCommand = (raw: string, target: string, compress: boolean): Argv => [
  ...(['qemu-img', 'convert', '-p', '-f', 'raw', '-O', 'qcow2'] as const),
  ...(compress ? ['-c'] : []),
  raw,
  target,
];

/** Converts a raw disk of `size` bytes to a qcow2 `target`, overwriting it. */
export async function toQcow2(
  step: Step,
  raw: string,
  target: string,
  { size, compress }: { size: number; compress: boolean },
): Promise<void> {
  await step.run(convertCommand(raw, target, compress), {
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
