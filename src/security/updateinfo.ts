/** The advisories of a package repo: TypeScript's side of updateinfo.py. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { RepoInput } from '../composers/composer.js';
import { Failure, failureKinds, type FailureCode } from '../domain/failures.js';
import type { Architecture } from '../domain/stream.js';
import { packageRoot } from '../settings.js';
import { causeOf } from '../steps/cause.js';
import { ownCode, type Argv, type Step } from '../steps/step.js';

/** Seconds for one repo: metadata of a large one over a slow line. */
const repoSeconds = 600;

/** Asks for one repo's advisories; see `updateinfo.py`. */
export const updateinfoCommand: Argv = [
  // In the foreground: the process group stays the step's, so that a cancellation reaches it.
  'timeout',
  '--foreground',
  '--kill-after=5',
  String(repoSeconds),
  'python3',
  '-I',
  join(packageRoot, 'src/security/updateinfo.py'),
];

const repoAdvisory = z.object({
  id: z.string(),
  title: z.string(),
  /** `security`, `bugfix`, `enhancement`, `newpackage` or `other`. */
  type: z.string(),
  /** In the repo's own words; absent for none. */
  severity: z.string().optional(),
  /** Such as `stable`, `testing` or `retracted`, in the repo's own words. */
  status: z.string().optional(),
  /** ISO 8601, UTC. */
  issued: z.string().optional(),
  cves: z.array(z.string()),
  references: z.array(z.object({ id: z.string(), href: z.string().optional() })),
  /** Fixed versions of the packages that were asked for. */
  packages: z.array(
    z.object({
      ...{ name: z.string(), evr: z.string(), arch: z.string() },
      /** Module stream, such as `nodejs:18`. */
      module: z.string().optional(),
    }),
  ),
  /** How many packages it names, asked for or not. */
  total: z.int(),
});
export type RepoAdvisory = z.infer<typeof repoAdvisory>;
const found = z.object({
  advisories: z.array(repoAdvisory),
  /** Module stream of the packages that were asked for, by `name-[epoch:]version-release.arch`, where they are of a module. */
  modules: z.record(z.string(), z.string()),
});
export type RepoAdvisories = z.infer<typeof found>;
const answer = z.union([found, z.object({ failure: z.string(), message: z.string() })]);

export interface RepoQuestion {
  readonly repo: RepoInput;
  readonly releasever: string;
  readonly arch: Architecture;
  /** Names of packages; what advisories say of others is left out. */
  readonly names: readonly string[];
  /** Folder for metadata: what it has and did not change is not fetched again. */
  readonly cache: string;
  /** A scratch folder of its own, emptied first. */
  readonly work: string;
}

/**
 * All advisories of one repo; none for one without `updateinfo`, which is usual. Their texts are bounded, but not checked. Fails with
 * AdvisoryInvalid, PackageSignature, RepoUnreachable: a caller that goes on without them does not try again.
 */
export async function readUpdateinfo(step: Step, question: RepoQuestion): Promise<RepoAdvisories> {
  const { repo, releasever, arch, names, cache: cachedir, work } = question;
  await rm(work, { recursive: true, force: true });
  await Promise.all([work, cachedir].map((folder) => mkdir(folder, { recursive: true })));
  const { stdout, stderr, exitCode } = await step.run(updateinfoCommand, {
    input: JSON.stringify({ cachedir, persistdir: work, releasever, arch, repos: [repo], names }),
    capture: 'all',
    okCodes: ownCode,
  });
  await rm(work, { recursive: true, force: true });
  const missing = /No module named '([\w.]+)'/.exec(stderr)?.[1];
  if (missing !== undefined) throw new Failure('ToolMissing', `python3: no module ${missing}`);
  if (exitCode === 124) throw new Failure('RepoUnreachable', `took more than ${repoSeconds} s`);
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (exitCode !== 0 || !last.startsWith('{'))
    throw new Failure(
      'AdvisoryInvalid',
      `the reader ended with exit code ${exitCode}: ${causeOf(stdout, stderr)}`,
    );
  const read = answer.parse(JSON.parse(last));
  if ('advisories' in read) return read;
  throw new Failure(
    read.failure in failureKinds ? (read.failure as FailureCode) : 'CommandFailed',
    read.message,
  );
}
