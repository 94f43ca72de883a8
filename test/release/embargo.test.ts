/** Nothing of an embargoed case is in what is published, as it is pushed: pages, feed, data. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../src/host.js';
import type { Promotion, StreamView } from '../../src/domain/promotion.js';
import type { SecurityCase } from '../../src/domain/security.js';
import type { Stream } from '../../src/domain/stream.js';
import { instanceKeyFile, makeInstanceKey } from '../../src/keys/gpg.js';
import { publicView } from '../../src/release/public-view.js';
import { publishReleasePages } from '../../src/release/publish-pages.js';
import { emptyReleases, saveView, withRelease } from '../../src/store/releases.js';
import type { WatchRecord } from '../../src/store/watch-record.js';
import { Store, writeJson } from '../../src/store/store.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { good, load, settingsOf } from '../streams/tiny-stream.js';
import { tinyNotes } from './notes-fixture.js';

const base = '20261101_01';
const at = '2026-11-23T10:00:00Z';
const entry = (version: string) => ({
  ...{
    version,
    metadata: 'http://r/x',
    commits: [{ architecture: 'x86_64' as const, checksum: 'ab'.repeat(32) }],
  },
  treeline: { released: at, ref: 'r', page: 'http://r/x', former: null, approvers: ['Ada'] },
});
const index = withRelease(emptyReleases('tiny'), entry(base));

/** Every word that must not get out. */
const words = [
  ...['20261123-7', '20261123_66', 'HUSH-2026:1', 'CVE-2026-66666', 'hushpkg', 'hushdep', 'hush title'],
  ...['hush note', 'hush-6-6.src.rpm', 'fe'.repeat(32), '/srv/private'],
];
const advisory = {
  ...{ id: 'HUSH-2026:1', title: 'hush title', severity: 'critical' as const, cves: ['CVE-2026-66666'] },
  ...{ issued: at, source: '/srv/private/hush.json' },
};
const hushed: SecurityCase = {
  ...{ id: '20261123-7', phase: 'waiting', openedBy: 'Ada', embargoed: true, attempt: 1 },
  ...{ advisories: [advisory], fixes: [{ name: 'hushpkg', evr: '6-6', advisories: [advisory.id] }] },
  srpms: { 'hush-6-6.src.rpm': 'a'.repeat(64) },
  plan: {
    ...{ base, commits: { x86_64: 'ab'.repeat(32) } },
    changes: { pin: { hushpkg: '6-6.noarch' }, drop: [], files: 'accepted' },
    packages: [
      { name: 'hushpkg', from: '5-5.noarch', to: '6-6.noarch', why: 'fix' },
      { name: 'hushdep', from: null, to: '1-1.noarch', why: 'needed' },
    ],
  },
  ...{ build: '20261123_66', buildCommits: { x86_64: 'fe'.repeat(32) }, note: 'hush note' },
  ...{ approvals: [], needed: 1, missing: ['Ada'], times: { published: at, detected: at } },
};
const open: SecurityCase = {
  ...{
    ...hushed,
    id: '20261123-1',
    embargoed: false,
    build: '20261123_03',
    buildCommits: {},
    note: 'open note',
  },
  ...{
    advisories: [{ ...advisory, id: 'OPEN-1', title: 'open title', cves: [] }],
    srpms: {},
    plan: undefined,
  },
  fixes: [{ name: 'bash', evr: '2-1', advisories: ['OPEN-1'] }],
};
const promotion: Promotion = {
  ...{ build: '20261123_02', phase: 'ready', proposedBy: 'Ada', proposedAt: at, onto: base, approvals: [] },
  ...{ needed: 1, missing: [], expires: at, note: 'waits until the security release 20261123-7 has ended' },
};
const about = (more: object) => ({ at, by: 'Ada', decision: 'fix', build: base, ...more });
const view: StreamView = {
  ...{ stream: 'tiny', current: base, promotions: [promotion], inWork: '20261123_66', released: [] },
  vetoes: [{ build: '20261123_66', by: 'Ada', fingerprint: 'A' }],
  security: [hushed, open],
  history: [
    about({ decision: 'approve-fix', case: '20261123-7', reason: 'hush note' }),
    about({ case: '20261123-1', reason: 'open reason' }),
    about({ refused: 'FixNotFound: hushpkg: is not in any repo' }),
    about({ decision: 'release', build: '20261123_66' }),
    about({ decision: 'promote', build: '20261123_02', reason: 'before HUSH-2026:1 comes out' }),
  ],
};
const considered = (id: string, name: string): WatchRecord['considered'][number] => ({
  ...{ ...advisory, id, cves: [], verdict: 'acted', reason: id, title: id },
  affected: [{ name, state: 'lacks', released: '5-5', fixed: '6-6' }],
});
const watch: WatchRecord = {
  ...{ looked: at, release: base, failed: ['/srv/private/csaf: no such folder'] },
  considered: [
    considered('HUSH-2026:1', 'bash'),
    considered('ALIAS-1', 'hushpkg'),
    considered('OPEN-1', 'bash'),
  ],
};

describe('the embargo of a security case', function () {
  let s: Scratch;
  let host: Host;
  let stream: Stream;
  before(async () => {
    s = await makeScratch('embargo');
    host = { settings: settingsOf(s), store: new Store(s.at('state')) };
    await makeInstanceKey(s.step, s.at('state'));
    assert.equal(instanceKeyFile(s.at('state')), s.at('state/keys/treeline.asc'));
    stream = await load(
      s,
      `${good}  release: { location: ${s.at('out')}, url: 'http://r/tiny' }\nrelease:\n  approvers: [{ name: Ada, key: a.asc }]\n  approvals: { promote: 1 }\n  security: {}\n`,
    );
    await writeJson(join(host.store.security('tiny'), 'watch.json'), watch);
    const metadata = { stream: 'tiny', metadata: { 'last-modified': at }, architectures: {} };
    for (const build of [base, '20261123_66', '20261122_01']) {
      const file = (name: string) => join(host.store.releaseFiles('tiny', build), name);
      await writeJson(file('notes.json'), { ...tinyNotes, build });
      await writeJson(file('release.json'), metadata);
    }
  });
  after(() => s.remove());

  /** All that is published of what is known. */
  async function published(known: StreamView, releases = index): Promise<string> {
    await rm(s.at('out'), { recursive: true, force: true });
    await saveView(host.store, known);
    await publishReleasePages(s.step, host, stream, 'run', releases);
    const files = await readdir(s.at('out'), { recursive: true, withFileTypes: true });
    assert.ok(files.length > 7, String(files.length));
    const contents = files
      .filter((file) => file.isFile())
      .map(({ parentPath, name }) => readFile(join(parentPath, name), 'utf8'));
    return (await Promise.all(contents)).join('\n');
  }

  it('holds in every file, and hides nothing else', async () => {
    const text = await published(view);
    assert.deepEqual(
      words.filter((word) => text.includes(word)),
      [],
    );
    for (const word of ['20261123-1', 'OPEN-1', 'open title', 'open note', 'open reason', '20261123_02'])
      assert.ok(text.includes(word), word);
  });

  it('holds after a dismissal', async () => {
    const text = await published({ ...view, security: [{ ...hushed, phase: 'dismissed' }, open] });
    assert.deepEqual(
      words.filter((word) => text.includes(word)),
      [],
    );
  });

  it('ends with the release', async () => {
    const released = { ...hushed, phase: 'released', times: { ...hushed.times, released: at } } as const;
    // Not all of it is shown then; some of it never is.
    const never = ['hushdep', 'hush-6-6.src.rpm', '/srv/private', 'hush title'];
    const text = await published({ ...view, security: [released, open] });
    for (const word of words.filter((one) => !never.includes(one))) assert.ok(text.includes(word), word);
    assert.ok(!text.includes('/srv/private') && !text.includes('FixNotFound'));
    // Readers have it from the switch on, some time before the case knows.
    const switched = withRelease(index, entry('20261123_66'));
    assert.ok((await published(view, switched)).includes('HUSH-2026:1'));
  });

  it('does not keep the page from saying what releases lack', async () => {
    const digest = `sha256:${'1'.repeat(64)}`;
    const packages = { bash: { evra: '1:2.10-1.noarch', digest }, other: { evra: '1-1.noarch', digest } };
    const lockfile = { metadata: { generated: at, rpmmd_repos: {} }, packages };
    await writeJson(join(host.store.releaseDir('tiny', base), 'x86_64', 'lockfile.json'), lockfile);
    const fix = { case: '20261122-1', advisories: ['LACK-1'], cves: [], build: '20261122_01' };
    const file = join(host.store.security('tiny'), 'fixes.json');
    await writeJson(file, [
      { ...fix, packages: { bash: '1:2.11-1', gone: '1-1' } },
      { ...fix, case: '20261122-2', advisories: ['HAS-1'], packages: { bash: '1:2.9-1' } },
    ]);
    const data = await published(view, withRelease(index, entry('20261122_01')));
    await rm(file);
    const { releases } = JSON.parse(
      /^\{\n {2}"stream": "tiny",\n {2}"generated"[^]*?\n\}$/m.exec(data)?.[0] ?? '',
    ) as {
      releases: object[];
    };
    const lacks = [
      {
        case: fix.case,
        advisories: ['LACK-1'],
        packages: [{ name: 'bash', is: '1:2.10-1', fixed: '1:2.11-1' }],
      },
    ];
    assert.deepEqual(releases, [
      { build: '20261122_01', released: at, current: true },
      { build: base, released: at, current: false, lacks },
    ]);
  });

  it('changes nothing where there is none', () => {
    const known = { view: { ...view, security: [open], history: [] }, watch, fixes: [] };
    assert.deepEqual(publicView(known, index), known);
  });
});
