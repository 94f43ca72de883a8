/** The advisories that a release fixes, from the `updateinfo` of the stream's package repos. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import type { PackageChange } from '../domain/metadata.js';
import { releaseNotes, type Advisory } from '../domain/release.js';
import type { Architecture, Stream } from '../domain/stream.js';
import { packageRoot } from '../settings.js';
import { anyCode, type Argv, type Step } from '../steps/step.js';

/** Seconds for one repo: metadata of a large one over a slow line. */
const repoSeconds = 600;

/** Asks for one repo's advisories; see `advisories.py`. */
export const advisoriesCommand: Argv = [
  // In the foreground: the process group stays the step's, so that a cancellation reaches it.
  'timeout',
  '--foreground',
  '--kill-after=5',
  String(repoSeconds),
  'python3',
  '-I',
  join(packageRoot, 'src/release/advisories.py'),
];

const { advisories } = releaseNotes.shape.architectures.element.shape;
const answer = z.union([z.object({ advisories }), z.object({ failure: z.string() })]);

/**
 * The advisories of all repos that `changes` fix: the former version is below the fixed one, the new one is not. A repo without
 * advisories is usual. One that cannot be read is noted in the step's log and adds none: the release does not wait for it.
 * `work` is a scratch folder of its own, emptied first.
 */
export async function fixedAdvisories(
  step: Step,
  stream: Pick<Stream, 'repos' | 'releasever'>,
  arch: Architecture,
  changes: readonly PackageChange[],
  work: string,
): Promise<Advisory[]> {
  const packages = changes.flatMap(([name, kind, { NewPackage: fresh, PreviousPackage: old }]) =>
    kind === 2 && fresh && old ? [{ name, arch: fresh[2], old: old[1], new: fresh[1] }] : [],
  );
  if (packages.length === 0) return [];
  const found = new Map<string, Advisory>();
  for (const repo of stream.repos) {
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true });
    const folders = { cachedir: work, persistdir: work };
    const request = { ...folders, releasever: stream.releasever, arch, repos: [repo], packages };
    const one = await ask(step, request);
    if ('failure' in one) step.note(`${repo.id}: no advisories from this repo: ${one.failure}`);
    else for (const entry of one.advisories) found.set(entry.id, merged(found.get(entry.id), entry));
  }
  await rm(work, { recursive: true, force: true });
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function ask(step: Step, request: object): Promise<z.infer<typeof answer>> {
  const { stdout, stderr, exitCode } = await step.run(advisoriesCommand, {
    input: JSON.stringify(request),
    capture: 'all',
    // 127 says that a program is not there.
    okCodes: anyCode.filter((code) => code !== 127),
  });
  const missing = /No module named '([\w.]+)'/.exec(stderr)?.[1];
  if (missing !== undefined) throw new Failure('ToolMissing', `python3: no module ${missing}`);
  if (exitCode === 124) return { failure: `took more than ${repoSeconds} s` };
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (exitCode === 0 && last.startsWith('{')) return answer.parse(JSON.parse(last));
  return { failure: `the reader ended with exit code ${exitCode}: ${stderr.trim().slice(-300)}` };
}

/** The same advisory in two repos, such as one per part of a distribution. */
const merged = (known: Advisory | undefined, entry: Advisory): Advisory =>
  known ? { ...known, packages: [...new Set([...known.packages, ...entry.packages])].sort() } : entry;
