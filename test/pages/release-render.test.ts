import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Promotion, PromotionPhase } from '../../src/domain/promotion.js';
import { fileName, pageLink, webLink } from '../../src/pages/links.js';
import { renderRelease } from '../../src/pages/release.js';
import { renderReleases } from '../../src/pages/releases.js';
import { renderStream } from '../../src/pages/stream.js';
import { layOut } from '../../src/pages/timeline-layout.js';
import { writeReleasePages } from '../../src/pages/write.js';
import { hash } from './packages.js';
import {
  backed, backedNotes, blank, calendar, candidate, current, documents, former, generated, index, input, notes, proposed, rebuilt, view,
} from './release-site.js'; // prettier-ignore
import { stream as builds } from './site.js';

/** The page's text: tags out, spaces as one. */
const text = (html: string) =>
  html
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&amp;', '&')
    .replaceAll('&quot;', '"')
    .replace(/\s+/g, ' ');
const withPromotions = (...promotions: Promotion[]) =>
  text(renderReleases({ ...input, view: { ...view, promotions } }));
const page = renderReleases(input);
const release = renderRelease({ notes });
const taken = { at: '2026-09-30T18:40:00Z', to: former, reason: 'It does not boot.' };

describe('release pages', () => {
  it('escape whatever comes from packages, statements and stream files', () => {
    for (const html of [page, release]) {
      assert.doesNotMatch(html, /<script|<img|<b>friends|javascript:|style=/);
      assert.match(html, /&lt;script>alert/);
    }
    assert.match(text(release), /CVE-2026-1002/);
  });

  it('name their feed to feed readers, where there is one', () => {
    const link =
      '<link rel="alternate" type="application/atom+xml" title="Sample &amp; &lt;b>friends&lt;/b> releases" href="releases.atom"/>';
    assert.ok(page.slice(0, page.indexOf('</head>')).includes(link), page.slice(0, 2000));
    assert.doesNotMatch(release + renderReleases(blank), /<link rel="alternate"/);
  });

  it('name the current release, with what it is made of', () => {
    const shown = text(page.slice(page.indexOf('id="current"'), page.indexOf('id="candidate"')));
    assert.match(
      shown,
      new RegExp(`${current} Released 2026-10-27 11:48 UTC Approved by Alice Arbor, Bob Birch`),
    );
    assert.match(shown, /Fedora build 68 of 2026-10-21/);
    assert.match(
      shown,
      new RegExp(`x86_64 ${hash(`${current}x86_64`)} aarch64 ${hash(`${current}aarch64`)}`),
    );
  });

  it('say who has approved the candidate and who still has to', () => {
    const shown = withPromotions(proposed);
    assert.match(shown, /1 more approval is needed from Bob Birch, Carol Cedar or </);
    assert.match(shown, /✓ approved Alice Arbor, 2026-11-23 09:05 UTC/);
    assert.match(shown, /○ not yet Bob Birch ○ not yet Carol Cedar/);
    assert.match(shown, /Ends by itself 2026-12-21 06:00 UTC/);
    assert.match(shown, new RegExp(`treeline approve sample ${candidate}`));
    assert.match(
      withPromotions({ ...proposed, needed: 3, missing: ['Bob', 'Carol'] }),
      /2 more .* from Bob and Carol\./,
    );
    assert.match(withPromotions({ ...proposed, missing: [] }), /nobody is left to give it/);
  });

  it('show test reports, the failed ones marked, and how many that pass are lacking', () => {
    const report = {
      build: candidate,
      by: 'Tess <b>T</b>',
      result: 'fail',
      at: '2026-11-23T10:00:00Z',
    } as const;
    const reports = [
      { ...report, note: '<i>no network' },
      { ...report, by: 'Bob Birch', result: 'pass' } as const,
    ];
    const html = renderReleases({
      ...input,
      view: { ...view, promotions: [{ ...proposed, reports, reportsNeeded: 3 }] },
    });
    assert.doesNotMatch(html, /<b>T|<i>no/);
    assert.match(
      text(html),
      new RegExp(
        `✗ test failed ${candidate}, Tess <b>T</b>, 2026-11-23 10:00 UTC : <i>no network ✓ test passed ${candidate}, Bob Birch`,
      ),
    );
    assert.match(
      text(html),
      new RegExp(`2 more passing test reports are needed: treeline report sample ${candidate} pass`),
    );
    assert.match(text(renderRelease({ notes: { ...notes, reports } })), /Test reports ✗ test failed/);
  });

  it('show every attempt at a signed rebuild, and what the SIG says of the last', () => {
    const shown = withPromotions(rebuilt);
    assert.match(
      shown,
      /3 ✓ can be tested \S+ test x86_64 test aarch64 netbase 6\.5-1\.noarch; without .*; stream files/,
    );
    assert.match(shown, /2 ○ cancelled 20261121_04 the same once more 2026-11-21 10:00 UTC/);
    assert.match(shown, /1 ✗ failed SourceMissing: vim <b>8<\/b> none yet as accepted/);
    assert.match(shown, /✓ release Alice Arbor, 2026-11-23 09:05 UTC \(1 of 2\) : boots/);
    assert.match(shown, /✓ redo Bob Birch, 2026-11-23 09:05 UTC \(1 of 1\)/);
    assert.match(
      shown,
      /Awaiting Carol Cedar, .* To decide treeline decide sample 20261122_01 and one of release , redo , rework , abandon/,
    );
    const attempts = rebuilt.attempts ?? [];
    const differs = { ...attempts[2]!, state: 'differs', ended: undefined } as const;
    const waiting = withPromotions({ ...rebuilt, phase: 'rebuilding', attempts: attempts.with(2, differs) });
    assert.match(waiting, /● differs/);
    assert.match(waiting, /and one of accept , redo , rework , abandon/);
    const running = withPromotions({
      ...rebuilt,
      phase: 'rebuilding',
      attempts: attempts.with(2, { ...differs, state: 'running' }),
    });
    assert.match(running, /● running/);
    assert.doesNotMatch(running, /To decide|test x86_64/);
  });

  it('say what each phase means', () => {
    const words: Record<PromotionPhase, RegExp> = {
      proposed: /● proposed It waits for approvals/,
      rebuilding: /● being rebuilt It is being rebuilt and signed/,
      deciding: /● waits for a decision Its rebuild has ended/,
      ready: /✓ approved It goes out when/,
      releasing: /✓ being released It is being released now/,
      failed: /✗ failed .*they still have the former one.* Mirror <b>full<\/b>/,
      released: /✓ released/,
      rejected: /✗ rejected/,
      withdrawn: /○ withdrawn/,
      expired: /○ expired .*not enough approvals in time/,
      abandoned: /○ abandoned/,
      superseded: /○ superseded/,
    };
    for (const phase of Object.keys(words) as PromotionPhase[]) {
      const shown = withPromotions({
        ...proposed,
        phase,
        note: phase === 'failed' ? 'Mirror <b>full</b>' : undefined,
      });
      assert.match(shown, words[phase]);
      assert.equal(/more approval/.test(shown), phase === 'proposed', phase);
    }
    const idle = { ...view, promotions: [], inWork: backed };
    assert.match(
      text(renderReleases({ ...input, view: idle })),
      new RegExp(`${backed} is being released or rolled`),
    );
  });

  it('keep refused decisions, with the reason, and rejected builds', () => {
    const shown = text(page);
    assert.match(shown, /✗ refused The key is not one of the stream’s approvers\./);
    assert.match(shown, new RegExp(`schedule without a statement promote ${candidate} ○ proposes only`));
    assert.match(shown, new RegExp(`approve ${candidate} ✓ counts`));
    assert.match(shown, /Rejected builds 20261121_01, by Carol Cedar/);
  });

  it('show each due date with its state and the upstream build', () => {
    const shown = text(page.slice(page.indexOf('Due dates, oldest first')));
    assert.match(shown, /2026-09-01 ✗ missed 2026-08-25 to 2026-09-01 63 , 2026-08-25 \(by rule\)/);
    assert.match(shown, new RegExp(`2026-09-29 ✓ released ${former} .* 65 , 2026-09-23 \\(from the list\\)`));
    assert.match(shown, /2026-10-27 .* 68 , 2026-10-21 \(override\)/);
    assert.match(shown, /2026-11-24 ● due next/);
    assert.match(shown, /2026-12-22 ○ coming/);
    const bare = calendar.map(({ upstream: _, ...row }) => row);
    assert.doesNotMatch(renderReleases({ ...input, calendar: bare }), /<th[^>]*>Fedora build/);
  });

  it('list rolled back releases as such', () => {
    const shown = text(page.slice(page.indexOf('Releases, newest first')));
    assert.match(
      shown,
      new RegExp(`${backed} .* ✗ rolled back 2026-09-30 18:40 UTC , to ${former} Machines with`),
    );
    assert.ok(shown.indexOf(current) < shown.indexOf(backed));
  });

  it('are honest when there is nothing', () => {
    const html = renderReleases(blank);
    const shown = text(html);
    for (const words of [
      'There is no release yet.',
      'No build is proposed at the moment.',
      'This stream has no fixed dates',
      'Nothing was decided yet.',
      'There is nothing to follow yet',
    ])
      // prettier-ignore
      assert.ok(shown.includes(words), words);
    assert.doesNotMatch(html, /releases\.json|releases\.atom|<svg|<table/);
    const { upstream: _, former: __, ...rest } = notes;
    const first = renderRelease({
      notes: {
        ...rest,
        former: null,
        knownIssues: [],
        architectures: notes.architectures.map(({ changes, checksums, ...arch }) => ({
          ...arch,
          images: [],
          advisories: [],
        })),
      },
    });
    for (const words of [
      'none: this is the first',
      'None was known',
      'A first release: there is no former one',
      'A first release: there is none before it',
      'This release has no images',
    ])
      // prettier-ignore
      assert.ok(text(first).includes(words), words);
    assert.doesNotMatch(first, /sha256sum|Downstream/);
  });

  it('tell how to upgrade and to follow the releases, for any architecture', () => {
    assert.match(release, /rpm-ostree upgrade\nsystemctl reboot/);
    for (const html of [page, release]) {
      assert.match(
        html,
        /rpm-ostree rebase sample-release:sample\/\$\(uname -m\)\/release\nsystemctl reboot/,
      );
      assert.match(
        html,
        /--gpg-import=sample-release\.asc sample-release \\\n {2}http:\/\/127\.0\.0\.1:8470\/releases\/sample\/repo/,
      );
      assert.match(html, /C99E 737D 7BC9 2E56 D61C {1,2}1279 6231 C6DF CC37 8F33/);
    }
    const sly = renderReleases({ ...input, stream: { ...input.stream, url: 'http://host/$(reboot)' } });
    assert.match(sly, /'http:\/\/host\/\$\(reboot\)\/repo'/);
  });

  it('say of a release what changed, with changelogs, advisories and downloads', () => {
    const shown = text(release);
    assert.match(
      shown,
      /Upgraded \(1\) openssl 1:3\.0\.17-1 → to 1:3\.0\.17-3 x86_64 Changelog of openssl \(2\)/,
    );
    assert.match(shown, /Downgraded \(1\) jq 1\.7-1 ↓ to 1\.6-2\.1 x86_64 Added \(1\)/);
    assert.match(release, /- Fix CVE-2026-1001: out-of-bounds read\n- Resolves: #4711/);
    assert.ok(shown.indexOf('SAMPLE-2026-0004') < shown.indexOf('SAMPLE-2026-0007'), 'the gravest first');
    assert.equal(shown.match(/SAMPLE-2026-0004/g)?.length, 1, 'once for both architectures');
    assert.match(shown, /CVE-2026-1002 openssl, openssl-libs/);
    const one = renderRelease({ notes: { ...notes, architectures: notes.architectures.slice(0, 1) } });
    assert.match(one, /<h3 class="kind">Upgraded/);
    assert.match(release, /<h3>x86_64<\/h3><h4 class="kind">Upgraded/);
    assert.match(release, /<a href="https:\/\/cve\.example\.org\/CVE-2026-1001">/);
    assert.match(
      release,
      new RegExp(
        `href="../../builds/${current}/aarch64/sample-${current}-qcow2%2Ba%20b\\.aarch64\\.img\\.sig"`,
      ),
    );
    assert.match(shown, /475 MiB ✓ passed [0-9a-f]{64}/);
    assert.match(shown, /488 MiB not tried on this host/);
    for (const file of documents) assert.match(release, new RegExp(`href="${file}"`));
  });

  it('say of a security release that it is one, and list it as such', () => {
    const advisory = {
      id: 'OSV-2026-9',
      title: '<b>x</b>',
      severity: 'important',
      cves: ['CVE-2026-77'],
    } as const;
    const security = { case: '20261026-1', advisories: [{ ...advisory, cves: [...advisory.cves] }] };
    const html = renderRelease({ notes: { ...notes, security } });
    assert.match(
      text(html),
      /Security release\. Important: it fixes OSV-2026-9\. Security of this stream CVE-2026-77/,
    );
    assert.match(html, /href="\.\.\/\.\.\/security\/index\.html"/);
    assert.match(html, /&lt;b>x/);
    assert.doesNotMatch(release, /Security release/);
    const named = { case: '20261026-1', advisories: ['OSV-2026-9'], cves: ['CVE-2026-77'] };
    const releases = index.releases.map((entry) =>
      entry.version === current ? { ...entry, treeline: { ...entry.treeline, security: named } } : entry,
    );
    const list = text(renderReleases({ ...input, index: { ...index, releases } }));
    assert.match(list, /Security release OSV-2026-9, CVE-2026-77/);
    assert.match(list, /● security ✓ current/);
  });

  it('say of a rolled back release that it was, and how to return', () => {
    const html = renderRelease({ notes: backedNotes, next: current, rolledBack: taken });
    assert.match(
      text(html),
      new RegExp(`Rolled back\\. .* 2026-09-30 18:40 UTC \\. .* release ${former} \\. It does not boot\\.`),
    );
    assert.match(html, /ostree admin upgrade --allow-downgrade/);
    assert.doesNotMatch(html, /rpm-ostree rebase|rpm-ostree upgrade\n/);
    assert.doesNotMatch(release, /Rolled back|allow-downgrade/);
  });

  it('are linked from the builds, by a link that cannot run anything', () => {
    const link = (releases?: string) =>
      renderStream({ stream: { ...builds, releases }, generated, builds: [] });
    assert.match(
      link('../../releases/sample/index.html'),
      /<a href="..\/..\/releases\/sample\/index\.html">releases/,
    );
    assert.match(link('https://releases.example.org/'), /<a href="https:\/\/releases\.example\.org\/">/);
    assert.doesNotMatch(link() + link('javascript:alert(1)'), />releases<|javascript/);
  });

  it('link to http(s) alone, relative below their own root', () => {
    const base = 'https://host/r/';
    assert.equal(webLink('https://host/r/a%2Bb?x#y', base, '../'), '../a%2Bb?x#y');
    assert.equal(webLink('https://host/r2/a', base), 'https://host/r2/a');
    assert.equal(webLink('http://host/r/a', base), 'http://host/r/a');
    for (const address of [
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      '//host/a',
      'a',
      '',
    ])
      assert.equal(webLink(address, base), undefined, address);
    assert.equal(pageLink('a/index.html', '../'), '../a/index.html');
    for (const link of ['javascript:x', 'JaVa:x', '//host/x', '/x', undefined])
      assert.equal(pageLink(link), undefined);
    assert.equal(fileName('https://host/a%20b.asc'), 'a b.asc');
    assert.equal(fileName('https://host/%zz'), '%zz');
  });

  it('place releases by their dates, and no label over another', () => {
    const entries = index.releases;
    const { releases, dates, months, now, window, axis } = layOut({
      releases: entries,
      current,
      calendar,
      generated,
    });
    assert.deepEqual(
      releases.map(({ kind, label }) => [kind, label]),
      entries.map(({ version }) => [
        version === backed ? 'back' : version === current ? 'current' : 'former',
        version,
      ]),
    );
    const at = (place: number) => Date.parse(entries[place]!.treeline.released);
    const share = (at(1) - at(0)) / (at(3) - at(0));
    assert.ok(
      Math.abs((releases[1]!.x - releases[0]!.x) / (releases[3]!.x - releases[0]!.x) - share) < 0.001,
    );
    assert.ok(releases[2]!.x - releases[1]!.x < 2 && releases[2]!.y < releases[1]!.y, 'a lane of its own');
    assert.deepEqual(
      dates.map(({ label }) => label),
      ['missed 2026-09-01', 'due 2026-11-24'],
    );
    assert.ok(dates.every(({ y }) => y > axis) && now.x < dates[1]!.x);
    assert.ok(Math.abs(window!.x + window!.width - dates[1]!.x) < 0.02);
    assert.deepEqual(
      months.map(({ label }) => label),
      ['Sep', 'Oct', 'Nov'],
    );
  });

  it('stay readable over many years', () => {
    const many = Array.from({ length: 60 }, (_, place) => {
      const released = new Date(Date.UTC(2020, 0, 6) + place * 100 * 86_400_000).toISOString();
      const version = `${released.slice(0, 10).replaceAll('-', '')}_01`;
      return { ...index.releases[0]!, version, treeline: { ...index.releases[0]!.treeline, released } };
    });
    const all = {
      releases: many,
      current: many.at(-1)!.version,
      calendar: [],
      generated: '2036-12-31T23:59:59Z',
    };
    const { releases, months } = layOut(all);
    assert.equal(releases.length, 12);
    assert.ok(months.length <= 12);
    assert.ok([...releases, ...months].every(({ x }) => x >= 0 && x <= 100));
    assert.match(
      renderReleases({ ...input, index: { ...index, releases: many } }),
      /shows the last 12 releases/,
    );
  });
});

describe('writing the release pages', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'treeline-write-'));
  });
  afterEach(() => rm(dir, { recursive: true }));
  const files = async () =>
    (await readdir(dir, { recursive: true })).filter((name) => /\.\w+$/.test(name)).sort();

  it('puts each in its place and leaves nothing else, however often', async () => {
    for (let i = 0; i < 2; i++) {
      await writeReleasePages(dir, {
        ...input,
        pages: [{ notes }, { notes: backedNotes, rolledBack: taken }],
      });
      assert.deepEqual(await files(), [
        'index.html',
        `releases/${backed}/index.html`,
        `releases/${current}/index.html`,
        'treeline.css',
      ]);
    }
    assert.equal(await readFile(join(dir, 'index.html'), 'utf8'), page);
  });

  it('touches index.html last, so that a failure leaves no link without its page', async () => {
    const broken = { ...notes, get knownIssues(): never { throw new Error('disk'); } }; // prettier-ignore
    await assert.rejects(writeReleasePages(dir, { ...input, pages: [{ notes: broken }] }), /disk/);
    assert.deepEqual(await files(), ['treeline.css']);
  });
});
