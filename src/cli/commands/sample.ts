/** `sample bump PACKAGE`: gives the next nightly of `sample` something to do. */
import type { Command } from 'commander';
import { bumpPackage } from '../../sample/make.js';
import type { Settings } from '../../settings.js';
import { commandStep } from '../step.js';
import { sampleDir } from './init.js';

export function addSample(program: Command, settings: Settings): void {
  program
    .command('sample')
    .description('the sample distribution')
    .command('bump')
    .argument('<package>', 'name of one of its packages, such as `netbase`')
    .description('publish a new version of a package in the sample’s repo')
    .action(async (name: string) => {
      console.log(
        `published ${await bumpPackage(await commandStep(settings, 'sample'), sampleDir(settings), name)}`,
      );
    });
}
