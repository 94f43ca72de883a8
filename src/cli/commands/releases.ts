/** `releases STREAM`: what was released, from the build store. */
import type { Command } from 'commander';
import type { Settings } from '../../settings.js';
import { emptyReleases, storedReleases } from '../../store/releases.js';
import { Store } from '../../store/store.js';
import { loadStream } from '../../streams/load.js';
import { printJson, printTable } from '../output.js';
import { knownReleases } from '../releases.js';

export function addReleases(program: Command, settings: Settings): void {
  program
    .command('releases')
    .argument('<stream>')
    .description('list the releases of a stream, newest first')
    .option('--json', 'print releases.json as it is published')
    .action(async (stream: string, { json }: { json?: boolean }) => {
      await loadStream(settings, stream);
      const store = new Store(settings.state);
      const index = await storedReleases(store, stream);
      if (json) return printJson(index ?? emptyReleases(stream));
      if (!index?.releases.length) return console.log(`${stream}: nothing was released yet`);
      const { current } = await knownReleases(store, stream, undefined);
      printTable(
        ['RELEASE', 'RELEASED', 'COMMIT', 'APPROVED BY', 'STATE'],
        index.releases.toReversed().map(({ version, commits, treeline }) => {
          const back = treeline['rolled-back'];
          return [
            version,
            treeline.released.slice(0, 16).replace('T', ' '),
            commits
              .map(({ architecture, checksum }) => `${architecture} ${checksum.slice(0, 12)}`)
              .join(', '),
            treeline.approvers.join(', '),
            back ? `taken back ${back.at.slice(0, 10)}, to ${back.to}` : version === current ? 'current' : '',
          ];
        }),
      );
    });
}
