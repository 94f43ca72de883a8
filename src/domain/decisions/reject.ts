/** A veto: the build is neither proposed nor released while it stands. Its author may withdraw it. */
import { decision } from './decision.js';

export const reject = decision(
  'reject',
  {},
  {
    about: 'build',
    group: 'approvers',
    vetoes: true,
    lasting: true,
    concerns: () => true,
    text: { does: 'veto a build: it is neither proposed nor released while the veto stands' },
  },
);
