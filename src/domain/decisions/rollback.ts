/** Readers return from the current release, `build`, to a former one, `onto`. */
import { z } from 'zod';
import { buildId } from '../build-id.js';
import { decision } from './decision.js';

export const rollback = decision(
  'rollback',
  { onto: z.string({ error: 'name the former release to return to' }).pipe(buildId) },
  {
    about: 'release',
    group: 'approvers',
    to: 'rollback',
    quorum: ({ rollback }) => rollback,
    answers: (said, asked) => said.onto === asked.onto,
    text: { does: 'return readers from the current release to a former one' },
  },
);
