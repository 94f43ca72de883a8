import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stylesheet } from '../../src/pages/styles.js';
import { writePages } from '../../src/pages/write.js';
import { newer, newest, older, stream } from './site.js';

describe('writing the pages', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'treeline-write-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const input = {
    stream,
    generated: '2026-11-23T02:50:00Z',
    builds: [[newest.meta]],
    pages: [{ ...newest, previous: older }],
  };
  const files = async () =>
    (await readdir(dir, { recursive: true })).filter((name) => /\.\w+$/.test(name)).sort();

  it('puts each file in its place and leaves nothing else, however often', async () => {
    for (let i = 0; i < 2; i++) {
      await writePages(dir, input);
      assert.deepEqual(await files(), [`builds/${newer}/x86_64/index.html`, 'index.html', 'treeline.css']);
    }
    assert.equal(await readFile(join(dir, 'treeline.css'), 'utf8'), stylesheet);
  });

  it('touches index.html last, so that a failure leaves no link without its page', async () => {
    const broken = { ...newest, get lockfile(): never { throw new Error('disk'); } }; // prettier-ignore
    await assert.rejects(writePages(dir, { ...input, pages: [broken] }), /disk/);
    assert.deepEqual(await files(), ['treeline.css']);
  });
});
