/** RPM's own order of versions: TypeScript's side of versions.py. */
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../settings.js';
import type { Argv, Step } from '../steps/step.js';

const versionsCommand: Argv = ['python3', '-I', join(packageRoot, 'src/rpm/versions.py')];
const answer = z.object({ orders: z.array(z.union([z.literal(-1), z.literal(0), z.literal(1)])) });

/** `[epoch:]version-release`, as it may stand in an argument, a file or a page. */
export const evrText = /^(?:\d{1,9}:)?[A-Za-z0-9][\w.+~^]{0,99}-[\w.+~^]{1,100}$/;

/** Name of the source package by the file name of its RPM: `bash-5.2-1.src.rpm` is of `bash`. */
export const sourceName = (srpm: string): string => srpm.replace(/-[^-]+-[^-]+\.src\.rpm$/, '');

/** Is the first below, the same as or above the second? Each is `[epoch:]version-release`. */
export type CompareVersions = (a: string, b: string) => -1 | 0 | 1;

/** One question to librpm about all these pairs; the answer knows them and no others. */
export async function versionOrder(
  step: Step,
  pairs: Iterable<readonly [string, string]>,
): Promise<CompareVersions> {
  const key = (a: string, b: string) => `${a} ${b}`;
  const asked = [...new Map([...pairs].map(([a, b]) => [key(a, b), [a, b]])).values()];
  if (asked.length === 0) return unknown;
  const input = JSON.stringify({ pairs: asked });
  const { stdout } = await step.run(versionsCommand, { input, capture: 'all' });
  const { orders } = answer.parse(JSON.parse(stdout));
  const known = new Map(asked.map(([a = '', b = ''], n) => [key(a, b), orders[n]]));
  return (a, b) => known.get(key(a, b)) ?? unknown(a, b);
}

const unknown: CompareVersions = (a, b) => {
  throw new Error(`nobody asked how ${a} compares with ${b}`);
};
