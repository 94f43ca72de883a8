/** Asks for another attempt with changed inputs. */
import { z } from 'zod';
import { attempt } from '../names.js';
import { reworkChanges } from '../rework-changes.js';
import { decision, ofLastAttempt, sameChanges } from './decision.js';

export const rework = decision(
  'rework',
  {
    attempt,
    /** Are signed packages taken from earlier attempts where their sources are the same? */
    reuse: z.boolean(),
    changes: reworkChanges,
  },
  {
    about: 'attempt',
    group: 'approvers',
    to: 'rework',
    lasting: true,
    quorum: ({ rework }) => rework,
    answers: (said, asked) =>
      said.attempt === asked.attempt &&
      said.reuse === asked.reuse &&
      sameChanges(said.changes, asked.changes),
    endedBy: ['reject', 'withdraw', 'release', 'redo', 'rework', 'abandon'],
    check: ofLastAttempt(),
    text: { does: 'rebuild it with changed inputs' },
  },
);
