/** The signed rebuild of an accepted build. */
import type { RebuildInput, RebuildResult } from './rebuild-messages.js';

export async function rebuild(input: RebuildInput): Promise<RebuildResult> {
  return Promise.reject(new Error(input.build));
}
