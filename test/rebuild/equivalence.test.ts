/** The equivalence report and the checks of a signed tree: real packages, RPM databases, commits and signatures. */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { equivalenceActivities } from '../../src/activities/equivalence.js';
import { signPackagesActivities } from '../../src/activities/sign-packages.js';
import { signActivities } from '../../src/activities/sign.js';
import { equivalence } from '../../src/domain/equivalence.js';
import type { Lockfile } from '../../src/domain/lockfile.js';
import { rebuildPackages } from '../../src/domain/rebuild-packages.js';
import { instanceKeyFile, signingHome } from '../../src/keys/gpg.js';
import { needJson, writeJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { barSpec, Fixture, fooSpec, type Attempt, type Rpm } from './fixture.js';

describe('a signed tree', function () {
  this.timeout('3m');
  let f: Fixture;
  let locked: Lockfile;
  let attempt: Attempt;

  before(async () => {
    f = await Fixture.make();
    locked = await f.accept([fooSpec('5.el7'), barSpec], async (folder) => {
      const pool = (await readdir(f.pool())).map((name) => join(f.pool(), name));
      await f.compose(folder, pool);
    });
    await f.say('ann', 'promote');
    await f.say('bob');
    attempt = await begin('run-good', fooSpec('5.el7_4'));
  });
  after(() => f.remove());

  /** An attempt up to its signed packages. */
  async function begin(run: string, spec: Rpm): Promise<Attempt> {
    const begun = await f.attempt(run, locked, ['foo']);
    await rm(f.s.at('state/www/results'), { recursive: true, force: true });
    await f.rebuilt(begun, 'foo-1-5.el7.src.rpm', [await f.rpm(spec)]);
    await runActivity(signPackagesActivities(f.host).signPackages, begun.args);
    return begun;
  }
  /** The signed commit of an attempt; `change` is done to its tree before. */
  async function commit(
    of: Attempt,
    change: (tree: string) => Promise<void> = () => Promise.resolve(),
    { rpms, signed = true }: { rpms?: readonly string[]; signed?: boolean } = {},
  ): Promise<string> {
    const tree = f.s.at('tree');
    const packages = await needJson(join(of.folder, 'packages.json'), rebuildPackages);
    const files = Object.values(packages).map(({ file }) => join(of.folder, 'packages', file));
    await f.compose(tree, rpms ?? files);
    await change(tree);
    const made = await f.commit('tiny.signed', tree, '20261123_01');
    await writeJson(join(of.folder, 'commit.json'), { commit: made });
    const args = { ...of.args, step: 'sign-commit', commit: made };
    if (signed) await runActivity(signActivities(f.host).signCommit, args);
    return made;
  }
  const compare = async (of: Attempt, made: string) => {
    const { args } = of;
    const answer = await runActivity(equivalenceActivities(f.host).equivalence, { ...args, commit: made });
    const report = await needJson(join(of.folder, 'build/equivalence.json'), equivalence);
    assert.equal(report.counts.unexpected === 0, answer.unexpected.length === 0);
    return { ...answer, report };
  };
  const check = (of: Attempt, made: string) =>
    runActivity(equivalenceActivities(f.host).checkTree, { ...of.args, commit: made });
  const refused = (of: Attempt, made: string, message: RegExp) =>
    assert.rejects(check(of, made), { type: 'TreeRefused', nonRetryable: true, message });

  it('that differs as a rebuild does is equivalent, and fit', async () => {
    const made = await commit(attempt);
    const { expected, unexpected, report } = await compare(attempt, made);
    assert.deepEqual(unexpected, []);
    assert.ok(expected >= 5);
    const told = report.differences.map(({ kind, subject, what }) => `${kind} ${subject} ${what}`);
    for (const line of [
      'package foo rebuilt: 1-5.el7.noarch → 1-5.el7_4.noarch',
      'file foo /usr/bin/foo: content',
      'script foo %postin: release',
      'tree /usr/bin/foo content',
      'tree /usr/share/rpm/rpmdb.sqlite content',
    ])
      assert.ok(told.includes(line), line);
    const page = await readFile(join(attempt.folder, 'build/equivalence.html'), 'utf8');
    assert.match(page, /nothing unexpected/);
    assert.match(page, /<th scope="row" class="name file">\/usr\/bin\/foo<\/th>/);
    await check(attempt, made);
  });

  it('with another mode, file, dependency or script in a rebuilt package is not', async () => {
    const spec = fooSpec('5.el7_4');
    const changed = await begin('run-changed', {
      ...spec,
      preamble: `${spec.preamble}\nRequires: evil`,
      install: `${spec.install}\nchmod 4755 %{buildroot}/usr/bin/foo\necho > %{buildroot}/etc/more`,
      files: `${spec.files}\n/etc/more`,
      post: 'echo other',
    });
    const made = await commit(changed);
    const { unexpected } = await compare(changed, made);
    assert.deepEqual(unexpected, [
      'file of foo: /usr/bin/foo: mode 100755 → 104755',
      'file of foo: /etc/more: added',
      'script of foo: %postin: changed',
      'dependency of foo: require evil: added',
      'tree: /usr/bin/foo: mode 00755 → 04755',
      'tree: /usr/etc/more: added',
    ]);
    assert.match(await readFile(join(changed.folder, 'build/equivalence.html'), 'utf8'), /6 unexpected/);
    // Fit it is: equivalence is the SIG's to judge.
    await check(changed, made);
  });

  it('with a changed file of another package is not, unless the stream expects it', async () => {
    const made = await commit(attempt, async (tree) => {
      await writeFile(join(tree, 'usr/share/bar/data'), 'other');
      await writeFile(join(tree, 'usr/extra'), '');
      await rm(join(tree, 'usr/bin/foo-link'));
    });
    const { unexpected } = await compare(attempt, made);
    assert.deepEqual(unexpected, [
      'tree: /usr/bin/foo-link: removed',
      'tree: /usr/share/bar/data: content, of no rebuilt package',
      'tree: /usr/extra: added',
    ]);
    const frozen = join(f.host.store.runDir(attempt.args), 'stream.json');
    const text = await readFile(frozen, 'utf8');
    await writeFile(
      frozen,
      text.replace('"expected": []', '"expected": ["/usr/share/bar/*", "/usr/extra", "/usr/bin/*"]'),
    );
    assert.deepEqual((await compare(attempt, made)).unexpected, []);
    await writeFile(frozen, text);
  });

  it('is bounded in what goes through the workflow', async () => {
    const made = await commit(attempt, async (tree) => {
      for (let n = 0; n < 60; n++) await writeFile(join(tree, `usr/extra-${n}-${'x'.repeat(200)}`), '');
    });
    const { unexpected, report } = await compare(attempt, made);
    assert.equal(report.counts.unexpected, 60);
    assert.equal(unexpected.length, 41);
    assert.equal(unexpected.at(-1), 'and 20 more');
    assert.ok(unexpected.every((line) => line.length <= 200));
  });

  it('whose packages were pinned or dropped by a rework differs as the SIG wanted', async () => {
    const made = await commit(attempt, async (tree) => {
      await writeFile(join(tree, 'usr/share/bar/data'), 'other');
    });
    const changes = join(attempt.folder, 'changes.json');
    await writeJson(changes, { pin: {}, drop: ['bar'], files: 'accepted' });
    assert.deepEqual((await compare(attempt, made)).unexpected, []);
    await rm(changes);
  });

  describe('is refused', () => {
    it('with a package that is not the signed one, one more, or one less', async () => {
      const packages = (name: string) => join(attempt.folder, 'packages', name);
      const [foo, bar] = [packages('foo-1-5.el7_4.noarch.rpm'), packages('bar-2-1.el7.noarch.rpm')];
      const unsigned = join(attempt.folder, 'rebuilt/foo-1-5.el7/foo-1-5.el7_4.noarch.rpm');
      await refused(
        attempt,
        await commit(attempt, undefined, { rpms: [unsigned, bar] }),
        /foo: has no signature/,
      );
      const other = await f.rpm({ ...fooSpec('5.el7_4'), post: 'echo other' });
      await f.sign(other);
      await refused(
        attempt,
        await commit(attempt, undefined, { rpms: [other, bar] }),
        /foo: the tree has 1-5\.el7_4\.noarch, which is not the 1-5\.el7_4\.noarch of this rebuild/,
      );
      const twin = f.s.at('twin.rpm');
      await cp(unsigned, twin);
      await f.sign(twin);
      await refused(
        attempt,
        await commit(attempt, undefined, { rpms: [twin, bar] }),
        /foo: has another signature/,
      );
      const more = await f.rpm({ name: 'more', release: '1' });
      await refused(
        attempt,
        await commit(attempt, undefined, { rpms: [foo, bar, more] }),
        /more: 1-1\.noarch is not of this rebuild/,
      );
      await refused(attempt, await commit(attempt, undefined, { rpms: [foo] }), /bar: not in the tree/);
    });

    it('when a package is signed by the wrong key, or its file was changed', async () => {
      const made = await commit(attempt);
      const file = join(attempt.folder, 'packages/foo-1-5.el7_4.noarch.rpm');
      const [good, record] = [await readFile(file), join(attempt.folder, 'packages.json')];
      const text = await readFile(record, 'utf8');
      await f.sign(file);
      await refused(attempt, made, /foo: its file is [0-9a-f]{64}, but was recorded as/);
      const sum = (await f.s.step.run(['sha256sum', file])).stdout.slice(0, 64);
      const packages = await needJson(record, rebuildPackages);
      await writeJson(record, { ...packages, foo: { ...packages.foo, digest: `sha256:${sum}` } });
      await refused(attempt, made, /foo-1-5\.el7_4\.noarch\.rpm: not signed by our key/);
      // Ours is no key of the repo either.
      await writeFile(file, good);
      await writeFile(record, text.replace('"origin": "rebuilt"', '"origin": "accepted"'));
      await refused(attempt, made, /not signed by a key of repo base/);
      await writeFile(record, text);
      await check(attempt, made);
    });

    it('with another update source, without verification, or with a foreign key', async () => {
      const withConf = (change: Record<string, string | undefined>) =>
        commit(attempt, (tree) =>
          writeFile(join(tree, 'usr/etc/ostree/remotes.d/tiny.conf'), f.remote(change)),
        );
      await refused(
        attempt,
        await withConf({ url: 'http://evil.invalid/repo' }),
        /url is http:\/\/evil\.invalid/,
      );
      await refused(
        attempt,
        await withConf({ 'gpg-verify': 'false', 'gpg-verify-summary': undefined }),
        /2 problems: .*gpg-verify is false.*; .*gpg-verify-summary is missing/,
      );
      await refused(
        attempt,
        await withConf({ gpgkeypath: '/usr/share/tiny/none.asc' }),
        /does not trust .* but no key/,
      );
      const none = await commit(attempt, (tree) => rm(join(tree, 'usr/etc/ostree'), { recursive: true }));
      await refused(attempt, none, /remotes\.d\/tiny\.conf: missing/);
      const foreign = await commit(attempt, (tree) =>
        cp(f.s.at('rpm-key.asc'), join(tree, 'usr/share/tiny/key.asc')),
      );
      await refused(attempt, foreign, new RegExp(`does not trust .*, with which we sign, but ${f.rpmKey}`));
    });

    it('without the commit signature, or with that of another key', async () => {
      const made = await commit(attempt, undefined, { signed: false });
      await refused(attempt, made, /no good signature of the stream's key/);
      const repo = f.host.store.repo('tiny.signed');
      const home = signingHome(f.s.at('state'));
      await f.s.step.run(['ostree', `--repo=${repo}`, 'gpg-sign', `--gpg-homedir=${home}`, made, f.rpmKey]);
      await refused(attempt, made, /no good signature of the stream's key/);
    });

    it('but not for a key in the folder of all remotes, or in a binary key ring', async () => {
      const made = await commit(attempt, async (tree) => {
        const folder = join(tree, 'usr/share/ostree/trusted.gpg.d');
        await mkdir(folder, { recursive: true });
        const key = instanceKeyFile(f.s.at('state'));
        await f.s.step.run(['gpg', '--batch', '--output', join(folder, 'tiny.gpg'), '--dearmor', key]);
        await writeFile(
          join(tree, 'usr/etc/ostree/remotes.d/tiny.conf'),
          f.remote({ gpgkeypath: undefined }),
        );
      });
      await check(attempt, made);
    });
  });
});
