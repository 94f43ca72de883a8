/** What requests to the stream workflow are checked for, and how they are refused. */
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Approval } from '../../domain/promotion.js';
import type { Statement, Verified } from '../../domain/statement.js';
import { control } from '../activities.js';
import { now, type Entity } from './entity.js';

export const refuse = (
  code: 'StatementRefused' | 'BuildNotReleasable' | 'ReleaseUnfixed' | 'FixNotFound',
  why: string,
) => ApplicationFailure.nonRetryable(why, code);

/** What the stream asks for now. */
export const readRules = (entity: Entity) =>
  entity.calls.call('rules', 'Read the rules of the stream', control.rules, {});

export const approval = ({ approver, fingerprint, statement }: Verified): Approval => ({
  approver,
  fingerprint,
  nonce: statement.nonce,
  at: now(),
});

/** Has it looked at this statement, or at newer ones? */
export const hasJudged = ({ judgedTo }: { readonly judgedTo?: string | undefined }, { time }: Statement) =>
  judgedTo !== undefined && Date.parse(judgedTo) >= Date.parse(time);

/** For `.catch` of a start: what runs already is what was wanted. */
export function ifRunning(error: unknown): void {
  if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
}
