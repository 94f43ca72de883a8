/** `builds STREAM`: published builds, and with `--runs` every run. */
import type { Command } from 'commander';
import type { BuildMeta } from '../../domain/metadata.js';
import { formatSeconds } from '../../domain/units.js';
import type { Settings } from '../../settings.js';
import { Store } from '../../store/store.js';
import { loadStream } from '../../streams/load.js';
import { storedBuilds } from '../../publish/stored-builds.js';
import { runRecords, sayDamaged } from '../builds.js';
import { printJson, printTable } from '../output.js';

/** `+2 −1 ↑3`: a package difference in short. */
export function summarize(pkgdiff: BuildMeta['pkgdiff']): string {
  if (!pkgdiff) return 'first build';
  const count = (kind: number) => pkgdiff.filter((change) => change[1] === kind).length;
  const parts = [
    ['+', count(0)],
    ['−', count(1)],
    ['↑', count(2)],
    ['↓', count(3)],
  ] as const;
  return (
    parts
      .filter(([, n]) => n > 0)
      .map(([sign, n]) => `${sign}${n}`)
      .join(' ') || 'none'
  );
}

export const bootSummary = (meta: BuildMeta) =>
  Object.entries(meta.treeline.tests.boot)
    .map(([kind, { outcome }]) => `${kind} ${outcome}`)
    .join(', ') || 'not tested';

export function addBuilds(program: Command, settings: Settings): void {
  program
    .command('builds')
    .argument('<stream>')
    .description('list the published builds of a stream, newest first')
    .option('--runs', 'list all runs instead: also those that failed, were cancelled or found no change')
    .option('--json', 'print JSON')
    .action(async (stream: string, { runs, json }: { runs?: boolean; json?: boolean }) => {
      await loadStream(settings, stream);
      const store = new Store(settings.state);
      if (runs) {
        const records = await runRecords(store, stream);
        if (json) return printJson(records);
        return printTable(
          ['RUN', 'STARTED', 'TOOK', 'OUTCOME', 'BUILD', 'WHY'],
          records.map((record) => [
            record.run.slice(0, 8),
            record.started.slice(0, 19).replace('T', ' '),
            formatSeconds((Date.parse(record.ended) - Date.parse(record.started)) / 1000),
            record.outcome,
            record.build ?? '',
            (record.failure ? `${record.failure.code}: ${record.failure.message}` : (record.note ?? ''))
              .split('\n')[0]
              ?.slice(0, 80) ?? '',
          ]),
        );
      }
      const builds = await storedBuilds(store, stream, { onDamaged: sayDamaged });
      if (json)
        return printJson(
          builds.map(({ id, metas }) => ({
            id,
            architectures: Object.fromEntries(metas.map((m) => [m.architecture, m])),
          })),
        );
      printTable(
        ['BUILD', 'ARCH', 'COMMIT', 'PACKAGES', 'CHANGED', 'IMAGES', 'BOOT TEST'],
        builds.flatMap(({ id, metas }) =>
          metas.map((meta) => [
            id,
            meta.architecture,
            meta['ostree-commit'].slice(0, 12),
            String(meta.treeline.packages),
            summarize(meta.pkgdiff),
            Object.keys(meta.images).join(', '),
            bootSummary(meta),
          ]),
        ),
      );
    });
}
