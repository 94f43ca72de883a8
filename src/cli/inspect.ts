/** Everything about a stream that can be found out before a run, without the network. */
import { isAbsolute, join, relative } from 'node:path';
import { composerProblems } from '../composers/index.js';
import { skippedStart } from '../domain/cron.js';
import { Failure } from '../domain/failures.js';
import type { Stream } from '../domain/stream.js';
import { instanceKeyFile, outdatedKeys, readKey } from '../keys/gpg.js';
import type { Settings } from '../settings.js';
import { readFileBytes } from '../steps/read-file.js';
import type { Step } from '../steps/step.js';
import { exists } from '../store/store.js';
import { listStreamFiles } from '../streams/freeze.js';
import { examineStreamFile, streamFolder } from '../streams/load.js';
import { Mistakes } from '../streams/mistakes.js';
import { readYaml } from '../streams/yaml.js';

export interface Findings {
  /** What no run could succeed with: a line each, with file, line and field. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Inspects the stream whose folder has this name. */
export async function inspectStream(settings: Settings, name: string, step: Step): Promise<Findings> {
  const folder = streamFolder(settings, name);
  const file = join(folder, 'stream.yaml');
  const errors: string[] = [];
  const collect = async (part: () => Promise<readonly string[]>) =>
    errors.push(...(await part().catch((error: unknown) => linesOf(error))));

  await collect(async () => {
    const { files, problems } = await listStreamFiles(folder);
    return [...problems, ...(await secretKeys(folder, files))];
  });
  let warnings: readonly string[] = [];
  await collect(async () => {
    const { stream, mistakes } = await examineStreamFile(settings, file, name);
    if (!stream) return mistakes.lines;
    const warned = new Mistakes(await readYaml(file));
    const problems = await composerProblems(stream);
    for (const { field, text } of problems) if (field) mistakes.add(field, text);
    await checkKeys(settings, folder, stream, step, mistakes, warned);
    checkSchedule(stream, warned);
    warnings = warned.lines;
    return [...mistakes.lines, ...problems.flatMap(({ field, text }) => (field ? [] : [text]))];
  });
  return { errors, warnings };
}

const linesOf = (error: unknown): readonly string[] => {
  if (!(error instanceof Failure)) throw error;
  return error.message.split('\n');
};

/** The stream's folder is kept with each run, and read by every role. */
async function secretKeys(folder: string, files: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of files) {
    // What is larger than a key is none.
    const text = await readFileBytes(join(folder, path)).catch(() => Buffer.alloc(0));
    if (/-----BEGIN (PGP PRIVATE KEY BLOCK|([A-Z]+ )?PRIVATE KEY)-----/.test(text.toString('latin1')))
      found.push(
        `${join(folder, path)}: is a secret key: take it away from here, and replace it, since others may have read it`,
      );
  }
  return found;
}

interface NamedKey {
  readonly field: readonly PropertyKey[];
  readonly file: string;
  /** Is something signed with it, or only verified? */
  readonly signs: boolean;
}

function keysOf({ repos, signingKey, trustedKeys, release }: Stream): readonly NamedKey[] {
  const verifying = (field: readonly PropertyKey[], files: readonly string[]): NamedKey[] =>
    files.map((file, place) => ({ field: [...field, place], file, signs: false }));
  const signing = (field: readonly PropertyKey[], file: string | undefined): NamedKey[] =>
    file === undefined ? [] : [{ field, file, signs: true }];
  const { approvers = [], rebuild, announce } = release ?? {};
  return [
    ...repos.flatMap(({ gpgKeys }, place) => verifying(['repos', place, 'gpgKeys'], gpgKeys)),
    ...signing(['signingKey'], signingKey),
    ...verifying(['trustedKeys'], trustedKeys),
    ...approvers.map(({ key }, place) => ({
      field: ['release', 'approvers', place, 'key'],
      file: key,
      signs: false,
    })),
    ...(rebuild?.sources ?? []).flatMap(({ gpgKeys }, place) =>
      verifying(['release', 'rebuild', 'sources', place, 'gpgKeys'], gpgKeys),
    ),
    ...signing(['release', 'rebuild', 'rpmKey'], rebuild?.rpmKey),
    ...signing(['release', 'announce', 'key'], announce?.key),
  ];
}

async function checkKeys(
  settings: Settings,
  folder: string,
  stream: Stream,
  step: Step,
  errors: Mistakes,
  warnings: Mistakes,
): Promise<void> {
  for (const { field, file, signs } of keysOf(stream)) {
    if (!(await exists(file))) {
      const ours = !relative(folder, file).startsWith('..') && !isAbsolute(relative(folder, file));
      if (ours) errors.add(field, `${file}: no such file`);
      // `treeline init` makes the instance's own; others may be on the hosts that need them only.
      else if (file !== instanceKeyFile(settings.state))
        warnings.add(field, `${file}: not on this host; it must be on those that compose and sign`);
      continue;
    }
    try {
      if (signs) await readKey(step, file);
      else for (const sentence of await outdatedKeys(step, file)) warnings.add(field, sentence);
    } catch (error) {
      for (const line of linesOf(error)) errors.add(field, line);
    }
  }
}

function checkSchedule({ schedule }: Stream, warnings: Mistakes): void {
  if (!schedule) return;
  const { cron, timezone } = schedule;
  const skipped = skippedStart(cron, timezone, new Date());
  if (skipped !== undefined)
    warnings.add(
      ['schedule', 'cron'],
      `${skipped} does not exist in ${timezone}, because daylight saving begins: nothing starts then. Choose another time of day, or the time zone UTC.`,
    );
}
