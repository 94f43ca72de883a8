/**
 * One run of a line publishes at a time: the server lets one workflow of an id run, so whoever has started it may. It ends with its run,
 * however that ends: no lock stays behind.
 */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  sleep,
  startChild,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { z } from 'zod';
import { lineName } from '../../domain/names.js';
import { onSignal, signal, workflow } from '../messages.js';
import { publicationId } from '../decisions/stream-messages.js';

/** To `publication/<line>`, from the run that has it. */
export const publicationEnds = signal('publicationEnds');

/** Does nothing but run. */
export const publication = workflow(
  'publication',
  z.object({ stream: lineName }),
  async (): Promise<void> => {
    let ended = false;
    onSignal(publicationEnds, () => void (ended = true));
    await condition(() => ended);
  },
);

/** One that waits asks again so often. */
const askEvery = '5s';

/** Runs `body` while no other run of the line is in its own; `waits` is called once if one is. */
export async function publishAlone<T>(line: string, waits: () => void, body: () => Promise<T>): Promise<T> {
  for (let waited = false; !(await begins(line)); waited = true) {
    if (!waited) waits();
    await sleep(askEvery);
  }
  try {
    return await body();
  } finally {
    await CancellationScope.nonCancellable(() =>
      getExternalWorkflowHandle(publicationId(line))
        .signal(publicationEnds)
        .catch(() => undefined),
    );
  }
}

/** A cancellation of the run does not end its turn: what it does then may be in the middle. */
const begins = (line: string): Promise<boolean> =>
  CancellationScope.nonCancellable(async () => {
    try {
      await startChild<typeof publication>('publication', {
        workflowId: publicationId(line),
        args: [{ stream: line }],
        parentClosePolicy: ParentClosePolicy.TERMINATE,
        staticSummary: `A run of ${line} publishes`,
      });
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  });
