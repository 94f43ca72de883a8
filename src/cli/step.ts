/** A step of the command line itself, such as set-up: its log is kept beside the instance's. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatSeconds } from '../domain/units.js';
import type { Settings } from '../settings.js';
import { createStep } from '../steps/run.js';
import type { Progress, Step } from '../steps/step.js';

/** Says once a minute what a command is at, so that a log is never silent for long. Answers what ends it. */
export function sayMinutely(what: () => string): () => void {
  const started = Date.now();
  const timer = setInterval(() => {
    console.log(`${what()} (${formatSeconds((Date.now() - started) / 1000)})`);
  }, 60_000);
  return () => clearInterval(timer);
}

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
