/** Accepts the unexpected differences of a rebuilt tree; `commits` are the tree's. */
import { attempt } from '../names.js';
import { decision, ofLastAttempt, otherCommits, sameCommits } from './decision.js';

export const accept = decision(
  'accept',
  { attempt },
  {
    about: 'attempt',
    group: 'approvers',
    to: 'accept',
    lasting: true,
    quorum: ({ accept }) => accept,
    answers: (said, asked) => said.attempt === asked.attempt && sameCommits(said, asked),
    endedBy: ['reject', 'withdraw', 'redo', 'rework', 'abandon'],
    offered: (state) => state === 'differs',
    check: ofLastAttempt((said, last) =>
      last.state === 'differs'
        ? otherCommits(said, last)
        : `attempt ${last.number} has no differences to accept`,
    ),
    text: { does: 'accept the differences of a rebuilt tree from the accepted build' },
  },
);
