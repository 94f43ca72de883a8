/** RPM's own order of versions: TypeScript's side of versions.py. */
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../settings.js';
import type { Argv, Step } from '../steps/step.js';

const versionsCommand: Argv = ['python3', '-I', join(packageRoot, 'src/rpm/versions.py')];
const answer = z.object({ ranks: z.array(z.int()) });

/** `[epoch:]version-release`, as it may stand in an argument, a file or a page. */
export const evrText = /^(?:\d{1,9}:)?[A-Za-z0-9][\w.+~^]{0,99}-[\w.+~^]{1,100}$/;

/** Name of the source package by the file name of its RPM: `bash-5.2-1.src.rpm` is of `bash`. */
export const sourceName = (srpm: string): string => srpm.replace(/-[^-]+-[^-]+\.src\.rpm$/, '');

/** Negative where the first is below the second, 0 where they are the same to RPM. Each is `[epoch:]version-release`. */
export type CompareVersions = (a: string, b: string) => number;

/** One question to librpm about all these versions; the answer knows them and no others. */
export async function versionOrder(step: Step, versions: Iterable<string>): Promise<CompareVersions> {
  const asked = [...new Set(versions)];
  const rank = new Map<string, number | undefined>();
  if (asked.length > 0) {
    const input = JSON.stringify({ versions: asked });
    const { stdout } = await step.run(versionsCommand, { input, capture: 'all' });
    const { ranks } = answer.parse(JSON.parse(stdout));
    asked.forEach((version, n) => rank.set(version, ranks[n]));
  }
  const rankOf = (version: string) => {
    const known = rank.get(version);
    if (known === undefined) throw new Error(`nobody asked about version ${version}`);
    return known;
  };
  return (a, b) => rankOf(a) - rankOf(b);
}
