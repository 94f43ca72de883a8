/** The source RPMs of a rebuild: what the build system built from is what was accepted. */
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { firstOf } from '../domain/rebuild-packages.js';
import { readHeaders } from '../rpm/headers.js';
import { otherSource } from '../rpm/same-source.js';
import { notSignedBy } from '../rpm/signatures.js';
import type { Step } from '../steps/step.js';
import { sha256 } from '../store/checksums.js';
import type { Approved } from './approved.js';
import type { FetchedSource, PublishedRpm } from './results.js';

/**
 * Verifies the source RPMs in `folder`, which were submitted: each is signed by a key of the stream's source repos, or was given and
 * approved; and that the build system has built from just these: by what it has kept of its own source RPM. Answers their digests by file
 * name. Fails with RebuildWrong, PackageSignature.
 */
export async function verifySources(
  step: Step,
  { rebuild, srpms }: Approved,
  fetched: readonly FetchedSource[],
  published: readonly PublishedRpm[],
  folder: string,
  work: string,
): Promise<ReadonlyMap<string, string>> {
  const digests = new Map<string, string>();
  const problems: string[] = [];
  const files = fetched.map(({ srpm }) => join(folder, srpm));
  const headers = await readHeaders(step, files, work);
  for (const [i, { srpm, path, digest, timestamp }] of fetched.entries()) {
    const file = files[i] ?? '';
    const header = headers[i];
    const submitted = await sha256(file).catch(() => undefined);
    if (submitted === undefined || !header || 'failure' in header) {
      problems.push(`${srpm}: what was submitted is missing`);
      continue;
    }
    digests.set(srpm, `sha256:${submitted}`);
    const { name, evra } = header;
    if (srpm !== `${name}-${evra.replace(/^\d+:/, '').replace(/\.\w+$/, '')}.src.rpm`)
      problems.push(`${srpm}: is ${name}-${evra}`);
    if (`sha256:${await sha256(path)}` !== digest) problems.push(`${srpm}: its result was altered`);
    const own = published.filter(
      (one) => one.name === name && one.evra.endsWith('.src') && one.location.split('/').includes(timestamp),
    );
    if (own.length > 0 && !own.some((one) => one.digest === digest))
      problems.push(`${srpm}: the build system's repo has another source RPM of ${timestamp}`);
    const why = await otherSource(step, file, path, work);
    if (why !== undefined) problems.push(`${srpm}: the build system built from another one: ${why}`);
  }
  if (problems.length > 0) throw new Failure('RebuildWrong', firstOf(problems));
  const given = (srpm: string) =>
    Object.hasOwn(srpms, srpm) && digests.get(srpm) === `sha256:${srpms[srpm] ?? ''}`;
  const foreign = files.filter((_, i) => !given(fetched[i]?.srpm ?? ''));
  const keys = rebuild.sources.flatMap(({ gpgKeys }) => gpgKeys);
  const unsigned = await notSignedBy(step, keys, foreign, join(work, 'source-keys'));
  if (unsigned.length > 0)
    throw new Failure('PackageSignature', `not signed by a key of the source repos: ${firstOf(unsigned)}`);
  return digests;
}
