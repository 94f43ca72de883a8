/** The RPMs of a rebuild, compared with what was approved and with what the build system says of them. */
import { basename, join } from 'node:path';
import { sha256 } from '../store/checksums.js';
import { sameEvra, sameSource } from '../domain/dist-tag.js';
import { Failure } from '../domain/failures.js';
import type { LockedPackage } from '../domain/lockfile.js';
import { firstOf } from '../domain/rebuild-packages.js';
import { readHeaders, type RpmHeader } from '../rpm/headers.js';
import { notSignedBy } from '../rpm/signatures.js';
import type { Step } from '../steps/step.js';
import type { Approved } from './approved.js';
import { givenId } from './fix-run.js';
import type { FetchedRpm, PublishedRpm } from './results.js';
import { copyInto } from './sign-rpms.js';

/** An RPM of the build system that may be signed. */
export interface Rebuilt {
  readonly name: string;
  readonly evra: string;
  readonly sourcerpm: string;
  /** The copy that was verified. */
  readonly copy: string;
}

/** The accepted RPM of a package, as an earlier step has put it there. */
export interface AcceptedRpm {
  readonly name: string;
  readonly locked: LockedPackage;
  readonly path: string;
}

/**
 * Copies the build system's RPMs into `scratch` and verifies the copies: they are what was fetched and what the build system's repo
 * has, and by their headers the packages that were accepted. Fails with RebuildWrong, all problems in one message.
 */
export async function verifyRebuilt(
  step: Step,
  { accepted, rebuild }: Approved,
  fetched: readonly FetchedRpm[],
  published: readonly PublishedRpm[],
  scratch: string,
  work: string,
): Promise<Rebuilt[]> {
  // What is verified there stays what is signed.
  await copyInto(scratch, new Map(fetched.map(({ name, path }) => [`${name}.rpm`, path])));
  const copies = fetched.map(({ name }) => join(scratch, `${name}.rpm`));
  const headers = await readHeaders(step, copies, work);
  const problems: string[] = [];
  const rebuilt: Rebuilt[] = [];
  for (const [i, one] of fetched.entries()) {
    const [copy = '', header] = [copies[i], headers[i]];
    const locked = Object.hasOwn(accepted.packages, one.name) ? accepted.packages[one.name] : undefined;
    const digest = `sha256:${await sha256(copy)}`;
    if (!header || 'failure' in header)
      problems.push(`${basename(one.path)}: no RPM: ${header?.failure ?? ''}`);
    else {
      const own = published.filter(({ name, evra }) => name === one.name && evra === header.evra);
      const why = whyOther(one, header, locked, rebuild.reimzul.disttag) ?? whyTampered(one, digest, own);
      if (why !== undefined) problems.push(`${basename(one.path)}: ${why}`);
      rebuilt.push({ name: one.name, evra: header.evra, sourcerpm: header.sourcerpm, copy });
    }
  }
  if (problems.length > 0) throw new Failure('RebuildWrong', firstOf(problems));
  return rebuilt;
}

/** Why it is not the package that was accepted. */
function whyOther(
  one: FetchedRpm,
  header: RpmHeader,
  locked: LockedPackage | undefined,
  disttag: string,
): string | undefined {
  if (!locked) return `the approved lockfile has no package ${one.name}`;
  if (header.name !== one.name) return `is the package ${header.name}, not ${one.name}`;
  if (!sameEvra(locked.evra, header.evra, disttag))
    return `is ${header.evra}, but ${locked.evra} was approved (with ${disttag} for its dist tag)`;
  if (locked.sourcerpm === undefined || !sameSource(locked.sourcerpm, header.sourcerpm, disttag))
    return `was built from ${header.sourcerpm}, not from ${locked.sourcerpm ?? 'a known source'}`;
  return undefined;
}

/** Why it is not what the build system made. `own`: what its repo has of this name and version. */
function whyTampered(one: FetchedRpm, digest: string, own: readonly PublishedRpm[]): string | undefined {
  if (digest !== one.digest) return `is ${digest}, but was fetched as ${one.digest}`;
  // The same version may have been built before, at another time.
  const same = own.filter(({ location }) => location.split('/').includes(one.timestamp));
  if (same.length === 0) return `the build system's repo has no such package of ${one.timestamp}`;
  if (!same.some((found) => found.digest === digest))
    return `is ${digest}, but the build system's repo has ${same.map((found) => found.digest).join(', ')}`;
  return undefined;
}

/**
 * Verifies the accepted RPMs: the digests of the lockfile, which thereby stand for versions and sources too (the hash of the
 * commit's inputs has only digests in it); of pinned packages the signature, as no commit vouches for them (`verifyGiven` looks at those
 * of given source RPMs). Fails with LockfileDrift, PackageSignature.
 */
export async function verifyAccepted(
  step: Step,
  { pinned, repos }: Approved,
  accepted: readonly AcceptedRpm[],
  work: string,
): Promise<void> {
  const problems: string[] = [];
  for (const { name, locked, path } of accepted) {
    const digest = await sha256(path).then(
      (hex) => `sha256:${hex}`,
      () => undefined,
    );
    if (digest === undefined) problems.push(`${name}: ${basename(path)} is missing`);
    else if (digest !== locked.digest) problems.push(`${name}: is ${digest}, approved was ${locked.digest}`);
  }
  if (problems.length > 0) throw new Failure('LockfileDrift', firstOf(problems));
  const headers = await readHeaders(
    step,
    accepted.map(({ path }) => path),
    work,
  );
  for (const [i, { name, locked }] of accepted.entries()) {
    const header = headers[i];
    if (!header || 'failure' in header) problems.push(`${name}: no RPM: ${header?.failure ?? ''}`);
    else if (
      header.name !== name ||
      header.evra !== locked.evra ||
      (locked.sourcerpm !== undefined && header.sourcerpm !== locked.sourcerpm)
    )
      problems.push(
        `${name}: the lockfile says ${locked.evra} of ${locked.sourcerpm ?? 'no source'}, the package ${header.name} ${header.evra} of ${header.sourcerpm}`,
      );
  }
  if (problems.length > 0) throw new Failure('LockfileDrift', firstOf(problems));
  for (const repo of repos) {
    const own = accepted.filter(({ name, locked }) => pinned.has(name) && locked.repo === repo.id);
    const bad = await notSignedBy(
      step,
      repo.gpgKeys,
      own.map(({ path }) => path),
      join(work, 'keys', repo.id),
    );
    if (bad.length > 0)
      throw new Failure(
        'PackageSignature',
        `not signed by a key of ${repo.id}: ${firstOf(bad.map((file) => basename(file)))}`,
      );
  }
  const lost = accepted.filter(
    ({ name, locked }) =>
      pinned.has(name) && locked.repo !== givenId && !repos.some(({ id }) => id === locked.repo),
  );
  if (lost.length > 0)
    throw new Failure(
      'PackageSignature',
      `from no repo of the stream: ${firstOf(lost.map(({ name }) => name))}`,
    );
}

/**
 * Verifies the packages that come of given source RPMs, and of no repo: each was rebuilt of one whose digest was approved, from the file
 * that was submitted (`sources`). Fails with RebuildWrong.
 */
export async function verifyGiven(
  { accepted, srpms, rebuild }: Approved,
  fetched: readonly FetchedRpm[],
  sources: string,
): Promise<void> {
  const problems: string[] = [];
  for (const [name, { repo, digest, sourcerpm = '' }] of Object.entries(accepted.packages)) {
    if (repo !== givenId) continue;
    const one = fetched.find((rpm) => rpm.name === name);
    const approved = one && Object.hasOwn(srpms, one.srpm) ? srpms[one.srpm] : undefined;
    if (!one || one.digest !== digest)
      problems.push(`${name}: is not what was rebuilt of a given source RPM`);
    else if (approved === undefined) problems.push(`${name}: ${one.srpm} was not approved`);
    else if (!sameSource(one.srpm, sourcerpm, rebuild.reimzul.disttag))
      problems.push(`${name}: was built from ${sourcerpm}, not from ${one.srpm}`);
    else {
      const is = await sha256(join(sources, one.srpm)).catch(() => 'missing');
      if (is !== approved) problems.push(`${name}: ${one.srpm} is ${is}, approved was ${approved}`);
    }
  }
  if (problems.length > 0) throw new Failure('RebuildWrong', firstOf(problems));
}
