/** The candidate workflow beside a stream workflow that only remembers what it was asked. */
import { condition, defineQuery, defineSignal, setHandler } from '@temporalio/workflow';

export { candidate } from '../../../src/workflows/scheduled/candidate.js';

export async function entity(): Promise<void> {
  const asked: unknown[] = [];
  setHandler(defineSignal<[unknown]>('promote'), (request) => void asked.push(request));
  setHandler(defineQuery<unknown[]>('asked'), () => asked);
  await condition(() => false);
}
