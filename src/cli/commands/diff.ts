/** `diff A B`: packages of two builds. */
import type { Command } from 'commander';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageDifference } from '../../rpm/difference.js';
import type { Settings } from '../../settings.js';
import { Store } from '../../store/store.js';
import { findBuild } from '../builds.js';
import { CliError, exitCodes, printJson, printTable } from '../output.js';
import { commandStep } from '../step.js';

const words = ['added', 'removed', 'upgraded', 'downgraded'] as const;

export function addDiff(program: Command, settings: Settings): void {
  program
    .command('diff')
    .argument('<a>', 'build id, or STREAM/BUILD')
    .argument('<b>', 'build id, or STREAM/BUILD')
    .description('packages of build B compared with those of build A')
    .option('--arch <arch>', 'architecture', 'x86_64')
    .option('--json', 'print JSON')
    .action(async (a: string, b: string, { arch, json }: { arch: string; json?: boolean }) => {
      const store = new Store(settings.state);
      const [old, now] = await Promise.all([findBuild(store, a), findBuild(store, b)]);
      const commits = [old, now].map((build) => {
        const meta = build.metas.find((m) => m.architecture === arch);
        if (!meta) throw new CliError(`${build.id}: has no ${arch}`, exitCodes.notFound);
        return meta['ostree-commit'];
      });
      if (old.run.stream !== now.run.stream)
        throw new CliError(`${a} and ${b} are of different streams`, exitCodes.usage);
      const work = await mkdtemp(join(tmpdir(), 'treeline-diff-'));
      try {
        const repo = store.repo(now.run.stream);
        const { pkgdiff = [] } = await packageDifference(
          await commandStep(settings, 'diff'),
          repo,
          commits[1] ?? '',
          commits[0],
          join(work, 'db'),
        );
        if (json) return printJson(pkgdiff);
        if (pkgdiff.length === 0) return console.log('the same packages');
        printTable(
          ['PACKAGE', 'CHANGE', 'OLD', 'NEW'],
          pkgdiff.map(([name, kind, p]) => [
            name,
            words[kind],
            p.PreviousPackage?.[1] ?? '',
            p.NewPackage?.[1] ?? '',
          ]),
        );
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    });
}
