/** `logs BUILD [STEP]`. */
import type { Command } from 'commander';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Settings } from '../../settings.js';
import { Store } from '../../store/store.js';
import { findRun } from '../builds.js';
import { CliError, exitCodes, printJson } from '../output.js';

export function addLogs(program: Command, settings: Settings): void {
  program
    .command('logs')
    .argument('<build>', 'build id, STREAM/BUILD, a run, or a stream for its last run')
    .argument('[step]', 'step, such as `compose`')
    .description('print the log of a step; without one list the steps that have logs')
    .option('--json', 'list as JSON')
    .action(async (name: string, step: string | undefined, { json }: { json?: boolean }) => {
      const store = new Store(settings.state);
      const folder = store.logs(await findRun(store, name, { runs: true }));
      const names = (await readdir(folder).catch(() => [])).map((file) => file.replace(/\.log$/, '')).sort();
      if (step === undefined) return json ? printJson(names) : console.log(names.join('\n'));
      if (!names.includes(step))
        throw new CliError(
          `${name}: no log of a step ${step}. There are: ${names.join(', ')}`,
          exitCodes.notFound,
        );
      await pipeline(createReadStream(join(folder, `${step}.log`)), process.stdout, { end: false });
    });
}
