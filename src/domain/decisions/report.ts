/** A person's test report on a build: of a proposed one, or of the signed one that an attempt has made; `commits` are its commits. */
import { z } from 'zod';
import { decision } from './decision.js';

export const report = decision(
  'report',
  {
    result: z.enum(['pass', 'fail']),
    /** What was tested, or what failed. */
    note: z.string().max(500).optional(),
  },
  {
    about: 'build',
    group: 'testers',
    lasting: true,
    check: ({ result, note }) =>
      result === 'fail' && !note?.trim() ? 'a failing report says what failed: --note TEXT' : undefined,
    text: { does: 'report whether a build passed your tests' },
  },
);
