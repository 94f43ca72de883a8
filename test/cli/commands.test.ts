import assert from 'node:assert/strict';
import { Command } from 'commander';
import { addCommands, commandFiles } from '../../src/cli/commands/index.js';
import { readSettings } from '../../src/settings.js';

describe('the list of commands', () => {
  const settings = readSettings({});
  const names = (program: Command) => program.commands.map((command) => command.name());

  it('names what each file adds', async () => {
    for (const file of commandFiles) {
      const program = new Command();
      (await file.load())(program, settings);
      assert.deepEqual(names(program).sort(), [...file.names].sort());
    }
  });

  it('is loaded as far as a command line asks for it', async () => {
    const all = commandFiles.flatMap((file) => file.names);
    for (const [argv, expected] of [
      [['--verbose', 'show', 'logs'], ['show']],
      [
        ['worker', '--roles', 'compose'],
        ['up', 'worker', 'serve'],
      ],
      [['help', 'show'], all],
      [['shwo'], all],
      [[], all],
    ] as const) {
      const program = new Command();
      await addCommands(program, settings, argv);
      assert.deepEqual(names(program).sort(), [...expected].sort(), argv.join(' '));
    }
  });
});
