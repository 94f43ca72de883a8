/** Ends the work on a build. */
import { attempt } from '../names.js';
import { decision, ofLastAttempt, why } from './decision.js';

export const abandon = decision(
  'abandon',
  { attempt, reason: why },
  {
    about: 'attempt',
    group: 'approvers',
    to: 'abandon',
    lasting: true,
    quorum: ({ abandon }) => abandon,
    answers: (said, asked) => said.attempt === asked.attempt,
    endedBy: ['reject', 'withdraw', 'release', 'redo', 'rework'],
    check: ofLastAttempt(),
    text: { does: 'end the work on the build; needs --reason' },
  },
);
