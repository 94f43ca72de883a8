/** Free space at publish targets. */
import { Failure } from '../domain/failures.js';
import type { Target } from '../domain/stream.js';
import { formatBytes } from '../domain/units.js';
import type { Step } from '../steps/step.js';
import { publishTo } from './targets/index.js';

/** Is there room for so many bytes below `part`? Answers what is known of it, for people. Fails with DiskFull. */
export async function requireSpace(step: Step, target: Target, part: string, bytes: number): Promise<string> {
  const free = await publishTo(target).free(step, part);
  if (free === undefined) return 'free space unknown';
  if (free < bytes)
    throw new Failure(
      'DiskFull',
      `${target.location}: ${formatBytes(free)} free, but the release needs ${formatBytes(bytes)}`,
    );
  return `${formatBytes(free)} free`;
}
