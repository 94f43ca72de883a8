/** `sample bump PACKAGE`: gives the next nightly of `sample` something to do. */
import { Option, type Command } from 'commander';
import { severities } from '../../domain/security.js';
import { sampleAdvisory, type SampleAdvisory } from '../../sample/advisories.js';
import { bumpPackage, samplePackages } from '../../sample/make.js';
import type { Settings } from '../../settings.js';
import { clean, CliError, exitCodes } from '../output.js';
import { commandStep } from '../step.js';
import { sampleDir } from './init.js';

interface BumpOptions {
  advisory?: string;
  severity: string;
  cve: string[];
}

export function addSample(program: Command, settings: Settings): void {
  program
    .command('sample')
    .description('the sample distribution')
    .command('bump')
    .argument('<package>', 'name of one of its packages, such as `netbase`')
    .option('--advisory <id>', 'as a security update: with an advisory of this id in the repo')
    .addOption(
      new Option('--severity <severity>', 'of the advisory').choices(severities).default('important'),
    )
    .option(
      '--cve <cve>',
      'a CVE that it fixes; may be repeated',
      (cve: string, others: string[]) => [...others, cve],
      [],
    )
    .description('publish a new version of a package in the sample’s repo')
    .action(async (name: string, options: BumpOptions) => {
      const advisory = advisoryOf(options);
      const dir = sampleDir(settings);
      const names = await samplePackages(dir);
      if (names.length === 0)
        throw new CliError(
          'the sample distribution is not there yet: `treeline init` makes it',
          exitCodes.notFound,
        );
      if (!names.includes(name))
        throw new CliError(
          clean(`${name}: the sample has no such package. It has: ${names.join(', ')}.`),
          exitCodes.notFound,
        );
      const step = await commandStep(settings, 'sample');
      console.log(`published ${await bumpPackage(step, dir, name, advisory)}`);
    });
}

/** Undefined where none is named. Throws `CliError`. */
function advisoryOf({ advisory: id, severity, cve: cves }: BumpOptions): SampleAdvisory | undefined {
  if (id === undefined && cves.length === 0) return undefined;
  const parsed = sampleAdvisory.safeParse({ id, severity, cves });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const option = issue?.path[0] === 'cves' ? '--cve' : '--advisory';
  throw new CliError(`${option}: ${id === undefined ? 'missing' : (issue?.message ?? '')}`, exitCodes.usage);
}
