/** The instance page names what is damaged of one stream, and shows the others. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeInstancePage } from '../../src/publish/pages.js';
import { writeWhole } from '../../src/store/store.js';
import { TestInstance } from '../support/instance.js';
import { storeBuilds } from '../cli/stored.js';

describe('the instance page', () => {
  let instance: TestInstance;
  before(async () => {
    instance = await TestInstance.create();
    for (const name of ['sample', 'other']) {
      await instance.declare(name, { title: `The ${name}` });
      await storeBuilds(instance.store(), name, ['20261124_01', '20261123_01']);
    }
  });
  after(() => instance.close());

  const page = async () => {
    await writeInstancePage({ settings: instance.settings, store: instance.store() });
    return (await readFile(join(instance.store().www(), 'index.html'), 'utf8')).split('<h2>').slice(1);
  };
  const damage = (path: string, content: string) =>
    writeWhole(join(instance.store().streamDir('sample'), path), content);

  it('shows all where nothing is damaged', async () => {
    const [other = '', sample = '', ...more] = await page();
    assert.equal(more.length, 0);
    for (const entry of [other, sample]) {
      assert.match(entry, /Latest build <b>20261124_01<\/b>/);
      assert.doesNotMatch(entry, /damaged/);
    }
  });

  it('shows the newest readable build, and names the file of the one that is not', async () => {
    await damage('runs/run-20261124_01/x86_64/build/meta.json', '{');
    const entries = (await page()).join('');
    assert.match(entries, /The sample[^]*Latest build <b>20261123_01<\/b>/);
    assert.match(entries, /store\/sample\/runs\/run-20261124_01\/x86_64\/build\/meta\.json: is not JSON/);
    assert.ok(!entries.includes(instance.settings.state), 'no path of this machine');
  });

  it('shows the other streams where an index is damaged', async () => {
    await damage('published/builds.json', '[]');
    const entries = (await page()).join('');
    assert.match(entries, /The other[^]*Latest build <b>20261124_01<\/b>[^]*The sample[^]*Builds unknown/);
    assert.match(entries, /store\/sample\/published\/builds\.json: does not match its schema/);
  });
});
