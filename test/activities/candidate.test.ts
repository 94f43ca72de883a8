/** The look at the release dates: which build is proposed, what the SIG is told, and that it is told once. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { candidateActivities } from '../../src/activities/candidate.js';
import type { Host } from '../../src/host.js';
import type { CadenceActions } from '../../src/domain/candidate.js';
import type { BuildMeta } from '../../src/domain/metadata.js';
import type { Promotion, StreamView } from '../../src/domain/promotion.js';
import { saveView } from '../../src/store/releases.js';
import { Store, writeJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { good, settingsOf } from '../streams/tiny-stream.js';

const stream = 'tiny';
const args = { stream, run: 'stream' };

interface Made {
  readonly id: string;
  readonly outcome?: 'passed' | 'flaky' | 'failed' | 'none';
  readonly arches?: readonly ('x86_64' | 'aarch64')[];
  /** Default: 02:30 of the id's day. */
  readonly made?: string;
}

const dayOf = (id: string) => `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}`;

function metaOf({ id, outcome = 'passed', made }: Made, architecture: 'x86_64' | 'aarch64'): BuildMeta {
  return {
    name: stream,
    buildid: id,
    architecture,
    ref: `tiny/${architecture}/standard`,
    'ostree-commit': 'a'.repeat(64),
    'ostree-version': id,
    'ostree-timestamp': made ?? `${dayOf(id)}T02:30:00Z`,
    images: {},
    treeline: {
      'input-hash': 'b'.repeat(64),
      composer: 'dnf',
      key: 'K',
      packages: 1,
      tests: { boot: outcome === 'none' ? {} : { qcow2: { outcome, attempts: [] } } },
      steps: [],
      lockfile: 'lockfile.json',
      logs: [],
    },
  };
}

const view = (changes: Partial<StreamView> = {}): StreamView => ({
  ...{ stream, current: null, promotions: [], inWork: null, released: [], vetoes: [], history: [] },
  ...changes,
});
const promotion = (build: string, changes: Partial<Promotion> = {}): Promotion => ({
  ...{ build, phase: 'proposed', proposedBy: 'Ada', proposedAt: '2026-12-16T00:00:00Z', onto: null },
  ...{ approvals: [], needed: 2, missing: ['Ada', 'Ben'], expires: '2027-01-13T00:00:00Z' },
  ...changes,
});

describe('a look at the release dates', () => {
  let s: Scratch;
  let host: Host;
  beforeEach(async () => {
    s = await makeScratch('candidate');
    await s.write('keys/ada.asc', 'a key');
    host = { settings: settingsOf(s), store: new Store(s.at('state')) };
    await declare();
    await released();
  });
  afterEach(() => s.remove());

  /** Due on 24 November, 22 December, 19 January …; the window of a week opens on 15 December. */
  async function declare(cadence: Record<string, unknown> = {}, changes: Record<string, unknown> = {}) {
    const key = s.at('keys/ada.asc');
    const declared = parse(good) as Record<string, unknown> & { publish: Record<string, unknown> };
    const publish = {
      ...declared.publish,
      release: { location: s.at('www/release'), url: 'http://127.0.0.1:1' },
    };
    const approvers = ['Ada', 'Ben'].map((name) => ({ name, key: name === 'Ada' ? key : `${key}2` }));
    const release = { approvers, cadence: { anchor: '2026-11-24', ...cadence } };
    await s.write('streams/tiny/stream.yaml', stringify({ ...declared, publish, release, ...changes }));
  }
  async function builds(...made: Made[]): Promise<void> {
    const { store } = host;
    const index = made.map(({ id, arches = ['x86_64'] as const }) => ({ id, arches }));
    for (const build of made) {
      await s.write(`state/store/tiny/ids/${build.id}`, `run-${build.id}\n`);
      for (const arch of build.arches ?? (['x86_64'] as const)) {
        const folder = store.archDir({ stream, run: `run-${build.id}` }, arch);
        await writeJson(join(folder, 'build', 'meta.json'), metaOf(build, arch));
      }
    }
    await writeJson(join(store.published(stream), 'builds.json'), {
      ...{ 'schema-version': '1.0.0', timestamp: '2026-12-01T00:00:00Z', tags: [], 'tombstone-builds': [] },
      builds: index.reverse(),
    });
  }
  const released = (...made: { build: string; at: string; back?: string }[]) =>
    writeJson(join(host.store.releasePublished(stream), 'releases.json'), {
      stream,
      metadata: { 'last-modified': '2026-12-01T00:00:00Z' },
      releases: made.map(({ build, at, back }) => ({
        ...{ version: build, metadata: 'm', commits: [] },
        treeline: {
          ...{ released: at, ref: 'r', page: 'p', former: null, approvers: [] },
          ...(back === undefined ? {} : { 'rolled-back': { at: '2026-12-02T00:00:00Z', to: back } }),
        },
      })),
    });
  const look = (now: string): Promise<CadenceActions> =>
    runActivity(candidateActivities(host).lookAtCadence, { ...args, step: 'look-at-cadence', now });
  /** A look whose news are told, as the workflow does. */
  async function lookAndTell(now: string): Promise<string[]> {
    const keys = (await look(now)).tell.map(({ key }) => key);
    await runActivity(candidateActivities(host).rememberTold, { ...args, step: 'told', keys, now });
    return keys;
  }
  const first = { build: '20261123_01', at: '2026-11-24T10:00:00Z' };
  const noon = '2026-12-18T12:00:00Z';

  const proposal = (
    title: string,
    expected: string | undefined,
    made: Made[],
    more: { now?: string; view?: Partial<StreamView>; reason?: RegExp; architectures?: string[] } = {},
  ) =>
    it(title, async () => {
      if (more.architectures) await declare({}, { architectures: more.architectures, images: [] });
      await released(first);
      await builds(...made);
      if (more.view) await saveView(host.store, view(more.view));
      const { propose } = await look(more.now ?? noon);
      assert.deepEqual(propose, expected === undefined ? undefined : { build: expected, due: '2026-12-22' });
      if (!more.reason) return;
      // The day before the window closes, the SIG is told why no build fits.
      await saveView(host.store, view({ ...more.view, history: [] }));
      const { tell } = await look('2026-12-21T00:00:00Z');
      assert.match(tell.find(({ key }) => key === 'no-candidate-2026-12-22')?.text ?? '', more.reason);
    });

  describe('proposes', () => {
    const day = (dd: string, changes: Partial<Made> = {}): Made => ({ id: `202612${dd}_01`, ...changes });
    proposal('the newest healthy build of the window', '20261216_01', [day('15'), day('16')]);
    proposal('no build from before the window', undefined, [day('14')], { reason: /- none was published/ });
    proposal('nothing before the window opens', undefined, [day('11')], { now: '2026-12-14T23:59:59Z' });
    proposal('a build of the first day as soon as it is old enough', '20261215_01', [day('15')], {
      now: '2026-12-17T02:30:00Z',
    });
    proposal('none that is too young', '20261215_01', [day('15'), day('16')], {
      now: '2026-12-18T02:29:59Z',
    });
    proposal('until the end of the due date', '20261220_01', [day('20')], { now: '2026-12-22T23:59:59Z' });
    proposal('nothing once the date has passed', undefined, [day('20')], { now: '2026-12-23T00:00:00Z' });
    proposal('an older build where the newer one’s test failed', '20261215_01', [
      day('15'),
      day('16', { outcome: 'failed' }),
    ]);
    proposal('no build whose test was flaky', undefined, [day('16', { outcome: 'flaky' })], {
      reason: /- 20261216_01: boot test of qcow2 \(x86_64\): flaky/,
    });
    proposal('no build that was not tested', undefined, [day('16', { outcome: 'none' })], {
      reason: /- 20261216_01: boot test of qcow2 \(x86_64\): not made/,
    });
    proposal(
      'no build that lacks an architecture',
      '20261215_01',
      [day('15', { arches: ['x86_64', 'aarch64'] }), day('16')],
      { architectures: ['x86_64', 'aarch64'] },
    );
    proposal('no vetoed build', undefined, [day('16')], {
      view: { vetoes: [{ build: '20261216_01', by: 'Ben', fingerprint: 'F' }] },
      reason: /- 20261216_01: vetoed by Ben/,
    });
    proposal('nothing beside an open promotion of another build', undefined, [day('16')], {
      view: { promotions: [promotion('20261215_01')] },
    });
    proposal('nothing while a release or rollback runs', undefined, [day('16')], {
      view: { inWork: '20261123_01' },
    });
    proposal('a build whose other promotion has ended', '20261216_01', [day('16')], {
      view: { promotions: [promotion('20261215_01', { phase: 'rejected' })] },
    });
    const note = { at: '2026-12-17T00:00:00Z', decision: 'withdrawn', build: '20261216_01', by: 'treeline' };
    proposal('no build that was withdrawn for this date', '20261215_01', [day('15'), day('16')], {
      view: { history: [note] },
    });
    proposal('one that was withdrawn for an earlier date', '20261216_01', [day('16')], {
      view: { history: [{ ...note, at: '2026-12-14T23:00:00Z' }] },
    });
    const refused = { ...note, decision: 'promote', by: 'schedule', refused: 'checksums differ' };
    proposal('not again within a day what was refused', '20261215_01', [day('15'), day('16')], {
      view: { history: [{ ...refused, at: '2026-12-18T11:00:00Z' }] },
    });
    proposal('again what was refused a day ago', '20261216_01', [day('15'), day('16')], {
      view: { history: [{ ...refused, at: '2026-12-17T12:00:00Z' }] },
    });
    proposal('nothing older than the release that readers have', undefined, [day('15')], {
      view: { current: '20261216_02' },
      reason: /- 20261215_01: is older than the release 20261216_02/,
    });

    it('nothing where the date has its release; no build that was released before', async () => {
      await builds(day('15'), day('16'));
      await released(first, { build: '20261215_01', at: '2026-12-17T00:00:00Z' });
      assert.deepEqual(await look(noon), { tell: [] });
      await released(first, { build: '20261216_01', at: '2026-12-17T00:00:00Z', back: '20261123_01' });
      const { propose } = await look(noon);
      assert.equal(propose?.build, '20261215_01', 'one that was rolled back is not proposed again');
    });
  });

  describe('tells', () => {
    it('of each reminder once, and after a downtime only of the newest', async () => {
      await released(first);
      assert.deepEqual(await lookAndTell('2026-12-14T23:59:59Z'), []);
      assert.deepEqual(await lookAndTell('2026-12-15T00:00:00Z'), ['reminder-2026-12-22-604800']);
      assert.deepEqual(await lookAndTell('2026-12-15T01:10:00Z'), []);
      assert.deepEqual(await lookAndTell('2026-12-21T12:00:00Z'), [
        'no-candidate-2026-12-22',
        'reminder-2026-12-22-86400',
      ]);
      assert.deepEqual(await lookAndTell('2026-12-22T23:59:59Z'), []);
    });

    it('of a missed date once, from its end on', async () => {
      await released(first);
      const tell = async (now: string) => (await lookAndTell(now)).filter((key) => key.startsWith('missed'));
      assert.deepEqual(await tell('2026-12-22T23:59:59.999Z'), []);
      assert.deepEqual(await tell('2026-12-23T00:00:00Z'), ['missed-2026-12-22']);
      assert.deepEqual(await tell('2026-12-23T01:00:00Z'), []);
    });

    it('of the last two missed dates after a long downtime', async () => {
      assert.deepEqual(await lookAndTell('2027-05-31T23:59:59Z'), ['missed-2027-04-13', 'missed-2027-05-11']);
    });

    it('nothing of a date before the anchor, nor of one whose release was late', async () => {
      assert.deepEqual(await lookAndTell('2026-10-01T00:00:00Z'), []);
      await released({ build: '20261123_01', at: '2026-12-01T00:00:00Z' });
      assert.deepEqual(await lookAndTell('2026-12-02T00:00:00Z'), []);
    });

    it('who is still asked, the upstream build, and how to look', async () => {
      await declare({ upstream: { anchor: { number: 44, date: '2026-12-08' }, builds: '/none.json' } });
      await released(first);
      await saveView(host.store, view({ promotions: [promotion('20261216_01', { missing: ['Ben'] })] }));
      const [reminder] = (await look('2026-12-21T08:00:00Z')).tell;
      assert.equal(reminder?.subject, '[tiny] A release is due tomorrow, on 2026-12-22');
      assert.equal(
        reminder.text,
        [
          'Tiny: a release is due tomorrow, on 2026-12-22 (UTC), and is not made yet.',
          'It follows Fedora 44 of 2026-12-08.',
          'Build 20261216_01 is proposed: 0 of 2 approvals; not yet from Ben.',
          '',
          'The dates: treeline cadence tiny',
          '',
        ].join('\n'),
        'a list that cannot be read does not stop the reminder: the rule is used',
      );
      assert.equal(
        (await look('2026-12-22T08:00:00Z')).tell[0]?.subject,
        '[tiny] A release is due today, on 2026-12-22',
      );
    });

    it('of the candidate that it proposes', async () => {
      await released(first);
      await builds({ id: '20261216_01' });
      const { tell } = await look(noon);
      assert.deepEqual(
        tell.map(({ key, event, build }) => ({ key, event, build })),
        [
          { key: 'candidate-2026-12-22-20261216_01', event: 'candidate', build: '20261216_01' },
          { key: 'reminder-2026-12-22-604800', event: 'reminder', build: undefined },
        ],
      );
      for (const { subject, key } of tell) {
        assert.match(key, /^[\w.-]+$/);
        assert.match(subject, /^\[tiny\] [^\r\n]+$/);
      }
    });
  });

  it('has nothing to do for a stream without release dates', async () => {
    await s.write('streams/tiny/stream.yaml', good);
    assert.deepEqual(await look(noon), { tell: [] });
  });
});
