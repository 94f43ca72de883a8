import assert from 'node:assert/strict';
import { evrOfDebian, evrText, parseControl, relations } from '../../src/sample/deb.js';
import { specText, type Spec } from '../../src/sample/spec.js';

describe('Debian versions as RPM versions', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['1.2-3', '1.2-3'],
    ['2:1.02.185-2', '2:1.02.185-2'],
    ['1.2', '1.2-0'],
    ['20250419~deb12u2', '20250419~deb12u2-0'],
    ['4.4.3-P1-2', '4.4.3.P1-2'],
    ['5.2.15-2+b13', '5.2.15-2+b13'],
    ['0:3.134', '3.134-0'],
  ];
  for (const [debian, rpm] of cases)
    it(`${debian} is ${rpm}`, () => {
      assert.equal(evrText(evrOfDebian(debian)), rpm);
    });

  it('refuses what is not a version', () => {
    for (const text of ['', '1.0 -1', '1.0-1;id', '1.0-%{lua:x}', '$(id)'])
      assert.throws(() => evrOfDebian(text), /not a Debian version/, text);
  });
});

describe('Debian relations as RPM dependencies', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['libc6 (>= 2.34), libgcc-s1', ['libc6 >= 2.34', 'libgcc-s1']],
    ['aa | bb (>= 1:2-3)', ['(aa or bb >= 1:2-3)']],
    // dpkg compares with `-0` where no revision is given; RPM would take any.
    ['aa (>> 1.0)', ['aa > 1.0-0']],
    ['aa (<= 1.0)', ['aa <= 1.0-0']],
    ['aa (<< 1.0~)', ['aa < 1.0~']],
    ['python3:any', ['python3']],
    ['ostree (= 2022.7-2+deb12u1)', ['ostree = 2022.7-2+deb12u1']],
    ['', []],
  ];
  for (const [debian, rpm] of cases)
    it(JSON.stringify(debian), () => {
      assert.deepEqual(relations(debian), rpm);
    });

  it('refuses what could be more than a relation', () => {
    for (const text of ['aa; rm -rf /', 'aa %{lua:x}', 'aa\nProvides: b', 'A', 'a'])
      assert.throws(() => relations(text), /not a Debian relation/, text);
  });
});

describe('A control file', () => {
  it('keeps continuation lines and ends at the first empty line', () => {
    const control = parseControl('Package: a\nDescription: one\n two\n .\n three\n\nPackage: b\n');
    assert.deepEqual(control, { Package: 'a', Description: 'one\ntwo\n.\nthree' });
  });
});

describe('A spec file', () => {
  const spec: Spec = {
    name: 'a',
    evr: { epoch: 1, version: '2', release: '3' },
    arch: 'noarch',
    summary: 'all %{lua:os.exit()} of\nit',
    requires: ['b >= 1'],
    provides: [],
    posttrans: undefined,
    files: [
      { path: '/usr/bin/[', type: 'file', mode: 0o4755, user: 'root', group: 'root', config: false },
      { path: '/etc/a b', type: 'file', mode: 0o640, user: 'root', group: 'shadow', config: true },
      { path: '/usr/share/%x', type: 'directory', mode: 0o755, user: 'root', group: 'root', config: false },
    ],
  };
  const text = specText(spec);
  it('takes its files from a tarball where there is one, and then a dist tag', () => {
    const source = specText(spec, 'a-2.tar.gz');
    assert.match(source, /^Source0: a-2\.tar\.gz$/m);
    assert.match(source, /^Release: 3%\{\?dist\}$/m);
    assert.match(source, /^%prep\n%setup -q\n%install\n/m);
    assert.match(text, /^Release: 3$/m);
    assert.doesNotMatch(text, /^(Source0|%prep|%install)/m);
  });
  it('has no macro and no line of a package in it', () => {
    assert.match(text, /^Summary: all %%\{lua:os\.exit\(\)\} of it$/m);
  });
  it('matches special characters of paths by `?` and keeps modes', () => {
    assert.match(text, /^%attr\(4755, root, root\) "\/usr\/bin\/\?"$/m);
    assert.match(text, /^%config\(noreplace\) %attr\(0640, root, shadow\) "\/etc\/a b"$/m);
    assert.match(text, /^%dir %attr\(0755, root, root\) "\/usr\/share\/\?x"$/m);
  });
});
