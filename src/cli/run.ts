/** Runs one command line. */
import { Command } from 'commander';
import { readSettings } from '../settings.js';
import { addCommands } from './commands/index.js';
import { clean, paint } from './output.js';

/** Runs `treeline ARGV` and answers its exit code. Whatever fails is said on standard error, in a line or two. */
export async function runCli(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const program = new Command('treeline')
    .description('Builds and releases ostree-based operating systems as durable Temporal workflows.')
    .showSuggestionAfterError()
    .showHelpAfterError('(see `treeline help COMMAND`)')
    // What is quoted may come from anywhere.
    .configureOutput({ writeErr: (text) => process.stderr.write(clean(text)) })
    .exitOverride();
  try {
    const settings = readSettings(env);
    await addCommands(program, settings, argv);
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    return sayFailure(error, env);
  }
}

/** Says what ended the command; answers the exit code. */
export async function sayFailure(error: unknown, env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const { keepStack, reportOf } = await import('./report.js');
  const { text, exitCode, unexpected } = reportOf(error);
  const say = (line: string) => console.error(`${paint('red', 'treeline:')} ${clean(line)}`);
  if (text !== undefined) say(text);
  if (unexpected) say(await keepStack(stateOf(env), error));
  return exitCode;
}

/** The state folder, also where another setting is what is wrong. */
const stateOf = (env: NodeJS.ProcessEnv) => readSettings({ TREELINE_STATE: env.TREELINE_STATE }).state;
