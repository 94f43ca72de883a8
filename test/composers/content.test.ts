/** The check of a commit against lockfile, RPM database and packages: real RPMs, real commits. */
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Composed } from '../../src/composers/composer.js';
import type { Lockfile } from '../../src/domain/lockfile.js';
import { checkContent } from '../../src/rpm/content.js';
import { TinyTree, type TinyComposed } from './tiny-tree.js';

const package_ = {
  name: 'odd-content',
  install: `d=$r/usr/share/odd; mkdir -p $d $r/usr/libexec $r/boot $r/var/lib/odd $r/etc/odd
for f in plain removed edited wanted 'with space' "quote'x" 'pct%%100' 'käse' -dash; do echo text > "$d/$f"; done
ln -s plain $d/link; echo doc > $d/README; echo c > $r/etc/odd/conf; echo k > $r/boot/config; echo db > $r/var/lib/odd/seed.db
ln -s '/usr/share/100%%cpu' $r/var/lib/odd/link
echo '#!/bin/sh' > $r/usr/libexec/odd-suid; echo '#!/bin/sh' > $r/usr/libexec/odd-cap; echo '#!/bin/sh' > $r/usr/libexec/odd-script`,
  files: `%dir /usr/share/odd
%doc /usr/share/odd/README
/usr/share/odd/[a-q]*
/usr/share/odd/[r-zä]*
/usr/share/odd/-dash
%ghost /usr/share/odd/ghost
%config(noreplace) /etc/odd/conf
/boot/config
/var/lib/odd
/usr/libexec/odd-script
%attr(4755,root,root) /usr/libexec/odd-suid
%caps(cap_net_raw=ep) %attr(0755,root,root) /usr/libexec/odd-cap`,
  scripts: '%post\necho changed > /etc/odd/conf\necho more >> /usr/libexec/odd-script',
};

const treefile = `documentation: false
remove-files: [usr/share/odd/wanted]
postprocess: ["rm /usr/share/odd/removed; echo more >> /usr/share/odd/edited"]`;

describe('check of a commit’s content', function () {
  let tiny: TinyTree;
  let composed: TinyComposed;
  let checks = 0;
  const check = async (lockfile: Lockfile = composed.lockfile, declared: Composed = composed.changes) => {
    const commit = await tiny.commit(composed);
    const repo = join(tiny.folder, 'repo');
    return checkContent(
      tiny.step,
      { repo, commit },
      lockfile,
      declared,
      join(tiny.folder, `check-${checks++}`),
    );
  };
  const at = (path: string) => join(composed.tree, path);

  before(async () => {
    tiny = await TinyTree.make();
    await tiny.rpm(package_);
    composed = await tiny.compose(['odd-content'], { treefile });
  });
  after(() => tiny.remove());

  it('passes a whole tree, with a list of what is left out and changed, and by whom', async () => {
    const { problems, packages, entries, leftOut, changed } = await check();
    assert.deepEqual(problems, []);
    assert.equal(packages, 2);
    assert.ok(entries > 50);
    const own = (list: readonly { path: string; package: string; reason: string }[]) =>
      Object.fromEntries(
        list.filter((one) => one.package === 'odd-content').map((one) => [one.path, one.reason]),
      );
    assert.deepEqual(own(leftOut), {
      '/boot/config': 'boot',
      '/usr/share/odd/README': 'documentation',
      '/usr/share/odd/removed': 'postprocess',
      '/usr/share/odd/wanted': 'remove-files',
      '/var/lib/odd': 'at-boot',
      '/var/lib/odd/link': 'at-boot',
      '/var/lib/odd/seed.db': 'var',
    });
    assert.deepEqual(own(changed), {
      '/usr/libexec/odd-script': 'scriptlet',
      '/usr/share/odd/edited': 'postprocess',
    });
  });

  it('names packages that lockfile and database do not share', async () => {
    const { packages } = composed.lockfile;
    const { 'tiny-base': base } = packages;
    assert.ok(base);
    const other = { ...packages, 'tiny-base': { ...base, evra: '2-1.x86_64' }, 'odd-lib': base };
    const { problems } = await check({ ...composed.lockfile, packages: other });
    assert.deepEqual([...problems].sort(), [
      'odd-lib-1-1.x86_64 is locked, but not in the RPM database',
      'tiny-base-1-1.x86_64 is in the RPM database, but 2-1.x86_64 is locked',
    ]);
  });

  it('reads texts of the tree as a machine that runs it would: links lead nowhere else, and may lead nowhere', async () => {
    const folder = at('usr/lib/tmpfiles.d');
    const host = join(tiny.folder, 'host.conf');
    await writeFile(host, 'd /usr/share/odd/plain\n');
    const links = { 'masked.conf': '/dev/null', 'gone.conf': '/nowhere', 'host.conf': host };
    for (const [name, target] of Object.entries(links)) await symlink(target, join(folder, name));
    try {
      await rm(at('usr/share/odd/plain'));
      // The host's file does not excuse it.
      assert.deepEqual((await check()).problems, ['/usr/share/odd/plain of odd-content is missing']);
    } finally {
      await writeFile(at('usr/share/odd/plain'), 'text\n');
      for (const name of Object.keys(links)) await rm(join(folder, name));
    }
  });

  it('finds every kind of difference that nobody declared', async () => {
    await rm(at('usr/share/odd/with space'));
    await writeFile(at("usr/share/odd/quote'x"), 'TEXT\n');
    await chmod(at('usr/share/odd/pct%100'), 0o600);
    await chown(at('usr/share/odd/käse'), 12, 0);
    await chmod(at('usr/libexec/odd-suid'), 0o755);
    await tiny.step.run(['setcap', '-r', at('usr/libexec/odd-cap')]);
    await rm(at('usr/share/odd/-dash'));
    await mkdir(at('usr/share/odd/-dash'));
    await rm(at('usr/share/odd/link'));
    await tiny.step.run(['ln', '-s', 'edited', at('usr/share/odd/link')]);
    assert.deepEqual([...(await check()).problems].sort(), [
      '/usr/libexec/odd-cap of odd-content is not as packaged: capabilities',
      '/usr/libexec/odd-suid of odd-content is not as packaged: mode 0755 instead of 4755',
      '/usr/share/odd/-dash of odd-content is not as packaged: type',
      '/usr/share/odd/käse of odd-content is not as packaged: owner 12 instead of user root (0)',
      '/usr/share/odd/link of odd-content is not as packaged: target edited instead of plain',
      '/usr/share/odd/pct%100 of odd-content is not as packaged: mode 0600 instead of 0644',
      "/usr/share/odd/quote'x of odd-content is not as packaged: content",
      '/usr/share/odd/with space of odd-content is missing',
    ]);
  });

  it('of a composer that records nothing: lists what it presumes, but never passes another owner', async () => {
    // As in rpm-ostree’s trees, accounts are in /usr/lib.
    await tiny.step.run(['mv', at('usr/etc/passwd'), at('usr/lib/passwd')]);
    const declared: Composed = {
      ...{ documentation: false, languages: false, removed: {}, changed: {}, presumed: 'rpm-ostree' },
      mayRemove: [{ by: 'remove-from-packages', package: 'odd-content', patterns: ['/wanted$'] }],
    };
    const { problems, leftOut, changed } = await check(composed.lockfile, declared);
    assert.deepEqual(problems, [
      '/usr/share/odd/käse of odd-content is not as packaged: owner 12 instead of user root (0)',
    ]);
    const reasonOf = (path: string) =>
      [...leftOut, ...changed].find((one) => one.path === `/usr/share/odd/${path}`)?.reason;
    assert.equal(reasonOf('wanted'), 'remove-from-packages');
    for (const path of ['removed', 'with space', 'edited', 'pct%100'])
      assert.equal(reasonOf(path), 'rpm-ostree', path);
  });
});
