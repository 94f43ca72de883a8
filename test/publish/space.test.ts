/** Free space at each kind of target, asked for real. */
import assert from 'node:assert/strict';
import { mkdir, statfs } from 'node:fs/promises';
import { requireSpace } from '../../src/publish/space.js';
import { publishTo } from '../../src/publish/targets/index.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { fails, startRsyncDaemon, startSshd } from '../support/servers.js';

describe('free space at a target', function () {
  let s: Scratch;
  before(async () => {
    s = await makeScratch('space');
    await mkdir(s.at('target'));
  });
  after(() => s.remove());
  const url = 'http://127.0.0.1/';
  const near = async (found: number | undefined) => {
    const { bavail, bsize } = await statfs(s.folder);
    assert.ok(found !== undefined && Math.abs(found - bavail * bsize) < 2 ** 30, String(found));
  };

  it('of a folder is the file system’s, and too little is said', async () => {
    const target = { location: s.at('target'), url };
    await near(await publishTo(target).free(s.step, 'builds'));
    assert.match(await requireSpace(s.step, target, 'builds', 1), /^[\d.]+ \wi?B free$/);
    await assert.rejects(
      requireSpace(s.step, target, 'builds', 2 ** 60),
      fails('DiskFull', /free, but the release needs/),
    );
  });

  it('of a host by ssh is what it says; unknown for a path that its shell would read', async () => {
    const ssh = await startSshd(s);
    try {
      const { identityFile, knownHostsFile, port } = ssh;
      const at = (path: string) => ({
        ...{ location: `ssh://root@127.0.0.1:${port}${path}`, url },
        ...{ identityFile, knownHostsFile },
      });
      const free = (path: string) => publishTo(at(path)).free(s.step, 'repo');
      await near(await free(s.at('target')));
      assert.equal(await free('/nowhere'), undefined);
      assert.equal(await free(`${s.at('target')};id`), undefined);
    } finally {
      await ssh.close();
    }
  });

  it('of an rsync daemon is unknown, and said so', async () => {
    const daemon = await startRsyncDaemon(s.folder, `[there]\npath = ${s.at('target')}\n`);
    try {
      const target = { location: `rsync://127.0.0.1:${daemon.port}/there/x`, url };
      assert.equal(await requireSpace(s.step, target, 'builds', 2 ** 60), 'free space unknown');
    } finally {
      await daemon.close();
    }
  });
});
