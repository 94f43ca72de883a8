/** A workflow with steps on a queue of its own, and one that is its parent. */
import { executeChild, proxyActivities, workflowInfo } from '@temporalio/workflow';

const { step } = proxyActivities<{ step(name: string): Promise<void> }>({
  taskQueue: 'signing',
  startToCloseTimeout: '1m',
});

export async function stepsOf(names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => step(name)));
}

export const parent = (names: readonly string[]): Promise<void> =>
  executeChild(stepsOf, {
    workflowId: `${workflowInfo().workflowId}-child`,
    args: [names],
    parentClosePolicy: 'ABANDON',
  });
