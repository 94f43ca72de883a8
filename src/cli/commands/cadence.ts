/** `cadence STREAM`: when releases are due, were made or missed, and the upstream build that each follows. */
import { InvalidArgumentError, type Command } from 'commander';
import { join } from 'node:path';
import { cadenceRows, releasesOf, type CadenceRow } from '../../domain/cadence.js';
import { Failure } from '../../domain/failures.js';
import { releaseIndex } from '../../domain/release.js';
import { listReader, loadUpstream } from '../../release/upstream.js';
import type { Settings } from '../../settings.js';
import { readJson, Store } from '../../store/store.js';
import { loadStream } from '../../streams/load.js';
import { CliError, exitCodes, printJson, printTable } from '../output.js';

interface Options {
  past: number;
  coming: number;
  json?: boolean;
}

const maxRows = 500;
function count(text: string): number {
  const rows = /^\d{1,3}$/.test(text) ? Number(text) : Infinity;
  if (rows > maxRows) throw new InvalidArgumentError(`write a number from 0 to ${maxRows}.`);
  return rows;
}

export function addCadence(program: Command, settings: Settings): void {
  program
    .command('cadence')
    .argument('<stream>')
    .description('show past and coming release dates, with the upstream build that each release follows')
    .option('--past <n>', 'dates that have passed', count, 4)
    .option('--coming <n>', 'dates to come', count, 6)
    .option('--json', 'print JSON')
    .action(async (name: string, { past, coming, json }: Options) => {
      const { release } = await loadStream(settings, name);
      const cadence = release?.cadence;
      if (!cadence)
        throw new CliError(
          `${name}: has no release dates. Declare them in its stream file, under \`release.cadence\`; see docs/promotion.md.`,
          exitCodes.usage,
        );
      const store = new Store(settings.state);
      const index = await readJson(join(store.releasePublished(name), 'releases.json'), releaseIndex);
      const upstream =
        cadence.upstream &&
        (await loadUpstream(cadence.upstream, listReader()).catch((error: unknown) => {
          if (!(error instanceof Failure)) throw error;
          // The table of remedies speaks of package repos and nightlies.
          throw new CliError(
            `${name}: release.cadence.upstream.builds: ${error.message}`,
            error.code === 'StreamInvalid' ? exitCodes.usage : exitCodes.failed,
          );
        }));
      const releases = index ? releasesOf(index) : [];
      const rows = cadenceRows(cadence, { now: new Date(), past, coming, releases, upstream });
      if (json) return printJson(rows);
      printTable(
        [
          'DUE',
          'CANDIDATES',
          cadence.upstream?.name.toUpperCase() ?? 'UPSTREAM',
          'KNOWN BY',
          'RELEASE',
          'STATE',
        ],
        rows.map((row) => [
          row.due,
          `from ${row.windowFrom}`,
          row.upstream ? `${row.upstream.number} of ${row.upstream.date}` : 'none',
          row.upstream ? knownBy(row.upstream) : '',
          row.release ?? '',
          row.late ? `${row.state} late` : row.state,
        ]),
      );
    });
}

const knownBy = ({ from, skipped }: NonNullable<CadenceRow['upstream']>) =>
  skipped ? `${from}; ${skipped.join(', ')} skipped` : from;
