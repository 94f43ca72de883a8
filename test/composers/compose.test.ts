/** What a compose by dnf refuses, keeps and says: real RPMs with real scriptlets in tiny trees. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, lstat, mkdir, readFile, readdir, readlink, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { tmpfilesLine } from '../../src/composers/dnf/tmpfiles.js';
import { TinyTree } from './tiny-tree.js';

describe('compose of the dnf composer', function () {
  let tiny: TinyTree;
  before(async () => {
    tiny = await TinyTree.make();
  });
  after(() => tiny.remove());

  it('gives scriptlets and post-process scripts root’s powers over files, and no others', async () => {
    const say = (file: string) => `grep CapEff /proc/self/status > /usr/share/odd-powers/${file}`;
    await tiny.rpm({ name: 'odd-powers', scripts: `%post\n${say('scriptlet')}` });
    const { tree } = await tiny.compose(['odd-powers'], {
      treefile: `postprocess: ${JSON.stringify([say('script')])}`,
    });
    // In <linux/capability.h>: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setfcap.
    const bits = [0, 1, 3, 4, 5, 6, 7, 31].reduce((sum, bit) => sum + 2 ** bit, 0);
    for (const file of ['scriptlet', 'script'])
      assert.equal(
        await readFile(join(tree, 'usr/share/odd-powers', file), 'utf8'),
        `CapEff:\t${bits.toString(16).padStart(16, '0')}\n`,
        file,
      );
  });

  it('keeps the capabilities of files, which a package declares or a scriptlet gives', async () => {
    await tiny.rpm({
      name: 'odd-caps',
      install: 'mkdir -p $r/usr/bin; for p in ping pong; do echo > $r/usr/bin/$p; done',
      files: '%caps(cap_net_raw=ep) /usr/bin/ping\n/usr/bin/pong',
    });
    const { tree } = await tiny.compose(['odd-caps']);
    const read = 'import os, sys; print(os.getxattr(sys.argv[1], "security.capability").hex())';
    const { stdout } = await promisify(execFile)('python3', ['-c', read, join(tree, 'usr/bin/ping')]);
    assert.equal(stdout.trim(), '0100000200200000'.padEnd(40, '0'));
  });

  describe('scriptlets that fail', () => {
    const fails = async (name: string, scripts: string): Promise<string> => {
      await tiny.rpm({ name, scripts });
      const failure = await tiny.refused([name]);
      assert.equal(failure.code, 'ComposeFailed');
      return failure.message;
    };

    it('%post: names package and scriptlet, with what it printed', async () => {
      assert.equal(
        await fails(
          'odd-postfail',
          '%post\necho "the cache is read-only"\necho "cannot write it" >&2\nexit 1',
        ),
        'odd-postfail-1-1.x86_64: %post scriptlet failed, exit status 1\n  the cache is read-only\n  cannot write it',
      );
    });
    it('%posttrans', async () => {
      assert.equal(
        await fails('odd-posttransfail', '%posttrans\nexit 3'),
        'odd-posttransfail-1-1.x86_64: %posttrans scriptlet failed, exit status 3',
      );
    });
    it('%pre: the scriptlet is the message, not what follows from it', async () => {
      assert.equal(
        await fails('odd-prefail', '%pre\nexit 1'),
        'odd-prefail-1-1.x86_64: %pre scriptlet failed, exit status 1',
      );
    });
    it('triggers, file triggers, a signal', async () => {
      assert.match(
        await fails('odd-trigger', '%triggerin -- tiny-base\necho no such base\nexit 4'),
        /^odd-trigger-1-1\.x86_64: %triggerin scriptlet failed, exit status 4\n {2}no such base$/,
      );
      assert.match(
        await fails('odd-filetrigger', '%filetriggerin -- /usr/share\nexit 5'),
        /^odd-filetrigger-1-1\.x86_64: %filetriggerin scriptlet failed, exit status 5$/,
      );
      assert.match(
        await fails('odd-transfiletrigger', '%transfiletriggerin -- /usr/share\nexit 6'),
        /^odd-transfiletrigger-1-1\.x86_64: %transfiletriggerin scriptlet failed, exit status 6$/,
      );
      assert.match(
        await fails('odd-killed', '%post\nkill -9 $$'),
        /^odd-killed-1-1\.x86_64: %post scriptlet failed, signal 9$/,
      );
    });
    it('Lua', async () => {
      assert.equal(
        await fails('odd-lua', '%post -p <lua>\nprint("begun")\nerror("it went wrong")'),
        'odd-lua-1-1.x86_64: %post scriptlet failed, 2: it went wrong\n  begun',
      );
    });
    it('may be excused in the treefile, one by one', async () => {
      await tiny.rpm({ name: 'odd-twofail', scripts: '%post\nexit 1\n%posttrans\nexit 2' });
      const allow = (...what: string[]) => ({
        treefile: `metadata:\n  treeline:\n    failing-scriptlets: ${JSON.stringify(what)}`,
      });
      assert.equal(
        (await tiny.refused(['odd-twofail'], allow('odd-twofail %post'))).message,
        'odd-twofail-1-1.x86_64: %posttrans scriptlet failed, exit status 2',
      );
      const { tree } = await tiny.compose(
        ['odd-twofail'],
        allow('odd-twofail %post', 'odd-twofail %posttrans'),
      );
      assert.equal(await readFile(join(tree, 'usr/share/odd-twofail/x'), 'utf8'), 'x\n');
      // A package that is not in the tree for it is never excused.
      await tiny.rpm({ name: 'odd-prefail', scripts: '%pre\nexit 1' });
      assert.match(
        (await tiny.refused(['odd-prefail'], allow('odd-prefail %pre'))).message,
        /%pre scriptlet failed/,
      );
    });
  });

  describe('users and groups', () => {
    const account = (name: string) => ({
      name: `odd-user-${name}`,
      tags: 'Requires(pre): passwd bash setup',
      scripts: `%pre
getent group odd${name} >/dev/null || groupadd -r odd${name}
getent passwd odd${name} >/dev/null || useradd -r -g odd${name} -d / -s /usr/sbin/nologin odd${name}
exit 0`,
      files: `%attr(0640,odd${name},odd${name}) /usr/share/odd-user-${name}`,
    });
    let parent: string;
    let number: number;
    before(async () => {
      for (const name of ['a', 'm']) await tiny.rpm(account(name));
      const composed = await tiny.compose(['odd-user-m']);
      parent = await tiny.commit(composed);
      number = (await stat(join(composed.tree, 'usr/share/odd-user-m'))).uid;
      assert.ok(number > 0 && number < 1000);
    });

    it('keep the numbers of the parent commit', async () => {
      const { tree } = await tiny.compose(['odd-user-a', 'odd-user-m'], { parent });
      const [kept, added] = await Promise.all(
        ['m', 'a'].map((name) => stat(join(tree, `usr/share/odd-user-${name}`))),
      );
      assert.deepEqual([kept?.uid, kept?.gid], [number, number]);
      assert.notEqual(added?.uid, number);
      const passwd = await readFile(join(tree, 'usr/etc/passwd'), 'utf8');
      assert.match(passwd, new RegExp(`^oddm:x:${number}:${number}:`, 'm'));
      assert.match(await readFile(join(tree, 'usr/etc/shadow'), 'utf8'), /^oddm:!/m);
    });
    it('that are not preserved and drift: the compose fails and names them', async () => {
      const failure = await tiny.refused(['odd-user-a', 'odd-user-m'], {
        parent,
        treefile: 'preserve-passwd: false',
      });
      assert.equal(failure.code, 'ComposeFailed');
      assert.match(
        failure.message,
        new RegExp(`^user oddm has the number (?!${number}:)\\d+:\\d+ instead of ${number}:${number}:`),
      );
      assert.match(failure.message, new RegExp(`\\ngroup oddm has the number \\d+ instead of ${number}:`));
      const unchecked = 'preserve-passwd: false\ncheck-passwd: {type: none}\ncheck-groups: {type: none}';
      await tiny.compose(['odd-user-a', 'odd-user-m'], { parent, treefile: unchecked });
    });
    it('that are gone: fails unless they are ignored', async () => {
      const treefile = 'preserve-passwd: false';
      assert.match(
        (await tiny.refused([], { parent, treefile })).message,
        /^user oddm .*missing.*\ngroup oddm .*missing/,
      );
      await tiny.compose([], {
        parent,
        treefile: `${treefile}\nignore-removed-users: [oddm]\nignore-removed-groups: ['*']`,
      });
    });
    it('are checked against data and files, and preserved from files', async () => {
      const data = `check-passwd: {type: data, entries: {root: 0, oddm: [${number}, 7]}}\ncheck-groups: {type: data, entries: {oddm: 7}}`;
      const { message } = await tiny.refused(['odd-user-m'], { treefile: data });
      assert.match(
        message,
        new RegExp(`^user oddm has the number ${number}:${number} instead of ${number}:7:`),
      );
      assert.match(message, new RegExp(`\\ngroup oddm has the number ${number} instead of 7:`));
      const files = { 'own-passwd': 'oddm:x:321:123::/:/bin/false\n', 'own-group': 'oddm:x:123:\n' };
      const file = `check-passwd: {type: file, filename: own-passwd}\ncheck-groups: {type: file, filename: own-group}`;
      const { tree } = await tiny.compose(['odd-user-m'], { parent, treefile: file, files });
      const info = await stat(join(tree, 'usr/share/odd-user-m'));
      assert.deepEqual([info.uid, info.gid], [321, 123]);
      assert.equal(
        (await tiny.refused([], { treefile: 'check-passwd: {type: file, filename: own-passwd}', files }))
          .code,
        'StreamInvalid',
      );
    });
  });

  describe('content outside /usr and /etc', () => {
    const odd = {
      name: 'odd-places',
      install: `mkdir -p $r/opt/vendor/bin $r/usr/local/bin $r/home/odd $r/srv/odd
echo tool > $r/opt/vendor/bin/tool; echo l > $r/usr/local/bin/loc; echo h > $r/home/odd/x`,
      files: '/opt/vendor\n/usr/local/bin/loc\n/home/odd\n/srv/odd',
    };
    before(() => tiny.rpm(odd));

    it('that no machine would see is refused, with its packages', async () => {
      const failure = await tiny.refused(['odd-places']);
      assert.equal(failure.code, 'ComposeFailed');
      for (const path of ['/opt/vendor/bin/tool', '/usr/local/bin/loc', '/home/odd/x'])
        assert.ok(failure.message.includes(`${path} of odd-places`), failure.message);
    });
    it('is dropped where the treefile says so; its folders are made at boot', async () => {
      const { tree, changes } = await tiny.compose(['odd-places'], {
        treefile:
          'remove-from-packages: [[odd-places, "^/opt/.*/tool", "^/home/.*/x"]]\nremove-files: [usr/local/bin/loc]',
      });
      assert.deepEqual(changes.removed, {
        '/opt/vendor/bin/tool': 'remove-from-packages',
        '/home/odd/x': 'remove-from-packages',
        '/usr/local/bin/loc': 'remove-files',
      });
      assert.equal(await readlink(join(tree, 'opt')), 'var/opt');
      const lines = (await readFile(join(tree, 'usr/lib/tmpfiles.d/00-treeline-var.conf'), 'utf8')).split(
        '\n',
      );
      for (const path of ['/var/opt/vendor/bin', '/var/srv/odd', '/var/home/odd'])
        assert.ok(lines.includes(`d ${path} 0755 root root -`), path);
    });
    it('made by a post-process script is refused as well', async () => {
      const { message } = await tiny.refused([], { treefile: 'postprocess: ["echo x > /opt/agent"]' });
      assert.match(message, /\/opt\/agent, made by a script/);
    });
  });

  it('writes tmpfiles.d lines that systemd-tmpfiles reads as they are meant', async () => {
    await tiny.rpm({
      name: 'odd-var',
      install: `mkdir -p "$r/var/lib/odd dir/50%% full" "$r/var/lib/quo\\"te" "$r/var/lib/back\\\\slash" $r/var/lib/odd-sticky
ln -s '/usr/share/100%%cpu' $r/var/lib/odd-pct-link
ln -s '/usr/share/with space' $r/var/lib/odd-space-link
ln -s '/usr/share/b\\ack "quoted" ' "$r/var/lib/link 50%%"
echo db > $r/var/lib/odd-sticky/seed.db`,
      files:
        '"/var/lib/odd dir"\n/var/lib/quo*\n/var/lib/back*\n%attr(1777,root,root) /var/lib/odd-sticky\n/var/lib/odd-*-link\n"/var/lib/link*"',
    });
    const { tree } = await tiny.compose(['odd-var']);
    assert.deepEqual(await readdir(join(tree, 'var')), []);
    const root = join(tiny.folder, 'booted');
    await mkdir(join(root, 'usr/lib/tmpfiles.d'), { recursive: true });
    await cp(join(tree, 'usr/etc'), join(root, 'etc'), { recursive: true });
    const conf = 'usr/lib/tmpfiles.d/00-treeline-var.conf';
    // A target with a line end, which no package of ours has.
    const odd = tmpfilesLine({ type: 'L', path: '/var/lib/odd-line', target: ' a\nb ' });
    await writeFile(join(root, conf), `${await readFile(join(tree, conf), 'utf8')}${odd}\n`);
    const { stderr } = await promisify(execFile)('systemd-tmpfiles', [
      '--create',
      `--root=${root}`,
      basename(conf),
    ]);
    assert.equal(stderr, '');
    const links = { 'odd-pct-link': '/usr/share/100%cpu', 'odd-space-link': '/usr/share/with space' };
    const more = { 'link 50%': '/usr/share/b\\ack "quoted" ', 'odd-line': ' a\nb ' };
    for (const [name, target] of Object.entries({ ...links, ...more }))
      assert.equal(await readlink(join(root, 'var/lib', name)), target);
    for (const name of ['odd dir/50% full', 'quo"te', 'back\\slash'])
      assert.ok((await lstat(join(root, 'var/lib', name))).isDirectory(), name);
    assert.equal((await lstat(join(root, 'var/lib/odd-sticky'))).mode & 0o7777, 0o1777);
    assert.deepEqual(await readdir(join(root, 'var/lib/odd-sticky')), []);
  });

  it('takes only folders with a vmlinuz for kernels', async () => {
    const modules = '/usr/lib/modules/4.18.0-305.el8.x86_64';
    await tiny.rpm({
      name: 'kmod-odd',
      install: `mkdir -p $r${modules}/extra; echo x > $r${modules}/extra/odd.ko`,
      files: modules,
    });
    const { tree } = await tiny.compose(['kmod-odd']);
    assert.equal(await readFile(join(tree, 'usr/lib/modules/6.1.0/initramfs.img'), 'utf8'), 'initramfs\n');
    assert.deepEqual(await readdir(join(tree, modules)), ['extra']);
    await tiny.rpm({
      name: 'kernel-odd',
      install: 'mkdir -p $r/usr/lib/modules/6.2.0; echo k > $r/usr/lib/modules/6.2.0/vmlinuz',
      files: '/usr/lib/modules/6.2.0',
    });
    assert.match((await tiny.refused(['kernel-odd'])).message, /one kernel .*, not 2: 6\.1\.0, 6\.2\.0/);
  });

  it('refuses file names that are not UTF-8 at once, escaped, with their package', async () => {
    await tiny.rpm({
      name: 'odd-latin1',
      install: `mkdir -p $r/usr/share/odd-latin1 "$r/var/lib/$(printf 'caf\\351')"; echo x > "$r/usr/share/odd-latin1/$(printf 'caf\\351.txt')"`,
      files: '/usr/share/odd-latin1\n/var/lib/caf*',
    });
    const { code, message } = await tiny.refused(['odd-latin1']);
    assert.equal(code, 'ComposeFailed');
    assert.match(
      message,
      /^odd-latin1-1-1\.x86_64: \/usr\/share\/odd-latin1\/caf\\xe9\.txt: a file name must be UTF-8/m,
    );
    assert.match(message, /^odd-latin1-1-1\.x86_64: \/var\/lib\/caf\\xe9: /m);
  });

  it('removes 24,000 files of one package', async () => {
    const folder = '/usr/share/odd-many/a-folder-with-a-rather-long-name-as-locale-data-has';
    await tiny.rpm({
      name: 'odd-many',
      install: `mkdir -p $r${folder}; cd $r${folder}; seq -f 'file-number-%%.0f-with-a-long-name.conf' 24000 | xargs touch; touch keep`,
      files: '/usr/share/odd-many',
    });
    const { tree, changes } = await tiny.compose(['odd-many'], {
      treefile: 'remove-from-packages: [[odd-many, "/file-number-.*"]]',
    });
    assert.deepEqual(await readdir(join(tree, folder)), ['keep']);
    assert.equal(Object.keys(changes.removed).length, 24_000);
  });
});
