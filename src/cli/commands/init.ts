/** `init`: what an instance needs once: its signing key, the sample distribution and the sample's approvers. */
import type { Command } from 'commander';
import { mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { instanceKeyFile, makeInstanceKey } from '../../keys/gpg.js';
import { makeApprovers } from '../../sample/approvers.js';
import { makeSample } from '../../sample/make.js';
import type { Settings } from '../../settings.js';
import { Store } from '../../store/store.js';
import { sampleRepos } from '../../web/serve.js';
import { formatSeconds } from '../../domain/units.js';
import { commandStep, sayMinutely } from '../step.js';

/** Folder of the sample distribution. */
export const sampleDir = (settings: Settings) => join(settings.state, 'sample');

export function addInit(program: Command, settings: Settings): void {
  program
    .command('init')
    .description('make the instance’s signing key and the sample distribution, where they are missing')
    .action(async () => {
      const started = Date.now();
      let made = '';
      const step = await commandStep(settings, 'init', ({ done, total, unit }) => {
        made = `${done} of ${total} ${unit}`;
        if (process.stdout.isTTY) process.stdout.write(`\r  ${made}  `);
      });
      const said = process.stdout.isTTY
        ? () => void process.stdout.write('\r\x1b[K')
        : sayMinutely(() => `still making the sample distribution: ${made}`);
      try {
        await makeInstanceKey(step, settings.state);
        await makeApprovers(step, settings.state);
        await makeSample(step, sampleDir(settings), { commitKey: instanceKeyFile(settings.state) });
        await serveSample(settings);
      } finally {
        said();
      }
      const seconds = (Date.now() - started) / 1000;
      if (seconds > 3)
        console.log(`made the signing key and the sample distribution in ${formatSeconds(seconds)}`);
    });
}

/** Puts the sample's package repos under the web root; its private key stays outside of it. */
async function serveSample(settings: Settings): Promise<void> {
  const folder = join(new Store(settings.state).www(), 'sample');
  await mkdir(folder, { recursive: true });
  for (const name of sampleRepos) {
    const link = join(folder, name);
    const target = join(sampleDir(settings), name);
    if ((await readlink(link).catch(() => undefined)) === target) continue;
    await rm(link, { force: true });
    await symlink(target, link);
  }
}
