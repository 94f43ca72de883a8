/** What the stream workflow knows, kept in the build store and shown. */
import { isCancellation, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import { phaseAttribute } from '../../search-attributes.js';
import { control, publish } from '../activities.js';
import { fewTimes } from '../call.js';
import { describeFailure } from '../describe.js';
import { lastAttempt } from './attempts.js';
import type { Entity } from './entity.js';

/** Calls of the long-lived workflow are bounded, so that it goes on with the rest and tries them again later. */
export const limit = { scheduleToCloseTimeout: '5m' } as const;

/** A call that may fail; what is wrong is shown until something of the kind works again. */
export async function attempt(entity: Entity, what: string, call: () => Promise<void>): Promise<boolean> {
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

/** Keeps what is known in the build store, and shows it on the release pages. */
export async function show(entity: Entity): Promise<void> {
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
    .catch(() => undefined);
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
