/** `apply`: schedules and stream workflows as the stream files declare them. */
import type { Command } from 'commander';
import { applySchedules, planSchedules } from '../../schedules/schedules.js';
import type { Settings } from '../../settings.js';
import { listStreams, loadStream } from '../../streams/load.js';
import { connect } from '../../temporal/connect.js';
import { applyEntities, planEntities } from '../../schedules/entities.js';
import { registerSearchAttributes } from '../../temporal/search-attributes.js';
import { paint, printJson } from '../output.js';

export function addApply(program: Command, settings: Settings): void {
  program
    .command('apply')
    .description(
      'make schedules and stream workflows on the server as the stream files declare them; shows the difference first',
    )
    .option('--dry-run', 'only show the difference')
    .option('--json', 'print the changes as JSON')
    .action(async ({ dryRun, json }: { dryRun?: boolean; json?: boolean }) => {
      const names = await listStreams(settings);
      const streams = await Promise.all(names.map((name) => loadStream(settings, name)));
      const client = await connect(settings);
      try {
        const schedules = await planSchedules(client, streams);
        const entities = await planEntities(client, streams);
        const changes = [...entities, ...schedules];
        if (json) printJson(changes);
        else
          for (const { id, action, differences } of changes) {
            const colour = ({ create: 'green', update: 'yellow', remove: 'red', none: 'gray' } as const)[
              action
            ];
            console.log(`${paint(colour, action.padEnd(6))} ${id}`);
            for (const difference of differences) console.log(`         ${difference}`);
          }
        if (dryRun) return;
        await registerSearchAttributes(client, settings);
        await applyEntities(client, entities);
        await applySchedules(client, streams, schedules);
        const done = changes.filter(({ action }) => action !== 'none').length;
        if (!json)
          console.log(done === 0 ? 'Nothing to change.' : `Applied ${done} change${done === 1 ? '' : 's'}.`);
      } finally {
        await client.connection.close();
      }
    });
}
