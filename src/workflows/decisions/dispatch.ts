/** Who goes next: one release at a time, rollbacks first, then security cases, then promotions. */
import { getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import type { rollback } from '../chains/rollback.js';
import { now, type Entity } from './entity.js';
import { beginAgain, beginCaseAgain } from './find-lost.js';
import { ifRunning } from './requests.js';
import { caseTurn } from './security-messages.js';
import { goSignal, spokenSignal, supersededSignal } from './signals.js';
import { promotionId, rollbackId, securityId } from './stream-messages.js';

/** Lets the next one go, if nothing is being released. */
export async function dispatch(entity: Entity): Promise<void> {
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
export async function tellOfRelease(entity: Entity): Promise<void> {
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

const nothing = () => undefined;
