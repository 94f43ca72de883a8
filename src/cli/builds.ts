/** What the command line reads of builds and runs: from the build store, so it works without a server. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buildId } from '../domain/build-id.js';
import { baseOf, signedName } from '../domain/lines.js';
import { runRecord, type RunRecord } from '../domain/run.js';
import { storedBuilds, type StoredBuild } from '../publish/stored-builds.js';
import { exists, readJson, unlessDamaged, type OnDamaged, type Run, type Store } from '../store/store.js';
import { clean, CliError, exitCodes } from './output.js';

/** For commands that show the rest. */
export const sayDamaged: OnDamaged = (problem) => console.error(`⚠ ${clean(problem)}`);

/** Records of a stream's runs, newest first. Damaged ones are told and passed over. */
export async function runRecords(
  store: Store,
  stream: string,
  onDamaged: OnDamaged = sayDamaged,
): Promise<RunRecord[]> {
  const runs = await readdir(store.runsDir(stream)).catch(() => []);
  const records = await Promise.all(
    runs.map((run) =>
      readJson(join(store.runDir({ stream, run }), 'run.json'), runRecord).catch(unlessDamaged(onDamaged)),
    ),
  );
  return records.filter((record) => record !== undefined).sort((a, b) => b.started.localeCompare(a.started));
}

/** Streams that the build store knows. */
export const storedStreams = (store: Store) => readdir(join(store.state, 'store')).catch((): string[] => []);

/**
 * The run that a name means: `BUILD` or `STREAM/BUILD`; with `runs` also a stream's name (its last run) and a run's id.
 * Throws `CliError` (not found, or in several streams).
 */
export async function findRun(
  store: Store,
  name: string,
  { runs = false } = {},
): Promise<Run & { build?: string }> {
  const [first = '', second] = name.split('/');
  const streams = second === undefined ? await storedStreams(store) : [first];
  const wanted = second ?? first;
  if (buildId.safeParse(wanted).success) {
    const found: (Run & { build: string })[] = [];
    for (const stream of streams) {
      const run = await store.runOf(stream, wanted);
      if (run === undefined) continue;
      // Both lines of a stream know its ids; the run belongs to one of them.
      const line = (await exists(store.runDir({ stream: signedName(stream), run })))
        ? signedName(stream)
        : stream;
      if (baseOf(stream) === stream || stream === first) found.push({ stream: line, run, build: wanted });
    }
    if (found.length > 1)
      throw new CliError(
        `${name}: a build of several streams. Write one of: ${found.map((f) => `${f.stream}/${wanted}`).join(', ')}.`,
        exitCodes.usage,
      );
    if (found[0]) return found[0];
  } else if (runs) {
    for (const stream of streams) {
      const records = await runRecords(store, stream);
      const record = stream === wanted ? records[0] : records.find(({ run }) => run.startsWith(wanted));
      if (record)
        return { stream, run: record.run, ...(record.build === undefined ? {} : { build: record.build }) };
    }
  }
  throw new CliError(`${name}: no such build. \`treeline builds STREAM\` lists them.`, exitCodes.notFound);
}

/** A published build by name. Throws `CliError`. */
export async function findBuild(store: Store, name: string): Promise<StoredBuild> {
  const { stream, build } = await findRun(store, name);
  const found = (await storedBuilds(store, stream, { onDamaged: sayDamaged })).find(({ id }) => id === build);
  if (!found)
    throw new CliError(
      `${name}: was not published, or is pruned. See \`treeline logs ${name}\`.`,
      exitCodes.notFound,
    );
  return found;
}
