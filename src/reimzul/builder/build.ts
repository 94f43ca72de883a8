/** One build of a job: the results folder, made aside and put in its place by a rename. */
import { copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createStep, type StepHost } from '../../steps/run.js';
import type { RunResult, Step } from '../../steps/step.js';
import { findTool } from '../../steps/tools.js';
import { exists } from '../../store/store.js';
import type { BuildArchitecture, ReimzulJob } from '../job.js';
import { boundedLog } from './bounded-log.js';
import { mockConfig, mockRebuild } from './mock.js';
import { rebuild } from './rpmbuild.js';
import type { Limits } from './sandbox.js';
import type { SourceHeader } from './source.js';

export interface BuildPlace {
  /** Folder of the targets' results. */
  readonly repo: string;
  /** Scratch folder of this builder. */
  readonly work: string;
  /** Scratch folder of this builder in the file system of `repo`. */
  readonly aside: string;
  /** Folder of mock's configurations, one per target. */
  readonly mockConfigs: string;
  readonly limits: Limits;
  /** PATH and HOME of what the builder itself runs. */
  readonly path: string;
  readonly home: string;
  readonly signal: AbortSignal;
}

export interface Build {
  readonly job: ReimzulJob;
  /** The job's, or that of a build that is chained to it. */
  readonly arch: BuildArchitecture;
  readonly header: SourceHeader;
  readonly timestamp: string;
  /** Path of the source RPM. */
  readonly srpm: string;
}

const logBytes = 64 * 2 ** 20;
/** Of RPMs that may be published: what `%{NAME}` and the like can be in a file's name and a URL. */
const rpmFile = /^[A-Za-z0-9][\w.+~^-]{0,200}\.rpm$/;

export const packageFolder = (repo: string, target: string, pkgname: string) => join(repo, target, pkgname);

/**
 * Builds, and puts `repo/<target>/<pkgname>/<timestamp>/<evr>.<arch>/` in place: RPMs where it succeeded, and logs in any case. Answers
 * whether it succeeded. Throws the signal's reason, and what keeps the results from being written.
 */
export async function build(place: BuildPlace, of: Build): Promise<boolean> {
  const results = join(place.aside, 'results');
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { recursive: true });
  const room = join(place.work, 'room');
  let result: RunResult & { rpms: readonly string[] };
  try {
    result = await inRoom(place, of, results, room).catch((error: unknown) => {
      place.signal.throwIfAborted();
      return { exitCode: 1, stdout: '', stderr: `${String(error)}\n`, rpms: [] };
    });
    if (result.exitCode === 0)
      for (const rpm of result.rpms) await copyFile(rpm, join(results, basename(rpm)));
  } finally {
    await rm(room, { recursive: true, force: true });
  }
  await writeResults(results, result);
  await putInPlace(place.repo, of, results);
  return result.exitCode === 0;
}

/** The results of a job whose source could not even be read: logs alone. */
export async function refuse(place: BuildPlace, of: Omit<Build, 'srpm'>, why: string): Promise<void> {
  const results = join(place.aside, 'results');
  await rm(results, { recursive: true, force: true });
  await mkdir(results, { recursive: true });
  await writeResults(results, { exitCode: 1, stdout: '', stderr: `${why}\n` });
  await putInPlace(place.repo, of, results);
}

async function inRoom(place: BuildPlace, of: Build, results: string, room: string) {
  const { limits } = place;
  const limited = AbortSignal.timeout(limits.seconds * 1000);
  const signal = AbortSignal.any([place.signal, limited]);
  const mock = await findTool(place.path, 'mock');
  // Mock keeps build.log itself, and says little.
  const log = boundedLog(join(results, mock ? 'mock.log' : 'build.log'), logBytes);
  const host: StepHost = { signal, log: log.stream, path: place.path, home: place.home };
  try {
    return await (mock
      ? withMock(createStep(host), place, of, results)
      : withRpmbuild(host, place, of, results, room));
  } catch (error) {
    if (limited.aborted && !place.signal.aborted)
      throw new Error(`ended: it took longer than ${limits.seconds} s`, { cause: error });
    throw error;
  } finally {
    await log.close();
  }
}

async function withMock(step: Step, place: BuildPlace, { job, arch, srpm }: Build, results: string) {
  const config = join(place.mockConfigs, mockConfig(job.target, arch));
  if (!(await exists(config))) throw new Error(`mock has no configuration ${config}`);
  return { ...(await mockRebuild(step, srpm, job.disttag, config, results)), rpms: [] };
}

async function withRpmbuild(
  host: StepHost,
  { limits }: BuildPlace,
  { job, arch, header, srpm }: Build,
  results: string,
  room: string,
) {
  const rootLog = boundedLog(join(results, 'root.log'), logBytes);
  try {
    const step = createStep({ ...host, log: rootLog.stream });
    step.note(`build room: this machine's /usr, read-only; limits ${JSON.stringify(limits)}`);
    for (const tool of [
      ['rpmbuild', '--version'],
      ['gcc', '--version'],
    ] as const)
      await step.run(tool).catch(() => step.note(`${tool[0]}: none`));
  } finally {
    await rootLog.close();
  }
  const { disttag } = job;
  const result = await rebuild(createStep(host), {
    ...{ srpm, disttag, arch, epoch: header.epoch, work: room, limits },
  });
  const odd = result.rpms.find((path) => !rpmFile.test(basename(path)));
  if (odd !== undefined)
    throw new Error(`a package with a name that cannot be published: ${JSON.stringify(basename(odd))}`);
  if (result.exitCode === 0 && result.rpms.length === 0) throw new Error('rpmbuild made no package');
  return result;
}

/** Every file that reimzul's results have, whatever happened. */
async function writeResults(results: string, { stdout, stderr }: RunResult): Promise<void> {
  await writeFile(join(results, 'stdout'), stdout);
  await writeFile(join(results, 'stderr'), stderr);
  const there = new Set(await readdir(results));
  for (const name of ['build.log', 'root.log'])
    if (!there.has(name)) await writeFile(join(results, name), stderr);
}

async function putInPlace(repo: string, of: Omit<Build, 'srpm'>, results: string): Promise<void> {
  const { job, arch, header, timestamp } = of;
  const folder = join(packageFolder(repo, job.target, header.pkgname), timestamp);
  await mkdir(folder, { recursive: true });
  await rename(results, join(folder, `${header.evr}.${arch}`));
}
