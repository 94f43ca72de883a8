/** What the workflows of promotion say to each other. Their names for people are in stream-messages.ts. */
import { z } from 'zod';
import { buildId } from '../../domain/build-id.js';
import type { StreamView } from '../../domain/promotion.js';
import { approval, promotion } from '../../domain/shapes.js';
import { query, signal, update } from '../messages.js';
import {
  advisoriesFound,
  decideRequest,
  promoteRequest,
  retryRequest,
  reworkRequest,
  type Answer,
} from './stream-messages.js';

/** To `stream/<stream>`, from people. */
export const promoteSignal = signal('promote', promoteRequest);
export const promoteUpdate = update<Answer>()('promote', promoteRequest);
export const decideSignal = signal('decide', decideRequest);
export const decideUpdate = update<Answer>()('decide', decideRequest);
export const retryUpdate = update<Answer>()('retry', retryRequest);
export const checkReworkUpdate = update<Answer>()('checkRework', reworkRequest);
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
/** Readers have another release, or a rollback ends: what is so is looked up, nothing is taken from the message. */
export const releasesChanged = signal('releasesChanged');

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
/** From its release workflow, which ends, for one that is not its parent: how is asked of the server. */
export const releaseEnded = signal('releaseEnded');

/** To `release/<stream>/<build>`, from the stream. */
export const announceSignal = signal('announce', approval);
/** A rollback was approved: no more repair, no announcement. */
export const stopSignal = signal('stop');
