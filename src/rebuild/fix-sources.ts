/** The source RPMs of a security case: those that a person gave, and those of the fixes. */
import { link, mkdir, rm, cp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ComposeInput } from '../composers/composer.js';
import { downloadFrom, packagesDir } from '../composers/dnf/packages.js';
import { parseEvra } from '../domain/dist-tag.js';
import { Failure } from '../domain/failures.js';
import type { Lockfile } from '../domain/lockfile.js';
import type { AcceptedRun } from '../domain/rebuild-packages.js';
import { readHeaders } from '../rpm/headers.js';
import { indexRepo } from '../rpm/index-repo.js';
import { sha256 } from '../store/checksums.js';
import type { Step } from '../steps/step.js';
import { exists, needJson, writeJson, type Store } from '../store/store.js';
import { collectSources, fill, needRebuild, putPackages } from './collect.js';
import { folderOf, type On } from './on.js';
import { givenId } from './fix-run.js';
import { bySource, rebuildPlan, type PlannedSource } from './plan.js';
import { fetchedRpms, type FetchedRpm } from './results.js';

/** Given source RPMs, and what they were rebuilt to. */
export interface Given {
  readonly sources: readonly PlannedSource[];
  readonly rpms: readonly FetchedRpm[];
}

/** `name-version-release.src.rpm` */
const sourceName = (file: string) => file.replace(/-[^-]+-[^-]+$/, '');

/**
 * Puts given source RPMs into `sources/`, and what each makes of the base's packages into `given.json`, which is the answer. Fails with
 * FixNotFound, PackageChecksum.
 */
export async function collectGiven(
  step: Step,
  store: Store,
  on: On,
  base: Lockfile,
  srpms: Readonly<Record<string, string>>,
): Promise<PlannedSource[]> {
  const folder = folderOf(store, on);
  const work = store.work({ stream: on.stream.name, run: on.run }, 'given', on.arch);
  const files = Object.keys(srpms).sort();
  await putGiven(store, on, srpms);
  const headers = await readHeaders(
    step,
    files.map((file) => join(folder, 'sources', file)),
    work,
  );
  const made = bySource(base);
  const sources: PlannedSource[] = [];
  for (const [i, srpm] of files.entries()) {
    const header = headers[i];
    if (!header || 'failure' in header)
      throw new Failure('FixNotFound', `${srpm}: no source RPM: ${header?.failure ?? ''}`);
    const { name, evra } = header;
    const { epoch = '0', version = '', release = '' } = parseEvra(evra) ?? {};
    if (srpm !== `${name}-${version}-${release}.src.rpm` || header.sourcerpm !== '')
      throw new Failure(
        'FixNotFound',
        `${srpm}: is the source RPM of ${name}-${version}-${release}: rename it`,
      );
    const evr = `${epoch === '0' ? '' : `${epoch}:`}${version}-${release}`;
    const packages = [...made]
      .filter(([file]) => sourceName(file) === name)
      .flatMap(([, own]) => own.map((one) => ({ ...one, evr })));
    if (packages.length === 0)
      throw new Failure('FixNotFound', `${srpm}: the release has no package that is made of ${name}`);
    const digest = `sha256:${srpms[srpm] ?? ''}`;
    sources.push({
      ...{ srpm, name, evra: `${evr}.src`, digest, repo: givenId, wave: 0, packages },
      ...{ reused: false, why: 'was given' },
      noarch: packages.every(({ arch }) => arch === 'noarch'),
    });
  }
  await writeJson(join(folder, 'given.json'), { sources });
  return sources;
}

/** Adds given source RPMs to `sources/`: where the builders' step finds them, and the signing role looks at their digests. */
async function putGiven(store: Store, on: On, srpms: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(folderOf(store, on), 'sources');
  await mkdir(folder, { recursive: true });
  for (const [file, digest] of Object.entries(srpms)) {
    const kept = store.givenSource(on.stream.name, digest, file);
    if (!(await exists(kept))) throw new Failure('FixNotFound', `${file}: ${kept}: no such file`);
    const found = await sha256(kept);
    if (found !== digest)
      throw new Failure('PackageChecksum', `${file}: is ${found}, but ${digest} was given`);
    const to = join(folder, file);
    await rm(to, { force: true });
    await link(kept, to).catch(() => cp(kept, to));
  }
}

/** What `collectGiven` and the builders left. Fails where a source RPM is not rebuilt yet. */
export async function givenPlan(
  store: Store,
  on: On,
  srpms: Readonly<Record<string, string>>,
): Promise<Given> {
  if (Object.keys(srpms).length === 0) return { sources: [], rpms: [] };
  const folder = folderOf(store, on);
  const { sources } = await needJson(join(folder, 'given.json'), rebuildPlan);
  const own = new Set(sources.map(({ srpm }) => srpm));
  const rpms = (await fetchedRpms(join(folder, 'rebuilt'))).filter(({ srpm }) => own.has(srpm));
  const missing = sources.filter(({ srpm }) => !rpms.some((one) => one.srpm === srpm));
  if (missing.length > 0)
    throw new Failure('SourceMissing', `not rebuilt yet: ${missing.map(({ srpm }) => srpm).join(', ')}`);
  return { sources: sources.map((source) => ({ ...source, reused: true })), rpms };
}

/** Makes a repo of what given source RPMs were rebuilt to; answers its folder. */
export async function givenFolder(step: Step, { work }: ComposeInput, { rpms }: Given): Promise<string> {
  const folder = join(work, 'given');
  await fill(
    folder,
    rpms.map(({ path }) => [path, basename(path)]),
  );
  await indexRepo(step, folder);
  return folder;
}

/**
 * Puts sources and packages of the planned set where `collect` puts those of a whole rebuild: what did not change as it was released, the
 * fixes from their repos, all verified. Fails with SourceMissing, PackageSignature, PackageChecksum, RepoUnreachable.
 */
export async function putPlanned(
  step: Step,
  store: Store,
  on: On,
  of: {
    readonly run: AcceptedRun;
    readonly given: Given;
    readonly locked: Lockfile;
    readonly changed: Lockfile;
    readonly input: ComposeInput;
  },
): Promise<PlannedSource[]> {
  const { run, given, locked, changed, input } = of;
  const rebuild = needRebuild(on.stream);
  const fetched = Object.entries(changed.packages).filter(([, { repo }]) => repo !== givenId);
  const fresh: Lockfile = { ...changed, packages: Object.fromEntries(fetched) };
  await downloadFrom(step, input, input.repos, fresh);
  const changes = new Set([...bySource(fresh).keys()].map(sourceName));
  // Of a list only what a fix changes.
  const list = rebuild.list.filter((name) => changes.has(name));
  const planned = await collectSources(step, store, on, fresh, { ...rebuild, list });
  const srpms = given.sources.map(({ srpm, digest }) => [srpm, digest.replace('sha256:', '')] as const);
  await putGiven(store, on, Object.fromEntries(srpms));
  const sources = [...given.sources, ...planned.sources];
  const released = join(store.archDir(run, on.arch), 'packages');
  const path = (name: string) => {
    const one = Object.hasOwn(changed.packages, name) ? changed.packages[name] : undefined;
    if (!one) return join(released, `${name}-${locked.packages[name]?.evra ?? ''}.rpm`);
    if (one.repo !== givenId) return join(packagesDir(input), `${name}.rpm`);
    return given.rpms.find((rpm) => rpm.name === name)?.path ?? '';
  };
  await putPackages(store, on, locked, { ...planned, sources }, path);
  return sources;
}
