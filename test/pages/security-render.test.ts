/** The page of a stream's security, and the same for programs. */
import assert from 'node:assert/strict';
import { securityData } from '../../src/pages/security-data.js';
import { renderSecurity } from '../../src/pages/security.js';
import type { CasePhase } from '../../src/domain/security.js';
import { timeToFix } from '../../src/domain/time-to-fix.js';
import { generated, stream } from './release-site.js';
import { releasedCase, security, waitingCase } from './security-site.js';

const text = (html: string) => html.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ');
const input = { generated, stream, ...security };
const html = renderSecurity(input);
const shown = text(html);

describe('the security page', () => {
  it('escapes what comes from advisories, packages and people, and names no file of this machine', () => {
    assert.doesNotMatch(html, /<script|<img|javascript:|style=/);
    assert.match(html, /&lt;script>alert/);
    assert.doesNotMatch(html + JSON.stringify(securityData(input)), /\/srv\/private/);
  });

  it('says of an open case what it changes, why, and who has to approve', () => {
    assert.match(
      shown,
      /20261028-3 ● waits for approval Nothing is left but the approval\. 1 of 2 approvals/,
    );
    assert.match(shown, /Advisories Critical SAMPLE-2026:0011 openssl.*CVE-2026-2001, CVE-2026-2002/);
    assert.match(shown, /Approved by Alice Arbor Waits for Bob Birch, /);
    assert.match(shown, /treeline security sample --approve 20261028-3/);
    assert.match(
      shown,
      /openssl 1:3\.0\.17-3\.x86_64 1:3\.0\.17-4\.x86_64 the fix libssl-compat added 1-1\.x86_64 needed by it/,
    );
    assert.match(shown, /20261028-2 ✗ failed .* SourceMissing: vim .* Packages to fix: vim \(9-1\)/);
  });

  it('says which releases lack which fix, and where that is not known', () => {
    assert.match(shown, /20261026_01 current [\d-]+ [\d:]+ UTC ✓ all 2026/);
    assert.match(shown, /✗ lacks 1 SAMPLE-2026:0011 : openssl 1:3\.0\.17-1, fixed in 1:3\.0\.17-3 2026/);
    assert.match(shown, /20260928_01 [\d-]+ [\d:]+ UTC ○ not known/);
  });

  it('says how long fixes took', () => {
    assert.match(shown, /SAMPLE-2026:0011 2 h 25 min OSV-2026-5 32 min 00 s/);
    assert.deepEqual(timeToFix(releasedCase.times), {
      ...{ detect: 2400, build: 3600, approve: 5400, release: 900, total: 8700 },
    });
    assert.deepEqual(timeToFix({ detected: '2026-10-28T08:00:00Z', built: '2026-10-28T07:00:00Z' }), {
      build: 0,
    });
  });

  it('says what was considered and not acted on, with the reason, and that a look was incomplete', () => {
    for (const words of [
      /● acted on a case is open jq 1\.6-2, fixed in 1\.7-1/,
      /✓ fixed the release has jq 1\.7-1/,
      /○ not affected nothing of it/,
      /● too slight moderate is below important/,
      /● not core jq is not among/,
      /OSV-2026-8 .* ✗ affected, no fix known affected, no fix known: jq-1\.6-2 \(no fix is planned\) jq 1\.6-2, no fix is planned/,
      /OSV-2026-9 .* Unknown .* ✗ cannot be judged cannot be judged: jq-1\.6-2 jq 1\.6-2, still being investigated/,
      /○ withdrawn passed over: its status is retracted/,
      /● incomplete 1 source could not be read/,
      /20261010-1 OSV-2026-3 ○ dismissed Our build has no such code\./,
    ])
      assert.match(shown, words);
  });

  it('says what each phase means, and what there is not', () => {
    const words: Partial<Record<CasePhase, RegExp>> = {
      joining: /● opened It waits a moment/,
      building: /● being built/,
      differs: /✗ differs Something else/,
      ready: /✓ approved It goes out/,
      releasing: /✓ being released/,
    };
    for (const [phase, expected] of Object.entries(words))
      assert.match(
        text(renderSecurity({ ...input, cases: [{ ...waitingCase, phase: phase as CasePhase }] })),
        expected,
      );
    const nothing = text(
      renderSecurity({ generated, stream, cases: [], watch: undefined, fixes: [], releases: [] }),
    );
    for (const none of [
      'No security release is in progress',
      'There is no release yet',
      'No fix was released',
      'Nobody has looked',
    ])
      assert.ok(nothing.includes(none), none);
  });

  it('is there for programs too, with time to fix in seconds', () => {
    const data = securityData(input);
    assert.deepEqual(
      data.cases.map(({ id, phase, timeToFix: time }) => [id, phase, time.total]),
      [
        ['20261028-3', 'waiting', undefined],
        ['20261028-2', 'failed', undefined],
        ['20261027-1', 'released', 8700],
        ['20261020-1', 'released', 1920],
        ['20261010-1', 'dismissed', undefined],
      ],
    );
    assert.deepEqual(
      [data.releases, data.fixes, data.considered?.length],
      [security.releases, security.fixes, 8],
    );
  });
});
