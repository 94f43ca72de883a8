/** The publication of signed rebuilds at the testing location: attempts that were all made on the same release follow one another there. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serve, type WebServer } from '../../src/web/serve.js';
import { TinyStore } from '../support/tiny-store.js';

describe('an attempt at a signed rebuild', function () {
  this.timeout('2m');
  let tiny: TinyStore;
  let web: WebServer;
  before(async () => {
    tiny = await TinyStore.make(['20261123_01', '20261123_02'], true);
    const { state, webPort } = tiny.host.settings;
    web = await serve({ root: join(state, 'www'), port: webPort });
  });
  after(async () => {
    await web.close();
    await tiny.remove();
  });
  const head = () => join(tiny.host.settings.state, 'www/testing/tiny/repo/refs/heads/tiny/x86_64/release');
  /** One that was made on the first build. */
  async function other(build: string) {
    tiny.builds.splice(1);
    return tiny.build(build);
  }

  it('is published after one that was made on the same release', async () => {
    const made = await other('20261123_03');
    await tiny.publish(made);
    assert.equal((await readFile(head(), 'utf8')).trim(), made.commit);
  });

  it('is not published over a commit that the stream’s key has not signed', async () => {
    const made = await other('20261123_04');
    const repo = join(tiny.host.settings.state, 'www/testing/tiny/repo');
    const { stdout } = await tiny.s.step.run([
      ...(['ostree', `--repo=${repo}`, 'commit', '--orphan', '-s', 'foreign'] as const),
      `--tree=dir=${tiny.s.at('streams')}`,
    ]);
    for (const foreign of [stdout.trim(), 'ab'.repeat(32)]) {
      await writeFile(head(), `${foreign}\n`);
      await assert.rejects(tiny.publish(made), {
        type: 'PublishConflict',
        message: new RegExp(`points to ${foreign} now, but this build was made on`),
      });
    }
  });
});
