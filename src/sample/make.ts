/**
 * The sample distribution: signed RPMs, made on this machine from Debian packages, as a package repo. See
 * `manifest.ts` for what is in it and `packages/` for its own files.
 */
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Step } from '../steps/step.js';
import { exists } from '../store/store.js';
import { addAdvisory, type SampleAdvisory } from './advisories.js';
import { downloadDebs } from './debs.js';
import { evrText } from './deb.js';
import {
  compiledPackages,
  debsWithSource,
  kernelName,
  kernelPackage,
  ownPackages,
  skipped,
} from './manifest.js';
import { publishRepo, type AdvisoryFiles } from './publish.js';
import { buildRpm, ensureKey, signRpms } from './rpm.js';
import { buildFromSource, compiledContent, debContent, type Destinations } from './srpm.js';
import { addChange, recipeDigest, stage, type Source } from './stage.js';

export interface SampleOptions {
  /** Path of the armoured public key that signs the instance's commits: installed machines trust it for updates. */
  readonly commitKey: string;
}

const layout = (dir: string) => ({
  debs: join(dir, 'debs'),
  rpms: join(dir, 'rpms'),
  srpms: join(dir, 'srpms'),
  gnupg: join(dir, 'gnupg'),
  publicKey: join(dir, 'RPM-GPG-KEY-sample.asc'),
  /** What `sample bump --advisory` has said, and the same as it goes into the repo. */
  advisories: join(dir, 'advisories.json'),
  updateinfo: join(dir, 'updateinfo.xml'),
  /** The commit key that the release package carries. */
  commitKey: join(dir, 'commit-key.asc'),
  /** RPMs that are built and not yet signed; kept when a try ends early. */
  building: join(dir, 'building'),
  work: join(dir, 'work'),
  /** Digest of the recipe that the repo was made by; written last. */
  stamp: join(dir, 'recipe'),
});

/**
 * Makes the sample distribution under `dir`: `debs/`, `rpms/` (a signed package repo), `srpms/` (one of the source RPMs that
 * there are for some of them), `RPM-GPG-KEY-sample.asc` and the GPG home `gnupg/` of the key that signs them. Needs root, about 600 MB while it works and 250 MB after, and the
 * machine's Debian package sources; takes a minute or two. Does nothing (0.1 s) when it is complete for this recipe
 * and commit key; a try that ended early goes on where it was. Fails with `RepoUnreachable` when apt cannot download.
 */
export async function makeSample(step: Step, dir: string, options: SampleOptions): Promise<void> {
  const paths = layout(dir);
  const recipe = await recipeDigest(options.commitKey);
  if ((await readFile(paths.stamp, 'utf8').catch(() => '')) === recipe) return;
  await mkdir(paths.rpms, { recursive: true });
  await ensureKey(step, paths.gnupg, paths.publicKey);
  await copyFile(options.commitKey, paths.commitKey);
  const sources = sourcesOf(await downloadDebs(step, paths.debs), paths.debs);
  const building = join(paths.building, recipe.slice(0, 16));
  const built = { rpms: building, srpms: join(building, 'srpms') };
  for (const folder of Object.values(built)) await mkdir(folder, { recursive: true });
  await buildAll(step, sources, built, paths.work, options.commitKey);
  await publish(step, built, paths);
  await writeFile(`${paths.stamp}.new`, recipe);
  await rename(`${paths.stamp}.new`, paths.stamp);
  for (const folder of [paths.building, paths.work]) await rm(folder, { recursive: true, force: true });
}

/** Signs what was built, moves it into the repos and indexes these: source packages first, so that none is missing. */
async function publish(
  step: Step,
  built: Destinations,
  to: Destinations & AdvisoryFiles & { gnupg: string },
): Promise<void> {
  for (const kind of ['srpms', 'rpms'] as const) {
    const names = (await readdir(built[kind]).catch(() => [])).filter((name) => name.endsWith('.rpm'));
    if (names.length === 0) continue;
    await signRpms(
      step,
      to.gnupg,
      names.map((name) => join(built[kind], name)),
    );
    await mkdir(to[kind], { recursive: true });
    for (const name of names) await rename(join(built[kind], name), join(to[kind], name));
    await publishRepo(step, to[kind], to.gnupg, kind === 'rpms' ? to : undefined);
  }
}

/**
 * Publishes a new version of one package, with its source RPM if it has one: the same content, a file more, the release `+1`
 * (`+2`, …) higher; with `advisory` the repo says that it is a security update. The former RPMs stay in the repo. Answers `name-[epoch:]version-release.arch`. Not idempotent: each call is an update.
 */
export async function bumpPackage(
  step: Step,
  dir: string,
  name: string,
  advisory?: SampleAdvisory,
): Promise<string> {
  const paths = layout(dir);
  const source = sourcesOf(await debNames(paths.debs), paths.debs).find(
    (candidate) => candidate.name === name,
  );
  if (source === undefined) throw new Error(`the sample has no package ${name}`);
  const work = join(paths.work, `bump-${name}`);
  const built = { rpms: join(work, 'out'), srpms: join(work, 'srpms') };
  const next = async (version: string, release: string) => {
    const prefix = `${name}-${version}-${release}+`;
    const counts = (await readdir(paths.rpms))
      .filter((file) => file.startsWith(prefix))
      .map((file) => Number.parseInt(file.slice(prefix.length), 10));
    return Math.max(0, ...counts) + 1;
  };
  const nevra = await bumped(step, source, work, built, paths.commitKey, next);
  if (advisory) await addAdvisory(paths.advisories, advisory, nevra);
  await publish(step, built, paths);
  await rm(work, { recursive: true, force: true });
  return nevra;
}

async function bumped(
  step: Step,
  source: Source,
  work: string,
  built: Destinations,
  commitKey: string,
  next: (version: string, release: string) => Promise<number>,
): Promise<string> {
  if (source.kind === 'compiled') {
    await rm(work, { recursive: true, force: true });
    const { version, release } = await compiledContent(source.name);
    const content = await compiledContent(source.name, await next(version, release));
    const { rpm } = await buildFromSource(step, content, work, built);
    return rpm.slice(0, -'.rpm'.length);
  }
  const staged = await stage(step, source, work, commitKey);
  const { version, release } = staged.spec.evr;
  const changed = await addChange(staged, await next(version, release));
  if (debsWithSource.includes(source.name)) await buildFromSource(step, debContent(changed), work, built);
  else await buildRpm(step, changed, work, built.rpms);
  return `${source.name}-${evrText(changed.spec.evr)}.${changed.spec.arch}`;
}

/** Names of the sample's packages, sorted; none before it is made. */
export async function samplePackages(dir: string): Promise<string[]> {
  const { debs, stamp } = layout(dir);
  if (!(await exists(stamp))) return [];
  return sourcesOf(await debNames(debs), debs)
    .map(({ name }) => name)
    .sort();
}

const debNames = async (debs: string) => (await readdir(debs)).filter((name) => name.endsWith('.deb'));

/** What RPMs are made of, by their names. */
function sourcesOf(debs: readonly string[], folder: string): Source[] {
  const own: Source[] = ownPackages.map((one) => ({ kind: 'own', name: one.name, own: one }));
  const compiled: Source[] = compiledPackages.map((name) => ({ kind: 'compiled', name }));
  const packaged = debs.flatMap((file): Source[] => {
    const name = basename(file).split('_')[0] ?? '';
    if (skipped.includes(name)) return [];
    return [{ kind: 'deb', name: kernelPackage.test(name) ? kernelName : name, file: join(folder, file) }];
  });
  return [...own, ...compiled, ...packaged];
}

/** Builds what is not there yet, two at a time: a marker per source says that its RPM is in `out`. */
async function buildAll(
  step: Step,
  sources: readonly Source[],
  out: Destinations,
  work: string,
  commitKey: string,
) {
  const queue = [...sources];
  let done = 0;
  const worker = async () => {
    for (let source = queue.shift(); source !== undefined; source = queue.shift()) {
      step.signal.throwIfAborted();
      const marker = join(out.rpms, `${source.name}.done`);
      const there = await readFile(marker).then(
        () => true,
        () => false,
      );
      if (!there) {
        const folder = join(work, source.name);
        await buildOne(step, source, out, folder, commitKey);
        await writeFile(marker, '');
        await rm(folder, { recursive: true, force: true });
      }
      step.progress({ done: ++done, total: sources.length, unit: 'packages' });
    }
  };
  await Promise.all([worker(), worker()]);
}

async function buildOne(step: Step, source: Source, out: Destinations, work: string, commitKey: string) {
  if (source.kind === 'compiled') {
    await buildFromSource(step, await compiledContent(source.name), work, out);
    return;
  }
  const staged = await stage(step, source, work, commitKey);
  if (debsWithSource.includes(source.name)) await buildFromSource(step, debContent(staged), work, out);
  else await buildRpm(step, staged, work, out.rpms);
}
