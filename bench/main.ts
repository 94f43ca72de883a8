/**
 * `npm run bench [-- --quick] [--rounds N]`: measures the workflow against a sequential script of the 2015 kind. Prints a
 * table, writes `bench/results.json` and `docs/benchmark.md`. `--quick`: no boot tests, and nothing is written.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import type { Accelerator } from '../src/domain/metadata.js';
import { chooseAccelerator, virtualizationOf } from '../src/images/virtualization.js';
import { signingHome } from '../src/keys/gpg.js';
import { packageRoot, readSettings } from '../src/settings.js';
import type { RunTimes } from './history.js';
import { benchStep, newEnvironment, prepareState, start } from './instance.js';
import { measureNoChange, type NoChange } from './nochange.js';
import { measureUpdate, type Update } from './pushed.js';
import { goalTable, page } from './report.js';
import { runScript, type ScriptRun } from './script.js';
import { runNightly } from './workflow.js';

export interface Results {
  readonly date: string;
  readonly bootTests: boolean;
  readonly machine: {
    readonly cores: number;
    readonly cpu: string;
    readonly memoryGiB: number;
    readonly accelerator: Accelerator;
    readonly node: string;
    /** Of the last minute, at the start. */
    readonly load: string;
  };
  readonly rounds: readonly { readonly script: ScriptRun; readonly workflow: RunTimes }[];
  readonly noChange: NoChange;
  readonly update: Update;
}

const say = (text: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);

async function bench(folder: string, bootTests: boolean, count: number): Promise<Results> {
  const load = (loadavg()[0] ?? 0).toFixed(1);
  const environment = await newEnvironment(folder);
  Object.assign(process.env, environment);
  const settings = readSettings(environment);
  const step = await benchStep(settings);
  const { accelerator } = await chooseAccelerator(step, virtualizationOf(settings));
  const machine = {
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    accelerator,
    node: process.versions.node,
    load,
  };
  const rounds: Results['rounds'][number][] = [];
  for (let round = 1; ; round++) {
    say(`round ${round}: 2015 script`);
    const script = await runScript(environment, bootTests);
    say(`round ${round}: ${script.seconds.toFixed(1)} s; workflow`);
    await prepareState(settings, step, bootTests);
    const running = await start(settings);
    try {
      const workflow = await runNightly(settings, running, 'published');
      say(
        `round ${round}: ${workflow.wall.toFixed(1)} s, of which overhead ${workflow.overhead.toFixed(2)} s`,
      );
      checkSameWork(script, workflow);
      rounds.push({ script, workflow });
      if (round < count) continue;
      say('nightly without a change, bare dnf');
      const noChange = await measureNoChange(settings, running, step, 5);
      say('nightly with one changed package');
      const update = await measureUpdate(settings, running, step);
      return { date: new Date().toISOString(), bootTests, machine, rounds, noChange, update };
    } finally {
      await running.close();
      for (const home of [signingHome(settings.state), join(settings.state, 'sample', 'gnupg')])
        await step.run(['gpgconf', '--homedir', home, '--kill', 'all']);
    }
  }
}

/** A comparison is one only if both made a tree of the same packages. */
function checkSameWork(script: ScriptRun, workflow: RunTimes): void {
  const answer = workflow.activities.find(({ id }) => id === 'resolve')?.result ?? '';
  const { packages } = z.object({ packages: z.number() }).parse(JSON.parse(answer));
  if (packages !== script.packages)
    throw new Error(`the script installed ${script.packages} packages, the workflow ${packages}`);
}

/** Writes a file of the repository as `npm run format` would have it. */
async function write(path: string, text: string): Promise<void> {
  const file = join(packageRoot, path);
  const options = await resolveConfig(file);
  await writeFile(file, await format(text, { ...options, filepath: file }));
}

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string', default: '1' } },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`--rounds ${values.rounds}: give a number from 1`);
const folder = await mkdtemp(join(tmpdir(), 'treeline-bench-'));
// What runs ends with this process; the folder must not outlive it.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(1);
  });
try {
  const results = await bench(folder, !values.quick, rounds);
  console.log(goalTable(results));
  if (values.quick) console.log(page(results));
  else {
    // Without the steps' answers, which are not figures.
    const figures = (key: string, value: unknown) => (key === 'result' ? undefined : value);
    await write('bench/results.json', JSON.stringify(results, figures));
    await write('docs/benchmark.md', page(results));
    console.log('written: bench/results.json, docs/benchmark.md');
  }
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
