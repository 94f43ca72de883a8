/** Releases the signed build that an attempt has made; `commits` are the signed build's. */
import { buildId } from '../build-id.js';
import { attempt } from '../names.js';
import { decision, namesUnfixed, ofLastAttempt, otherCommits, sameCommits, unfixed } from './decision.js';

export const release = decision(
  'release',
  { attempt, signed: buildId, unfixed },
  {
    about: 'attempt',
    group: 'approvers',
    to: 'release',
    lasting: true,
    quorum: ({ release }) => release,
    answers: (said, asked) =>
      said.attempt === asked.attempt &&
      said.signed === asked.signed &&
      said.onto === asked.onto &&
      namesUnfixed(said, asked) &&
      sameCommits(said, asked),
    endedBy: ['reject', 'withdraw', 'redo', 'rework', 'abandon'],
    tested: ({ signed }) => signed,
    offered: (state) => state === 'testing',
    check: ofLastAttempt((said, last, { current, currentSince = '' }) => {
      if (last.state !== 'testing') return `attempt ${last.number} cannot be released: it is ${last.state}`;
      // Its commit follows a former one: readers' history would lack what was released since.
      if (last.began < currentSince)
        return `attempt ${last.number} was begun before ${current ?? ''} was released: redo it`;
      return said.signed === last.build
        ? otherCommits(said, last)
        : `attempt ${last.number} has made ${last.build ?? 'no build'}, not ${said.signed}`;
    }),
    text: { does: 'release the signed build' },
  },
);
