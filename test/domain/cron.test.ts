import assert from 'node:assert/strict';
import { isCron, skippedStart } from '../../src/domain/cron.js';

describe('cron fields', () => {
  it('are five, of numbers in their range', () => {
    for (const good of [
      '30 2 * * *',
      '*/15 * * * 1-5',
      '0 0 1,15 jan,dec sun',
      '5/20 0-23/2 * * 7',
      '0 0 31 12 0',
    ])
      assert.ok(isCron(good), good);
    for (const bad of [
      '30 2 * *',
      '60 2 * * *',
      '0 24 * * *',
      '0 0 0 * *',
      '0 0 * 13 *',
      '0 0 * * 8',
      '5-1 0 * * *',
      '*/0 0 * * *',
      'a 0 * * *',
      '1-2-3 0 * * *',
    ])
      assert.ok(!isCron(bad), bad);
  });

  const from = new Date('2026-11-26T00:00:00Z');
  const cases: readonly (readonly [cron: string, zone: string, skipped: string | undefined])[] = [
    ['30 2 * * *', 'Europe/Berlin', '2027-03-28 02:30'],
    ['30 2 * * 7', 'Europe/Berlin', '2027-03-28 02:30'],
    ['15 2 28 3 *', 'Europe/Berlin', '2027-03-28 02:15'],
    ['0 2 26 3 *', 'Europe/Berlin', '2028-03-26 02:00'],
    ['0 0-5 * * *', 'America/New_York', '2027-03-14 02:00'],
    ['0 2 * * *', 'Australia/Lord_Howe', '2027-10-03 02:00'],
    ['30 2 * * *', 'Australia/Lord_Howe', undefined],
    ['30 3 * * *', 'Europe/Berlin', undefined],
    ['30 1 * * *', 'Europe/Berlin', undefined],
    ['30 2 * * 1-5', 'Europe/Berlin', undefined],
    ['30 2 * 4-12 *', 'Europe/Berlin', undefined],
    ['*/15 * * * *', 'Europe/Berlin', undefined],
    ['30 2 * * *', 'UTC', undefined],
    ['30 2 * * *', 'Asia/Kolkata', undefined],
  ];
  for (const [cron, zone, skipped] of cases)
    it(`${cron} in ${zone} ${skipped ? `is left out at ${skipped}` : 'is never left out'}`, () =>
      assert.equal(skippedStart(cron, zone, from), skipped));
});
