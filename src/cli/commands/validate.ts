/** `validate [STREAM…]`. */
import type { Command } from 'commander';
import type { Settings } from '../../settings.js';
import { listStreams, unknownStream } from '../../streams/load.js';
import { inspectStream } from '../inspect.js';
import { CliError, exitCodes } from '../output.js';
import { commandStep } from '../step.js';

export function addValidate(program: Command, settings: Settings): void {
  program
    .command('validate')
    .argument('[streams...]', 'default: all')
    .description(
      'check stream files, treefiles, scripts and keys without the network; every mistake is named with file, line and field',
    )
    .option('--strict', 'fail on warnings too')
    .action(async (names: string[], { strict = false }: { strict?: boolean }) => {
      const streams = await listStreams(settings);
      const step = await commandStep(settings, 'validate');
      const problems: string[] = [];
      for (const name of names.length > 0 ? names : streams) {
        if (!streams.includes(name)) {
          problems.push(unknownStream(name, streams));
          continue;
        }
        const { errors, warnings } = await inspectStream(settings, name, step);
        for (const warning of warnings) console.error(`warning: ${warning}`);
        const wrong = strict ? [...errors, ...warnings] : errors;
        if (wrong.length === 0) console.log(`${name}: valid`);
        problems.push(...wrong);
      }
      if (problems.length > 0) throw new CliError(`not valid\n${problems.join('\n')}`, exitCodes.usage);
    });
}
