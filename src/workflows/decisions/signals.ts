/** What the workflows of promotion say to each other. Their names for people are in stream-messages.ts. */
import { z } from 'zod';
import { buildId } from '../../domain/build-id.js';
import { caseId } from '../../domain/names.js';
import type { StreamView } from '../../domain/promotion.js';
import { approval, commitsByArch, promotion } from '../../domain/shapes.js';
import { query, signal, update } from '../messages.js';
import {
  advisoriesFound,
  decideRequest,
  promoteRequest,
  retryRequest,
  type Answer,
} from './stream-messages.js';

/** To `stream/<stream>`, from people. */
export const promoteSignal = signal('promote', promoteRequest);
export const promoteUpdate = update<Answer>()('promote', promoteRequest);
export const decideSignal = signal('decide', decideRequest);
export const decideUpdate = update<Answer>()('decide', decideRequest);
export const retryUpdate = update<Answer>()('retry', retryRequest);
export const viewQuery = query<StreamView>('view');
/** To `stream/<stream>`, from the watch. */
export const advisoriesSignal = signal('advisories', advisoriesFound);
/** Continues as new at the next quiet moment, such as onto new code. */
export const renewSignal = signal('renew');

/** Tells a turn from others. */
export const turnId = z.string().max(100);

/** To `stream/<stream>`, from its promotions, releases and rollbacks. */
/** With the turn that it last took or gave back: what it said before it knew of its turn does not end that. */
export const promotionChanged = signal('promotionChanged', promotion, turnId.optional());
/** Readers have this release; another one may follow. */
const done = z.object({
  build: buildId,
  accepted: buildId.optional(),
  commits: commitsByArch,
  /** Of a security release: its case. */
  case: caseId.optional(),
});
export type ReleaseDone = Readonly<z.infer<typeof done>>;
export const releaseDone = signal('releaseDone', done);
export const rollbackEnded = signal(
  'rollbackEnded',
  z.object({
    build: buildId,
    to: buildId,
    failure: z.string().optional(),
    reason: z.string().optional(),
  }),
);

/**
 * To `promotion/<stream>/<build>` and `security/<stream>/<case>`, from the stream: a statement about it is in the archive, where it is read,
 * or another release is the current one.
 */
export const spokenSignal = signal('spoken', z.object({ current: buildId.nullable() }));
/** It is this promotion's turn: nothing else is being released. */
export const turn = z.object({
  /** The newest release. */
  current: buildId.nullable(),
  turn: turnId,
});
export type Turn = Readonly<z.infer<typeof turn>>;
export const goSignal = signal('go', turn);
/** Another release went first: this build is older than what readers have. */
export const supersededSignal = signal('superseded', z.object({ by: buildId }));
export const retrySignal = signal('retry', z.object({ mail: z.enum(['sent', 'again']).optional() }));
/** From its release workflow: how it ended, for a promotion that is not its parent. */
export const releaseEnded = signal('releaseEnded', z.object({ failure: z.string().optional() }));

/** To `release/<stream>/<build>`, from the stream. */
export const announceSignal = signal('announce', approval);
/** A rollback was approved: no more repair, no announcement. */
export const stopSignal = signal('stop');
