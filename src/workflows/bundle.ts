/** Bundles the workflows at build time: what runs in production is what was built and tested. */
import { bundleWorkflowCode } from '@temporalio/worker';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../settings.js';

export const workflowBundle = join(packageRoot, 'dist', 'workflow-bundle.js');
export const workflowsPath = fileURLToPath(new URL('./index.js', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: quiet });
  await writeFile(workflowBundle, code);
}
