/** The `treeline` command. Each sub-command is a file in `commands/`. */
import { Command, CommanderError } from 'commander';
import { Failure, failureKinds } from '../domain/failures.js';
import { readSettings } from '../settings.js';
import { ServerAway } from '../temporal/connect.js';
import { commands } from './commands/index.js';
import { CliError, exitCodes, paint } from './output.js';

const program = new Command('treeline')
  .description('Builds and releases ostree-based operating systems as durable Temporal workflows.')
  .showSuggestionAfterError()
  .showHelpAfterError('(see `treeline help COMMAND`)')
  .exitOverride();

function fail(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const say = (text: string) => console.error(`${paint('red', 'treeline:')} ${text}`);
  if (error instanceof CliError) {
    say(error.message);
    return error.exitCode;
  }
  if (error instanceof ServerAway) {
    say(error.message);
    return exitCodes.serverAway;
  }
  if (error instanceof Failure) {
    say(`${error.message}\n${failureKinds[error.code].remedy}`);
    return failureKinds[error.code].family === 'input' ? exitCodes.usage : exitCodes.failed;
  }
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return exitCodes.failed;
}

// What is published, and what trees are made of, is for all to read: whatever the umask of whoever started this.
process.umask(0o022);
try {
  const settings = readSettings();
  for (const add of commands) add(program, settings);
  await program.parseAsync();
} catch (error) {
  process.exitCode = fail(error);
}
// Idle connections to the server would hold the process for some seconds more.
process.exit();
