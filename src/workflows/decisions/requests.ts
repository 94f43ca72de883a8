/** What requests to the stream workflow are checked for, and how they are refused. */
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Approval } from '../../domain/promotion.js';
import type { Verified } from '../../domain/statement.js';
import { control } from '../activities.js';
import { now, type Entity } from './entity.js';

export const refuse = (
  code: 'StatementRefused' | 'BuildNotReleasable' | 'ReleaseUnfixed' | 'FixNotFound',
  why: string,
) => ApplicationFailure.nonRetryable(why, code);

/** What the stream asks for now, and which approvals of these nonces count. */
export const readRules = (entity: Entity, nonces: readonly string[] = []) =>
  entity.calls.call('standing', 'Read the rules of the stream', control.standing, { nonces });

export const approval = ({ approver, fingerprint, statement }: Verified): Approval => ({
  approver,
  fingerprint,
  nonce: statement.nonce,
  at: now(),
});

/** For `.catch` of a start: what runs already is what was wanted. */
export function ifRunning(error: unknown): void {
  if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
}
