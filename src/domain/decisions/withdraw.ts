/** Takes back what its author has said: of an attempt, of a security case, or else of the build. */
import { attempt, caseId } from '../names.js';
import { decision } from './decision.js';

export const withdraw = decision(
  'withdraw',
  { attempt: attempt.optional(), case: caseId.optional() },
  {
    about: 'build',
    group: 'approvers',
    concerns: (said, asked) =>
      said.case === asked.case && (said.attempt === undefined || said.attempt === asked.attempt),
    text: { does: 'take back your proposal, approval or veto of a build' },
  },
);
