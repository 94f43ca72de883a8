/** The build of a security case up to its packages and tree: real packages, dnf, RPM databases, commits, statements and signatures. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { composeActivities } from '../../src/activities/compose.js';
import { equivalenceActivities } from '../../src/activities/equivalence.js';
import { fixActivities, type PlannedFix } from '../../src/activities/fix.js';
import { frozenStream } from '../../src/host.js';
import { rebuildActivities } from '../../src/activities/rebuild.js';
import { signPackagesActivities } from '../../src/activities/sign-packages.js';
import { sha256 } from '../../src/store/checksums.js';
import { signActivities } from '../../src/activities/sign.js';
import { equivalence } from '../../src/domain/equivalence.js';
import { lockfile, type Lockfile } from '../../src/domain/lockfile.js';
import { rebuildPackages } from '../../src/domain/rebuild-packages.js';
import type { Fix } from '../../src/domain/security.js';
import type { ApprovedArgs } from '../../src/domain/inputs.js';
import { rebuildPlan } from '../../src/rebuild/plan.js';
import { needJson, writeJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import type { Fields } from '../keys/people.js';
import { acceptedBuild, arch, barSpec, Fixture, fooSpec, type Rpm } from './fixture.js';

const base = '20261121_01';
const about = '20261123-1';
const bazSpec: Rpm = { name: 'baz', release: '1.el7' };
const foo = (release: string, requires = 'bar >= 1'): Rpm => ({
  ...fooSpec(release),
  preamble: `Requires: ${requires}\nProvides: virtual(foo) = 1-%{release}`,
});
const bar = (version: string, preamble = ''): Rpm => ({
  ...barSpec,
  version,
  // What the scripts of foo need.
  preamble: `Provides: /bin/sh\n${preamble}`,
});

describe('the build of a security case', function () {
  this.timeout('3m');
  let f: Fixture;
  let released: { commit: string; locked: Lockfile };
  let runs = 0;

  before(async () => {
    f = await Fixture.make();
    const pool = async () => (await readdir(f.pool())).map((name) => join(f.pool(), name));
    const locked = await f.accept([fooSpec('5.el7'), bar('2'), bazSpec], async (folder) =>
      f.compose(folder, await pool()),
    );
    await f.say('ann', 'promote');
    await f.say('bob');
    const attempt = await f.attempt('run-base', locked, ['foo']);
    await f.rebuilt(attempt, 'foo-1-5.el7.src.rpm', [await f.rpm(fooSpec('5.el7_4'))]);
    released = await f.release(attempt, base);
  });
  after(() => f.remove());
  beforeEach(async () => {
    await f.forget();
    await f.declare();
    for (const folder of ['rpms', 'sources', 'results'])
      await rm(f.s.at('state/www', folder), { recursive: true, force: true });
  });

  const steps = () => fixActivities(f.host);
  const fixOf = (name: string, evr: string, advisories = ['CESA-2026:1']): Fix => ({ name, evr, advisories });

  interface Case {
    readonly args: {
      readonly stream: string;
      readonly run: string;
      readonly step: string;
      readonly case: string;
    };
    readonly folder: string;
    readonly at: (...parts: string[]) => string;
  }
  async function begin(stream = 'tiny.signed'): Promise<Case> {
    const args = { stream, run: `fix-${++runs}`, step: 'fix', case: about };
    await runActivity(steps().loadFix, { ...args, attempt: 1 });
    const folder = f.host.store.archDir(args, arch);
    return { args, folder, at: (...parts) => join(folder, ...parts) };
  }
  const plan = ({ args }: Case, fixes: readonly Fix[], srpms?: Record<string, string>): Promise<PlannedFix> =>
    runActivity(steps().planFix, { ...args, arch, fixes, srpms });
  const refused = (of: Case, fixes: readonly Fix[], type: string, message: RegExp) =>
    assert.rejects(plan(of, fixes), { type, nonRetryable: true, message });
  const lockedOf = (of: Case, name = 'accepted.json') => needJson(of.at(name), lockfile);

  describe('begins', () => {
    it('from the release: its tree, its commit as parent, packages of its own', async () => {
      const of = await begin();
      const again = await runActivity(steps().loadFix, { ...of.args, attempt: 1 });
      assert.equal(again.base, base);
      assert.deepEqual(again.commits, { [arch]: released.commit });
      assert.equal(again.rebuilds, true);
      const stream = await frozenStream(f.host, of.args);
      assert.equal(stream.publish.buildlogs.url, `${f.web.url}/mirror`);
      assert.equal(stream.ref, 'tiny/${arch}/standard');
      assert.deepEqual(
        stream.repos.map(({ id, baseurl }) => [id, baseurl]),
        [['base', `file://${dirname(of.folder)}/$basearch/packages`]],
      );
    });

    it('not where nothing is released, or in the wrong line', async () => {
      await assert.rejects(begin('tiny'), { type: 'StreamInvalid', message: /of the line tiny\.signed/ });
      const index = join(f.host.store.releasePublished('tiny'), 'releases.json');
      await copyFile(index, f.s.at('kept-index'));
      await rm(index);
      try {
        await assert.rejects(begin(), { type: 'BuildNotReleasable', message: /nothing is released/ });
      } finally {
        await copyFile(f.s.at('kept-index'), index);
      }
    });
  });

  describe('plans', () => {
    it('the fixed package alone, though the repos have more that is newer', async () => {
      await f.offer([foo('6.el7'), bar('3'), { ...bazSpec, version: '2' }], ['foo', 'bar']);
      const of = await begin();
      const planned = await plan(of, [fixOf('foo', '1-6.el7')]);
      assert.deepEqual(planned.changes, { pin: { foo: '1-6.el7.noarch' }, drop: [], files: 'accepted' });
      assert.deepEqual(planned.packages, [
        { name: 'foo', from: '1-5.el7_4.noarch', to: '1-6.el7.noarch', why: 'fix' },
      ]);
      assert.deepEqual(
        planned.sources.map(({ srpm, reused }) => [srpm, reused]),
        [['foo-1-6.el7.src.rpm', false]],
      );
      assert.equal(planned.accepted, 2);
      const { packages } = await lockedOf(of);
      const { foo: fresh, ...others } = packages;
      const { foo: _, ...before } = released.locked.packages;
      assert.deepEqual(others, before);
      assert.equal(fresh?.repo, 'now:base');
      assert.deepEqual(await readdir(of.at('packages')), [
        'bar-2-1.el7.noarch.rpm',
        'baz-1-1.el7.noarch.rpm',
      ]);
      assert.deepEqual(await readdir(of.at('accepted-packages')), ['foo-1-6.el7.noarch.rpm']);
      assert.deepEqual(await readdir(of.at('sources')), ['foo-1-6.el7.src.rpm']);
      assert.deepEqual((await needJson(of.at('plan.json'), rebuildPlan)).sources, planned.sources);
      // Another try plans the same.
      assert.deepEqual(await plan(of, [fixOf('foo', '1-6.el7')]), planned);
    });

    it('what a fix strictly needs, as its source is or is not there', async () => {
      await f.offer([foo('7.el7', 'bar >= 3'), bar('3'), { ...bazSpec, version: '2' }], ['foo']);
      const of = await begin();
      const planned = await plan(of, [fixOf('foo', '1-6.el7')]);
      assert.deepEqual(planned.packages, [
        { name: 'foo', from: '1-5.el7_4.noarch', to: '1-7.el7.noarch', why: 'fix' },
        { name: 'bar', from: '2-1.el7.noarch', to: '3-1.el7.noarch', why: 'needed' },
      ]);
      assert.deepEqual(
        planned.sources.map(({ name }) => name),
        ['foo'],
      );
      assert.deepEqual(await readdir(of.at('packages')), [
        'bar-3-1.el7.noarch.rpm',
        'baz-1-1.el7.noarch.rpm',
      ]);
    });

    it('a package that is added, one that is obsoleted, one that nothing asks for any more: all are named', async () => {
      const quux = { name: 'quux', release: '1.el7', preamble: 'Provides: /bin/sh\nObsoletes: bar < 3' };
      await f.offer([foo('6.el7', 'quux'), quux]);
      const { changes, packages } = await plan(await begin(), [fixOf('foo', '1-6.el7')]);
      assert.deepEqual(changes, {
        pin: { foo: '1-6.el7.noarch', quux: '1-1.el7.noarch' },
        drop: ['bar'],
        files: 'accepted',
      });
      assert.deepEqual(packages.slice(1), [
        { name: 'bar', from: '2-1.el7.noarch', to: null, why: 'needed' },
        { name: 'quux', from: null, to: '1-1.el7.noarch', why: 'needed' },
      ]);
      await rm(f.s.at('state/www/rpms'), { recursive: true });
      const { post: _, ...without } = foo('6.el7', 'baz');
      await f.offer([without]);
      const of = await begin();
      const left = await plan(of, [fixOf('foo', '1-6.el7')]);
      assert.deepEqual(left.changes, { pin: { foo: '1-6.el7.noarch' }, drop: ['bar'], files: 'accepted' });
      assert.deepEqual(await readdir(of.at('packages')), [
        'baz-1-1.el7.noarch.rpm',
        'foo-1-6.el7.noarch.rpm',
      ]);
      assert.equal((await lockedOf(of)).packages.bar, undefined);
    });

    it('nothing that cannot be installed, and says why', async () => {
      await f.offer([foo('6.el7', 'quux'), bar('3', 'Conflicts: baz')]);
      const of = await begin();
      await refused(of, [fixOf('foo', '1-6.el7')], 'DepsolveFailed', /nothing provides quux/);
      await refused(of, [fixOf('bar', '3-1.el7')], 'DepsolveFailed', /conflicts with baz/);
    });

    it('by the order of versions that RPM has: epochs, tildes, carets', async () => {
      await f.offer([bar('3~rc1'), bar('2^git1'), { ...bazSpec, preamble: 'Epoch: 1' }]);
      const of = await begin();
      await refused(of, [fixOf('bar', '3-1.el7')], 'FixNotFound', /bar: no repo has 3-1\.el7 or later/);
      const { changes } = await plan(of, [fixOf('bar', '2-2.el7'), fixOf('baz', '1:1-1.el7')]);
      assert.deepEqual(changes.pin, { bar: '3~rc1-1.el7.noarch', baz: '1:1-1.el7.noarch' });
      // Who names a version means that one.
      const named = await plan(of, [fixOf('bar', '2^git1-1.el7', [])]);
      assert.deepEqual(named.changes.pin, { bar: '2^git1-1.el7.noarch' });
      await refused(of, [fixOf('bar', '2-9.el7', [])], 'FixNotFound', /no repo has 2-9\.el7 \(there are: /);
    });

    it('nothing that the release has already, and nothing older', async () => {
      await f.offer([bar('1'), bar('2')]);
      const of = await begin();
      await refused(
        of,
        [fixOf('bar', '1-1.el7')],
        'FixNotFound',
        /bar: the release has 2-1\.el7, and 2-1\.el7 is/,
      );
      await refused(of, [fixOf('bar', '1-1.el7', [])], 'FixNotFound', /and 1-1\.el7 is no later version/);
      await refused(of, [fixOf('quux', '1-1')], 'FixNotFound', /quux: is not in the release/);
      await refused(of, [], 'FixNotFound', /has nothing to fix/);
    });

    it('a fix of a rebuilt package by the version that it was rebuilt for, not by our dist tag', async () => {
      await f.offer([foo('5.el7_2.1')]);
      const { packages } = await plan(await begin(), [fixOf('foo', '1-5.el7_2.1')]);
      assert.deepEqual(packages, [
        { name: 'foo', from: '1-5.el7_4.noarch', to: '1-5.el7_2.1.noarch', why: 'fix' },
      ]);
    });

    it('from a repo whose packages another key has signed: refuses these', async () => {
      await f.offer([foo('6.el7')]);
      await f.s.step.run(['rpmsign', '--delsign', f.s.at('state/www/rpms/foo-1-6.el7.noarch.rpm')]);
      await f.s.step.run(['createrepo_c', '--quiet', '--no-database', f.s.at('state/www/rpms')]);
      await refused(
        await begin(),
        [fixOf('foo', '1-6.el7')],
        'PackageSignature',
        /not signed by a key of repo now:base/,
      );
    });
  });

  /** A case whose plan is rebuilt, and approved. */
  async function planned(approve = true): Promise<{ of: Case; args: ApprovedArgs }> {
    await f.offer([foo('6.el7')], ['foo']);
    const of = await begin();
    const { changes } = await plan(of, [fixOf('foo', '1-6.el7')]);
    const args = argsOf(of, { case: about, base, changes });
    await f.rebuilt({ args, folder: of.folder }, 'foo-1-6.el7.src.rpm', [await f.rpm(foo('6.el7_4'))]);
    if (approve) await say('ann', args);
    return { of, args };
  }
  const argsOf = (of: Case, fix: ApprovedArgs['fix']): ApprovedArgs => ({
    ...{ stream: of.args.stream, run: of.args.run, step: 'sign-packages', arch },
    ...{ build: base, onto: base, attempt: 1, reuse: false, fix },
  });
  const say = (name: string, { fix }: ApprovedArgs, more: Fields = {}) =>
    f.say(name, 'approve-fix', {
      ...{ build: base, onto: base, commits: { [arch]: released.commit }, case: about },
      ...{ changes: fix?.changes, ...(fix?.srpms ? { srpms: fix.srpms } : {}), ...more },
    });
  const sign = (args: ApprovedArgs) => runActivity(signPackagesActivities(f.host).signPackages, args);
  const unsigned = (args: ApprovedArgs, type: string, message: RegExp) =>
    assert.rejects(sign(args), { type, nonRetryable: true, message });

  describe('signs', () => {
    it('what was rebuilt of an approved plan; the rest stays as it was released', async () => {
      const { of, args } = await planned();
      assert.deepEqual(await sign(args), { rebuilt: 1, accepted: 2, key: f.rpmKey });
      const packages = await needJson(of.at('packages.json'), rebuildPackages);
      assert.equal(packages.foo?.evra, '1-6.el7_4.noarch');
      assert.equal(packages.foo.accepted, '1-6.el7.noarch');
      assert.equal(packages.bar?.origin, 'accepted');
      assert.equal(packages.bar.digest, released.locked.packages.bar?.digest);
      // The compose takes just these.
      await runActivity(composeActivities(f.host).resolve, args);
      assert.deepEqual(await runActivity(rebuildActivities(f.host).strict, args), { packages: 3 });
      await runActivity(composeActivities(f.host).download, args);
      await assert.doesNotReject(readdir(f.host.store.work(args, 'compose', arch, 'packages')));

      // The next case begins from what this one has released.
      const index = join(f.host.store.releasePublished('tiny'), 'releases.json');
      await copyFile(index, f.s.at('kept-index'));
      try {
        const next = await f.release({ args, folder: of.folder }, '20261124_01');
        await rm(f.s.at('state/www/rpms'), { recursive: true });
        await f.offer([bar('3')]);
        const second = await begin();
        const { changes } = await plan(second, [fixOf('bar', '3-1.el7')]);
        assert.deepEqual(changes.pin, { bar: '3-1.el7.noarch' });
        const later = argsOf(second, { case: about, base: '20261124_01', changes });
        const onNext = { ...later, build: '20261124_01', onto: '20261124_01' };
        const commits = { [arch]: next.commit };
        await say('ann', onNext, { build: '20261124_01', onto: '20261124_01', commits });
        assert.deepEqual(await sign(onNext), { rebuilt: 0, accepted: 3, key: f.rpmKey });
        const { foo: kept } = await needJson(second.at('packages.json'), rebuildPackages);
        assert.deepEqual(kept, packages.foo);
      } finally {
        await copyFile(f.s.at('kept-index'), index);
      }
    });

    it('a case whose base has rebuilt packages that it does not change: these keep signature and record', async () => {
      await f.offer([bar('3')]);
      const of = await begin();
      const { changes } = await plan(of, [fixOf('bar', '3-1.el7')]);
      const args = argsOf(of, { case: about, base, changes });
      await say('ann', args);
      await mkdir(f.s.at('state/www/results/tiny.x86_64'), { recursive: true });
      assert.deepEqual(await sign(args), { rebuilt: 0, accepted: 3, key: f.rpmKey });
      const { foo: kept, bar: pinned } = await needJson(of.at('packages.json'), rebuildPackages);
      assert.equal(kept?.origin, 'rebuilt');
      assert.equal(kept.key, f.rpmKey);
      assert.equal(kept.accepted, '1-5.el7.noarch');
      assert.equal(pinned?.origin, 'accepted');
    });

    it('nothing that is not approved: another case, other changes, other commits, not of the group, withdrawn', async () => {
      const { args } = await planned(false);
      const none = /0 of 1 signed statements for this approve-fix/;
      await unsigned(args, 'StatementRefused', none);
      await say('ann', args, { case: '20261123-2' });
      await unsigned(args, 'StatementRefused', none);
      await say('ann', args, { changes: { pin: {}, drop: [], files: 'accepted' } });
      await unsigned(args, 'StatementRefused', none);
      await say('ann', args, { commits: { [arch]: f.accepted } });
      await unsigned(args, 'StatementRefused', none);
      await say('ann', args, { onto: acceptedBuild });
      await unsigned(args, 'StatementRefused', none);
      await f.declare({ release: { security: { approvers: ['bob'] } } });
      await say('ann', args);
      await unsigned(args, 'StatementRefused', none);
      await f.declare();
      const other = {
        pin: { foo: '1-6.el7.noarch', bar: '9-9.noarch' },
        drop: [],
        files: 'accepted' as const,
      };
      const changed = { ...args, fix: { case: about, base, changes: other } };
      await say('ann', changed);
      await unsigned(changed, 'LockfileDrift', /bar: is 2-1\.el7\.noarch, pinned to 9-9/);
      await f.forget();
      await say('ann', args);
      await f.say('ann', 'withdraw', { build: base, onto: base, case: about });
      await unsigned(args, 'StatementRefused', none);
    });

    it('nothing from another base, or from an altered lockfile', async () => {
      const { of, args } = await planned();
      const other = { ...args, build: acceptedBuild, fix: { ...args.fix!, base: acceptedBuild } };
      await unsigned(
        other,
        'LockfileDrift',
        /the rebuild is of tiny\.signed 20261121_01, not of tiny\.signed 20261120_01/,
      );
      const locked = await lockedOf(of);
      const { bar: one } = locked.packages;
      assert.ok(one);
      const altered = { ...one, digest: `sha256:${'ab'.repeat(32)}` };
      await writeJson(of.at('accepted.json'), { ...locked, packages: { ...locked.packages, bar: altered } });
      await unsigned(args, 'LockfileDrift', /bar: digest sha256:abab/);
    });
  });

  describe('with a given source RPM', () => {
    const srpm = 'foo-1-6.el7.src.rpm';
    /** Given, rebuilt, planned, approved. */
    async function given(): Promise<{ of: Case; args: ApprovedArgs; digest: string }> {
      const file = await f.rpm(foo('6.el7'), true);
      const digest = await sha256(file);
      const kept = f.host.store.givenSource('tiny', digest, srpm);
      await mkdir(dirname(kept), { recursive: true });
      await copyFile(file, kept);
      await f.offer([bar('3')]);
      const of = await begin();
      const srpms = { [srpm]: digest };
      const { sources } = await runActivity(steps().collectSrpms, { ...of.args, arch, srpms });
      assert.deepEqual(
        sources.map(({ name, packages }) => [name, packages]),
        [['foo', [{ name: 'foo', evr: '1-6.el7', arch: 'noarch' }]]],
      );
      assert.equal(await sha256(of.at('sources', srpm)), digest);
      await assert.rejects(plan(of, [], srpms), {
        type: 'SourceMissing',
        message: /not rebuilt yet: foo-1-6/,
      });
      const attempt = { args: argsOf(of, undefined), folder: of.folder };
      await f.rebuilt(attempt, srpm, [await f.rpm(foo('6.el7_4'))]);
      const { changes, packages } = await plan(of, [], srpms);
      assert.deepEqual(packages, [
        { name: 'foo', from: '1-5.el7_4.noarch', to: '1-6.el7_4.noarch', why: 'fix' },
      ]);
      const args = argsOf(of, { case: about, base, changes, srpms });
      await say('ann', args);
      return { of, args, digest };
    }

    it('plans, signs and records what it was rebuilt to', async () => {
      const { of, args } = await given();
      assert.deepEqual(await sign(args), { rebuilt: 1, accepted: 2, key: f.rpmKey });
      const { foo: ours } = await needJson(of.at('packages.json'), rebuildPackages);
      assert.equal(ours?.evra, '1-6.el7_4.noarch');
      assert.deepEqual(await readdir(of.at('sources')), [srpm]);
    });

    it('refuses one that nobody approved, or that is another than was approved', async () => {
      const { of, args } = await given();
      const foreign = { ...args, fix: { ...args.fix!, srpms: { [srpm]: 'ab'.repeat(32) } } };
      await unsigned(foreign, 'StatementRefused', /0 of 1/);
      await say('ann', foreign);
      await unsigned(foreign, 'RebuildWrong', /foo: foo-1-6\.el7\.src\.rpm is \w{64}, approved was abab/);
      const none = { ...args, fix: { case: about, base, changes: args.fix!.changes } };
      await say('ann', none);
      await unsigned(none, 'RebuildWrong', /foo-1-6\.el7\.src\.rpm was not approved/);
      await say('ann', args);
      await writeFile(of.at('sources', srpm), 'other');
      await unsigned(args, 'RebuildWrong', /foo: foo-1-6\.el7\.src\.rpm is \w{64}, approved was/);
    });

    it('refuses what is missing, altered, no source RPM, or of no released package', async () => {
      const of = await begin();
      const collect = (srpms: Record<string, string>) =>
        runActivity(steps().collectSrpms, { ...of.args, arch, srpms });
      const keep = async (file: string, as = basename(file)) => {
        const digest = await sha256(file);
        const to = f.host.store.givenSource('tiny', digest, as);
        await mkdir(dirname(to), { recursive: true });
        await copyFile(file, to);
        return { [as]: digest };
      };
      await assert.rejects(collect({ [srpm]: '00'.repeat(32) }), {
        type: 'FixNotFound',
        message: /no such file/,
      });
      const binary = await keep(await f.rpm(foo('8.el7')), 'foo-1-8.el7.src.rpm');
      await assert.rejects(collect(binary), { type: 'FixNotFound', message: /is no source RPM|rename it/ });
      const quux = await keep(await f.rpm({ name: 'quux', release: '1' }, true));
      await assert.rejects(collect(quux), {
        type: 'FixNotFound',
        message: /no package that is made of quux/,
      });
      const good = await keep(await f.rpm(foo('9.el7'), true));
      const [file, digest] = Object.entries(good)[0] ?? ['', ''];
      await writeFile(f.host.store.givenSource('tiny', digest, file), 'altered');
      await assert.rejects(collect(good), { type: 'PackageChecksum', message: /but \w+ was given/ });
    });
  });

  describe('is compared with its base', () => {
    async function made(change?: (tree: string) => Promise<void>): Promise<{ of: Case; commit: string }> {
      const { of, args } = await planned();
      await sign(args);
      const packages = await needJson(of.at('packages.json'), rebuildPackages);
      const files = Object.values(packages).map(({ file }) => of.at('packages', file));
      const tree = f.s.at('fix-tree');
      await f.compose(tree, files);
      await change?.(tree);
      const commit = await f.commit('tiny.signed', tree, '20261123_01', 'tiny.signed');
      await writeJson(of.at('commit.json'), { commit });
      await runActivity(signActivities(f.host).signCommit, { ...args, step: 'sign-commit', commit });
      return { of, commit };
    }
    const compare = ({ of, commit }: { of: Case; commit: string }) =>
      runActivity(equivalenceActivities(f.host).equivalence, { ...of.args, arch, commit });

    it('and differs by what was planned alone; it is fit for a release', async () => {
      const tree = await made();
      assert.deepEqual((await compare(tree)).unexpected, []);
      const { differences } = await needJson(tree.of.at('build/equivalence.json'), equivalence);
      const lines = differences.map(({ subject, what }) => `${subject}: ${what}`);
      assert.ok(lines.includes('foo: 1-5.el7_4.noarch → 1-6.el7_4.noarch, as planned'), lines.join('\n'));
      assert.ok(!lines.some((line) => line.startsWith('bar')));
      const { of, commit } = tree;
      await runActivity(equivalenceActivities(f.host).checkTree, { ...of.args, arch, commit });
    });

    it('and anything else is found: a file of another package, a package that nobody planned', async () => {
      const tree = await made(async (folder) => writeFile(join(folder, 'usr/share/bar/data'), 'other'));
      assert.deepEqual((await compare(tree)).unexpected, [
        'tree: /usr/share/bar/data: content, of no rebuilt package',
      ]);
      const record = tree.of.at('packages.json');
      const packages = await needJson(record, rebuildPackages);
      await writeJson(record, { ...packages, baz: { ...packages.baz, digest: `sha256:${'ab'.repeat(32)}` } });
      assert.ok(
        (await compare(tree)).unexpected.includes(
          'baz: 1-1.el7.noarch → 1-1.el7.noarch, which was not planned',
        ),
      );
    });
  });

  describe('of a stream that is released by copy', () => {
    const copy = () => f.declare({ release: { mode: 'copy' } });
    beforeEach(async () => {
      await copy();
      await writeFile(join(f.host.store.idsDir('tiny'), acceptedBuild), 'accepted-run\n');
      await f.list('tiny', acceptedBuild, f.accepted);
      const own = f.host.store.runDir({ stream: 'tiny', run: 'accepted-run' });
      await writeJson(join(own, 'source.json'), {});
    });

    it('overrides the lockfile of the release; equivalence finds what is not planned', async () => {
      await f.offer([foo('6.el7'), bar('3'), bar('2'), { ...bazSpec, version: '2' }, bazSpec]);
      // What the nightly has fetched is in its cache.
      const cache = join(f.host.store.cache('tiny', arch), 'packages');
      await mkdir(cache, { recursive: true });
      for (const name of await readdir(f.pool()))
        await copyFile(join(f.pool(), name), join(cache, `${await sha256(join(f.pool(), name))}.rpm`));
      const of = await begin('tiny');
      const { changes, sources, accepted } = await plan(of, [fixOf('foo', '1-6.el7')]);
      assert.deepEqual(changes.pin, { foo: '1-6.el7.noarch' });
      assert.deepEqual([sources, accepted], [[], 2]);
      const args = { ...of.args, arch } as const;
      assert.deepEqual(await runActivity(steps().overrideLockfile, args), { packages: 3 });
      await runActivity(composeActivities(f.host).download, args);
      const { packages } = await lockedOf(of, 'lockfile.json');
      assert.deepEqual(
        Object.entries(packages).map(([name, { evra }]) => `${name}-${evra}`),
        ['bar-2-1.el7.noarch', 'baz-1-1.el7.noarch', 'foo-1-6.el7.noarch'],
      );

      const tree = f.s.at('copy-tree');
      const fetched = f.host.store.work(of.args, 'compose', arch, 'packages');
      await f.compose(
        tree,
        (await readdir(fetched)).map((name) => join(fetched, name)),
      );
      const compare = (commit: string) =>
        runActivity(equivalenceActivities(f.host).equivalence, { ...args, commit });
      const commit = await f.commit('tiny', tree, '20261124_01');
      assert.deepEqual((await compare(commit)).unexpected, []);
      await writeFile(join(tree, 'usr/extra'), '');
      const more = await f.commit('tiny', tree, '20261124_01');
      assert.deepEqual((await compare(more)).unexpected, ['tree: /usr/extra: added']);
    });
  });
});
