/** A step of the command line itself, such as set-up: its log is kept beside the instance's. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../settings.js';
import { createStep } from '../steps/run.js';
import type { Progress, Step } from '../steps/step.js';

export async function commandStep(
  settings: Settings,
  name: string,
  onProgress?: (progress: Progress) => void,
): Promise<Step> {
  const home = join(settings.state, 'home');
  const logs = join(settings.state, 'logs');
  await Promise.all([mkdir(home, { recursive: true }), mkdir(logs, { recursive: true })]);
  const log = createWriteStream(join(logs, `${name}.log`), { flags: 'a' });
  return createStep({
    signal: new AbortController().signal,
    log,
    path: settings.path,
    home,
    ...(onProgress ? { onProgress } : {}),
  });
}
