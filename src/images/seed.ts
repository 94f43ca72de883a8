/** NoCloud seeds: a small ISO image from which cloud-init takes its instructions. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from '../steps/step.js';

/**
 * Makes `<work>/seed.iso` with this cloud-config; answers its path. cloud-init does its once-per-instance work again
 * when `instance` changes.
 */
export async function makeSeed(step: Step, work: string, instance: string, config: object): Promise<string> {
  const names = ['user-data', 'meta-data'] as const;
  const seed = join(work, 'seed.iso');
  // JSON is YAML.
  await writeFile(join(work, 'user-data'), `#cloud-config\n${JSON.stringify(config)}\n`, { mode: 0o600 });
  await writeFile(join(work, 'meta-data'), `${JSON.stringify({ 'instance-id': instance })}\n`);
  await step.run(
    ['genisoimage', '-quiet', '-output', seed, '-volid', 'cidata', '-joliet', '-rock', ...names],
    { cwd: work },
  );
  await Promise.all(names.map((name) => rm(join(work, name))));
  return seed;
}
