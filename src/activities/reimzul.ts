/** The signed rebuild's steps at reimzul. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { rebuiltSource, type RebuiltSource, type SourcePackage } from '../domain/rebuild.js';
import { NewsJournal, removeNews } from '../reimzul/news.js';
import { rebuild } from '../reimzul/rebuild.js';
import { ResultsRepo } from '../reimzul/results.js';
import { Tries } from '../reimzul/tries.js';
import { exists, readJson, writeJson } from '../store/store.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { rebuildArgs, stepArgs } from '../domain/inputs.js';
import { sha256 } from '../store/checksums.js';

export const reimzulActivities = (host: Host) => ({
  /**
   * Has one source package of `<arch>/sources/` rebuilt. Its packages are then in `<arch>/rebuilt/<SRPM without .src.rpm>/`, with
   * `result.json`, which is also the answer. Another attempt goes on waiting for the job of the one before. Fails with StreamInvalid,
   * PackageChecksum, RebuildFailed, RebuildLost, RebuildWrong; ReimzulAway, ResultsStuck (tried again).
   */
  rebuildSource: asStep(host, rebuildArgs, async (step, args): Promise<RebuiltSource> => {
    const { source, arch, run, urgent } = args;
    const { release, releasever } = await frozenStream(host, args);
    const settings = release?.rebuild?.reimzul;
    if (settings === undefined) throw new Failure('StreamInvalid', 'release.rebuild: missing');
    const archDir = host.store.archDir(args, arch);
    const folder = join(archDir, 'rebuilt', source.srpm.replace(/\.src\.rpm$/, ''));
    const known = await readResult(folder, source);
    if (known) return known;
    const file = join(archDir, 'sources', source.srpm);
    const digest = `sha256:${await sha256(file)}`;
    if (digest !== source.digest)
      throw new Failure('PackageChecksum', `${file}: ${digest}, but ${source.digest} was accepted`);
    const work = host.store.work(args, `rebuild-${arch}-${source.srpm}`);
    try {
      const { result, folder: fetched } = await rebuild({
        ...{ step, settings, arch, source, run, urgent, file, work },
        journal: new NewsJournal(host.settings.state),
        tries: await Tries.read(folder),
        repo: new ResultsRepo(step, settings, arch, releasever, join(work, 'repo')),
      });
      await keepPackages(result, fetched, folder);
      return result;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }),

  /** Forgets the news of a run that has ended. Idempotent. */
  cleanNews: asStep(host, stepArgs, async (_step, { run }): Promise<void> =>
    removeNews(host.settings.state, run),
  ),
});

/** The result of an earlier attempt, if it is whole. */
async function readResult(folder: string, source: SourcePackage): Promise<RebuiltSource | undefined> {
  const result = await readJson(join(folder, 'result.json'), rebuiltSource);
  if (result?.srpm !== source.srpm) return undefined;
  for (const { file, digest } of [result.source, ...result.packages]) {
    const path = join(folder, file);
    if (!(await exists(path)) || `sha256:${await sha256(path)}` !== digest) return undefined;
  }
  return result;
}

async function keepPackages(result: RebuiltSource, from: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  // Of an attempt that did not come to its end.
  for (const file of await readdir(folder))
    if (file.endsWith('.rpm')) await rm(join(folder, file), { force: true });
  for (const { file } of [result.source, ...result.packages])
    await rename(join(from, file), join(folder, file));
  await writeJson(join(folder, 'result.json'), result);
}
