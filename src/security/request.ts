/** What a person asks a security release for, looked up: advisories, packages of the stream's repos, source RPMs that were given. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../host.js';
import { sha256 } from '../store/checksums.js';
import { findVersions } from '../composers/dnf/packages.js';
import { Failure } from '../domain/failures.js';
import { splitEvra, type Lockfile } from '../domain/lockfile.js';
import { isOpenVerdict, type Affecting, type Fix } from '../domain/security.js';
import type { SecuritySettings } from '../domain/security-settings.js';
import type { FixRequest } from '../domain/decisions/fix.js';
import type { Architecture, Stream } from '../domain/stream.js';
import { packageSetsOf } from '../store/lockfiles.js';
import { currentRelease } from '../store/releases.js';
import { readReleases } from '../publish/published-releases.js';
import { readHeaders } from '../rpm/headers.js';
import { sourceName, versionOrder } from '../rpm/versions.js';
import type { Step } from '../steps/step.js';
import { exists } from '../store/store.js';
import { streamFolder } from '../streams/load.js';
import { parseNevra } from './advisory.js';
import { affecting, judge, type Judged } from './judge.js';
import { namesIn } from './named.js';
import { type PackageSets } from '../domain/lockfile.js';
import { readAdvisories } from './sources.js';

const notFound = (what: string) => new Failure('FixNotFound', what);

/** Fails with StreamInvalid. */
export function securityOf({ name, release }: Stream): SecuritySettings {
  if (release?.security) return release.security;
  throw new Failure('StreamInvalid', `${name}: release.security: missing: add the section`);
}

/** The release that readers have, and its packages; undefined where nothing is released. Fails with BuildNotReleasable. */
export async function releasedNow(
  host: Host,
  stream: Stream,
  signal: AbortSignal,
): Promise<{ build: string; sets: PackageSets } | undefined> {
  const build = currentRelease(await readReleases(host, stream, signal))?.version;
  if (build === undefined) return undefined;
  return { build, sets: await packageSetsOf(host.store, stream, build) };
}

interface Asked {
  readonly request: FixRequest;
  readonly srpms: Readonly<Record<string, string>>;
  /** Scratch, emptied. */
  readonly work: string;
}

/** Looks all of it up; fails with FixNotFound for what is not there, or what the release has already. */
export async function requestedFixes(
  step: Step,
  host: Host,
  stream: Stream,
  { request, srpms, work }: Asked,
): Promise<{ affecting: Affecting[]; fixes: Fix[] }> {
  securityOf(stream);
  const now = await releasedNow(host, stream, step.signal);
  if (!now)
    throw new Failure('BuildNotReleasable', `${stream.name}: nothing is released: there is nothing to fix`);
  const { sets } = now;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    await checkSources(step, host, stream, sets, srpms, work);
    const packages = await packagesAsked(step, host, stream, sets, request.packages, work);
    const brings = request.packages.length > 0 || Object.keys(srpms).length > 0;
    const found = await advisoriesAsked(step, host, stream, sets, { ids: request.advisories, brings, work });
    const all = [...found.flatMap(({ fixes }) => fixes), ...packages];
    return { affecting: found, fixes: await highest(step, all) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** One fix for each package: with the highest version it has all. */
async function highest(step: Step, fixes: readonly Fix[]): Promise<Fix[]> {
  const order = await versionOrder(
    step,
    fixes.map(({ evr }) => evr),
  );
  const found = new Map<string, Fix>();
  for (const fix of fixes) {
    const known = found.get(fix.name) ?? fix;
    const advisories = [...new Set([...known.advisories, ...fix.advisories])];
    found.set(fix.name, { ...(order(known.evr, fix.evr) < 0 ? fix : known), advisories });
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const giveIt = ': name the fix with `--package` or `--srpm`';

async function advisoriesAsked(
  step: Step,
  host: Host,
  stream: Stream,
  sets: PackageSets,
  { ids, brings, work }: { ids: readonly string[]; brings: boolean; work: string },
): Promise<Affecting[]> {
  if (ids.length === 0) return [];
  const { advisories, failed, modules } = await readAdvisories(step, stream, namesIn(sets), {
    folder: streamFolder(host.settings, stream.name),
    cache: join(work, 'cache'),
    work: join(work, 'advisories'),
  });
  for (const line of failed) step.note(line);
  const asked = advisories.filter(({ id }) => ids.includes(id));
  const missing = ids.filter((id) => !asked.some((one) => one.id === id));
  if (missing.length > 0)
    throw notFound(
      `no advisory ${missing.join(', ')} in the stream's repos and documents${failed.length > 0 ? `; not read: ${failed.join('; ')}` : ''}`,
    );
  const judged = await judge(step, { advisories: asked, modules }, sets, securityOf(stream));
  // What has no known fix, or is not understood, may be what the given packages are for.
  const isUseless = ({ considered: { verdict }, fixes }: Judged) =>
    fixes.length === 0 && !(brings && isOpenVerdict(verdict));
  const useless = judged.filter(isUseless).map(({ considered }) => considered);
  if (useless.length > 0)
    throw notFound(
      useless
        .map(({ id, reason, verdict }) => `${id}: ${reason}${isOpenVerdict(verdict) ? giveIt : ''}`)
        .join('; '),
    );
  return judged.map(affecting);
}

async function packagesAsked(
  step: Step,
  host: Host,
  stream: Stream,
  sets: PackageSets,
  nevras: readonly string[],
  work: string,
): Promise<Fix[]> {
  const asked = nevras.map((text) => {
    const parsed = parseNevra(text);
    if (!parsed) throw notFound(`${text}: write name-[epoch:]version-release.arch`);
    const released = (Object.entries(sets) as [Architecture, Lockfile][])
      .filter(([arch]) => parsed.arch === 'noarch' || parsed.arch === arch)
      .flatMap(([arch, { packages }]) => {
        const own = new Map(Object.entries(packages)).get(parsed.name);
        return own ? [{ arch, evr: splitEvra(own.evra).evr }] : [];
      });
    const [first] = released;
    if (!first) throw notFound(`${text}: the release has no ${parsed.name} of this architecture`);
    return { ...parsed, text, in: first.arch, released: released.map(({ evr }) => evr) };
  });
  if (asked.length === 0) return [];
  const order = await versionOrder(
    step,
    asked.flatMap(({ evr, released }) => [evr, ...released]),
  );
  for (const { text, evr, released } of asked)
    if (!released.some((own) => order(own, evr) < 0))
      throw notFound(`${text}: is not newer than that of the release, ${released[0] ?? ''}`);
  for (const arch of new Set(asked.map((one) => one.in))) {
    const own = asked.filter((one) => one.in === arch);
    const { treefile, releasever, repos } = stream;
    const [scratch, cache, repo] = [
      join(work, arch),
      join(work, 'cache', arch),
      host.store.repo(stream.name),
    ];
    const input = { treefile, releasever, repos, arch, work: scratch, cache, repo };
    const there = await findVersions(
      step,
      input,
      own.map(({ name }) => name),
    );
    for (const { name, evr, arch: of, text } of own)
      if (!there[name]?.includes(`${evr}.${of}`))
        throw notFound(
          `${text}: is in none of the stream's repos; they have ${there[name]?.join(', ') || `no ${name}`}`,
        );
  }
  return asked.map(({ name, evr }) => ({ name, evr, advisories: [] }));
}

/** Are the files there, are they what was signed for, and source packages of packages of the release? */
async function checkSources(
  step: Step,
  host: Host,
  stream: Stream,
  sets: PackageSets,
  srpms: Readonly<Record<string, string>>,
  work: string,
): Promise<void> {
  const given = Object.entries(srpms);
  if (given.length === 0) return;
  if (stream.release?.mode !== 'signed-rebuild')
    throw notFound(`${stream.name} is released by copy: nothing is rebuilt, so source RPMs cannot be given`);
  const made = new Set(
    Object.values(sets).flatMap(({ packages }) =>
      Object.values(packages).flatMap(({ sourcerpm }) =>
        sourcerpm === undefined ? [] : [sourceName(sourcerpm)],
      ),
    ),
  );
  const files = given.map(([name, digest]) => host.store.givenSource(stream.name, digest, name));
  for (const [n, [name, digest]] of given.entries()) {
    const file = files[n] ?? '';
    if (!(await exists(file))) throw notFound(`${name}: was not given to this instance`);
    if ((await sha256(file)) !== digest) throw notFound(`${name}: is not the file that was signed for`);
  }
  const headers = await readHeaders(step, files, work);
  for (const [n, [name]] of given.entries()) {
    const header = headers[n];
    if (!header || 'failure' in header) throw notFound(`${name}: is no RPM: ${header?.failure ?? ''}`);
    // Only a binary package names the source that it was made from.
    if (header.sourcerpm !== '') throw notFound(`${name}: is no source package`);
    const { evr } = splitEvra(header.evra);
    if (name !== `${header.name}-${evr.replace(/^\d+:/, '')}.src.rpm`)
      throw notFound(`${name}: has ${header.name}-${evr} in it`);
    if (!made.has(header.name))
      throw notFound(`${name}: no package of the release is made from ${header.name}`);
  }
}
