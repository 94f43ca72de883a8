/** Ends a security case without a release. */
import { caseId } from '../names.js';
import { decision, ofOpenCase, why } from './decision.js';

export const dismissFix = decision(
  'dismiss-fix',
  { case: caseId, reason: why },
  {
    about: 'case',
    group: 'security',
    to: 'dismiss-fix',
    lasting: true,
    answers: (said, asked) => said.case === asked.case,
    endedBy: ['withdraw'],
    check: ofOpenCase(),
    text: { does: 'end a security case without a release; needs --reason' },
  },
);
