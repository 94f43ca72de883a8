/** Readers return from the current release, `build`, to a former one, `onto`. */
import { buildId } from '../build-id.js';
import { decision } from './decision.js';

export const rollback = decision(
  'rollback',
  { onto: buildId },
  {
    about: 'release',
    group: 'approvers',
    to: 'rollback',
    quorum: ({ rollback }) => rollback,
    answers: (said, asked) => said.onto === asked.onto,
    text: { does: 'return readers from the current release to a former one' },
  },
);
