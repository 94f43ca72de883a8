/** What the workflows of promotion say to each other. Their names for people are in stream-messages.ts. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Approval, Promotion, StreamView } from '../../domain/promotion.js';
import type { RebuildDecision, StatementOf } from '../../domain/statement.js';
import type {
  AdvisoriesFound,
  Answer,
  DecideRequest,
  PromoteRequest,
  RetryRequest,
} from './stream-messages.js';

/** To `stream/<stream>`, from people. */
export const promoteSignal = defineSignal<[PromoteRequest]>('promote');
export const promoteUpdate = defineUpdate<Answer, [PromoteRequest]>('promote');
export const decideSignal = defineSignal<[DecideRequest]>('decide');
export const decideUpdate = defineUpdate<Answer, [DecideRequest]>('decide');
export const retryUpdate = defineUpdate<Answer, [RetryRequest]>('retry');
export const viewQuery = defineQuery<StreamView>('view');
/** To `stream/<stream>`, from the watch. */
export const advisoriesSignal = defineSignal<[AdvisoriesFound]>('advisories');
/** Continues as new at the next quiet moment, such as onto new code. */
export const renewSignal = defineSignal('renew');

/** To `stream/<stream>`, from its promotions, releases and rollbacks. */
/** With the turn that it last took or gave back: what it said before it knew of its turn does not end that. */
export const promotionChanged = defineSignal<[Promotion, string?]>('promotionChanged');
/** Readers have this release; another one may follow. */
export interface ReleaseDone {
  readonly build: string;
  readonly accepted?: string;
  readonly commits: Readonly<Record<string, string>>;
  /** Of a security release: its case. */
  readonly case?: string;
}
export const releaseDone = defineSignal<[ReleaseDone]>('releaseDone');
export const rollbackEnded =
  defineSignal<[{ build: string; to: string; failure?: string; reason?: string }]>('rollbackEnded');

/** To `promotion/<stream>/<build>`, from the stream: a statement that was accepted. */
export type PromotionDecision = StatementOf<
  'approve' | 'reject' | 'withdraw' | 'report' | RebuildDecision
> & {
  readonly approval: Approval;
};
export const decisionSignal = defineSignal<[PromotionDecision]>('decision');
/** It is this promotion's turn: nothing else is being released. */
export interface Turn {
  /** The newest release. */
  readonly current: string | null;
  /** Tells this turn from others. */
  readonly turn: string;
}
export const goSignal = defineSignal<[Turn]>('go');
/** Another release went first: this build is older than what readers have. */
export const supersededSignal = defineSignal<[{ by: string }]>('superseded');
export const retrySignal = defineSignal<[{ mail?: 'sent' | 'again' }]>('retry');
/** From its release workflow: how it ended, for a promotion that is not its parent. */
export const releaseEnded = defineSignal<[{ failure?: string }]>('releaseEnded');

/** To `release/<stream>/<build>`, from the stream. */
export const announceSignal = defineSignal<[Approval]>('announce');
/** A rollback was approved: no more repair, no announcement. */
export const stopSignal = defineSignal('stop');
