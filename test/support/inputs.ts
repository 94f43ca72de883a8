/** What activities take, for tests whose activities are scripted: a call that the real one would refuse fails the test. */
import { ApplicationFailure } from '@temporalio/common';
import type { z } from 'zod';
import { activitiesOf, roles } from '../../src/activities/index.js';
import { readSettings } from '../../src/settings.js';
import { Store } from '../../src/store/store.js';

const host = { settings: readSettings({}), store: new Store('/nowhere') };

/** All activities by name. */
export const allActivities = Object.assign({}, ...roles.map((role) => activitiesOf[role](host))) as Record<
  string,
  { readonly schema?: z.ZodType }
>;

/** Throws, for good, what the activity of this name would refuse. */
export function checkInput(name: string, input: unknown): void {
  const parsed = allActivities[name]?.schema?.safeParse(input);
  if (!parsed?.success)
    throw ApplicationFailure.nonRetryable(
      `${name}: ${parsed?.error.message ?? 'no such activity'}`,
      'InputRefused',
    );
}
