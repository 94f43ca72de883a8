/**
 * The long-lived workflow of a stream: takes in decisions, lets one release at a time go, knows what is proposed, in work and
 * released. It continues as new; what it knows is also in the build store, from which a lost one is begun again.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { isOpen } from '../domain/promotion.js';
import { phaseAttribute, streamAttribute } from '../search-attributes.js';
import { control, publish } from './activities.js';
import { troubleSignal } from './chain.js';
import type { rollback } from './release.js';
import {
  decideSignal,
  decideUpdate,
  goSignal,
  promoteSignal,
  promoteUpdate,
  promotionChanged,
  releaseDone,
  renewSignal,
  retryUpdate,
  rollbackEnded,
  supersededSignal,
  viewQuery,
} from './signals.js';
import { checkBuild, Decisions, ifRunning, startPromotion } from './decisions.js';
import { promotionId, rollbackId, streamRun, type StreamInput } from './stream-messages.js';
import { Entity, type EntityState } from './entity.js';

/** Promotions that have vanished (terminated, or lost with the server's database) are looked for this often. */
const lookEvery = '1h';

export async function stream({ stream: name, state }: StreamInput & { state?: EntityState }): Promise<void> {
  const entity = new Entity(name, state);
  const decisions = new Decisions(entity);
  const asked = { renew: false };
  setHandler(viewQuery, () => entity.view());
  setHandler(promoteUpdate, (request) => decisions.promote(request), {
    validator: ({ build }) => {
      if (entity.ready) checkBuild(entity, build);
    },
  });
  setHandler(decideUpdate, (request) => decisions.decide(request));
  setHandler(retryUpdate, (request) => decisions.retry(request));
  // A signal has no answer: what is refused is in the history.
  setHandler(promoteSignal, (request) => decisions.promote(request).then(nothing, nothing));
  setHandler(decideSignal, (request) => decisions.decide(request).then(nothing, nothing));
  setHandler(promotionChanged, (change) => entity.promotionChanged(change));
  setHandler(releaseDone, (done) => entity.released(done));
  setHandler(rollbackEnded, (end) => entity.rollbackEnded(end));
  setHandler(troubleSignal, nothing);
  setHandler(renewSignal, () => void (asked.renew = true));
  upsertSearchAttributes([{ key: streamAttribute, value: name }]);

  if (!entity.ready)
    entity.recall(
      await control.recall.executeWithOptions({ summary: 'Read what the build store knows' }, [
        { stream: name, run: streamRun, step: 'recall' },
      ]),
    );
  await findLost(entity);
  for (;;) {
    await dispatch(entity);
    if (entity.takeChanged()) await show(entity);
    else if (asked.renew || workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      if (entity.changed) continue;
      await continueAsNew<typeof stream>({ stream: name, state: entity.state() });
    }
    const woken = await condition(
      () => entity.changed || asked.renew || workflowInfo().continueAsNewSuggested,
      lookEvery,
    );
    if (!woken) await findLost(entity);
  }
}

const nothing = () => undefined;

/** Lets the next one go, if nothing is being released. */
async function dispatch(entity: Entity): Promise<void> {
  if (entity.inWork !== null) return;
  const back = entity.nextRollback();
  if (back) {
    entity.work(back.build);
    await startChild<typeof rollback>('rollback', {
      workflowId: rollbackId(entity.stream, back.build),
      args: [{ stream: entity.stream, ...back }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `Rollback of ${entity.stream} ${back.build}`,
    }).catch(ifRunning);
    return;
  }
  for (const { build } of entity.superseded()) {
    const by = entity.current;
    if (by !== null)
      await getExternalWorkflowHandle(promotionId(entity.stream, build))
        .signal(supersededSignal, { by })
        .catch(nothing);
  }
  const next = entity.nextReady();
  if (!next) return;
  entity.work(next.build);
  await getExternalWorkflowHandle(promotionId(entity.stream, next.build))
    .signal(goSignal, { current: entity.current })
    .catch(() => startPromotion(entity, next));
}

/** Begins promotions again that should be running but are not. */
async function findLost(entity: Entity): Promise<void> {
  const open = entity.promotions.filter(({ phase }) => isOpen(phase));
  const ids = open.map(({ build }) => promotionId(entity.stream, build));
  if (entity.rollingBack) ids.push(rollbackId(entity.stream, entity.rollingBack.build));
  if (ids.length === 0) return;
  const running = await control.running.executeWithOptions({ summary: 'Do the promotions still run?' }, [
    { stream: entity.stream, run: streamRun, step: 'running', ids },
  ]);
  for (const lost of open.filter(({ build }) => !running.includes(promotionId(entity.stream, build)))) {
    entity.note('lost', lost.build, 'its workflow was gone; begun again');
    if (entity.inWork === lost.build) entity.work(null);
    await startPromotion(entity, lost);
  }
  const back = entity.rollingBack;
  if (back && !running.includes(rollbackId(entity.stream, back.build)))
    entity.rollbackEnded({ ...back, failure: 'its workflow was gone' });
}

/** Keeps what is known in the build store, and shows it on the release pages. */
async function show(entity: Entity): Promise<void> {
  const view = entity.view();
  upsertSearchAttributes([{ key: phaseAttribute, value: entity.inWork === null ? 'waiting' : 'releasing' }]);
  setCurrentDetails(
    [
      `**${view.stream}** · released ${view.current ?? 'nothing yet'}`,
      ...view.promotions.map(
        (p) => `- **${p.build}** ${p.phase}, ${p.approvals.length} of ${p.needed} approvals`,
      ),
    ].join('\n'),
  );
  const args = { stream: entity.stream, run: streamRun };
  await control.saveView.executeWithOptions({ summary: 'Keep what is known' }, [
    { ...args, step: 'save-view', view },
  ]);
  // The next change shows it, if a target is away now.
  await publish.releasePages
    .executeWithOptions({ summary: 'Write the release pages', retry: { maximumAttempts: 3 } }, [
      { ...args, step: 'release-pages' },
    ])
    .catch(nothing);
}
