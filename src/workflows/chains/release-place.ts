/**
 * Where a release goes: to one target, or to two, mirror (the repo) and cloud (all other files), which readers get both of or neither.
 */
import type { ReleaseArgs } from '../../domain/inputs.js';
import { publish } from '../activities.js';
import type { CallOptions, Input } from '../call.js';
import type { Chain } from './chain.js';
import type { Forward } from './forward.js';

/** What the steps of a release are about. */
export type Released = Input<ReleaseArgs>;

/** So long is tried to switch two targets, one of which is away; then the other returns for good. */
const switchPatience = { scheduleToCloseTimeout: '1h' } as const;

export interface ReleasePlace {
  readonly titles: Readonly<Record<'try' | 'switch', string>>;
  /** Before anything is pushed: can it take the release? */
  precheck(chain: Chain, what: Released): Promise<void>;
  /** The state of the repo and of the other files, under the names that people know them by. */
  state(repo: string, files?: string): Readonly<Record<string, string>>;
  /** Options of the step that switches. */
  readonly switching?: CallOptions;
  /** The state after the switch. */
  readonly switched: Readonly<Record<string, string>>;
  /** The switch of a release has failed: readers get the former release. */
  restore(chain: Chain, forward: Forward, what: Released): Promise<void>;
  /** The switch of a rollback has failed: readers keep the release that was to be taken back. */
  restoreRollback(chain: Chain, what: Released): Promise<void>;
}

/** Takes back what was pushed. */
export async function undo(chain: Chain, place: ReleasePlace, what: Released): Promise<void> {
  const title = 'Remove what was pushed; readers stay on the former release';
  await chain.step('undo', title, publish.undoRelease, what);
  chain.target(place.state('undone', 'undone'));
}

const verifyUndone = (chain: Chain, what: Released) =>
  chain.step('verify-undone', 'Verify that readers have that release at both', publish.verifyUndone, what);

export const oneTarget: ReleasePlace = {
  titles: {
    try: 'Pull the commit as an independent client',
    switch: 'Switch ref and summary: the point of no return',
  },
  // A single target is looked at when the commit is taken.
  precheck: () => Promise.resolve(),
  switched: { repo: 'switched' },
  state: (repo, files) => (files === undefined ? { repo } : { repo, files }),
  restore: (chain, _forward, what) => undo(chain, oneTarget, what),
  // What is not switched needs no return.
  restoreRollback: () => Promise.resolve(),
};

export const mirrorAndCloud: ReleasePlace = {
  titles: {
    try: 'Pull the commit as an independent client, and download every image',
    switch: 'Switch cloud, then mirror: the point of no return',
  },
  async precheck(chain, what) {
    await chain.step(
      'precheck',
      'Check mirror and cloud: reachable, enough space, expected head',
      publish.precheckRelease,
      what,
      ({ mirror, cloud }) => `mirror: ${mirror}, cloud: ${cloud}`,
    );
  },
  switched: { mirror: 'switched', cloud: 'switched' },
  state: (mirror, cloud) => (cloud === undefined ? { mirror } : { mirror, cloud }),
  switching: switchPatience,
  // It is not over before readers are known to have the former release at both.
  async restore(chain, forward, what) {
    forward.state = 'not released';
    await forward.finish(async () => {
      await forward.insist('undo', async () => {
        await undo(chain, mirrorAndCloud, what);
        await verifyUndone(chain, what);
      });
      chain.target(mirrorAndCloud.state('undone, verified', 'undone, verified'));
    });
  },
  async restoreRollback(chain, what) {
    const title = 'Return both to the release that readers had';
    await chain.step('undo', title, publish.undoRollback, what);
    await verifyUndone(chain, what);
  },
};
