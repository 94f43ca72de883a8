/**
 * A builder on reimzul's own contract, for those who have no reimzul: it takes jobs from the tubes of its architecture, rebuilds
 * their source RPMs and tells about it. A job is taken at most once: when the builder dies, the job is gone, as with reimzul's.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createStep } from '../../steps/run.js';
import { tool } from '../../steps/tools.js';
import { exists } from '../../store/store.js';
import { internalTubes, reimzulJob, tubeOf, type BuildArchitecture, type ReimzulJob } from '../job.js';
import { build, packageFolder, refuse, type Build, type BuildPlace } from './build.js';
import { send, serveTubes, type Queue } from './queue.js';
import { createrepo, toSign } from './repo.js';
import { prepareSandbox } from './sandbox.js';
import { fetchSource, headerOfName, readHeader, type SourceHeader } from './source.js';

export interface BuilderOptions extends BuildPlace {
  readonly queue: Queue;
  /** Address of the folder with the jobs' source RPMs. */
  readonly incoming: string;
  /** Of this machine. */
  readonly arch: keyof typeof watched;
  /** Name of this machine in the news. */
  readonly host: string;
  /** Serve `createrepo` and `tosign` too? */
  readonly createrepo: boolean;
  /** Folder of the packages that wait for a signature, one folder a target. */
  readonly toSign: string;
  /** Build an x86_64 package for i386 too, and a kernel for noarch, as reimzul's builders do? */
  readonly chain: boolean;
}

/** Tubes by the machine's architecture. */
export const watched = { x86_64: ['x86_64', 'i386', 'noarch'], aarch64: ['aarch64'] } as const;

/** What a builder runs. */
export const builderTools = [
  tool('bwrap', 'bubblewrap'),
  tool('rpmbuild', 'rpm', 'rpm-build'),
  tool('rpm', 'rpm'),
  tool('createrepo_c', 'createrepo-c', 'createrepo_c'),
  tool('setpriv', 'util-linux'),
  tool('prlimit', 'util-linux'),
];

/** Source RPMs that are larger are not fetched. */
const sourceBytes = 2 ** 31;

/** Works until the signal is aborted; what runs then is ended, with all that it started. */
export async function runBuilder(options: BuilderOptions): Promise<void> {
  const { queue, arch, repo, work, aside } = options;
  await cleared(work);
  await cleared(aside);
  const tubes = watched[arch];
  try {
    const loops = [serveTubes(queue, tubes, (job) => serveJob(options, job))];
    if (options.createrepo) {
      await mkdir(repo, { recursive: true });
      const log = createWriteStream(join(work, 'createrepo.log'));
      const step = createStep({ signal: queue.signal, log, path: options.path, home: options.home });
      loops.push(
        serveTubes(queue, [internalTubes.createrepo], (job) => createrepo(step, queue.say, repo, job)),
        serveTubes(queue, [internalTubes.toSign], (job) => toSign(repo, options.toSign, job)),
      );
    }
    queue.say(`serving ${tubes.join(', ')} of ${queue.address}`);
    await Promise.all(loops);
  } finally {
    for (const folder of [work, aside]) await rm(folder, { recursive: true, force: true });
  }
}

/** Makes an empty folder, and removes those beside it whose builders are gone: they are named by process ids. */
async function cleared(folder: string): Promise<void> {
  const beside = join(folder, '..');
  await mkdir(beside, { recursive: true });
  for (const name of await readdir(beside))
    if (/^\d+$/.test(name) && !(await exists(`/proc/${name}`)))
      await rm(join(beside, name), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
}

async function serveJob(options: BuilderOptions, data: unknown): Promise<void> {
  const { queue, arch, repo, work, chain } = options;
  const parsed = reimzulJob.safeParse(data);
  if (!parsed.success) throw new Error(`malformed: ${JSON.stringify(data).slice(0, 500)}`);
  const job = parsed.data;
  if (!(watched[arch] as readonly string[]).includes(tubeOf(job.arch)))
    throw new Error(`for ${job.arch}: not of this machine`);
  queue.say(`building ${job.srpm} for ${job.target}`);
  const srpm = join(work, 'source', job.srpm);
  const source = await readSource(options, job, srpm).catch((error: unknown) => {
    queue.signal.throwIfAborted();
    return error instanceof Error ? error : new Error(String(error));
  });
  const header: SourceHeader = source instanceof Error ? { ...headerOfName(job.srpm), epoch: 0 } : source;
  const timestamp = await freeTimestamp(packageFolder(repo, job.target, header.pkgname), queue.signal);
  const archs: BuildArchitecture[] = [job.arch];
  if (chain && job.arch === 'x86_64') archs.push('i386');
  if (chain && ['kernel', 'kernel-plus'].includes(header.pkgname)) archs.push('noarch');
  for (const each of source instanceof Error ? archs.slice(0, 1) : archs)
    await serveBuild(options, { job, arch: each, header, timestamp, srpm }, source);
  await rm(join(work, 'source'), { recursive: true, force: true });
}

async function readSource(options: BuilderOptions, job: ReimzulJob, srpm: string): Promise<SourceHeader> {
  const { queue, incoming, work, limits } = options;
  const folder = join(work, 'source');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const signal = AbortSignal.any([queue.signal, AbortSignal.timeout(limits.seconds * 1000)]);
  await fetchSource(`${incoming}/${encodeURIComponent(job.srpm)}`, srpm, sourceBytes, signal);
  await prepareSandbox(folder);
  const log = createWriteStream(join(work, 'source.log'));
  const step = createStep({ signal, log, path: options.path, home: options.home });
  return readHeader(step, folder, srpm, limits).finally(() => log.end());
}

async function serveBuild(options: BuilderOptions, of: Build, source: SourceHeader | Error): Promise<void> {
  const { queue } = options;
  const { job, arch, header, timestamp } = of;
  const { pkgname, evr } = header;
  const told = { ...job, arch, builder_fqdn: options.host, evr, pkgname, timestamp };
  await send(queue, internalTubes.news, { ...told, status: 'Building' });
  const ok = await (
    source instanceof Error ? refuse(options, of, source.message).then(() => false) : build(options, of)
  ).catch((error: unknown) => {
    queue.signal.throwIfAborted();
    // Unlike reimzul's builders: results that cannot be written are no success.
    queue.say(`results of ${job.srpm} are not written: ${String(error)}`);
    return false;
  });
  const status = ok ? 'Success' : 'Failed';
  queue.say(`${status}: ${pkgname}-${evr} for ${job.target} (${arch}), ${timestamp}`);
  await send(queue, internalTubes.news, { ...told, status });
  if (ok) await send(queue, internalTubes.createrepo, { ...told, status });
  // The notifier's part: for failed builds too, but not for scratch ones.
  if (!job.scratch)
    await send(queue, internalTubes.toSign, { pkgname, status, target: job.target, arch, timestamp });
}

/** `YYYYMMDDHHMMSS`, by this machine's clock; of a second in which nothing of this package was built. */
async function freeTimestamp(folder: string, signal: AbortSignal): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (; ; await sleep(200, undefined, { signal })) {
    const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
    const taken = await mkdir(join(folder, timestamp)).then(
      () => false,
      (error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return true;
        throw error;
      },
    );
    if (!taken) return timestamp;
  }
}
