/** Runs a command of the command line within this process, which is quicker than a process of its own. */
import { Command } from 'commander';
import { addCommands } from '../../src/cli/commands/index.js';
import type { Settings } from '../../src/settings.js';

/** Answers what it printed; throws what it failed with. */
export async function runHere(settings: Settings, ...args: string[]): Promise<string> {
  const lines: unknown[] = [];
  const { log } = console;
  console.log = (line: unknown) => void lines.push(line);
  try {
    const program = new Command('treeline').exitOverride();
    await addCommands(program, settings, args);
    await program.parseAsync(args, { from: 'user' });
  } finally {
    console.log = log;
  }
  return lines.join('\n');
}
