/** Lets a held announcement go. */
import { decision } from './decision.js';

export const announce = decision(
  'announce',
  {},
  {
    about: 'release',
    group: 'approvers',
    to: 'announce',
    quorum: ({ announce }) => announce,
    answers: () => true,
    text: { does: 'let a held announcement go' },
  },
);
