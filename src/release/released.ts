/** The release that readers have, as the build store has it: what security releases are made from and compared with. */
import { join } from 'node:path';
import type { Host } from '../host.js';
import { Failure } from '../domain/failures.js';
import type { AcceptedRun } from '../domain/rebuild-packages.js';
import { releasedLine, type Architecture, type Stream } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import { exists, type Run } from '../store/store.js';
import { currentRelease } from '../store/releases.js';
import { readReleases } from '../publish/published-releases.js';

export interface ReleasedRun {
  readonly build: string;
  /** The line that it is of. */
  readonly line: Stream;
  readonly run: Run;
  /** As a rebuild's `accepted-run.json` has it. */
  readonly accepted: Readonly<Partial<Record<Architecture, AcceptedRun>>>;
}

/** Fails with BuildNotReleasable where nothing is released, or its run is not in the build store (any more). */
export async function findReleased(step: Step, host: Host, stream: Stream): Promise<ReleasedRun> {
  const { store } = host;
  const no = (why: string) => new Failure('BuildNotReleasable', `${stream.name}: ${why}`);
  const entry = currentRelease(await readReleases(host, stream, step.signal));
  if (!entry) throw no('nothing is released, so there is nothing to fix');
  const { version: build } = entry;
  const line = releasedLine(stream);
  const id = await store.runOf(line.name, build);
  const run = id === undefined ? undefined : { stream: line.name, run: id };
  if (!run || !(await exists(join(store.runDir(run), 'stream.json'))))
    throw no(`the build store has no run of ${build} in the line ${line.name}`);
  const accepted = Object.fromEntries(
    entry.commits.map(({ architecture, checksum }) => [architecture, { ...run, build, commit: checksum }]),
  );
  return { build, line, run, accepted };
}
