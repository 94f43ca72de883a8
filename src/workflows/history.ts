/** How long workflows that live for months let their histories become. */
import { workflowInfo } from '@temporalio/workflow';

/**
 * Events. A worker that takes a workflow over replays its history within the time limit of one workflow task: some 1 ms an event, and ten
 * times that on a crowded machine.
 */
const longHistory = 1000;

/** Is it time to continue as new? */
export function isLong(): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength >= longHistory;
}
