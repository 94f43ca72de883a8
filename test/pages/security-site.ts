/** The security of the release site's stream: cases in every state, a release that lacks a fix, advisories of every verdict. */
import type { AffectedPackage, Lack, ReleasedFix, SecurityCase } from '../../src/domain/security.js';
import type { WatchRecord } from '../../src/store/watch-record.js';
import type { SecurityInput } from '../../src/pages/types.js';
import { hash, hostile } from './packages.js';

const base = '20261026_01';
export const fixedBuild = '20261028_01';
const at = (minutes: number) => new Date(Date.UTC(2026, 9, 28, 8, minutes)).toISOString();

const advisory = {
  id: 'SAMPLE-2026:0011',
  title: `openssl: read out of bounds ${hostile}`,
  severity: 'critical',
  cves: ['CVE-2026-2001', 'CVE-2026-2002'],
  issued: at(0),
  source: '/srv/private/osv/openssl.json',
} as const;

const approval = { approver: 'Alice Arbor', fingerprint: 'A'.repeat(40), nonce: 'n', at: at(40) };
const changes = { pin: { openssl: '1:3.0.17-4.x86_64' }, drop: [], files: 'accepted' } as const;

export const waitingCase: SecurityCase = {
  ...{ id: '20261028-3', phase: 'waiting', openedBy: 'watch', embargoed: false, attempt: 1 },
  advisories: [advisory],
  fixes: [{ name: 'openssl', evr: '1:3.0.17-4', advisories: [advisory.id] }],
  plan: {
    ...{ base, commits: { x86_64: hash(base) }, changes: { ...changes, drop: [] } },
    packages: [
      { name: 'openssl', from: '1:3.0.17-3.x86_64', to: '1:3.0.17-4.x86_64', why: 'fix' },
      { name: 'libssl-compat', from: null, to: '1-1.x86_64', why: 'needed' },
    ],
  },
  ...{ build: '20261028_02', approvals: [approval], needed: 2, missing: ['Bob Birch', hostile] },
  times: { published: at(0), detected: at(20), planned: at(25), built: at(50) },
};

export const failedCase: SecurityCase = {
  ...waitingCase,
  ...{ id: '20261028-2', phase: 'failed', openedBy: 'Carol Cedar', advisories: [], approvals: [] },
  ...{ plan: undefined, build: undefined, note: `SourceMissing: vim ${hostile}` },
  fixes: [{ name: 'vim', evr: '9-1', advisories: [] }],
};

export const releasedCase: SecurityCase = {
  ...waitingCase,
  ...{ id: '20261027-1', phase: 'released', build: fixedBuild, missing: [] },
  times: { published: at(-100), detected: at(-60), built: at(0), approved: at(30), released: at(45) },
};

export const quickCase: SecurityCase = {
  ...releasedCase,
  id: '20261020-1',
  advisories: [{ ...advisory, id: 'OSV-2026-5', severity: 'moderate', issued: undefined }],
  times: { detected: at(-60), approved: at(-50), built: at(-30), released: at(-28) },
};

export const dismissedCase: SecurityCase = {
  ...failedCase,
  ...{ id: '20261010-1', phase: 'dismissed', note: 'Our build has no such code.' },
  advisories: [{ ...advisory, id: 'OSV-2026-3' }],
};

type Considered = WatchRecord['considered'][number];

const settled = new Set<Considered['verdict']>(['fixed', 'absent', 'unaffected', 'withdrawn']);
const standing = (verdict: Considered['verdict']): AffectedPackage => {
  const about = { name: 'jq', released: '1.6-2' };
  if (verdict === 'unfixed') return { ...about, state: 'unfixed', why: `no fix is planned ${hostile}` };
  if (verdict === 'unclear') return { ...about, state: 'unclear', why: 'still being investigated' };
  return { ...about, state: 'lacks', fixed: '1.7-1' };
};

const considered = (id: string, verdict: Considered['verdict'], reason: string): Considered => ({
  ...{ ...advisory, cves: [...advisory.cves], id, verdict, reason },
  affected: settled.has(verdict) ? [] : [standing(verdict)],
});

export const watch: WatchRecord = {
  ...{ looked: at(55), release: base, failed: ['/srv/private/csaf: no such folder'] },
  considered: [
    considered(advisory.id, 'acted', 'a case is open'),
    considered('OSV-2026-2', 'fixed', 'the release has jq 1.7-1'),
    considered('OSV-2026-4', 'absent', `nothing of it is in the release ${hostile}`),
    considered('OSV-2026-6', 'below', 'moderate is below important'),
    considered('OSV-2026-7', 'not-core', 'jq is not among the core packages'),
    considered('OSV-2026-8', 'unfixed', 'affected, no fix known: jq-1.6-2 (no fix is planned)'),
    { ...considered('OSV-2026-9', 'unclear', 'cannot be judged: jq-1.6-2'), severity: 'unknown' },
    considered('OSV-2026-10', 'withdrawn', 'passed over: its status is retracted'),
  ],
};

export const lack: Lack = {
  case: releasedCase.id,
  advisories: [advisory.id],
  packages: [{ name: 'openssl', is: '1:3.0.17-1', fixed: '1:3.0.17-3' }],
};

export const fix: ReleasedFix = {
  ...{ case: releasedCase.id, advisories: [advisory.id], cves: [...advisory.cves], build: fixedBuild },
  packages: { openssl: '1:3.0.17-3' },
};

export const security: Omit<SecurityInput, 'generated' | 'stream'> = {
  cases: [waitingCase, failedCase, releasedCase, quickCase, dismissedCase],
  watch,
  fixes: [fix],
  releases: [
    { build: base, released: at(-1000), current: true, lacks: [] },
    { build: '20260930_02', released: at(-5000), current: false, lacks: [lack] },
    { build: '20260928_01', released: at(-6000), current: false, lacks: undefined },
  ],
};
