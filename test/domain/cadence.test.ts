/** Release dates at the borders of days, months and years; which release and which upstream build belongs to which. */
import assert from 'node:assert/strict';
import type { z } from 'zod';
import { cadenceRows, checkCadence, dueDateOf, type CadenceRelease } from '../../src/domain/cadence.js';
import { releaseSettings, type CadenceSettings } from '../../src/domain/release-settings.js';
import { numberByDate, upstreamOf, type UpstreamBuild } from '../../src/domain/upstream.js';

const schema = releaseSettings.shape.cadence.unwrap();
const cadence = (changes: z.input<typeof schema>) => schema.parse(changes);
const upstream = (changes: Record<string, unknown> = {}) => {
  const { upstream } = cadence({
    anchor: '2026-11-24',
    upstream: { anchor: { number: 100, date: '2026-11-10' }, ...changes },
  });
  return upstream ?? assert.fail();
};

const rows = (
  settings: CadenceSettings,
  now: string,
  past: number,
  coming: number,
  releases: CadenceRelease[] = [],
) => cadenceRows(settings, { now: new Date(now), past, coming, releases });
const short = (...args: Parameters<typeof rows>) =>
  rows(...args).map(({ due, state, release, late }) =>
    [due, state, release, late && 'late'].filter(Boolean).join(' '),
  );

describe('release dates', () => {
  const fourWeekly = cadence({ anchor: '2026-11-24' });
  const everyDay = { every: '1d', window: '1d', soak: '1h', reminders: ['1h'] };

  it('are counted in UTC days over months, years and leap days', () => {
    assert.deepEqual(short(fourWeekly, '2026-11-24T12:00:00Z', 0, 4), [
      '2026-11-24 due',
      '2026-12-22 coming',
      '2027-01-19 coming',
      '2027-02-16 coming',
    ]);
    const daily = cadence({ ...everyDay, anchor: '2028-02-27' });
    assert.deepEqual(
      rows(daily, '2028-02-27T00:00:00Z', 0, 4).map(({ due, windowFrom }) => [windowFrom, due]),
      [
        ['2028-02-26', '2028-02-27'],
        ['2028-02-27', '2028-02-28'],
        ['2028-02-28', '2028-02-29'],
        ['2028-02-29', '2028-03-01'],
      ],
    );
    assert.deepEqual(
      rows(cadence({ ...everyDay, anchor: '2027-02-28' }), '2027-02-28T00:00:00Z', 0, 2).map(
        ({ due }) => due,
      ),
      ['2027-02-28', '2027-03-01'],
    );
    assert.deepEqual(
      rows(cadence({ ...everyDay, anchor: '2026-12-30' }), '2026-12-30T00:00:00Z', 0, 3).map(
        ({ due }) => due,
      ),
      ['2026-12-30', '2026-12-31', '2027-01-01'],
    );
  });

  it('stay right far from the anchor', () => {
    // 28 days × 1304 = 36 512 days: what `date -d '2026-11-24 +36512 days'` says.
    assert.deepEqual(short(fourWeekly, '2126-11-12T00:00:00Z', 0, 1), ['2126-11-12 due']);
    assert.equal(dueDateOf(fourWeekly, '2126-11-12T00:00:00Z'), '2126-11-12');
    assert.equal(dueDateOf(fourWeekly, '1926-11-29T23:59:59Z'), '1926-11-09');
    assert.equal(dueDateOf(fourWeekly, '1926-11-30T00:00:00Z'), '1926-12-07');
  });

  it('pass at the end of their day, UTC', () => {
    for (const due of ['2026-11-24', '2026-12-31', '2028-02-29']) {
      const settings = cadence({ anchor: due });
      assert.deepEqual(short(settings, `${due}T23:59:59.999Z`, 1, 1), [`${due} due`]);
      const [passed, next] = rows(settings, new Date(Date.parse(due) + 86_400_000).toISOString(), 1, 1);
      assert.deepEqual([passed?.due, passed?.state, next?.state], [due, 'missed', 'due']);
    }
  });

  it('begin with the anchor: earlier ones count only where a release was made', () => {
    assert.deepEqual(short(fourWeekly, '2026-12-01T00:00:00Z', 5, 1), [
      '2026-11-24 missed',
      '2026-12-22 due',
    ]);
    assert.deepEqual(short(fourWeekly, '2026-05-01T00:00:00Z', 5, 2), [
      '2026-11-24 due',
      '2026-12-22 coming',
    ]);
    assert.deepEqual(
      short(fourWeekly, '2026-11-20T00:00:00Z', 3, 1, [{ build: 'a', at: '2026-11-16T23:59:59Z' }]),
      ['2026-10-27 released a late', '2026-11-24 due'],
    );
  });

  it('own the releases from the opening of their window to that of the next', () => {
    const owner = (at: string) => dueDateOf(fourWeekly, at);
    assert.equal(owner('2026-11-16T23:59:59Z'), '2026-10-27');
    assert.equal(owner('2026-11-17T00:00:00Z'), '2026-11-24');
    assert.equal(owner('2026-12-14T23:59:59Z'), '2026-11-24');
    assert.equal(owner('2026-12-15T00:00:00Z'), '2026-12-22');
  });

  it('show a late release as late, the newest of several, and none that was taken back', () => {
    const made = (...releases: [string, string, boolean?][]) =>
      short(
        fourWeekly,
        '2027-01-01T00:00:00Z',
        2,
        1,
        releases.map(([build, at, rolledBack = false]) => ({ build, at, rolledBack })),
      );
    assert.deepEqual(made(), ['2026-11-24 missed', '2026-12-22 missed', '2027-01-19 due']);
    assert.deepEqual(made(['a', '2026-11-24T23:00:00Z'], ['b', '2026-12-23T00:00:00Z']), [
      '2026-11-24 released a',
      '2026-12-22 released b late',
      '2027-01-19 due',
    ]);
    assert.deepEqual(made(['a', '2026-11-20T00:00:00Z'], ['b', '2026-11-26T00:00:00Z']).slice(0, 1), [
      '2026-11-24 released b',
    ]);
    assert.deepEqual(made(['a', '2026-11-20T00:00:00Z', true]).slice(0, 1), ['2026-11-24 missed']);
  });

  it('name the one after as due where the next has its release already', () => {
    const releases = [{ build: 'a', at: '2026-11-18T00:00:00Z' }];
    assert.deepEqual(short(fourWeekly, '2026-11-20T00:00:00Z', 0, 3, releases), [
      '2026-11-24 released a',
      '2026-12-22 due',
      '2027-01-19 coming',
    ]);
  });
});

describe('the upstream map', () => {
  const numbers = (settings: ReturnType<typeof upstream>, dates: string[], builds?: UpstreamBuild[]) =>
    dates.map((due) => {
      const found = upstreamOf(settings, due, builds);
      return (
        found &&
        `${found.number} ${found.date} ${found.from}${found.skipped ? ` -${found.skipped.join()}` : ''}`
      );
    });

  it('takes every second upstream build', () => {
    assert.deepEqual(numbers(upstream(), ['2026-10-27', '2026-11-24', '2026-12-22', '2027-01-19']), [
      '98 2026-10-13 rule',
      '100 2026-11-10 rule',
      '102 2026-12-08 rule',
      '104 2027-01-05 rule',
    ]);
  });

  it('counts an upstream build from `lag` after its date', () => {
    const due = '2026-11-24';
    assert.deepEqual(numbers(upstream({ lag: '14d' }), [due]), ['100 2026-11-10 rule']);
    assert.deepEqual(numbers(upstream({ lag: '15d' }), [due]), ['99 2026-10-27 rule']);
    // Build 101 is of the due date itself: a day too late.
    assert.deepEqual(numbers(upstream({ lag: '1d' }), [due]), ['100 2026-11-10 rule']);
  });

  it('goes back to the build before where one or more were skipped, and says so', () => {
    assert.deepEqual(numbers(upstream({ skipped: [102] }), ['2026-12-22', '2027-01-19']), [
      '101 2026-11-24 rule -102',
      '104 2027-01-05 rule',
    ]);
    assert.deepEqual(numbers(upstream({ skipped: [102, 101] }), ['2026-12-22']), [
      '100 2026-11-10 rule -101,102',
    ]);
    assert.deepEqual(numbers(upstream({ skipped: [98] }), ['2026-10-27']), ['97 2026-09-29 rule -98']);
  });

  it('ends below number 0', () => {
    const young = upstream({ anchor: { number: 1, date: '2026-11-10' } });
    assert.deepEqual(numbers(young, ['2026-11-24', '2026-11-09', '2026-10-27']), [
      '1 2026-11-10 rule',
      '0 2026-10-27 rule',
      undefined,
    ]);
  });

  it('takes the list where it reaches, and counts on from its ends', () => {
    const builds = [
      { number: 200, date: '2026-10-20' },
      { number: 201, date: '2026-11-12' },
      { number: 203, date: '2026-12-10' },
    ];
    const dates = [
      '2026-10-13',
      '2026-11-12',
      '2026-11-13',
      '2026-12-10',
      '2026-12-24',
      '2026-12-25',
      '2027-01-22',
    ];
    assert.deepEqual(numbers(upstream({ skipped: [202] }), dates, builds), [
      '199 2026-10-06 rule',
      '200 2026-10-20 list',
      '201 2026-11-12 list',
      '201 2026-11-12 list -202',
      '203 2026-12-10 list',
      '204 2026-12-24 rule',
      '206 2027-01-21 rule',
    ]);
  });

  it('lets an override win, with the date of the list or of the rule', () => {
    const settings = upstream({ overrides: { '2026-12-22': 101 } });
    assert.deepEqual(numbers(settings, ['2026-12-22', '2027-01-19']), [
      '101 2026-11-24 override',
      '104 2027-01-05 rule',
    ]);
    assert.deepEqual(numbers(settings, ['2026-12-22'], [{ number: 101, date: '2026-11-26' }]), [
      '101 2026-11-26 override',
    ]);
  });

  it('numbers a list of dates from the build nearest to the anchor, leaving skipped numbers out', () => {
    const dates = ['2026-12-09', '2026-10-13', '2026-11-12', '2026-10-13', '2026-11-25'].map((date) => ({
      date,
    }));
    const numbered = numberByDate(upstream({ skipped: [99, 101] }), dates);
    assert.deepEqual(numbered, [
      { number: 98, date: '2026-10-13' },
      { number: 100, date: '2026-11-12' },
      { number: 102, date: '2026-11-25' },
      { number: 103, date: '2026-12-09' },
    ]);
    assert.match(
      JSON.stringify(numberByDate(upstream(), [{ date: '2020-01-01' }])),
      /no build near the anchor 2026-11-10 .*nearest is of 2020-01-01.*upstream\.anchor/,
    );
  });
});

describe('a cadence with', () => {
  const problems = (changes: Record<string, unknown>) =>
    checkCadence(cadence({ anchor: '2026-11-24', ...changes }));
  const ofUpstream = (changes: Record<string, unknown>) =>
    problems({ upstream: { anchor: { number: 100, date: '2026-11-10' }, ...changes } });

  it('nothing wrong has no problems', () => {
    assert.deepEqual(problems({}), []);
    assert.deepEqual(ofUpstream({ skipped: [101], overrides: { '2026-12-22': 100, '2026-10-27': 98 } }), []);
  });

  it('a wrong length names the field', () => {
    assert.deepEqual(problems({ every: '36h', window: '1d', soak: '1d', reminders: ['1h'] }), [
      'every: write whole days, such as `14d`',
    ]);
    assert.match(problems({ every: '9999999999d' }).join(), /^every: at most `366d`$/);
    assert.match(problems({ window: '29d' }).join(), /^window: is longer than `every`/);
    assert.match(problems({ soak: '8d' }).join(), /^soak: is longer than `window`/);
    assert.match(
      problems({ reminders: ['3d', '29d', '3d'] }).join('\n'),
      /^reminders\.1: .*\nreminders\.2: is there twice/,
    );
    assert.match(ofUpstream({ every: '13h', lag: '1h' }).join('\n'), /^upstream\.every: .*\nupstream\.lag: /);
  });

  it('an override of a date when nothing is due names the nearest dates', () => {
    assert.deepEqual(ofUpstream({ overrides: { '2026-12-24': 102 } }), [
      'upstream.overrides.2026-12-24: no release is due then: the nearest dates are 2026-12-22 and 2027-01-19',
    ]);
    assert.match(
      ofUpstream({ overrides: { '2026-10-01': 97 } }).join(),
      /the nearest dates are 2026-09-29 and 2026-10-27/,
    );
  });

  it('an impossible upstream number says why', () => {
    assert.match(ofUpstream({ skipped: [100] }).join(), /^upstream\.skipped\.0: 100 is the anchor/);
    assert.match(ofUpstream({ skipped: [99, 99] }).join(), /^upstream\.skipped\.1: 99 is there twice/);
    assert.match(
      ofUpstream({ skipped: [101], overrides: { '2026-12-22': 101 } }).join(),
      /^upstream\.overrides\.2026-12-22: 101 is in `skipped`$/,
    );
    assert.match(
      ofUpstream({ overrides: { '2026-12-22': 1010 } }).join(),
      /build 1010 is more than half a year away by the rule/,
    );
  });
});
