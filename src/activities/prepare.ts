/** Before anything is made: freeze the stream's declaration, look at the machine, take a build id, record runs. */
import { mkdir, rm, statfs, access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { idsOfDay } from '../domain/build-id.js';
import { Failure } from '../domain/failures.js';
import { baseOf, signedLine, type Architecture, type Stream } from '../domain/stream.js';
import { formatBytes } from '../domain/units.js';
import { expiresWithin, readKey } from '../keys/gpg.js';
import { readIndex } from '../publish/build-index.js';
import { publishTo } from '../publish/targets/index.js';
import { createExclusive, exists, writeJson } from '../store/store.js';
import { loadStream, readStreamFile, streamFolder } from '../streams/load.js';
import { asStep, asTask } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { filedRecord, runArgs, archArgs, stepArgs, time } from '../domain/inputs.js';
import { resolvedRepos } from '../composers/repos.js';
import { composerProblems, composerTools } from '../composers/index.js';
import { throwProblems } from '../composers/treefile.js';
import { freezeStream } from '../streams/freeze.js';
import { missingTools } from '../steps/tools.js';

/** What the workflow needs to know of the stream; everything else stays in the build store. */
export interface ChainPlan {
  readonly architectures: readonly Architecture[];
  readonly images: readonly { kind: string; bootTest: boolean }[];
  readonly bootAttempts: number;
}

/** Seconds from a run's beginning to its last signature, on a slow machine that tries again. */
const longestRun = 86_400;

export const prepareActivities = (host: Host) => ({
  /** Freezes the stream's files for the run. Fails with StreamInvalid, TreefileUnsupported. */
  load: asStep(host, stepArgs, async (step, args): Promise<ChainPlan> => {
    const folder = host.store.runDir(args);
    const frozen = join(folder, 'stream.json');
    if (!(await exists(frozen))) {
      const source = join(folder, 'source');
      await rm(source, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const original = streamFolder(host.settings, args.stream);
      await freezeStream(original, source);
      const stream = await readStreamFile(host.settings, join(source, 'stream.yaml'), args.stream);
      throwProblems(await composerProblems(stream));
      const commit = await sourceCommit(step.run, original);
      await writeJson(join(folder, 'source.json'), commit === undefined ? {} : { commit });
      await writeJson(frozen, stream);
    }
    return planOf(await frozenStream(host, args));
  }),

  /**
   * Looks whether the run can succeed here: space, tools, keys, publish target. Answers the queue of this host, to which
   * the steps that share its disk are pinned.
   */
  preflight: asStep(host, archArgs, async (step, args): Promise<{ hostQueue: string }> => {
    const stream = await frozenStream(host, args);
    await requireSpace(host.settings.state, stream.freeSpace);
    const missing = await missingTools(host.settings.path, composerTools(stream.composer));
    if (missing.length > 0)
      throw new Failure(
        'ToolMissing',
        `not installed: ${missing.map((tool) => tool.command).join(', ')}. Run \`treeline doctor\`.`,
      );
    for (const repo of await resolvedRepos(stream.repos, { arch: args.arch, releasever: stream.releasever }))
      for (const key of repo.gpgKeys)
        await access(key).catch(() => {
          throw new Failure('KeyMissing', `repos.${repo.id}.gpgKeys: ${key}: no such file`);
        });
    const key = await readKey(step, stream.signingKey);
    if (expiresWithin(key, longestRun, new Date()))
      throw new Failure(
        'KeyMissing',
        `${stream.signingKey}: the key ${key.fingerprint} expires within this run: renew it`,
      );
    for (const file of stream.trustedKeys)
      if (!(await exists(file))) throw new Failure('KeyMissing', `trustedKeys: ${file}: no such file`);
    await publishTo(stream.publish.buildlogs).reach(step);
    return { hostQueue: `compose-${args.arch}@${host.settings.host}` };
  }),

  /**
   * Takes the next build id of the day. Never gives one twice: it is taken by creating a file exclusively, and ids that are
   * published already are left out. The same run gets the same id again.
   */
  reserve: asStep(host, stepArgs.extend({ date: time }), async (step, args): Promise<{ build: string }> => {
    const ids = host.store.idsDir(args.stream);
    for (const id of await host.store.ids(args.stream))
      if ((await host.store.runOf(args.stream, id)) === args.run) return { build: id };
    // On a new builder, whose store knows nothing yet, the target is asked.
    const stream = await frozenStream(host, args);
    const indexes = [await readIndex(host, stream, step.signal)];
    const other = (await host.store.ids(args.stream)).length === 0 && (await otherLine(host, stream));
    if (other) indexes.push(await readIndex(host, other, step.signal));
    const used = new Set(
      indexes.flatMap((index) => [...index.builds, ...index['tombstone-builds']]).map((build) => build.id),
    );
    for (const id of idsOfDay(new Date(args.date)))
      if (!used.has(id) && (await createExclusive(join(ids, id), `${args.run}\n`))) {
        step.note(`reserved ${id}`);
        return { build: id };
      }
    throw new Failure(
      'PublishConflict',
      `${args.stream}: all 99 build ids of ${args.date.slice(0, 10)} are used`,
    );
  }),

  /** Writes the run's record. */
  record: asTask(filedRecord, (record) => writeJson(join(host.store.runDir(record), 'run.json'), record)),

  /** Removes the run's scratch folder. */
  cleanUp: asTask(runArgs, (run) => rm(host.store.work(run), { recursive: true, force: true })),
});

/** The other line of the stream, which shares its build ids. */
async function otherLine(host: Host, stream: Stream): Promise<Stream | undefined> {
  const base = baseOf(stream.name);
  return base === stream.name ? signedLine(stream) : loadStream(host.settings, base);
}

/** What the workflow needs to know of a frozen stream. */
export const planOf = ({ architectures, images, bootTest }: Stream): ChainPlan => ({
  architectures,
  images: images.map(({ kind, bootTest: boots }) => ({ kind, bootTest: boots })),
  bootAttempts: bootTest.attempts,
});

async function requireSpace(folder: string, needed: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < needed)
    throw new Failure(
      'DiskFull',
      `${folder}: ${formatBytes(bavail * bsize)} free, ${formatBytes(needed)} needed (\`freeSpace\`)`,
    );
}

/** Commit of the repository that the stream's files are in; with `-dirty` where they differ from it. */
async function sourceCommit(
  run: (
    argv: [string, ...string[]],
    options: { okCodes: readonly number[] },
  ) => Promise<{ stdout: string; exitCode: number }>,
  folder: string,
): Promise<string | undefined> {
  const git = (...args: string[]) =>
    run(['git', '-C', dirname(folder), '-c', 'safe.directory=*', ...args], { okCodes: [0, 128] });
  const head = await git('rev-parse', 'HEAD').catch(() => undefined);
  if (head?.exitCode !== 0) return undefined;
  const status = await git('status', '--porcelain', '--', folder);
  return `${head.stdout.trim()}${status.stdout.trim() === '' ? '' : '-dirty'}`;
}
