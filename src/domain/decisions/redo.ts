/** Asks for another attempt with the same inputs. */
import { attempt } from '../names.js';
import { reworkChanges } from '../rework-changes.js';
import { z } from 'zod';
import { decision, ofLastAttempt, sameChanges } from './decision.js';

export const redo = decision(
  'redo',
  {
    attempt,
    /** Are signed packages taken from earlier attempts where their sources are the same? */
    reuse: z.boolean(),
    /** Those of the attempt that is redone, if it had any. */
    changes: reworkChanges.optional(),
  },
  {
    about: 'attempt',
    group: 'approvers',
    to: 'redo',
    lasting: true,
    quorum: ({ redo }) => redo,
    answers: (said, asked) =>
      said.attempt === asked.attempt &&
      said.reuse === asked.reuse &&
      sameChanges(said.changes, asked.changes),
    endedBy: ['reject', 'withdraw', 'release', 'redo', 'rework', 'abandon'],
    check: ofLastAttempt((said, last) =>
      sameChanges(said.changes, last.changes)
        ? undefined
        : `names other changes than attempt ${last.number} was made with: say rework`,
    ),
    text: { does: 'rebuild it again with the same inputs' },
  },
);
