/** What the signing role signs, and what it refuses: real gpg, rpm, createrepo, ostree and a web server. */
import assert from 'node:assert/strict';
import { copyFile, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { signPackagesActivities } from '../../src/activities/sign-packages.js';
import { sha256 } from '../../src/store/checksums.js';
import type { Lockfile } from '../../src/domain/lockfile.js';
import { rebuildPackages } from '../../src/domain/rebuild-packages.js';
import type { ReworkChanges } from '../../src/domain/rework-changes.js';
import { signingHome } from '../../src/keys/gpg.js';
import { rpmsignCommand } from '../../src/rebuild/sign-rpms.js';
import { needJson, readJson, writeJson } from '../../src/store/store.js';
import { at } from '../keys/people.js';
import { runActivity } from '../steps/activity.js';
import { barSpec, Fixture, fooSpec, type Attempt } from './fixture.js';

describe('signing the packages of a rebuild', function () {
  let f: Fixture;
  let locked: Lockfile;
  /** As reimzul made it. */
  let foo: string;
  let runs = 0;
  const srpm = 'foo-1-5.el7.src.rpm';

  before(async () => {
    f = await Fixture.make();
    locked = await f.accept([fooSpec('5.el7'), barSpec]);
    foo = await f.rpm(fooSpec('5.el7_4'));
  });
  after(() => f.remove());
  beforeEach(async () => {
    await f.forget();
    await f.declare();
    await rm(f.s.at('state/www/results'), { recursive: true, force: true });
    await f.say('ann', 'promote');
    await f.say('bob');
  });

  /** An attempt in which all is right. */
  async function begin(change: { rpm?: string; srpm?: string } = {}): Promise<Attempt> {
    const attempt = await f.attempt(`run-${++runs}`, locked, ['foo']);
    await f.rebuilt(attempt, change.srpm ?? srpm, [change.rpm ?? foo]);
    return attempt;
  }
  const sign = (attempt: Attempt) => runActivity(signPackagesActivities(f.host).signPackages, attempt.args);
  const record = (attempt: Attempt) => needJson(join(attempt.folder, 'packages.json'), rebuildPackages);
  /** What a refusal leaves: nothing that is signed by us, no record, no copy. */
  async function nothingSigned({ folder }: Attempt, packages = ['bar-2-1.el7.noarch.rpm']): Promise<void> {
    assert.deepEqual(await readdir(join(folder, 'packages')), packages);
    assert.equal(await readJson(join(folder, 'packages.json'), rebuildPackages), undefined);
    assert.ok(!(await readdir(folder)).includes('packages.signing'));
  }
  async function refused(
    attempt: Attempt,
    type: string,
    message: RegExp,
    packages?: string[],
  ): Promise<void> {
    await assert.rejects(sign(attempt), { type, nonRetryable: true, message });
    await nothingSigned(attempt, packages);
  }
  const checksig = async (key: string, file: string) => {
    const keyring = f.s.at('check');
    await rm(keyring, { recursive: true, force: true });
    await f.s.step.run(['rpmkeys', '--dbpath', keyring, '--import', f.s.at(key)]);
    const check = ['--define', '_pkgverify_level all', '--checksig', file];
    const { exitCode } = await f.s.step.run(['rpmkeys', '--dbpath', keyring, ...check], { okCodes: [0, 1] });
    return exitCode === 0;
  };

  it('signs the rebuilt ones, keeps the accepted ones, and signs the index', async () => {
    const attempt = await begin();
    const before = await sha256(foo);
    assert.deepEqual(await sign(attempt), { rebuilt: 1, accepted: 1, key: f.rpmKey });
    const at = (...parts: string[]) => join(attempt.folder, 'packages', ...parts);
    const { foo: ours, bar, ...more } = await record(attempt);
    assert.deepEqual(more, {});
    assert.equal(ours?.file, 'foo-1-5.el7_4.noarch.rpm');
    assert.equal(ours.digest, `sha256:${await sha256(at(ours.file))}`);
    assert.equal(ours.origin, 'rebuilt');
    assert.equal(ours.key, f.rpmKey);
    assert.equal(ours.sourcerpm, 'foo-1-5.el7_4.src.rpm');
    assert.deepEqual(bar, {
      ...{ file: 'bar-2-1.el7.noarch.rpm', evra: '2-1.el7.noarch', origin: 'accepted' },
      ...{ digest: locked.packages.bar?.digest, sourcerpm: 'bar-2-1.el7.src.rpm' },
    });
    assert.ok(await checksig('rpm-key.asc', at(ours.file)));
    assert.ok(!(await checksig('repo-key.asc', at(ours.file))));
    assert.ok(await checksig('repo-key.asc', at(bar.file)));
    const repomd = at('repodata/repomd.xml');
    const verify = ['gpg', '--homedir', signingHome(f.s.at('state')), '--batch', '--status-fd', '1'] as const;
    const { stdout } = await f.s.step.run([...verify, '--verify', `${repomd}.asc`, repomd]);
    assert.match(stdout, new RegExp(`VALIDSIG ${f.rpmKey}`));
    assert.ok((await readdir(at('repodata'))).some((name) => name.endsWith('primary.xml.gz')));
    // What was fetched is as it was.
    assert.equal(await sha256(join(attempt.folder, 'rebuilt/foo-1-5.el7/foo-1-5.el7_4.noarch.rpm')), before);
  });

  it('done again keeps what is signed', async () => {
    const attempt = await begin();
    await sign(attempt);
    const first = await record(attempt);
    await sign(attempt);
    assert.deepEqual(await record(attempt), first);
  });

  it('goes on after a kill in the middle, whatever that left', async () => {
    const attempt = await begin();
    const at = (...parts: string[]) => join(attempt.folder, ...parts);
    // Signed copies and an index that were not put in their place, and a torn file that was (the machine's power went).
    await cp(foo, at('packages.signing/foo-1-5.el7_4.noarch.rpm'), { recursive: true });
    await cp(foo, at('packages.index/repodata/repomd.xml'), { recursive: true });
    await cp(foo, at('packages/repodata/repomd.xml'), { recursive: true });
    await writeFile(at('packages/foo-1-5.el7_4.noarch.rpm'), (await readFile(foo)).subarray(0, 3000));
    await sign(attempt);
    const { foo: ours } = await record(attempt);
    assert.ok(ours && (await checksig('rpm-key.asc', at('packages', ours.file))));
    assert.deepEqual((await readdir(at('packages'))).sort(), [
      'bar-2-1.el7.noarch.rpm',
      'foo-1-5.el7_4.noarch.rpm',
      'repodata',
    ]);
    assert.ok(!(await readdir(attempt.folder)).some((name) => /signing|index/.test(name)));
    await rm(at('packages.json'));
    await rm(at('packages/repodata'), { recursive: true });
    await sign(attempt);
    assert.deepEqual((await record(attempt)).foo, ours);
  });

  it('signs again what another key has signed, or what has another content', async () => {
    const attempt = await begin();
    const there = join(attempt.folder, 'packages/foo-1-5.el7_4.noarch.rpm');
    await copyFile(foo, there);
    await f.sign(there);
    await sign(attempt);
    assert.ok(await checksig('rpm-key.asc', there));
    const other = await f.rpm({ ...fooSpec('5.el7_4'), post: 'echo other' });
    await copyFile(other, there);
    const key = { home: signingHome(f.s.at('state')), fingerprint: f.rpmKey, file: '', user: '' };
    await f.s.step.run(rpmsignCommand(key, [there]));
    await sign(attempt);
    const { stdout } = await f.s.step.run(['rpm', '-qp', '--nosignature', '--scripts', there]);
    assert.match(stdout, /echo 1-5\.el7_4/);
  });

  describe('refuses', () => {
    it('an RPM that was altered after reimzul, though its record says the same', async () => {
      const attempt = await begin();
      const other = await f.rpm({ ...fooSpec('5.el7_4'), post: 'echo tampered' });
      const there = join(attempt.folder, 'rebuilt/foo-1-5.el7');
      await copyFile(other, join(there, 'foo-1-5.el7_4.noarch.rpm'));
      await refused(attempt, 'RebuildWrong', /is sha256:\w+, but was fetched as sha256:/);
      const result = JSON.parse(await readFile(join(there, 'result.json'), 'utf8')) as { packages: object[] };
      result.packages = result.packages.map((one) => ({ ...one, digest: '' }));
      for (const one of result.packages) Object.assign(one, { digest: `sha256:${await sha256(other)}` });
      await writeJson(join(there, 'result.json'), result);
      await refused(attempt, 'RebuildWrong', /but the build system's repo has sha256:/);
    });

    it('one that the repo of results has of another time only, or not at all', async () => {
      const attempt = await begin();
      const results = f.s.at('state/www/results/tiny.x86_64');
      await f.s.step.run(['mv', join(results, 'foo/20261123101112'), join(results, 'foo/20261123101113')]);
      await f.indexResults();
      await refused(attempt, 'RebuildWrong', /repo has no such package of 20261123101112/);
      await rm(join(results, 'foo'), { recursive: true });
      await f.indexResults();
      await refused(attempt, 'RebuildWrong', /repo has no such package/);
    });

    it('nothing when that repo is away: it is asked again', async () => {
      const attempt = await begin();
      await rm(f.s.at('state/www/results/tiny.x86_64/repodata'), { recursive: true });
      await assert.rejects(sign(attempt), { type: 'ReimzulAway', nonRetryable: false });
      await nothingSigned(attempt);
    });

    it('another version, another release, another source, another package', async () => {
      const version = await begin({ rpm: await f.rpm({ ...fooSpec('5.el7_4'), version: '2' }) });
      await refused(version, 'RebuildWrong', /is 2-5\.el7_4\.noarch, but 1-5\.el7\.noarch was approved/);
      const release = await begin({ rpm: await f.rpm(fooSpec('6.el7_4')) });
      await refused(release, 'RebuildWrong', /is 1-6\.el7_4\.noarch/);
      const epoch = await begin({
        rpm: await f.rpm({ ...fooSpec('5.el7_4'), preamble: 'Epoch: 1\nRequires: bar' }),
      });
      await refused(epoch, 'RebuildWrong', /is 1:1-5\.el7_4\.noarch/);
      const quux = await f.rpm({
        ...{ name: 'quux', release: '5.el7_4', files: '%files -n foo' },
        preamble: '%package -n foo\nSummary: x\n%description -n foo\nx',
      });
      const source = await begin({ rpm: join(dirname(quux), 'foo-1-5.el7_4.noarch.rpm') });
      await refused(
        source,
        'RebuildWrong',
        /was built from quux-1-5\.el7_4\.src\.rpm, not from foo-1-5\.el7\.src\.rpm/,
      );
      const other = await begin();
      await f.rebuilt(other, 'baz-1-1.el7.src.rpm', [await f.rpm({ name: 'baz', release: '1.el7_4' })]);
      await refused(
        other,
        'RebuildWrong',
        /baz-1-1\.el7_4\.noarch\.rpm: the approved lockfile has no package baz/,
      );
    });

    it('a file beside the results, or one in `packages/` that nobody approved', async () => {
      const attempt = await begin();
      const stray = join(attempt.folder, 'rebuilt/foo-1-5.el7/stray.rpm');
      await copyFile(foo, stray);
      await refused(attempt, 'RebuildWrong', /does not name stray\.rpm/);
      await rm(stray);
      await copyFile(foo, join(attempt.folder, 'packages/evil-1-1.noarch.rpm'));
      await refused(attempt, 'LockfileDrift', /nobody approved: evil-1-1/, [
        'bar-2-1.el7.noarch.rpm',
        'evil-1-1.noarch.rpm',
      ]);
    });

    it('too few statements, a veto, a removed approver, a forged statement', async () => {
      const attempt = await begin();
      await f.forget();
      await f.say('ann', 'promote');
      await refused(attempt, 'StatementRefused', /1 of 2 signed statements/);
      await f.people.join('eve');
      await f.say('eve');
      await refused(attempt, 'StatementRefused', /1 of 2 signed statements/);
      const bob = await f.say('bob');
      const dan = await f.people.join('dan');
      await f.declare({ approvers: [...f.approvers.slice(0, 1), dan] });
      await refused(attempt, 'StatementRefused', /1 of 2 signed statements/);
      await f.declare();
      const text = await readFile(bob, 'utf8');
      await writeFile(bob, text.replace('"onto": null', '"onto": "20261101_01"'));
      await refused(attempt, 'StatementRefused', /1 of 2 signed statements/);
      await writeFile(bob, text);
      await f.say('bob', 'reject');
      await refused(attempt, 'StatementRefused', /rejected by bob/);
    });

    it('statements about another commit or another former release', async () => {
      const attempt = await begin();
      await refused(
        { ...attempt, args: { ...attempt.args, onto: '20261101_01' } },
        'StatementRefused',
        /0 of 2/,
      );
      const file = join(attempt.folder, 'accepted-run.json');
      const run = JSON.parse(await readFile(file, 'utf8')) as object;
      await writeJson(file, { ...run, commit: 'ab'.repeat(32) });
      await refused(attempt, 'StatementRefused', /0 of 2/);
      await writeJson(file, { ...run, build: '20261121_01' });
      await refused(attempt, 'LockfileDrift', /is of tiny 20261121_01/);
    });

    it('a lockfile that was altered, in the accepted build or for the rebuild', async () => {
      const attempt = await begin();
      const { bar } = locked.packages;
      assert.ok(bar);
      const altered = (change: object): Lockfile => ({
        ...locked,
        packages: { ...locked.packages, bar: { ...bar, ...change } },
      });
      const accepted = join(attempt.folder, 'accepted.json');
      await writeJson(accepted, altered({ digest: `sha256:${'ab'.repeat(32)}` }));
      await refused(attempt, 'LockfileDrift', /bar: digest sha256:abab/);
      const { bar: _, ...less } = locked.packages;
      await writeJson(accepted, { ...locked, packages: less });
      await refused(attempt, 'LockfileDrift', /bar: 2-1\.el7\.noarch is missing/);

      const own = f.s.at('state/store/tiny/runs/accepted-run/x86_64/lockfile.json');
      const both = async (change: object) => {
        await writeJson(own, altered(change));
        await writeJson(accepted, altered(change));
      };
      try {
        await both({ digest: `sha256:${'ab'.repeat(32)}` });
        await refused(attempt, 'LockfileDrift', /is not the one that its commit was made from/);
        // The hash of the inputs has no versions in it: the package itself has.
        await both({ sourcerpm: 'bar-3-1.el7.src.rpm' });
        await refused(attempt, 'LockfileDrift', /bar: the lockfile says 2-1.el7.noarch of bar-3-1/);
      } finally {
        await writeJson(own, locked);
      }
    });

    it('a commit object that was altered', async () => {
      const attempt = await begin();
      const object = f.s.at(
        'state/store/tiny/repo/objects',
        f.accepted.slice(0, 2),
        `${f.accepted.slice(2)}.commit`,
      );
      const content = await readFile(object);
      try {
        await writeFile(
          object,
          Buffer.from(content.toString('latin1').replace(f.inputHash, 'ab'.repeat(32)), 'latin1'),
        );
        await refused(attempt, 'LockfileDrift', /was altered: it is/);
      } finally {
        await writeFile(object, content);
      }
    });

    it('a missing, expired or foreign key', async () => {
      const attempt = await begin();
      await f.declare({ rpmKey: f.s.at('repo-key.asc') });
      await refused(attempt, 'KeyMissing', /no private key for/);
      const home = signingHome(f.s.at('state'));
      await f.makeKey(home, 'Old', 'old.asc', 'ed25519', '1d', ...at('20200101T000000'));
      await f.declare({ rpmKey: f.s.at('old.asc') });
      await refused(attempt, 'KeyMissing', /expired on 2020-01-02/);
      await f.declare({ rpmKey: f.s.at('none.asc') });
      await refused(attempt, 'KeyMissing', /no such key file/);
    });
  });

  describe('after an approved rework', () => {
    it('takes the pinned package and leaves out the dropped one, and no other', async () => {
      const fresh = await f.rpm({ ...barSpec, release: '2.el7' });
      const { foo: old } = locked.packages;
      assert.ok(old);
      const bar = { evra: '2-2.el7.noarch', digest: `sha256:${await sha256(fresh)}`, repo: 'base' };
      const pinned: Lockfile = { ...locked, packages: { foo: old, bar } };
      await copyFile(fresh, join(f.pool(), 'bar-2-2.el7.noarch.rpm'));
      const attempt = await f.attempt(`run-${++runs}`, pinned, ['foo']);
      await f.rebuilt(attempt, srpm, [foo]);
      const packages = ['bar-2-2.el7.noarch.rpm'];
      await refused(attempt, 'LockfileDrift', /bar: evra 2-2\.el7\.noarch/, packages);
      const reworked = (of: Attempt, changes: ReworkChanges): Attempt => ({
        ...of,
        args: { ...of.args, attempt: 2, kind: 'rework', changes },
      });
      const pin = { pin: { bar: '2-2.el7.noarch' }, drop: [], files: 'accepted' } as const;
      const drop = { pin: {}, drop: ['bar'], files: 'accepted' as const };
      const asked = reworked(attempt, { ...pin, drop: [] });
      // Nobody has asked for it, or for something else.
      await refused(asked, 'StatementRefused', /0 of 1 signed statements for this rework/, packages);
      await f.say('ann', 'rework', { attempt: 1, reuse: false, changes: drop });
      await refused(asked, 'StatementRefused', /0 of 1 signed statements for this rework/, packages);
      await f.say('ann', 'rework', { attempt: 1, reuse: false, changes: { ...pin, drop: [] } });
      await refused(asked, 'PackageSignature', /not signed by a key of base: bar-2-2/, packages);
      await f.sign(fresh);
      const signed = { ...bar, digest: `sha256:${await sha256(fresh)}` };
      await writeJson(join(attempt.folder, 'accepted.json'), {
        ...locked,
        packages: { foo: old, bar: signed },
      });
      await copyFile(fresh, join(attempt.folder, 'packages', packages[0]!));
      await sign(asked);
      assert.equal((await record(attempt)).bar?.evra, '2-2.el7.noarch');

      await f.say('ann', 'rework', { attempt: 1, reuse: false, changes: drop });
      const less = await f.attempt(`run-${++runs}`, { ...locked, packages: { foo: old } }, ['foo']);
      await f.rebuilt(less, srpm, [foo]);
      assert.deepEqual(await sign(reworked(less, drop)), { rebuilt: 1, accepted: 0, key: f.rpmKey });
    });
  });
});
