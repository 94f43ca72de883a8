import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lockfile, type Lockfile } from '../../src/domain/lockfile.js';
import { packageRoot } from '../../src/settings.js';

const digest = `sha256:${'ab'.repeat(32)}`;
const good: Lockfile = {
  metadata: {
    generated: '2026-11-23T00:00:00Z',
    rpmmd_repos: { base: { generated: '2026-11-22T00:00:00Z', repomd: 'ab'.repeat(32) } },
  },
  packages: {
    bash: { evra: '1:5.2-1.x86_64', digest, sourcerpm: 'bash-5.2-1.src.rpm', repo: 'base' },
    tzdata: { evra: '2026a-1.noarch', digest },
  },
};

describe('lockfile', () => {
  it('keeps what it reads', () => assert.deepEqual(lockfile.parse(structuredClone(good)), good));

  it('refuses a package without digest, with another kind of digest, or without version', () => {
    for (const bash of [
      { evra: '1-1.noarch' },
      { evra: '1-1.noarch', digest: 'md5:00' },
      { evra: '1-1.noarch', digest: `${digest}0` },
      { digest },
      null,
    ])
      assert.equal(lockfile.safeParse({ ...good, packages: { bash } }).success, false, JSON.stringify(bash));
    assert.equal(lockfile.safeParse({ packages: {} }).success, false);
  });

  it('has the shape that rpm-ostree writes', async () => {
    const file = join(packageRoot, 'test/recorded/rpm-ostree/10-first-compose.lockfile.json');
    const recorded = JSON.parse(await readFile(file, 'utf8')) as Lockfile;
    assert.deepEqual(Object.keys(recorded).sort(), ['metadata', 'packages']);
    assert.ok(Object.keys(recorded.packages).length > 10);
    for (const [name, { evra }] of Object.entries(recorded.packages))
      assert.match(evra, /-[^-]+\.[a-z0-9_]+$/, name);
  });
});
