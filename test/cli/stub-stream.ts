/** A stand-in for the stream workflow: records what the command line sends, and refuses what it is told to. */
import { condition, defineQuery, defineUpdate, setHandler } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Promotion, StreamView } from '../../src/domain/promotion.js';
import type { ReworkChanges } from '../../src/domain/rework-changes.js';
import type { SecurityCase } from '../../src/domain/security.js';
import type { Answer } from '../../src/workflows/decisions/stream-messages.js';

export interface Request {
  readonly build?: string;
  readonly statement?: string;
  readonly mail?: string;
}

export async function stream(input: { readonly stream: string }): Promise<void> {
  let taken = 0;
  const take =
    (update: string) =>
    (request: Request): Answer => {
      if (request.statement?.includes('refuse me'))
        throw ApplicationFailure.nonRetryable('the statement was altered', 'StatementRefused');
      taken++;
      return { message: `${taken} ${update} ${JSON.stringify(request)}` };
    };
  setHandler(defineUpdate<Answer, [{ changes: ReworkChanges }]>('checkRework'), ({ changes }) => {
    if (changes.drop.includes('nonsense'))
      throw ApplicationFailure.nonRetryable('there is nothing to drop', 'StatementRefused');
    return { message: 'the changes change 2 packages' };
  });
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

const advisory = {
  ...({
    id: 'T-2026:1',
    title: 'bash:\u001b[31m bad\nnews',
    severity: 'critical',
    cves: ['CVE-2026-1'],
  } as const),
  source: 'sample',
};

/** It waits for an approval, and its build is tested. */
const planned: SecurityCase = {
  ...{ id: '20261123-2', phase: 'waiting', openedBy: 'watch', advisories: [advisory], embargoed: true },
  ...{ fixes: [{ name: 'netbase', evr: '2-1', advisories: ['T-2026:1'] }], attempt: 1 },
  srpms: { 'netbase-2-1.src.rpm': '5'.repeat(64) },
  plan: {
    ...{ base: '20261122_01', commits: { x86_64: 'cd'.repeat(32) } },
    changes: { pin: { netbase: '2-1.noarch' }, drop: [], files: 'accepted' },
    packages: [
      { name: 'netbase', from: '1-1.noarch', to: '2-1.noarch', why: 'fix' },
      { name: 'base', from: null, to: '1-1.noarch', why: 'needed' },
    ],
  },
  ...{ build: '20261123_01', buildCommits: { x86_64: 'ba'.repeat(32) }, approvals: [], needed: 1 },
  ...{ missing: ['Alice'], times: { detected: at } },
};
const joining: SecurityCase = {
  ...{ ...planned, id: '20261123-3', phase: 'joining', embargoed: false },
  ...{ plan: undefined, build: undefined, buildCommits: undefined },
};
const done: SecurityCase = {
  ...{ ...planned, id: '20261120-1', phase: 'released', embargoed: false },
  times: {
    published: '2026-11-23T09:00:00Z',
    detected: at,
    built: at,
    approved: at,
    released: '2026-11-23T11:30:00Z',
  },
};

function view(name: string): StreamView {
  const promotion: Promotion = {
    build: '20261123_01',
    phase: 'proposed',
    ...{ proposedBy: 'Alice', proposedAt: at, onto: '20261122_01', note: 'soaks', unfixed: ['20261120-1'] },
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
    security: [
      planned,
      { ...planned, id: '20261123-1', phase: 'differs', note: 'bash differs' },
      joining,
      done,
    ],
    history: Array.from({ length: 12 }, (_, n) => ({
      ...{ at, decision: 'promote', build: `202611${20 - n}_01`, by: 'Alice' },
      ...(n === 1 ? { refused: 'is too old' } : {}),
    })),
  };
}
