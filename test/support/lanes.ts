/** Cases that mostly wait, run side by side: each lane has an instance of its own, in which its cases follow one another. */
import { TinyInstance } from './tiny-instance.js';
import { sharedStore } from './tiny-store.js';

export interface Case {
  readonly name: string;
  run(tiny: TinyInstance): Promise<void>;
}
export interface Lane {
  readonly start?: () => Promise<TinyInstance>;
  readonly cases: readonly Case[];
}

/** Declares a mocha test for each case, in a `describe` of its own. A case that fails does not keep the next from running. */
export function inLanes(lanes: readonly Lane[]): void {
  const outcomes = new Map<Case, Promise<void>>();
  const starts: Promise<TinyInstance>[] = [];

  before('with published builds', async () => {
    await sharedStore();
    for (const { start = () => TinyInstance.start(), cases } of lanes) {
      const tiny = start();
      starts.push(tiny);
      let last: Promise<unknown> = Promise.resolve();
      for (const one of cases) {
        const outcome = last.then(async () => one.run(await tiny));
        outcomes.set(one, outcome);
        last = outcome.catch(() => undefined);
      }
    }
  });
  for (const one of lanes.flatMap(({ cases }) => cases)) it(one.name, () => outcomes.get(one));
  after(async () => {
    for (const started of await Promise.allSettled(starts))
      if (started.status === 'fulfilled') await started.value.close();
  });
}
