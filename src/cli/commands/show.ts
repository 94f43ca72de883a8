/** `show BUILD`. */
import type { Command } from 'commander';
import { contentResult } from '../../domain/content.js';
import type { BuildMeta } from '../../domain/metadata.js';
import { formatBytes } from '../../domain/units.js';
import type { Settings } from '../../settings.js';
import { Store } from '../../store/store.js';
import { findBuild } from '../builds.js';
import { paint, printJson, printTable } from '../output.js';
import { summarize } from './builds.js';

export function addShow(program: Command, settings: Settings): void {
  program
    .command('show')
    .argument('<build>', 'build id, or STREAM/BUILD')
    .description('show a published build: commit, images, tests, package difference')
    .option('--json', 'print its meta.json per architecture')
    .action(async (name: string, { json }: { json?: boolean }) => {
      const { metas } = await findBuild(new Store(settings.state), name);
      if (json) return printJson(metas);
      for (const meta of metas) {
        console.log(paint('bold', `${meta.name} ${meta.buildid} (${meta.architecture})`));
        const facts: [string, string][] = [
          ['ref', meta.ref],
          ['commit', meta['ostree-commit']],
          ['parent', meta['ostree-parent'] ?? 'none'],
          ['made', meta['ostree-timestamp']],
          ['composer', meta.treeline.composer],
          ['source', meta.treeline['source-commit'] ?? 'not in a repository'],
          ['signed by', meta.treeline.key],
          ['packages', `${meta.treeline.packages} (changed: ${summarize(meta.pkgdiff)})`],
          ['content', contentOf(meta)],
        ];
        printTable([], facts);
        console.log();
        printTable(
          ['IMAGE', 'FILE', 'SIZE', 'SHA256', 'BOOT TEST'],
          Object.entries(meta.images).map(([kind, image]) => {
            const boot = meta.treeline.tests.boot[kind];
            const last = boot?.attempts.at(-1);
            const tested =
              boot && last
                ? `${boot.outcome}, ${Math.round(last.seconds)} s (${last.accelerator})`
                : 'not tested';
            return [kind, image.path, formatBytes(image.size), image.sha256, tested];
          }),
        );
        for (const [kind, { attempts }] of Object.entries(meta.treeline.tests.boot))
          for (const remark of attempts.flatMap(({ remarks = [] }) => remarks))
            console.log(`  boot test of ${kind}: ${remark}`);
        for (const [packageName, , { PreviousPackage, NewPackage }] of meta.pkgdiff ?? [])
          console.log(
            `  ${packageName} ${PreviousPackage?.[1] ?? '(none)'} → ${NewPackage?.[1] ?? '(removed)'}`,
          );
      }
    });
}

/** What the check of the commit against its packages came to. */
const contentOf = ({ treeline: { packages, content } }: BuildMeta): string =>
  content ? `${contentResult({ packages, ...content })}; each is in ${content.list}` : 'not checked';
