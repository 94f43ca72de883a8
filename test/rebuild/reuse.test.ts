/** Which packages a rebuild takes as they were signed before, and what it was built from: real keys, repos, RPMs and source RPMs. */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { rebuildActivities } from '../../src/activities/rebuild.js';
import { signPackagesActivities } from '../../src/activities/sign-packages.js';
import type { Lockfile } from '../../src/domain/lockfile.js';
import { rebuildPackages } from '../../src/domain/rebuild-packages.js';
import { rebuildPlan } from '../../src/rebuild/plan.js';
import { sha256 } from '../../src/store/checksums.js';
import { needJson, writeJson } from '../../src/store/store.js';
import { runActivity } from '../steps/activity.js';
import { acceptedBuild, arch, barSpec, Fixture, fooSpec, type Attempt } from './fixture.js';

const [released, abandoned] = ['20261121_51', '20261122_51'] as const;
const srpm = 'foo-1-5.el7.src.rpm';

describe('signed packages of an earlier build', function () {
  this.timeout('3m');
  let f: Fixture;
  let locked: Lockfile;
  let runs = 0;
  let first: Attempt;

  before(async () => {
    f = await Fixture.make();
    locked = await f.accept([fooSpec('5.el7'), barSpec]);
    await f.declare({ rebuild: { packages: 'changed' } });
    await f.say('ann', 'promote');
    await f.say('bob');
    await publish('rpms', await filesOf(f.pool()));
    await publish('sources', [await f.source(srpm), await f.source('bar-2-1.el7.src.rpm')]);
    first = await f.attempt('run-first', locked, ['foo', 'bar']);
    await f.rebuilt(first, srpm, [await f.rpm(fooSpec('5.el7_4'))]);
    await f.rebuilt(first, 'bar-2-1.el7.src.rpm', [await f.rpm({ ...barSpec, release: '1.el7_4' })]);
    await f.release(first, released);
    // Whoever looks after reimzul has cleaned up.
    await rm(f.s.at('state/www/results'), { recursive: true });
  });
  after(() => f.remove());
  beforeEach(() => f.declare({ rebuild: { packages: 'changed' } }));

  const filesOf = async (folder: string) => (await readdir(folder)).map((name) => join(folder, name));
  async function publish(name: string, files: readonly string[]): Promise<void> {
    const repo = f.s.at('state/www', name);
    await rm(repo, { recursive: true, force: true });
    await mkdir(repo, { recursive: true });
    for (const file of files) await cp(file, join(repo, file.split('/').at(-1) ?? ''));
    await f.s.step.run(['createrepo_c', '--quiet', '--no-database', repo]);
  }
  /** The packages of an attempt are collected: which sources are reused, and why or why not. */
  async function collect(
    { attempt = 1, since = 1, reuse = true } = {},
    run = `run-${++runs}`,
  ): Promise<{ of: Attempt; plan: Record<string, string> }> {
    const of = await f.attempt(run, locked, []);
    await rm(join(of.folder, 'packages'), { recursive: true });
    await writeJson(join(of.folder, 'rebuild.json'), { accepted: acceptedBuild, attempt });
    const args = { stream: of.args.stream, run, step: 'collect', arch, reuse, since } as const;
    await runActivity(rebuildActivities(f.host).collect, args);
    const { sources } = await needJson(join(of.folder, 'plan.json'), rebuildPlan);
    const plan = Object.fromEntries(
      sources.map(({ name, reused, why }) => [name, `${reused ? 'reused' : 'rebuilt'}: ${why}`]),
    );
    return { of: { ...of, args: { ...of.args, attempt, reuse } }, plan };
  }
  const sign = (of: Attempt) => runActivity(signPackagesActivities(f.host).signPackages, of.args);
  const recordOf = (of: Attempt) => needJson(join(of.folder, 'packages.json'), rebuildPackages);
  const refused = (of: Attempt, type: string, message: RegExp) =>
    assert.rejects(sign(of), { type, nonRetryable: true, message });
  const both = (why: string) => ({ foo: why, bar: why });
  const asReleased = `reused: signed in ${released}, which is released`;

  it('that is released are taken as they were signed, though reimzul has them no more', async () => {
    const { of, plan } = await collect();
    assert.deepEqual(plan, both(asReleased));
    assert.deepEqual(await sign(of), { rebuilt: 0, accepted: 0, key: f.rpmKey });
    const [now, then] = [await recordOf(of), await recordOf(first)];
    assert.deepEqual(now, then);
    assert.equal(then.foo?.source, `sha256:${await sha256(await f.source(srpm))}`);
    const { file = '', digest } = now.foo ?? {};
    assert.equal(`sha256:${await sha256(join(of.folder, 'packages', file))}`, digest);
  });

  it('are not taken where all are to be rebuilt, whatever the stream rebuilds', async () => {
    assert.deepEqual((await collect({ reuse: false })).plan, both('rebuilt: all are rebuilt'));
    await f.declare({ rebuild: { packages: 'all' } });
    assert.deepEqual((await collect()).plan, both('rebuilt: all are rebuilt'));
    const again = await collect({ attempt: 2, since: 1, reuse: false });
    assert.deepEqual(again.plan, both('rebuilt: all are rebuilt'));
    assert.deepEqual((await collect({ attempt: 2, since: 1 })).plan, both(asReleased));
  });

  it('are taken only of the very same source', async () => {
    await publish('sources', [await f.source(srpm, 'other'), await f.source('bar-2-1.el7.src.rpm')]);
    const { plan } = await collect();
    assert.deepEqual(plan, {
      foo: 'rebuilt: not signed from this source in a build that is released or in testing',
      bar: asReleased,
    });
    await publish('sources', [await f.source(srpm), await f.source('bar-2-1.el7.src.rpm')]);
  });

  it('of an attempt are taken while it is in testing, by its own promotion', async () => {
    const { store } = f.host;
    const tested = await f.attempt('run-tested', locked, ['foo', 'bar']);
    await f.rebuilt(tested, srpm, [await f.rpm(fooSpec('5.el7_4'))]);
    await f.rebuilt(tested, 'bar-2-1.el7.src.rpm', [await f.rpm({ ...barSpec, release: '1.el7_4' })]);
    await sign(tested);
    await writeJson(join(tested.folder, 'rebuild.json'), { accepted: acceptedBuild, attempt: 1 });
    await f.s.write(`${store.idsDir('tiny').slice(f.s.folder.length + 1)}/${abandoned}`, 'run-tested\n');
    const testing = (builds: readonly string[]) =>
      writeJson(join(store.published('tiny.signed'), 'builds.json'), {
        'schema-version': '1.0.0',
        timestamp: '2026-11-22T00:00:00Z',
        builds: builds.map((id) => ({ id, arches: [arch] })),
        tags: [],
        'tombstone-builds': [],
      });
    const inTesting = both(`reused: signed in ${abandoned}, which is in testing`);
    await testing([abandoned]);
    const { of, plan } = await collect({ attempt: 2, since: 1 });
    assert.deepEqual(plan, inTesting);
    // Its promotion has ended: another begins with the second attempt.
    assert.deepEqual((await collect({ attempt: 2, since: 2 })).plan, both(asReleased));
    assert.deepEqual((await collect({ attempt: 3, since: 2 })).plan, both(asReleased));
    await testing([]);
    assert.deepEqual((await collect({ attempt: 2, since: 1 })).plan, both(asReleased));
    // What was planned before it was abandoned is not signed for.
    const again = { ...of, args: { ...of.args, kind: 'redo', reuse: true } as const };
    await f.say('ann', 'redo', { attempt: 1, reuse: true });
    await refused(again, 'RebuildWrong', new RegExp(`foo: ${abandoned} is neither released nor in testing`));
    await testing([abandoned]);
    await sign(again);
    assert.deepEqual(await recordOf(again), await recordOf(tested));
  });

  it('are refused where they were exchanged, or another reuse was asked for', async () => {
    const { of } = await collect();
    const { foo, bar } = await recordOf(first);
    const at = (name = '') => join(of.folder, 'packages', name);
    const other = await f.rpm({ ...fooSpec('5.el7_4'), post: 'echo tampered' });
    await rm(at(foo?.file));
    await cp(other, at(foo?.file));
    await refused(of, 'RebuildWrong', new RegExp(`foo: is not what ${released} has`));
    await refused(
      { ...of, args: { ...of.args, reuse: false } },
      'LockfileDrift',
      /packages are reused, but all were asked for again/,
    );
    await rm(at(bar?.file));
    await writeJson(join(of.folder, 'reused.json'), { '../foo': { build: released, run: 'run-first' } });
    await assert.rejects(sign(of));
  });
});

describe('the source of a rebuild', function () {
  this.timeout('3m');
  let f: Fixture;
  let locked: Lockfile;
  let foo: string;
  let runs = 0;

  before(async () => {
    f = await Fixture.make();
    locked = await f.accept([fooSpec('5.el7'), barSpec]);
    foo = await f.rpm(fooSpec('5.el7_4'));
    await f.say('ann', 'promote');
    await f.say('bob');
  });
  after(() => f.remove());
  beforeEach(() => rm(f.s.at('state/www/results'), { recursive: true, force: true }));

  const begin = () => f.attempt(`run-${++runs}`, locked, ['foo']);
  const refused = (of: Attempt, type: string, message: RegExp) =>
    assert.rejects(runActivity(signPackagesActivities(f.host).signPackages, of.args), {
      type,
      nonRetryable: true,
      message,
    });

  it('is what was accepted, not another of the same name and version', async () => {
    const of = await begin();
    await f.rebuilt(of, srpm, [foo], { from: await f.source(srpm, 'swapped') });
    await refused(of, 'RebuildWrong', /the build system built from another one: notes is another/);
  });

  it('is still what reimzul has beside its packages', async () => {
    const of = await begin();
    await f.rebuilt(of, srpm, [foo], { from: await f.source(srpm, 'swapped') });
    // The record is made up to fit.
    const made = join(of.folder, 'rebuilt/foo-1-5.el7');
    await cp(await f.source(srpm), join(made, 'foo-1-5.el7_4.src.rpm'));
    const result = await needJson(join(made, 'result.json'), fakeResult);
    const digest = `sha256:${await sha256(await f.source(srpm))}`;
    await writeJson(join(made, 'result.json'), { ...result, source: { ...result.source, digest } });
    await refused(of, 'RebuildWrong', /the build system's repo has another source RPM of 20261123101112/);
  });

  it('is signed by a key of the stream’s source repos', async () => {
    const of = await begin();
    const unsigned = f.s.at('unsigned', srpm);
    await mkdir(f.s.at('unsigned'), { recursive: true });
    await cp(await f.source(srpm, 'unsigned'), unsigned);
    await f.s.step.run(['rpmsign', '--delsign', unsigned]);
    await mkdir(join(of.folder, 'sources'), { recursive: true });
    await cp(unsigned, join(of.folder, 'sources', srpm));
    await f.rebuilt(of, srpm, [foo]);
    await refused(
      of,
      'PackageSignature',
      /not signed by a key of the source repos: .*foo-1-5\.el7\.src\.rpm/,
    );
  });
});

const fakeResult = z.looseObject({ source: z.object({ file: z.string(), digest: z.string() }) });
