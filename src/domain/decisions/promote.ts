/** Proposes a build; where the stream says so, it is an approval too. */
import { decision, unfixed } from './decision.js';
import { approves } from './approve.js';

export const promote = decision(
  'promote',
  { unfixed },
  {
    about: 'build',
    group: 'approvers',
    to: 'promote',
    ...approves,
    counts: ({ proposerCounts }) => proposerCounts,
    text: { does: 'propose a build for release' },
  },
);
