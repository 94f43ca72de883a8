/** What the build system made: the results as they were fetched, and what its own repo says of them now. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import type { ReimzulSettings } from '../domain/rebuild-settings.js';
import type { Architecture } from '../domain/stream.js';
import { packageRoot } from '../settings.js';
import { causeOf } from '../steps/cause.js';
import { ownCode, type Argv, type Step } from '../steps/step.js';
import { needJson } from '../store/store.js';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const rpmName = z.string().regex(/^[^/\0-][^/\0]*\.rpm$/);

/** Those parts of a `result.json` that the signing role compares. */
const fetchedResult = z.object({
  srpm: rpmName,
  /** The source RPM that the build system made of it. */
  source: z.object({ file: rpmName, digest }),
  /** `YYYYMMDDHHMMSS` of the build: a part of where its results are. */
  timestamp: z.string(),
  packages: z.array(z.object({ name: z.string(), file: rpmName, digest })),
});

export interface FetchedRpm {
  readonly name: string;
  /** Path of the file. */
  readonly path: string;
  /** As `result.json` says. */
  readonly digest: string;
  readonly srpm: string;
  readonly timestamp: string;
}

/** A source RPM that was rebuilt. */
export interface FetchedSource {
  /** File name of the one that was submitted. */
  readonly srpm: string;
  /** The one that the build system made of it, as `result.json` says. */
  readonly path: string;
  readonly digest: string;
  readonly timestamp: string;
}

/** Of each folder of `rebuilt/`, what the build system built from. */
export async function fetchedSources(folder: string): Promise<FetchedSource[]> {
  const names = (await readdir(folder).catch((): string[] => [])).sort();
  return Promise.all(
    names.map(async (name) => {
      const { srpm, source, timestamp } = await needJson(join(folder, name, 'result.json'), fetchedResult);
      return { srpm, path: join(folder, name, source.file), digest: source.digest, timestamp };
    }),
  );
}

/**
 * The RPMs of `rebuilt/`. Fails with RebuildWrong for a file that its `result.json` does not name, or a package that was made twice.
 */
export async function fetchedRpms(folder: string): Promise<FetchedRpm[]> {
  const found = new Map<string, FetchedRpm>();
  for (const source of (await readdir(folder).catch((): string[] => [])).sort()) {
    const result = await needJson(join(folder, source, 'result.json'), fetchedResult);
    const { srpm, timestamp, packages } = result;
    const named = new Set([result.source.file, ...packages.map(({ file }) => file)]);
    const stray = (await readdir(join(folder, source))).filter(
      (file) => file.endsWith('.rpm') && !named.has(file),
    );
    if (stray.length > 0)
      throw new Failure('RebuildWrong', `${srpm}: its result does not name ${stray.slice(0, 10).join(', ')}`);
    for (const one of packages) {
      const other = found.get(one.name);
      if (other) throw new Failure('RebuildWrong', `${one.name}: was made of both ${other.srpm} and ${srpm}`);
      found.set(one.name, { ...one, path: join(folder, source, one.file), srpm, timestamp });
    }
  }
  return [...found.values()];
}

const published = z.object({ name: z.string(), evra: z.string(), digest: z.string(), location: z.string() });
export type PublishedRpm = z.infer<typeof published>;
const answer = z.union([z.object({ packages: z.array(published) }), z.object({ failure: z.string() })]);

/** Seconds: metadata of a large repo over a slow line. */
const mostSeconds = 600;
const repodataCommand: Argv = [
  // In the foreground: the process group stays the step's, so that a cancellation reaches it.
  ...(['timeout', '--foreground', '--kill-after=5', String(mostSeconds)] as const),
  ...['python3', '-I', join(packageRoot, 'src/rebuild/repodata.py')],
];

/**
 * What the build system's repo of results has of these packages, read again. `work` is a scratch folder of its own, emptied first.
 * Fails with ReimzulAway.
 */
export async function publishedRpms(
  step: Step,
  reimzul: ReimzulSettings,
  arch: Architecture,
  names: readonly string[],
  work: string,
): Promise<PublishedRpm[]> {
  if (names.length === 0) return [];
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const baseurl = `${reimzul.results.replace(/\/+$/, '')}/${reimzul.target}.${arch}`;
  const away = (why: string) => new Failure('ReimzulAway', `${baseurl}/repodata: ${why}`);
  const repo = { id: 'results', baseurl, gpgKeys: [], metadataSigned: false };
  const request = { cachedir: work, persistdir: work, releasever: '0', arch, repos: [repo], names };
  const { stdout, stderr, exitCode } = await step.run(repodataCommand, {
    input: JSON.stringify(request),
    capture: 'all',
    okCodes: ownCode,
  });
  await rm(work, { recursive: true, force: true });
  const missing = /No module named '([\w.]+)'/.exec(stderr)?.[1];
  if (missing !== undefined) throw new Failure('ToolMissing', `python3: no module ${missing}`);
  if (exitCode === 124) throw away(`took more than ${mostSeconds} s`);
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (exitCode !== 0 || !last.startsWith('{'))
    throw away(`the reader ended with exit code ${exitCode}: ${causeOf(stdout, stderr)}`);
  const found = answer.parse(JSON.parse(last));
  if ('failure' in found) throw away(found.failure);
  return found.packages;
}
