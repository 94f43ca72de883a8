/** What a stream workflow that was lost begins again with. */
import assert from 'node:assert/strict';
import type { StreamView } from '../../src/domain/promotion.js';
import type { SecurityCase } from '../../src/domain/security.js';
import { emptyReleases, recalledView } from '../../src/store/releases.js';

const one = (id: string, phase: SecurityCase['phase']): SecurityCase => ({
  ...{ id, phase, openedBy: 'Bob', advisories: [], fixes: [], embargoed: true, attempt: 1 },
  ...{ approvals: [], needed: 1, missing: [], times: { detected: '2026-11-25T00:00:00Z' } },
});

describe('recalled view', () => {
  it('has the security cases, those that have ended too: their advisories open no other', () => {
    const security = [one('20261125-2', 'waiting'), one('20261125-1', 'dismissed')];
    const saved: StreamView = {
      ...{ stream: 's', current: null, promotions: [], inWork: null, released: [], vetoes: [], history: [] },
      security,
    };
    assert.deepEqual(recalledView('s', saved, emptyReleases('s')), saved);
  });
});
