/** The watch beside a stream workflow that only remembers what it was told. */
import { condition, defineQuery, setHandler } from '@temporalio/workflow';
import { advisoriesSignal } from '../../../src/workflows/decisions/signals.js';

export { securityWatch } from '../../../src/workflows/scheduled/advisory-watch.js';

export async function entity(): Promise<void> {
  const told: unknown[] = [];
  setHandler(advisoriesSignal, (found) => void told.push(found));
  setHandler(defineQuery<unknown[]>('told'), () => told);
  await condition(() => false);
}
