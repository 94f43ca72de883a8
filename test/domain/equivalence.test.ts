import assert from 'node:assert/strict';
import { sameEvra, sameSource } from '../../src/domain/dist-tag.js';
import { releaseFits } from '../../src/domain/rebuild.js';
import {
  comparePackage,
  comparePackages,
  comparePlan,
  compareTrees,
  renewer,
  type Difference,
  type PackageFacts,
  type TreeEntry,
} from '../../src/domain/equivalence.js';

describe('dist tags', () => {
  it('may be another, or new; all else of a release must be the same', () => {
    for (const [accepted, rebuilt, same] of [
      ['5.el7', '5.el7_4', true],
      ['5.el7.centos', '5.el7_4', true],
      ['5', '5.el7_4', true],
      ['5.el7.1', '5.el7_4.1', true],
      ['5.el7_4', '5.el7_4', true],
      ['5', '5', true],
      // A builder that did not heed the dist tag.
      ['5.el7', '5.el7', false],
      ['5.el7', '6.el7_4', false],
      ['15.el7', '5.el7_4', false],
      ['5.1.el7', '5.el7_4', false],
      ['5.el7.1', '5.el7_4', false],
      ['5.el7', '5.el7_4.1', false],
      ['5.el7', '5.el7_5', false],
      ['5', '5.el7_4x', false],
    ] as const)
      assert.equal(releaseFits(accepted, rebuilt, '.el7_4'), same, `${accepted} ${rebuilt}`);
  });

  it('of whole versions and of sources', () => {
    assert.ok(sameEvra('1:2.0-5.el7.x86_64', '1:2.0-5.el7_4.x86_64', '.el7_4'));
    assert.ok(sameEvra('0:2.0-5.el7.x86_64', '2.0-5.el7_4.x86_64', '.el7_4'));
    for (const other of [
      '2:2.0-5.el7_4.x86_64',
      '2.0-5.el7_4.x86_64',
      '1:2.1-5.el7_4.x86_64',
      '1:2.0-5.el7_4.i686',
    ])
      assert.ok(!sameEvra('1:2.0-5.el7.x86_64', other, '.el7_4'), other);
    assert.ok(sameSource('a-b-1-5.el7.src.rpm', 'a-b-1-5.el7_4.src.rpm', '.el7_4'));
    assert.ok(!sameSource('a-b-1-5.el7.src.rpm', 'a-c-1-5.el7_4.src.rpm', '.el7_4'));
    assert.ok(!sameSource('a-1-5.el7.src.rpm', 'a-1-5.el7_4.rpm', '.el7_4'));
  });
});

describe('equivalence', () => {
  const file = {
    path: '/usr/bin/a',
    mode: 0o100755,
    user: 'root',
    group: 'root',
    flags: 0,
    link: '',
    caps: '',
    digest: '1',
  };
  const facts = (evra: string, change: Partial<PackageFacts> = {}): PackageFacts => ({
    ...{ name: 'a', evra, files: [file], scripts: {}, dependencies: {} },
    ...change,
  });
  const told = (found: readonly Difference[]) => found.map(({ what, expected }) => [what, expected]);
  const [from, to] = ['1:2-5.el7.x86_64', '1:2-5.el7_4.x86_64'];

  it('renews a release where it stands whole', () => {
    const renew = renewer(from, to);
    assert.equal(renew('a = 1:2-5.el7'), 'a = 1:2-5.el7_4');
    assert.equal(renew('/usr/lib/modules/2-5.el7.x86_64/x'), '/usr/lib/modules/2-5.el7_4.x86_64/x');
    assert.equal(renew('/usr/share/doc/a-2-5.el7'), '/usr/share/doc/a-2-5.el7_4');
    assert.equal(renew('12-5.el7'), '12-5.el7');
    assert.equal(renew('2-5.el71 2-5.el7_9'), '2-5.el71 2-5.el7_9');
  });

  it('of package sets: only the dist tag of rebuilt ones may differ', () => {
    const digest = `sha256:${'ab'.repeat(32)}`;
    const accepted = (packages: Record<string, string>) => ({
      metadata: { generated: '', rpmmd_repos: {} },
      packages: Object.fromEntries(Object.entries(packages).map(([name, evra]) => [name, { evra, digest }])),
    });
    const one = (evra: string, origin: 'rebuilt' | 'accepted') => ({ file: '', evra, digest, origin });
    const found = comparePackages(
      accepted({ gone: '1-1.noarch', kept: '1-1.noarch', other: '1-1.noarch', tag: from, up: from }),
      {
        fresh: one('1-1.noarch', 'accepted'),
        kept: one('1-1.noarch', 'accepted'),
        other: one('1-2.noarch', 'accepted'),
        tag: one(to, 'rebuilt'),
        up: one('1:2-6.el7_4.x86_64', 'rebuilt'),
      },
      '.el7_4',
    );
    assert.deepEqual(
      found.map(({ subject, expected }) => [subject, expected]),
      [
        ['fresh', false],
        ['gone', false],
        ['other', false],
        ['tag', true],
        ['up', false],
      ],
    );
  });

  it('of a package: content and release may differ, nothing else', () => {
    const same = comparePackage(
      facts(from, {
        files: [file, { ...file, path: '/usr/share/doc/a-2-5.el7/x' }],
        scripts: { postin: '/bin/sh\necho 2-5.el7' },
        dependencies: { provide: ['a = 1:2-5.el7'], require: ['b', 'c = 2-5.el7', 'rpmlib(Old) <= 1'] },
      }),
      facts(to, {
        files: [
          { ...file, digest: '2' },
          { ...file, path: '/usr/share/doc/a-2-5.el7_4/x' },
        ],
        scripts: { postin: '/bin/sh\necho 2-5.el7_4' },
        // One that has the same release by chance stays as it is.
        dependencies: { provide: ['a = 1:2-5.el7_4'], require: ['b', 'c = 2-5.el7'] },
      }),
    );
    assert.ok(same.every(({ expected }) => expected));
    assert.equal(same.length, 4);

    for (const [change, what] of [
      [{ mode: 0o100711 }, '/usr/bin/a: mode 100755 → 100711'],
      [{ mode: 0o104755 }, '/usr/bin/a: mode 100755 → 104755'],
      [{ user: 'bin' }, '/usr/bin/a: user root → bin'],
      [{ flags: 1 }, '/usr/bin/a: flags 0 → 1'],
      [{ caps: 'cap_net_raw=ep' }, '/usr/bin/a: capabilities none → cap_net_raw=ep'],
      [{ link: 'b' }, '/usr/bin/a: link to  → b'],
    ] as const)
      assert.deepEqual(told(comparePackage(facts(from), facts(to, { files: [{ ...file, ...change }] }))), [
        [what, false],
      ]);
    assert.deepEqual(
      told(comparePackage(facts(from), facts(to, { files: [{ ...file, path: '/usr/bin/b' }] }))),
      [
        ['/usr/bin/a: removed', false],
        ['/usr/bin/b: added', false],
      ],
    );
    const scripts = { preun: '/bin/sh\nrm -rf /' };
    assert.deepEqual(told(comparePackage(facts(from), facts(to, { scripts }))), [['%preun: added', false]]);
    const dependencies = { require: ['evil'] };
    assert.deepEqual(told(comparePackage(facts(from), facts(to, { dependencies }))), [
      ['require evil: added', false],
    ]);
  });

  it('of a security release: what was planned, word for word, and nothing else', () => {
    const digest = (n: number) => `sha256:${String(n).repeat(64)}`;
    const one = (evra: string, n: number) => ({ evra, digest: digest(n) });
    const base = {
      metadata: { generated: '', rpmmd_repos: {} },
      packages: { a: one('1-5.el7_4.noarch', 1), b: one('2-1.noarch', 2), c: one('3-1.noarch', 3) },
    };
    const plan = { pin: { a: '1-6.el7.noarch', d: '1-1.noarch' }, drop: ['c'] };
    const compare = (found: Parameters<typeof comparePlan>[1], disttag?: string) =>
      comparePlan(base, found, plan, disttag).map(({ subject, expected }) => `${subject} ${expected}`);
    const { b } = base.packages;
    const good = { a: one('1-6.el7_4.noarch', 4), b, d: one('1-1.noarch', 5) };
    assert.deepEqual(compare(good, '.el7_4'), ['a true', 'c true', 'd true']);
    // Without a rebuild the dist tag must be the same too.
    assert.deepEqual(compare(good), ['a false', 'c true', 'd true']);
    assert.deepEqual(compare({ ...good, b: one('2-1.noarch', 9) }, '.el7_4'), [
      'a true',
      'b false',
      'c true',
      'd true',
    ]);
    assert.deepEqual(compare({ ...good, e: one('1-1.noarch', 9) }, '.el7_4').at(-1), 'e false');
    assert.deepEqual(compare({ a: base.packages.a, b, c: base.packages.c }, '.el7_4'), [
      'a false',
      'c false',
      'd false',
    ]);
  });

  describe('of trees', () => {
    const entry = (change: Partial<TreeEntry> = {}): TreeEntry => ({
      ...{ type: '-', mode: '00644', owner: '0:0', xattrs: '', content: '1', link: '' },
      ...change,
    });
    const context = {
      rebuiltPaths: ['/etc/a.conf', '/bin/a', '/usr/lib/.build-id/00/1'],
      renewed: [[from, to]] as const,
      expected: ['/usr/lib/issue*'],
    };
    const compare = (path: string, old: TreeEntry | null, fresh: TreeEntry | null) =>
      compareTrees([{ path, old, new: fresh }], context).map(({ expected }) => expected);

    it('expects other content of rebuilt packages and generated files, and what the stream names', () => {
      const changed = (path: string) => compare(path, entry(), entry({ content: '2' }));
      for (const path of [
        '/usr/etc/a.conf',
        '/usr/bin/a',
        '/usr/share/rpm/rpmdb.sqlite',
        '/usr/etc/ld.so.cache',
        '/usr/lib/modules/5/initramfs.img',
        '/usr/lib/issue.net',
      ])
        assert.deepEqual(changed(path), [true], path);
      for (const path of ['/usr/bin/b', '/usr/etc/shadow', '/usr/share/rpmx', '/lib/issue'])
        assert.deepEqual(changed(path), [false], path);
      assert.deepEqual(compare('/usr/lib/issue.net', entry(), null), [true]);
    });

    it('expects of a planned package that files, their folders and what is generated beside them come and go', () => {
      const planned = ['/lib/modules/6', '/lib/modules/6/kernel/a.ko', '/usr/share/new/deep/file'];
      const added = (path: string, type = '-') =>
        compareTrees([{ path, old: null, new: entry({ type }) }], { ...context, reworkedPaths: planned }).map(
          ({ expected }) => expected,
        );
      assert.deepEqual(added('/usr/lib/modules/6/kernel/a.ko'), [true]);
      assert.deepEqual(added('/usr/lib/modules/6/initramfs.img'), [true]);
      assert.deepEqual(added('/usr/lib/modules/6/kernel', 'd'), [true]);
      assert.deepEqual(added('/usr/share/new', 'd'), [true]);
      // Not in its name alone: another package's, or of no package.
      for (const path of ['/usr/lib/modules/7/initramfs.img', '/usr/lib/modules/6/evil', '/usr/share/new'])
        assert.deepEqual(added(path), [false], path);
      assert.deepEqual(added('/usr/share/other', 'd'), [false]);
    });

    it('expects no other mode, owner, type, attribute, link or presence, of no file', () => {
      for (const change of [
        { mode: '04755' },
        { owner: '1:0' },
        { type: 'l' },
        { xattrs: 'x' },
        { link: 'y' },
      ])
        for (const path of ['/usr/bin/a', '/usr/share/rpm/rpmdb.sqlite'])
          assert.deepEqual(compare(path, entry(), entry(change)), [false], JSON.stringify(change));
      for (const path of ['/usr/bin/a', '/usr/bin/new', '/usr/lib/.build-id/00/2']) {
        assert.deepEqual(compare(path, entry(), null), [false]);
        assert.deepEqual(compare(path, null, entry()), [false]);
      }
      assert.deepEqual(compare('/usr/lib/.build-id/00/1', null, entry({ type: 'l' })), [true]);
    });

    it('follows paths with the release in them', () => {
      const [was, is] = ['/usr/lib/modules/2-5.el7.x86_64', '/usr/lib/modules/2-5.el7_4.x86_64'];
      const folder = entry({ type: 'd', content: '' });
      const entries = (mode: string) => [
        { path: was, old: folder, new: null },
        { path: `${was}/modules.dep`, old: entry(), new: null },
        { path: is, old: null, new: folder },
        { path: `${is}/modules.dep`, old: null, new: entry({ content: '2', mode }) },
      ];
      assert.ok(compareTrees(entries('00644'), context).every(({ expected }) => expected));
      const found = compareTrees(entries('00666'), context).filter(({ expected }) => !expected);
      assert.deepEqual(told(found), [['mode 00644 → 00666', false]]);
    });
  });
});
