/** Returns readers to a former release, by the same switch. The release that is taken back stays listed, and marked. */
import { CancellationScope, getExternalWorkflowHandle } from '@temporalio/workflow';
import { buildSteps } from '../../domain/build-steps.js';
import { control, publish, signing } from '../activities.js';
import { Chain } from './chain.js';
import { finish, finishFailed } from './release.js';
import { rollbackInput } from './release-messages.js';
import { workflow } from '../messages.js';
import { mirrorAndCloud, oneTarget } from './release-place.js';
import { releasesChanged } from '../decisions/signals.js';
import { streamId } from '../decisions/stream-messages.js';

export const rollback = workflow(
  'rollback',
  rollbackInput,
  async ({ stream, build, to, reason }): Promise<void> => {
    const chain = new Chain(stream);
    chain.built(to);
    const question = { decision: 'rollback', build, onto: to } as const;
    const back = { build: to, onto: build, decided: question };
    const entity = getExternalWorkflowHandle(streamId(stream));
    const ends = () => entity.signal(releasesChanged).catch(() => undefined);
    const why = reason === undefined ? {} : { reason };
    try {
      chain.phase('verify');
      await chain.step('load', buildSteps.load.title, control.load, {});
      await chain.step('authorize', 'Verify approvals', control.authorize, question);
      const { split } = await chain.step(
        'take',
        'Check the former release’s commit',
        publish.takeFormer,
        back,
      );
      const place = split ? mirrorAndCloud : oneTarget;
      await chain.step('sign-summary', 'Sign the summary', signing.signReleaseSummary, {});
      await CancellationScope.nonCancellable(async () => {
        chain.phase('switch');
        const title = 'Switch ref and summary back';
        try {
          await chain.step('switch', title, publish.switchRelease, back, undefined, place.switching);
        } catch (error) {
          await place.restoreRollback(chain, back);
          throw error;
        }
        const mark = 'Mark the release as taken back';
        await chain.step('metadata', mark, publish.rollbackMetadata, { ...back, ...why });
        await finish(chain, 'rolled-back', { note: `${build} → ${to}` });
        await ends();
      });
    } catch (error) {
      await CancellationScope.nonCancellable(async () => {
        await finishFailed(chain, error);
        await ends();
      });
      throw error;
    }
  },
);
