/**
 * The long-lived workflow of a stream: receives decisions, lets one release at a time go, knows what is proposed, in progress and
 * released. It continues as new; what it knows is also in the build store, from which a lost one is begun again.
 */
import { allHandlersFinished, condition, continueAsNew, upsertSearchAttributes } from '@temporalio/workflow';
import { z } from 'zod';
import { name as streamName } from '../../domain/names.js';
import { streamAttribute } from '../../search-attributes.js';
import { control } from '../activities.js';
import { troubleSignal } from '../chains/chain.js';
import { isLong } from '../history.js';
import { onQuery, onSignal, onUpdate, refusals, workflow } from '../messages.js';
import { checkBuild, Decisions } from './decide.js';
import { dispatch, tellOfRelease } from './dispatch.js';
import { Entity, entityState } from './entity.js';
import { findLost, lookAtReleases } from './find-lost.js';
import { caseChanged } from './security-messages.js';
import {
  advisoriesSignal,
  checkReworkUpdate,
  decideSignal,
  decideUpdate,
  promoteSignal,
  promoteUpdate,
  promotionChanged,
  releasesChanged,
  renewSignal,
  retryUpdate,
  viewQuery,
} from './signals.js';
import { attempt, limit, show } from './stream-view.js';

const streamInput = z.object({ stream: streamName, state: entityState.optional() });

/** Promotions that have vanished (terminated, or lost with the server's database) are looked for this often. */
const lookEvery = '1h';
/** What could not be read or written is tried again so often; `renew` tries at once. */
const tryEvery = '10m';

export const stream = workflow('stream', streamInput, async ({ stream: name, state }): Promise<void> => {
  const entity = new Entity(name, state);
  const decisions = new Decisions(entity);
  const asked = { renew: false };
  onQuery(viewQuery, () => ({ ...entity.view(), ...(refusals().length > 0 ? { refused: refusals() } : {}) }));
  onUpdate(
    promoteUpdate,
    (request) => decisions.promote(request),
    ({ build }) => {
      if (entity.ready) checkBuild(entity, build);
    },
  );
  onUpdate(decideUpdate, (request) => decisions.decide(request));
  onUpdate(retryUpdate, (request) => decisions.retry(request));
  onUpdate(checkReworkUpdate, (request) => decisions.checkRework(request));
  // A signal has no answer: what is refused is in the history.
  onSignal(promoteSignal, (request) => decisions.promote(request).then(nothing, nothing));
  onSignal(decideSignal, (request) => decisions.decide(request).then(nothing, nothing));
  onSignal(promotionChanged, (change, turn) => entity.promotionChanged(change, turn));
  onSignal(advisoriesSignal, (found) => decisions.cases.found(found).then(nothing, nothing));
  onSignal(caseChanged, (change, turn) => entity.caseChanged(change, turn));
  onSignal(releasesChanged, () => {
    entity.looking = true;
    entity.pause = undefined;
  });
  onSignal(troubleSignal, nothing);
  onSignal(renewSignal, () => void (asked.renew = true));
  upsertSearchAttributes([{ key: streamAttribute, value: name }]);

  const recall = () =>
    attempt(entity, 'what the build store knows cannot be read', async () =>
      entity.recall(
        await entity.calls.call('recall', 'Read what the build store knows', control.recall, {}, limit),
      ),
    );
  while (!state && !(await recall())) {
    await condition(() => asked.renew, tryEvery);
    asked.renew = false;
  }
  await findLost(entity, state === undefined);
  const leaving = () => (asked.renew || isLong()) && allHandlersFinished();
  for (;;) {
    if (entity.looking) await lookAtReleases(entity);
    await tellOfRelease(entity);
    await dispatch(entity);
    if (entity.takeChanged()) await show(entity);
    else if (leaving())
      await continueAsNew<(input: z.infer<typeof streamInput>) => Promise<void>>({
        stream: name,
        state: entity.state(),
      });
    const woken = await condition(
      () => entity.changed || entity.looking || leaving(),
      entity.pause ?? (entity.unsaved || entity.trouble !== undefined ? tryEvery : lookEvery),
    );
    if (woken) continue;
    entity.looking = true;
    await findLost(entity);
    entity.changed ||= entity.unsaved;
  }
});

const nothing = () => undefined;
