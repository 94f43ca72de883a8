/** Accepts what else has changed in the build of a security case; `commits` are that build's. */
import { caseId } from '../names.js';
import { commitsText, decision, ofOpenCase, sameCommits } from './decision.js';

export const acceptFix = decision(
  'accept-fix',
  { case: caseId },
  {
    about: 'case',
    group: 'security',
    to: 'accept-fix',
    lasting: true,
    quorum: ({ fix }) => fix,
    answers: (said, asked) => said.case === asked.case && sameCommits(said, asked),
    endedBy: ['withdraw', 'dismiss-fix'],
    check: ofOpenCase(({ commits }, { phase, buildCommits = {} }) => {
      if (phase !== 'differs') return `is ${phase}; there are no differences to accept`;
      return commitsText(commits) === commitsText(buildCommits)
        ? undefined
        : `names the commits ${commitsText(commits)}, but its build has ${commitsText(buildCommits)}`;
    }),
    text: { does: 'accept what else has changed in the build of a security case' },
  },
);
