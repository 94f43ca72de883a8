/**
 * The long-lived workflow of a stream: receives decisions, lets one release at a time go, knows what is proposed, in progress and
 * released. It continues as new; what it knows is also in the build store, from which a lost one is begun again.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { phaseAttribute, streamAttribute } from '../../search-attributes.js';
import { control, publish } from '../activities.js';
import { fewTimes } from '../call.js';
import { troubleSignal } from '../chains/chain.js';
import { describeFailure } from '../describe.js';
import { isLong } from '../history.js';
import type { rollback } from '../chains/rollback.js';
import {
  advisoriesSignal,
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
  spokenSignal,
  supersededSignal,
  viewQuery,
} from './signals.js';
import { startCase } from './decide-on-case.js';
import { checkBuild, Decisions, startPromotion } from './decide.js';
import { ifRunning } from './requests.js';
import { caseChanged, caseTurn } from './security-messages.js';
import { promotionId, rebuildId, releaseId, rollbackId, securityId } from './stream-messages.js';
import { isRunning, lastAttempt, nextAttempt } from './attempts.js';
import { Entity, entityState, now } from './entity.js';
import { releasedAs, type Promotion } from '../../domain/promotion.js';
import type { SecurityCase } from '../../domain/security.js';
import { z } from 'zod';
import { name as streamName } from '../../domain/names.js';
import { onQuery, onSignal, onUpdate, refusals, workflow } from '../messages.js';

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
  // A signal has no answer: what is refused is in the history.
  onSignal(promoteSignal, (request) => decisions.promote(request).then(nothing, nothing));
  onSignal(decideSignal, (request) => decisions.decide(request).then(nothing, nothing));
  onSignal(promotionChanged, (change, turn) => entity.promotionChanged(change, turn));
  onSignal(advisoriesSignal, (found) => decisions.cases.found(found).then(nothing, nothing));
  onSignal(caseChanged, (change, turn) => entity.caseChanged(change, turn));
  onSignal(releaseDone, (done) => entity.released(done));
  onSignal(rollbackEnded, (end) => entity.rollbackEnded(end));
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
    await tellOfRelease(entity);
    await dispatch(entity);
    if (entity.takeChanged()) await show(entity);
    else if (leaving())
      await continueAsNew<(input: z.infer<typeof streamInput>) => Promise<void>>({
        stream: name,
        state: entity.state(),
      });
    const woken = await condition(
      () => entity.changed || leaving(),
      entity.unsaved || entity.trouble !== undefined ? tryEvery : lookEvery,
    );
    if (woken) continue;
    await findLost(entity);
    entity.changed ||= entity.unsaved;
  }
});

/** Calls of the long-lived workflow are bounded, so that it goes on with the rest and tries them again later. */
const limit = { scheduleToCloseTimeout: '5m' } as const;

/** A call that may fail; what is wrong is shown until something of the kind works again. */
async function attempt(entity: Entity, what: string, call: () => Promise<void>): Promise<boolean> {
  try {
    await call();
    if (entity.trouble?.startsWith(what)) entity.trouble = undefined;
    return true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    entity.trouble = `${what}: ${describeFailure(error).message}`;
    details(entity);
    return false;
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
  const security = entity.nextReadyCase();
  if (security) {
    const turn = now();
    entity.work(security.build ?? '', turn);
    await getExternalWorkflowHandle(securityId(entity.stream, security.id))
      .signal(caseTurn, { current: entity.current, accepted: entity.accepted, turn })
      .catch(() => beginCaseAgain(entity, security, false));
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
  const turn = now();
  entity.work(next.build, turn);
  await getExternalWorkflowHandle(promotionId(entity.stream, next.build))
    .signal(goSignal, { current: entity.current, turn })
    .catch(() => beginAgain(entity, next, false));
}

/** Readers have another release: what is open is judged by that. Its own case knows. */
async function tellOfRelease(entity: Entity): Promise<void> {
  const moved = entity.takeMoved();
  if (!moved) return;
  const { stream: name, current } = entity;
  const open = [
    ...entity.openCases.filter(({ id }) => id !== moved.case).map(({ id }) => securityId(name, id)),
    ...entity.promotions
      .filter(({ phase }) => phase !== 'releasing')
      .map(({ build }) => promotionId(name, build)),
  ];
  for (const id of open) await getExternalWorkflowHandle(id).signal(spokenSignal, { current }).catch(nothing);
}

/** Begins promotions again that should be running but are not; finds what is in progress. */
async function findLost(entity: Entity, recalled = false): Promise<void> {
  const { stream: name, promotions: open, openCases } = entity;
  const back = recalled ? entity.current : entity.rollingBack?.build;
  const ids = open.flatMap((promotion) => [
    promotionId(name, promotion.build),
    releaseId(name, releasedAs(promotion)),
    ...(promotion.votesNeeded ? [unknownRebuild(name, promotion)] : []),
  ]);
  for (const { id, build } of openCases)
    ids.push(securityId(name, id), ...(build === undefined ? [] : [releaseId(name, build)]));
  if (back != null) ids.push(rollbackId(name, back));
  if (ids.length === 0) return;
  let running: readonly string[] = [];
  const answered = await attempt(entity, 'whether its promotions still run is not known', async () => {
    const title = 'Check whether the promotions still run';
    running = await entity.calls.call('running', title, control.running, { ids }, limit);
  });
  if (!answered) return;
  if (back != null && running.includes(rollbackId(name, back))) {
    if (!entity.rollingBack) entity.foundRollback(back);
  } else if (entity.rollingBack && entity.rollingBack.build === back)
    entity.rollbackEnded({ ...entity.rollingBack, failure: 'its workflow was gone' });
  for (const promotion of open) {
    const { build } = promotion;
    // One that has told something meanwhile is there, or has ended.
    if (entity.promotion(build) !== promotion) continue;
    const releasing = running.includes(releaseId(name, releasedAs(promotion)));
    if (releasing && !entity.release(build) && entity.inWork === null) entity.work(build);
    if (!running.includes(promotionId(name, build)))
      await beginAgain(entity, promotion, releasing, running.includes(unknownRebuild(name, promotion)));
  }
  for (const one of openCases) {
    if (entity.caseOf(one.id) !== one) continue;
    const releasing = one.build !== undefined && running.includes(releaseId(name, one.build));
    if (releasing && entity.inWork === null && entity.current !== one.build) entity.work(one.build ?? null);
    if (!running.includes(securityId(name, one.id))) await beginCaseAgain(entity, one, releasing);
  }
}

/** For a case whose workflow is gone. A build or release that still runs is found by it. */
async function beginCaseAgain(entity: Entity, lost: SecurityCase, releasing: boolean): Promise<void> {
  const { id, build = '', phase, attempt } = lost;
  if (!entity.openCases.some((one) => one.id === id)) return;
  if (entity.release(build) && !releasing)
    return entity.caseChanged({ ...lost, phase: 'released', times: { ...lost.times, released: now() } });
  entity.note('lost', build, 'its workflow was gone; begun again', lost);
  if (entity.inWork === build && !releasing) entity.work(null);
  const waits = attempt === 0 ? phase : phase === 'failed' ? 'failed' : 'building';
  await startCase(entity, { ...lost, phase: releasing ? 'releasing' : waits }, entity.accepted);
}

/** An attempt that was begun after what is known was saved. */
const unknownRebuild = (stream: string, promotion: Promotion) =>
  rebuildId(stream, promotion.build, nextAttempt(promotion, '').number);

/** For a promotion whose workflow is gone. A release or rebuild that still runs is found by it. */
async function beginAgain(
  entity: Entity,
  lost: Promotion,
  releasing: boolean,
  rebuilding = false,
): Promise<void> {
  const { build, phase } = lost;
  // It has ended, and what was asked of it came too late.
  if (!entity.promotion(build)) return;
  if (entity.release(build) && !releasing) return entity.promotionChanged({ ...lost, phase: 'released' });
  entity.note('lost', build, 'its workflow was gone; begun again');
  if (entity.inWork === build && !releasing) entity.work(null);
  const { attempts = [] } = lost;
  const found = { ...nextAttempt(lost, now()), kind: attempts.length > 0 ? 'redo' : 'first' } as const;
  const again = rebuilding ? { ...lost, attempts: [...attempts, found], votes: {} } : lost;
  await startPromotion(entity, {
    ...again,
    phase: releasing ? 'releasing' : phase === 'failed' && !rebuilding ? 'failed' : waits(again),
  });
}

/** The phase in which a promotion finds its way by itself. */
const waits = (lost: Promotion) =>
  lost.attempts === undefined ? 'proposed' : isRunning(lastAttempt(lost)) ? 'rebuilding' : 'deciding';

/** Keeps what is known in the build store, and shows it on the release pages. */
async function show(entity: Entity): Promise<void> {
  const view = entity.view();
  upsertSearchAttributes([{ key: phaseAttribute, value: entity.inWork === null ? 'waiting' : 'releasing' }]);
  details(entity);
  const { calls } = entity;
  entity.unsaved = !(await attempt(entity, 'what is known cannot be saved', () =>
    calls.call('save-view', 'Save what is known', control.saveView, { view }, limit),
  ));
  // The next change shows it, if a target is away now.
  await calls
    .call('release-pages', 'Write the release pages', publish.releasePages, {}, fewTimes)
    .catch(nothing);
}

function details(entity: Entity): void {
  const { stream: name, current, promotions, openCases, trouble } = entity;
  setCurrentDetails(
    [
      `**${name}** · released ${current ?? 'nothing yet'}`,
      ...(trouble === undefined ? [] : ['', `> ⚠ ${trouble}`, '']),
      ...openCases.map(
        (one) =>
          `- security case **${one.id}** ${one.phase}, ${one.approvals.length} of ${one.needed} approvals`,
      ),
      ...promotions.map((p) => {
        const last = lastAttempt(p);
        const attempt = last ? `, attempt ${last.number} ${last.state}` : '';
        return `- **${p.build}** ${p.phase}${attempt}, ${p.approvals.length} of ${p.needed} approvals`;
      }),
    ].join('\n'),
  );
}
