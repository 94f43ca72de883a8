import assert from 'node:assert/strict';
import { buildId, compareIds, idsOfDay } from '../../src/domain/build-id.js';

const first = (date: string) => [...idsOfDay(new Date(date))][0];

describe('build ids', () => {
  it('take the day of UTC, also seconds from its borders and from other time zones', () => {
    assert.equal(first('2026-11-23T00:00:00Z'), '20261123_01');
    assert.equal(first('2026-11-23T23:59:59.999Z'), '20261123_01');
    assert.equal(first('2026-11-24T00:30:00+01:00'), '20261123_01');
    assert.equal(first('2026-11-22T23:30:00-01:00'), '20261123_01');
    assert.equal(first('2027-01-01T00:00:00Z'), '20270101_01');
  });

  it('are 99 a day, distinct, valid, and sort as text', () => {
    const ids = [...idsOfDay(new Date('2026-02-03T12:00:00Z'))];
    assert.equal(ids.length, 99);
    assert.equal(new Set(ids).size, 99);
    assert.equal(ids.at(-1), '20260203_99');
    assert.deepEqual(ids.toSorted(), ids);
    for (const id of ids) assert.equal(buildId.parse(id), id);
  });

  it('refuse what is none', () => {
    for (const text of [
      '20261123_00',
      '20261123_1',
      '20261123_100',
      '2026112_01',
      '20261123-01',
      ' 20261123_01',
      '20261123_01\n',
      '',
    ])
      assert.equal(buildId.safeParse(text).success, false, JSON.stringify(text));
  });

  it('are compared newest first', () => {
    const sorted = ['20261122_09', '20261123_02', '20261123_10', '20261123_02'].sort(compareIds);
    assert.deepEqual(sorted, ['20261123_10', '20261123_02', '20261123_02', '20261122_09']);
  });
});
