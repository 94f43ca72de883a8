/** What headers say of a cache. */
import assert from 'node:assert/strict';
import { cachedFor } from '../../src/publish/cached.js';

describe('cachedFor', () => {
  const date = 'Thu, 26 Nov 2026 12:00:00 GMT';
  const hour = 'Thu, 26 Nov 2026 13:00:00 GMT';
  const before = 'Thu, 26 Nov 2026 11:00:00 GMT';
  const placed = new Date('2026-11-26T11:30:00.500Z');
  const cases: [
    what: string,
    headers: Record<string, string>,
    placed: Date | undefined,
    number | undefined,
  ][] = [
    ['an answer of the server itself', { 'cache-control': 'max-age=60', date }, undefined, undefined],
    ['… with nothing', {}, placed, undefined],
    ['what a cache has left', { age: '20', 'cache-control': 'public, max-age=60' }, undefined, 40],
    [
      'the time for caches before that for all',
      { age: '1', 'cache-control': 'max-age=60, s-maxage=600' },
      undefined,
      599,
    ],
    ['a time in quotes', { age: '0', 'cache-control': 'max-age="9"' }, undefined, 9],
    ['one beyond its time', { age: '100', 'cache-control': 'max-age=60' }, undefined, 0],
    ['one that asks each time', { age: '5', 'cache-control': 'no-cache, max-age=60' }, undefined, 0],
    ['the date of its end', { age: '600', date, expires: hour }, undefined, 3000],
    ['a date that is none: over', { age: '600', date, expires: '0' }, undefined, 0],
    ['a tenth of what it was unchanged', { age: '60', date, 'last-modified': before }, undefined, 300],
    ['no time at all', { age: '60' }, undefined, 0],
    ['an age that is none', { age: 'old', 'cache-control': 'max-age=60' }, undefined, undefined],
    ['no age, but an older state', { 'cache-control': 'max-age=60', 'last-modified': before }, placed, 60],
    ['… which asks each time', { 'cache-control': 'no-cache', 'last-modified': before }, placed, undefined],
    [
      '… or is the state that was placed, to the second',
      { 'cache-control': 'max-age=60', 'last-modified': 'Thu, 26 Nov 2026 11:30:00 GMT' },
      placed,
      undefined,
    ],
  ];
  for (const [what, headers, time, expected] of cases)
    it(what, () => assert.equal(cachedFor(new Headers(headers), time), expected));
});
