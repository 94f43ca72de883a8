/** Versions of rebuilt packages. */
import assert from 'node:assert/strict';
import { evrFits, releaseFits } from '../../src/domain/rebuild.js';
import { comparedEvra } from '../../src/domain/rebuild-packages.js';

describe('a rebuilt release', () => {
  const fits = (accepted: string, rebuilt: string, disttag = '.el7_4') =>
    releaseFits(accepted, rebuilt, disttag);

  it('is the accepted one with the dist tag in its place', () => {
    for (const accepted of ['1', '1.el7', '1.el7_3', '1.el7_4', '1.el7.centos', '1.fc27'])
      assert.ok(fits(accepted, '1.el7_4'), accepted);
    assert.ok(fits('1.el7.2', '1.el7_4.2'));
    assert.ok(fits('0.3.git1a2b.el7', '0.3.git1a2b.el7_4'));
    assert.ok(fits('1.2', '1.2.el7_4'));
    assert.ok(fits('1', '1'), 'a spec without a dist tag');
    assert.ok(fits('0.3.git1a2b', '0.3.git1a2b'));
  });

  it('is no other one', () => {
    for (const [accepted, rebuilt] of [
      ...[
        ['1.el7', '2.el7_4'],
        ['1.el7', '1.el7'],
        ['1.fc27', '1.fc27'],
        ['1.el7', '1.el8'],
      ],
      ...[
        ['1.el7', '1.el7_42'],
        ['1', '1.el7'],
        ['1.el7.2', '1.el7_4'],
        ['1.el7.2', '1.el7_4.3'],
      ],
      ...[
        ['11.el7', '1.el7_4'],
        ['1', '11.el7_4'],
        ['1.el7', '1.el7_4.el7_4x'],
      ],
    ] as [string, string][])
      assert.ok(!fits(accepted, rebuilt), `${accepted} → ${rebuilt}`);
  });

  it('has the same epoch and version', () => {
    const same = (accepted: string, rebuilt: string) => evrFits(accepted, rebuilt, '.el7_4');
    assert.ok(same('1.0-1.el7', '1.0-1.el7_4'));
    assert.ok(same('2:1.0-1.el7', '2:1.0-1.el7_4'));
    assert.ok(same('0:1.0-1', '1.0-1'));
    assert.ok(!same('1:1.0-1.el7', '1.0-1.el7_4'));
    assert.ok(!same('1.0-1.el7', '1.1-1.el7_4'));
    assert.ok(!same('', ''));
  });
});

describe('a package that is compared with repos and advisories', () => {
  const digest = `sha256:${'a'.repeat(64)}` as const;
  const record = (origin: 'rebuilt' | 'accepted', accepted?: string) => ({
    foo: { file: 'foo.rpm', evra: '5-1.tl1.noarch', digest, origin, ...(accepted ? { accepted } : {}) },
  });
  const locked = { evra: '5-1.tl1.noarch' };
  const before = {
    metadata: { generated: '', rpmmd_repos: {} },
    packages: { foo: { evra: '5-1.el7.noarch', digest } },
  };

  it('counts as the one that it was rebuilt for, and otherwise as itself', () => {
    assert.equal(comparedEvra('foo', locked, record('rebuilt', '5-1.noarch'), before), '5-1.noarch');
    assert.equal(comparedEvra('foo', locked, record('rebuilt'), before), '5-1.el7.noarch');
    assert.equal(comparedEvra('foo', locked, record('rebuilt'), undefined), locked.evra);
    assert.equal(comparedEvra('foo', locked, record('accepted'), before), locked.evra);
    assert.equal(comparedEvra('foo', locked, undefined, before), locked.evra);
    assert.equal(comparedEvra('constructor', locked, {}, undefined), locked.evra);
  });
});
