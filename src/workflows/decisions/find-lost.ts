/**
 * What the stream asks others for, since messages may be lost or false: what is released, and whether promotions, security cases and
 * rollbacks still run. Those whose workflows are gone (terminated, or lost with the server's database) are begun again.
 */
import { releasedAs, type Promotion } from '../../domain/promotion.js';
import type { SecurityCase } from '../../domain/security.js';
import { control } from '../activities.js';
import { isRunning, lastAttempt, nextAttempt } from './attempts.js';
import { startCase } from './decide-on-case.js';
import { startPromotion } from './decide.js';
import { now, type Entity } from './entity.js';
import { promotionId, rebuildId, releaseId, rollbackId, securityId } from './stream-messages.js';
import { attempt, limit } from './stream-view.js';

/** Begins promotions again that should be running but are not; finds what is in progress. */
export async function findLost(entity: Entity, recalled = false): Promise<void> {
  const { stream: name, promotions: open, openCases } = entity;
  const back = recalled ? entity.current : null;
  const ids = open.flatMap((promotion) => [
    promotionId(name, promotion.build),
    releaseId(name, releasedAs(promotion)),
    ...(promotion.votesNeeded ? [unknownRebuild(name, promotion)] : []),
  ]);
  for (const { id, build } of openCases)
    ids.push(securityId(name, id), ...(build === undefined ? [] : [releaseId(name, build)]));
  if (back !== null) ids.push(rollbackId(name, back));
  if (ids.length === 0) return;
  let running: readonly string[] = [];
  const answered = await attempt(entity, 'whether its promotions still run is not known', async () => {
    const title = 'Check whether the promotions still run';
    running = await entity.calls.call('running', title, control.running, { ids }, limit);
  });
  if (!answered) return;
  if (back !== null && running.includes(rollbackId(name, back))) entity.foundRollback(back);
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

/** Milliseconds after which a rollback that was said to end is looked for, the first time and the last. */
const [soon, late] = [2000, 3_600_000];

/** Reads what readers have, and how a rollback has ended. */
export async function lookAtReleases(entity: Entity): Promise<void> {
  entity.looking = false;
  const { stream: name, calls, rollingBack } = entity;
  await attempt(entity, 'what is released is not known', async () => {
    const end =
      rollingBack &&
      (await calls.call(
        'rollback-end',
        'Check whether the rollback still runs',
        control.workflowEnd,
        { id: rollbackId(name, rollingBack.build) },
        limit,
      ));
    // After its end: it has written what is read now.
    entity.published(await calls.call('released', 'Read what is released', control.released, {}, limit));
    if (end) {
      const well = end.state === 'completed';
      entity.rollbackEnded(
        rollingBack.build,
        well ? undefined : (end.note ?? `its workflow was ${end.state}`),
      );
    } else if (rollingBack) entity.pause = Math.min((entity.pause ?? soon / 2) * 2, late);
  });
}

/** For a case whose workflow is gone. A build or release that still runs is found by it. */
export async function beginCaseAgain(entity: Entity, lost: SecurityCase, releasing: boolean): Promise<void> {
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
export async function beginAgain(
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
