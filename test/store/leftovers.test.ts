/** What dead runs leave is removed; what a live run has, and what is published, is not. */
import assert from 'node:assert/strict';
import { utimes } from 'node:fs/promises';
import { relative } from 'node:path';
import { leftoverMs, removeLeftovers } from '../../src/store/leftovers.js';
import { exists, Store } from '../../src/store/store.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const [dead, live] = ['11111111-aaaa-4bbb-8ccc-000000000001', '11111111-aaaa-4bbb-8ccc-000000000002'];
const temporary = '.view.json.11111111-aaaa-4bbb-8ccc-000000000003.tmp';

describe('leftovers', () => {
  let s: Scratch;
  before(async () => {
    s = await makeScratch('leftovers');
  });
  after(() => s.remove());

  const sweep = async (now?: number) =>
    (await removeLeftovers(new Store(s.folder), (run) => run === live, now))
      .map((path) => relative(s.folder, path))
      .sort();

  const left = [
    `work/${dead}`,
    'work/preview-1234',
    `store/tiny/published/next-${dead}`,
    `store/tiny/releases/published/former-${dead}`,
    `store/tiny/releases/published/former-${dead}.tmp`,
    `store/tiny/releases/pages-${dead}`,
    `store/tiny/releases/${temporary}`,
    `store/tiny/outbox/${temporary}`,
    `store/tiny/ids/${temporary}`,
    `store/tiny/runs/${dead}/${temporary}`,
    `www/${temporary}`,
  ].sort();
  const kept = [
    `work/${live}/compose`,
    `store/tiny/published/next-${live}/refs`,
    `store/tiny/published/next-builds.json`,
    `store/tiny/published/builds.json`,
    `store/tiny/published/refs/heads`,
    `store/tiny/releases/published/former-${live}/stream.json`,
    `store/tiny/releases/view.json`,
    `store/tiny/runs/${dead}/run.json`,
    `store/tiny/runs/${dead}/logs/compose.log`,
    `store/tiny/repo/tmp/${temporary}`,
    'www/index.html',
  ];

  it('go once nobody has touched them for half a day', async () => {
    for (const path of [...left, ...kept])
      await s.write(path.endsWith('.tmp') || /\.\w+$/.test(path) ? path : `${path}/file`, 'x');
    assert.deepEqual(await sweep(), []);
    const old = new Date(Date.now() - leftoverMs - 60_000);
    for (const path of [...left, ...kept]) await utimes(s.at(path), old, old);
    const one = left[0] ?? '';
    await utimes(s.at(one), new Date(), new Date());
    assert.deepEqual(await sweep(), left.slice(1));
    for (const path of left.slice(1)) assert.equal(await exists(s.at(path)), false, path);
    for (const path of kept) assert.equal(await exists(s.at(path)), true, path);
    assert.deepEqual(await sweep(), []);
    assert.deepEqual(await sweep(Date.now() + leftoverMs), [one], 'within a day');
  });
});
