import assert from 'node:assert/strict';
import { duration, formatBytes, formatSeconds, size } from '../../src/domain/units.js';

describe('units', () => {
  it('read sizes as bytes and durations as seconds', () => {
    assert.deepEqual(
      ['1MiB', '512MiB', '4GiB', '2TiB'].map((text) => size.parse(text)),
      [2 ** 20, 2 ** 29, 2 ** 32, 2 ** 41],
    );
    assert.deepEqual(
      ['90s', '10m', '2h', '28d'].map((text) => duration.parse(text)),
      [90, 600, 7200, 2_419_200],
    );
  });

  it('refuse anything else', () => {
    for (const text of ['0GiB', '4GB', '4 GiB', '-4GiB', '1.5GiB', '4gib', '04GiB', 'GiB', '4GiB\n', '', '4'])
      assert.equal(size.safeParse(text).success, false, JSON.stringify(text));
    for (const text of ['0s', '10', '1.5h', '-1m', '10 m', '2w', '10M', '1h30m', '90s\n', ''])
      assert.equal(duration.safeParse(text).success, false, JSON.stringify(text));
    assert.equal(size.safeParse(4).success, false);
  });

  it('write bytes for people', () => {
    const cases = [
      [0, '0 B'],
      [1023, '1023 B'],
      [1024, '1.0 KiB'],
      [1.4 * 2 ** 30, '1.4 GiB'],
      [100 * 2 ** 20, '100 MiB'],
      [2 ** 50, '1024 TiB'],
    ] as const;
    for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
  });

  it('write seconds for people', () => {
    const cases = [
      [0, '0 s'],
      [0.4, '0 s'],
      [-3, '0 s'],
      [59.4, '59 s'],
      [59.6, '1 min 00 s'],
      [187, '3 min 07 s'],
      [3599.7, '1 h 00 min'],
      [3725, '1 h 02 min'],
      [90_000, '25 h 00 min'],
    ] as const;
    for (const [seconds, text] of cases) assert.equal(formatSeconds(seconds), text);
  });
});
