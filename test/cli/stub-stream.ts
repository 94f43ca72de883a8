/** A stand-in for the stream workflow: records what the command line sends, and refuses what it is told to. */
import { condition, defineQuery, defineUpdate, setHandler } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Promotion, StreamView } from '../../src/domain/promotion.js';
import type { Answer, StreamInput } from '../../src/workflows/stream-messages.js';

export interface Request {
  readonly build?: string;
  readonly statement?: string;
  readonly mail?: string;
}

export async function stream(input: StreamInput): Promise<void> {
  let taken = 0;
  const take =
    (update: string) =>
    (request: Request): Answer => {
      if (request.statement?.includes('refuse me'))
        throw ApplicationFailure.nonRetryable('the statement was altered', 'StatementRefused');
      taken++;
      return { message: `${taken} ${update} ${JSON.stringify(request)}` };
    };
  for (const name of ['promote', 'decide', 'retry'])
    setHandler(defineUpdate<Answer, [Request]>(name), take(name));
  setHandler(defineQuery<StreamView>('view'), () => view(input.stream));
  await condition(() => false);
}

/** One whose second attempt waits for a decision. */
const rebuilt = (promotion: Promotion): Promotion => ({
  ...promotion,
  ...{ build: '20261121_01', phase: 'deciding', missing: ['Bob'], note: undefined },
  votesNeeded: { release: 2, redo: 1, rework: 1, accept: 1, abandon: 1 },
  votes: {
    release: [{ approver: 'Alice', fingerprint: 'A', nonce: 'm', at, onto: '20261122_01', reason: 'boots' }],
  },
  attempts: [
    {
      number: 1,
      kind: 'first',
      reuse: true,
      state: 'failed',
      began: at,
      ended: at,
      note: 'SourceMissing: vim',
    },
    {
      ...{ number: 2, kind: 'rework', reuse: false, state: 'testing', began: at, ended: at },
      changes: { pin: { netbase: '2-1.noarch' }, drop: ['vim'], files: 'current' },
      ...{ build: '20261123_09', commits: { x86_64: 'ab'.repeat(32) } },
    },
  ],
});

const at = '2026-11-23T10:00:00Z';

function view(name: string): StreamView {
  const promotion: Promotion = {
    build: '20261123_01',
    phase: 'proposed',
    ...{ proposedBy: 'Alice', proposedAt: at, onto: '20261122_01', note: 'soaks' },
    ...{ approvals: [{ approver: 'Alice', fingerprint: 'A', nonce: 'n', at }], needed: 2, missing: ['Bob'] },
    expires: '2026-12-21T10:00:00Z',
  };
  return {
    ...{ stream: name, current: '20261122_01', inWork: null },
    promotions: [promotion, { ...promotion, build: '20261120_01', phase: 'expired' }, rebuilt(promotion)],
    released: [
      { build: '20261122_01', at, commits: { x86_64: 'cd'.repeat(32) } },
      { build: '20261101_01', at, commits: { x86_64: 'ef'.repeat(32) } },
    ],
    vetoes: [{ build: '20261119_01', by: 'Bob', fingerprint: 'B' }],
    history: Array.from({ length: 12 }, (_, n) => ({
      ...{ at, decision: 'promote', build: `202611${20 - n}_01`, by: 'Alice' },
      ...(n === 1 ? { refused: 'is too old' } : {}),
    })),
  };
}
