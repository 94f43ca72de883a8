/** `validate [STREAM…]`. */
import type { Command } from 'commander';
import { Failure } from '../../domain/failures.js';
import type { Settings } from '../../settings.js';
import { listStreams, loadStream } from '../../streams/load.js';
import { CliError, exitCodes } from '../output.js';

export function addValidate(program: Command, settings: Settings): void {
  program
    .command('validate')
    .argument('[streams...]', 'default: all')
    .description('check stream files; every mistake is named with file, line and field')
    .action(async (names: string[]) => {
      const problems: string[] = [];
      for (const name of names.length > 0 ? names : await listStreams(settings))
        await loadStream(settings, name).then(
          () => console.log(`${name}: valid`),
          (error: unknown) => {
            if (!(error instanceof Failure)) throw error;
            problems.push(error.message);
          },
        );
      if (problems.length > 0) throw new CliError(`not valid\n${problems.join('\n')}`, exitCodes.usage);
    });
}
