/** What RPM files and databases say of their packages: TypeScript's side of headers.py. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../settings.js';
import type { Argv, Step } from '../steps/step.js';

export const rpmHeader = z.object({
  name: z.string(),
  /** `[epoch:]version-release.arch` */
  evra: z.string(),
  /** File name of the source RPM. */
  sourcerpm: z.string(),
  /** Sha256 of the immutable header, which has the payload's digest in it: the same for a package with and without signature. */
  header: z.string(),
  /** Md5 of header and payload, hex; empty for none. */
  sigmd5: z.string(),
  /** Of the header's signature: id of the key (16 hex digits), sha256 of it. Not verified. */
  signature: z.object({ key: z.string(), digest: z.string() }).nullable(),
});
export type RpmHeader = z.infer<typeof rpmHeader>;

export const rpmDetails = rpmHeader.extend({
  files: z.array(
    z.object({
      path: z.string(),
      /** As of stat(2), the type with it. */
      mode: z.int(),
      user: z.string(),
      group: z.string(),
      /** `%config`, `%doc`, `%ghost` and so on, as bits of librpm. */
      flags: z.int(),
      link: z.string(),
      caps: z.string(),
      digest: z.string(),
    }),
  ),
  /** Program and text, by name: `postin`, `trigger`, … */
  scripts: z.record(z.string(), z.string()),
  /** By kind: `require`, `provide`, … as librpm prints them: `bash >= 4`. */
  dependencies: z.record(z.string(), z.array(z.string())),
});
export type RpmDetails = z.infer<typeof rpmDetails>;

const failure = z.object({ failure: z.string() });
const headersCommand: Argv = ['python3', '-I', join(packageRoot, 'src/rpm/headers.py')];

async function ask(step: Step, work: string, request: object): Promise<unknown> {
  await mkdir(work, { recursive: true });
  const scratch = await mkdtemp(join(work, 'rpm-'));
  try {
    const { stdout } = await step.run(headersCommand, {
      input: JSON.stringify({ scratch, ...request }),
      capture: 'all',
    });
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The headers of these files, in their order; for one that is no RPM, why not. `work`: scratch, kept. */
export async function readHeaders(
  step: Step,
  files: readonly string[],
  work: string,
): Promise<(RpmHeader | { failure: string })[]> {
  if (files.length === 0) return [];
  const answer = z.object({ headers: z.array(z.union([rpmHeader, failure])) });
  return answer.parse(await ask(step, work, { files })).headers;
}

/** What an RPM file is expected to be. */
interface Expected {
  readonly file: string;
  readonly name: string;
  readonly evra: string;
  readonly sourcerpm?: string | undefined;
}

/** Why files are not the packages that a lockfile names, by their own headers: a line each, none if all are. */
export async function otherThanLocked(
  step: Step,
  expected: readonly Expected[],
  work: string,
): Promise<string[]> {
  const headers = await readHeaders(
    step,
    expected.map(({ file }) => file),
    work,
  );
  return expected.flatMap(({ name, evra, sourcerpm }, place) => {
    const header = headers[place];
    if (!header || 'failure' in header) return [`${name}-${evra}: no RPM: ${header?.failure ?? ''}`];
    // The header of a source package has the architecture that it was made on, and names no source package.
    const source = /\.(no)?src$/.exec(evra);
    const is = source && header.sourcerpm === '' ? header.evra.replace(/\.\w+$/, source[0]) : header.evra;
    if (header.name !== name || is !== evra) return [`${name}-${evra} is ${header.name}-${is}`];
    if (sourcerpm !== undefined && header.sourcerpm !== sourcerpm)
      return [`${name}-${evra} is of ${header.sourcerpm || 'no source package'}, not of ${sourcerpm}`];
    return [];
  });
}

/** The same with files, scripts and dependencies. */
export async function readDetails(
  step: Step,
  files: readonly string[],
  work: string,
): Promise<(RpmDetails | { failure: string })[]> {
  if (files.length === 0) return [];
  const answer = z.object({ headers: z.array(z.union([rpmDetails, failure])) });
  return answer.parse(await ask(step, work, { files, details: true })).headers;
}

/** The packages of an RPM database, with files, scripts and dependencies. */
export async function readDatabaseDetails(step: Step, dbpath: string, work: string): Promise<RpmDetails[]> {
  const answer = z.object({ headers: z.array(rpmDetails) });
  return answer.parse(await ask(step, work, { dbpath, details: true })).headers;
}

/** The packages of an RPM database. */
export async function readDatabase(step: Step, dbpath: string, work: string): Promise<RpmHeader[]> {
  return z.object({ headers: z.array(rpmHeader) }).parse(await ask(step, work, { dbpath })).headers;
}
