/** The promotion's questions, with real keys and a really published build. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { watch } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { decideActivities } from '../../src/activities/decide.js';
import { buildIndex, buildMeta, type BuildMeta } from '../../src/domain/metadata.js';
import { keepFixed } from '../../src/store/released-fixes.js';
import { exists, needJson, writeJson } from '../../src/store/store.js';
import { People, statementOf, type Fields, type Person } from '../keys/people.js';
import { Tiny, type Build } from '../publish/tiny.js';
import { runActivity } from '../steps/activity.js';

const id = '20261123_01';
const args = { stream: 'tiny', run: 'stream', step: 'decide' };

describe('decide', function () {
  let tiny: Tiny;
  let people: People;
  let ann: Person;
  let bob: Person;
  let made: Build;
  before(async () => {
    tiny = await Tiny.make();
    people = await People.make(tiny.s);
    [ann, bob] = [await people.join('ann'), await people.join('bob')];
    made = await tiny.build(id);
    await tiny.publish(made);
  });
  after(() => tiny.remove());
  beforeEach(() => declare({ approvers: [ann, bob] }));

  /** Writes the stream file. */
  async function declare(release?: { approvers: Person[]; [key: string]: unknown }, change: object = {}) {
    const { name, title, treefile, ref, osname, releasever, composer, repos, signingKey } = tiny.stream;
    const location = { location: tiny.s.at('www/release'), url: `${tiny.web.url}/release` };
    const publish = { ...tiny.stream.publish, release: location };
    const approvers = release?.approvers.map((person) => ({ name: person.name, key: person.key }));
    const settings = release ? { release: { approvals: { promote: 1 }, ...release, approvers } } : {};
    const base = { name, title, treefile, ref, osname, releasever, composer, repos, signingKey, publish };
    await tiny.s.write('streams/tiny/stream.yaml', JSON.stringify({ ...base, ...settings, ...change }));
  }
  const activities = () => decideActivities(tiny.host);
  const fails = (tried: Promise<unknown>, type: string, message: RegExp) =>
    assert.rejects(tried, (error: unknown) => {
      assert.ok(error instanceof ApplicationFailure, String(error));
      assert.equal(error.type, type);
      assert.match(error.message, message);
      return error.nonRetryable === true;
    });

  describe('takeStatement', () => {
    const take = (text: string, request = 'one', activityId?: string) =>
      runActivity(activities().takeStatement, { ...args, text, request }, 1, activityId);
    const kept = (name: string) => readFile(join(tiny.host.store.statements('tiny'), name), 'utf8');

    it('takes a statement once, keeps it, and answers a retry alike', async () => {
      const said = statementOf();
      const text = await people.sign('ann', said);
      const verified = { statement: said, approver: 'ann', fingerprint: ann.fingerprint };
      assert.deepEqual(await take(text), verified);
      assert.equal(await kept(`${said.nonce}.asc`), text);
      await rm(join(tiny.host.store.statements('tiny'), `${said.nonce}.asc`));
      assert.deepEqual(await take(text), verified);
      assert.equal(await kept(`${said.nonce}.asc`), text);
      assert.deepEqual(await readdir(tiny.s.at('work/stream')), []);
    });

    it('removes what a killed attempt left of its keyring', async () => {
      const text = await people.sign('ann', statementOf());
      // Its working folder is the attempt's own: the killed one is told by its name.
      let folder = '';
      const watched = watch(tiny.s.at('work/stream'), (_, name) => (folder ||= name ?? ''));
      await take(text, 'one', 'killed');
      watched.close();
      assert.match(folder, /^statements-/);
      await tiny.s.write(`work/stream/${folder}/gnupg-killed/pubring.kbx`, 'half');
      await take(text, 'one', 'killed');
      assert.deepEqual(await readdir(tiny.s.at('work/stream')), []);
    });

    it('refuses a replay, also with another’s signature or as a part of the same request', async () => {
      const said = statementOf();
      const text = await people.sign('ann', said);
      await take(text, 'one');
      const replayed = new RegExp(`nonce ${said.nonce} was used already \\(replayed\\)`);
      await fails(take(text, 'two'), 'StatementRefused', replayed);
      await fails(take(await people.sign('bob', said), 'two'), 'StatementRefused', replayed);
      await fails(take(await people.sign('bob', said), 'one'), 'StatementRefused', replayed);
      assert.equal(await kept(`${said.nonce}.asc`), text);
    });

    it('lets one of two that come at once through', async () => {
      const text = await people.sign('ann', statementOf());
      const ends = await Promise.allSettled(['one', 'two', 'three'].map((request) => take(text, request)));
      assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, 1);
    });

    it('uses up nothing for a statement that is refused', async () => {
      const said = statementOf();
      const text = await people.sign('bob', said);
      await declare({ approvers: [ann] });
      await fails(take(text), 'StatementRefused', /which is no approver's/);
      await declare({ approvers: [ann, bob] });
      await take(text, 'two');
      await declare({ approvers: [ann, bob], statementAge: '1m' });
      const old = statementOf({ time: new Date(Date.now() - 61_000).toISOString() });
      await fails(take(await people.sign('ann', old)), 'StatementRefused', /is too old/);
    });

    it('takes test reports of testers, and nothing else of theirs', async () => {
      const tom = await people.join('tom');
      await declare({ approvers: [ann, bob], testers: [{ name: tom.name, key: tom.key }] });
      const said = statementOf({ decision: 'report', result: 'pass', note: 'boots' });
      const { approver } = await take(await people.sign('tom', said), 'tom');
      assert.equal(approver, 'tom');
      await fails(
        take(await people.sign('tom', statementOf({ decision: 'approve' })), 'other'),
        'StatementRefused',
        /tom is a tester, not an approver: testers sign test reports, not approve/,
      );
    });

    it('refuses what is for the security group to say, and keeps nothing of it', async () => {
      await declare({ approvers: [ann, bob], security: { approvers: ['bob'] } });
      const of = { build: '20261101_01', onto: '20261101_01', case: '20261101-9' } as const;
      for (const change of [
        { ...of, decision: 'dismiss-fix', reason: 'no' },
        { ...of, decision: 'accept-fix', commits: { x86_64: 'a'.repeat(64) } },
        { ...of, decision: 'withdraw' },
      ] satisfies Fields[]) {
        const said = statementOf(change);
        const text = await people.sign('ann', said);
        await fails(take(text), 'StatementRefused', /ann is not of the security group/);
        assert.equal(await exists(join(tiny.host.store.statements('tiny'), `${said.nonce}.asc`)), false);
        assert.equal((await take(await people.sign('bob', statementOf(change)))).approver, 'bob');
      }
      const { approver } = await take(await people.sign('ann', statementOf({ decision: 'withdraw' })));
      assert.equal(approver, 'ann');
    });

    it('says what is wrong with the stream file', async () => {
      const text = await people.sign('ann', statementOf());
      await declare();
      await fails(take(text), 'StreamInvalid', /tiny: the stream has no `release`/);
      const key = await tiny.s.write('copy.asc', await readFile(ann.key, 'utf8'));
      await declare({ approvers: [ann, { ...ann, name: 'Anna', key }] });
      await fails(take(text), 'StreamInvalid', /`ann` and `Anna` have the same key/);
    });
  });

  it('rules are those of the stream file as it is now; nobody waits for an approver whose key is revoked', async () => {
    const rules = () => runActivity(activities().rules, args);
    await declare({
      approvers: [ann, bob],
      approvals: { promote: 2 },
      proposerCounts: false,
      remindEvery: '2h',
    });
    assert.deepEqual(await rules(), {
      approvers: [ann, bob].map(({ name, fingerprint }) => ({ name, fingerprint })),
      approvals: {
        ...{ promote: 2, rollback: 1, announce: 1 },
        ...{ release: 2, redo: 1, rework: 1, accept: 2, abandon: 1, fix: 1, reports: 0 },
      },
      proposerCounts: false,
      proposalAge: 28 * 86_400,
      remindEvery: 7200,
      hold: false,
      mode: 'copy',
      decisionRemindEvery: undefined,
      security: undefined,
    });
    const security = { approvers: ['bob'], remindEvery: '10m', join: '1m' };
    await declare({ approvers: [ann, bob], security });
    const { name, fingerprint } = bob;
    assert.deepEqual((await rules()).security, {
      ...{ approvers: [{ name, fingerprint }], remindEvery: 600, join: 60 },
    });
    const cat = await people.join('cat');
    await people.revoke(cat);
    await declare({ approvers: [ann, cat] });
    assert.deepEqual(
      (await rules()).approvers.map((one) => one.name),
      ['ann'],
    );
  });

  /** Signs and hands in what somebody says. */
  async function says(name: string, change: Fields) {
    const said = statementOf(change);
    await runActivity(activities().takeStatement, {
      ...{ ...args, request: said.nonce, text: await people.sign(name, said) },
    });
    return said;
  }
  const names = (all: readonly { approver: string }[] = []) => all.map(({ approver }) => approver);

  describe('judgePromotion', () => {
    const current = '20261101_01';
    const judged = (change: object = {}) =>
      runActivity(activities().judgePromotion, {
        ...args,
        promotion: { build: id, proposedBy: 'ann', onto: current, ...change },
        current,
      });
    const saysOf = (name: string, change: Fields = {}) =>
      says(name, { decision: 'approve', onto: current, commits: { x86_64: made.commit }, ...change });
    const rules = { approvals: { promote: 2, reports: 1, release: 2 } };

    it('tells who has approved, what is lacking, and when it is decided', async () => {
      const tom = await people.join('tim');
      await declare({ approvers: [ann, bob], testers: [{ name: tom.name, key: tom.key }], ...rules });
      await saysOf('ann', { decision: 'promote', commits: { x86_64: 'cd'.repeat(32) } });
      assert.deepEqual((await judged()).approvals, [], 'names other commits');
      await saysOf('ann', { decision: 'promote' });
      await saysOf('bob', { onto: null });
      const first = await judged();
      assert.deepEqual([names(first.approvals), first.decided, first.reportsNeeded], [['ann'], undefined, 1]);
      assert.deepEqual(
        first.rules.approvers.map(({ name }) => name),
        ['ann', 'bob'],
      );
      await saysOf('bob');
      assert.equal((await judged()).decided, undefined, 'a report lacks');
      const { time } = await saysOf('tim', { decision: 'report', result: 'pass', note: 'boots' });
      const enough = await judged();
      assert.deepEqual(enough.decided, { decision: 'promote', by: ['ann', 'bob'] });
      assert.deepEqual(enough.reports, [{ build: id, by: 'tim', result: 'pass', note: 'boots', at: time }]);
      assert.equal(enough.judgedTo, time);
      // Another release is the current one: they have said nothing about that.
      assert.deepEqual((await judged({ onto: '20261108_01' })).approvals, []);
      await saysOf('bob', { decision: 'reject', reason: 'no sound' });
      const { ended, approvals } = await judged();
      assert.deepEqual([ended, approvals], [{ phase: 'rejected', note: 'rejected by bob: no sound' }, []]);
      await saysOf('bob', { decision: 'withdraw' });
      assert.equal((await judged()).ended, undefined);
      await saysOf('ann', { decision: 'withdraw' });
      assert.deepEqual((await judged()).ended, { phase: 'withdrawn', note: 'withdrawn by ann' });
      await saysOf('ann', { decision: 'promote' });
      assert.equal((await judged()).ended, undefined, 'proposed again');
    });

    it('of an attempt, tells what enough people ask for, and counts apart who ask for different things', async () => {
      await declare({ approvers: [ann, bob], ...rules });
      for (const name of ['ann', 'bob']) await saysOf(name);
      const attempt = {
        number: 1,
        kind: 'first',
        state: 'testing',
        began: new Date().toISOString(),
      } as const;
      const signed = '20261123_02';
      const commits = { x86_64: 'ef'.repeat(32) };
      const testing = { ...attempt, build: signed, commits };
      const ask = (change: object = {}) =>
        judged({ attempts: [{ ...testing, ...change }] }).then(({ decided, votes = {}, approvals }) => ({
          decided: decided && [decided.decision, ...[...decided.by].sort()],
          votes: Object.fromEntries(Object.entries(votes).map(([kind, all]) => [kind, names(all)])),
          approvals: names(approvals),
        }));
      const approvals = ['ann', 'bob'];
      assert.deepEqual(await ask(), { decided: undefined, votes: {}, approvals });
      const release = { decision: 'release', attempt: 1, signed, commits };
      await saysOf('ann', release);
      await saysOf('bob', { ...release, signed: id });
      await saysOf('bob', { ...release, attempt: 2 });
      await saysOf('bob', { ...release, onto: '20261108_01' });
      assert.deepEqual(await ask(), { decided: undefined, votes: { release: ['ann'] }, approvals });
      await saysOf('bob', release);
      assert.deepEqual((await ask()).decided, undefined, 'a report on the signed build lacks');
      await saysOf('bob', { decision: 'report', build: signed, commits, result: 'pass' });
      assert.deepEqual((await ask()).decided, ['release', 'ann', 'bob']);
      assert.equal((await ask({ state: 'failed' })).decided, undefined);
      await saysOf('ann', { decision: 'redo', attempt: 1, reuse: true });
      assert.deepEqual(await ask(), {
        ...{ decided: ['redo', 'ann'], votes: { release: ['bob'], redo: ['ann'] }, approvals },
      });
      await declare({ approvers: [ann, bob], approvals: { promote: 1, redo: 2 } });
      await saysOf('bob', { decision: 'redo', attempt: 1, reuse: false });
      assert.equal((await ask()).decided, undefined);
      await saysOf('bob', { decision: 'redo', attempt: 1, reuse: true });
      assert.deepEqual((await ask()).decided, ['redo', 'ann', 'bob']);
      await saysOf('bob', { decision: 'withdraw', attempt: 1 });
      assert.deepEqual(await ask(), { decided: undefined, votes: { redo: ['ann'] }, approvals });
    });
  });

  describe('judgeCase', () => {
    const base = '20261101_01';
    const changes = { pin: { zlib: '1:1-2.x86_64' }, drop: [], files: 'accepted' as const };
    const commits = { x86_64: 'ab'.repeat(32) };
    const plan = { base, commits, changes, packages: [] };
    const built = { x86_64: 'ef'.repeat(32) };
    const detected = new Date(Date.now() - 60_000).toISOString();
    const judged = (change: object = {}) => {
      const one = { openedBy: 'watch', detected, plan, buildCommits: built, ...change };
      return runActivity(activities().judgeCase, { ...args, case: { id: case1, ...one } });
    };
    const case1 = '20261101-1';
    const place = { build: base, onto: base, case: case1 };
    const approves = { ...place, decision: 'approve-fix', commits, changes } as const;
    const security = { approvers: ['ann', 'bob'] };
    const group = (approvers: Person[], more: object = {}) =>
      declare({ approvers, security, approvals: { promote: 1, fix: 2 }, ...more });

    it('tells who of the group has approved the plan as it is, and accepted what its build is', async () => {
      const zoe = await people.join('zoe');
      await group([ann, bob, zoe], { security: { approvers: ['ann', 'zoe'] } });
      assert.deepEqual(names((await judged()).approvals), []);
      await says('zoe', approves);
      await group([ann, bob, zoe]);
      await says('ann', { ...approves, case: '20261101-2' });
      await says('bob', { ...approves, changes: { ...changes, pin: { zlib: '1:1-3.x86_64' } } });
      assert.deepEqual(names((await judged()).approvals), [], 'not of the group, or about something else');
      await says('ann', approves);
      const { approved, approvals, rules } = await judged();
      assert.deepEqual([approved, names(approvals)], [false, ['ann']]);
      assert.deepEqual(
        rules.security?.approvers.map(({ name }) => name),
        ['ann', 'bob'],
      );
      const { time } = await says('bob', approves);
      const enough = await judged();
      assert.deepEqual([enough.approved, enough.judgedTo, enough.accepted], [true, time, false]);
      // What was approved is this plan.
      assert.deepEqual(names((await judged({ plan: { ...plan, base: '20261108_01' } })).approvals), []);
      assert.deepEqual(names((await judged({ plan: undefined })).approvals), []);
      await says('ann', { ...place, decision: 'accept-fix', commits: built });
      await says('bob', { ...place, decision: 'accept-fix', commits });
      assert.deepEqual(names((await judged()).acceptances), ['ann']);
      await says('bob', { ...place, decision: 'accept-fix', commits: built });
      assert.equal((await judged()).accepted, true);
      await group([ann, bob, zoe], { security: { approvers: ['ann', 'zoe'] } });
      assert.deepEqual(names((await judged()).approvals), ['zoe', 'ann'], 'the group is another one');
      await group([ann, bob]);
      await says('bob', { ...place, decision: 'withdraw' });
      const { approvals: left, acceptances, ended } = await judged();
      assert.deepEqual([names(left), names(acceptances), ended], [['ann'], ['ann'], undefined]);
    });

    it('ends by a statement of the group, or of who has opened it and takes nothing else back', async () => {
      const zoe = await people.join('zac');
      await group([ann, bob, zoe], { security: { approvers: ['ann', 'zac'] } });
      const id = '20261101-3';
      const of = { build: base, onto: base, case: id } as const;
      const dismisses = { ...of, decision: 'dismiss-fix', reason: 'not reachable' } as const;
      await says('zac', dismisses);
      await says('zac', { ...of, decision: 'withdraw' });
      await group([ann, bob, zoe]);
      assert.equal((await judged({ id, openedBy: 'zac' })).ended, undefined, 'not of the group');
      await says('ann', dismisses);
      assert.equal((await judged({ id })).ended, 'dismissed by ann: not reachable');
      // A case of this id that was opened later is another one.
      const later = new Date(Date.now() + 3_600_000).toISOString();
      assert.equal((await judged({ id, detected: later })).ended, undefined);
      await says('ann', { ...of, decision: 'withdraw' });
      assert.equal((await judged({ id })).ended, undefined);
      assert.equal((await judged({ id, openedBy: 'ann' })).ended, undefined, 'that took back the dismissal');
      await says('ann', { ...of, decision: 'withdraw' });
      assert.equal((await judged({ id, openedBy: 'ann' })).ended, 'withdrawn by ann');
      assert.equal((await judged({ id })).ended, undefined, 'ann has not opened it');
    });
  });

  it('judgeRollback tells who wants it, and whether they are enough', async () => {
    await declare({ approvers: [ann, bob], approvals: { promote: 1, rollback: 2 } });
    const to = '20261101_01';
    const back = (build = id) => runActivity(activities().judgeRollback, { ...args, build, to });
    const wants = { decision: 'rollback', build: id, onto: to } as const;
    await says('ann', wants);
    await says('bob', { ...wants, onto: '20261102_01' });
    const one = await back();
    assert.deepEqual([names(one.approvals), one.enough], [['ann'], false]);
    await says('bob', wants);
    const two = await back();
    assert.deepEqual([names(two.approvals), two.enough], [['ann', 'bob'], true]);
    assert.deepEqual(names((await back('20261103_01')).approvals), []);
    await declare({ approvers: [bob], approvals: { promote: 1 } });
    const now = await back();
    assert.deepEqual([names(now.approvals), now.enough, now.rules.approvals.rollback], [['bob'], true, 1]);
  });

  describe('examine', () => {
    const examine = (build = id) => runActivity(activities().examine, { ...args, build });
    const refuses = (why: RegExp, build = id) => fails(examine(build), 'BuildNotReleasable', why);
    const folder = () => tiny.s.at(`store/tiny/runs/${made.run}/x86_64/build`);
    const meta = () => needJson(join(folder(), 'meta.json'), buildMeta);
    const indexFile = () => join(tiny.host.store.published('tiny'), 'builds.json');

    /** Writes a changed meta.json for as long as `body` runs. */
    async function changed(change: (meta: BuildMeta) => BuildMeta, body: () => Promise<void>) {
      const was = await meta();
      await writeJson(join(folder(), 'meta.json'), change(was));
      await body().finally(() => writeJson(join(folder(), 'meta.json'), was));
    }
    async function without(file: string, body: () => Promise<void>) {
      await rename(file, `${file}.away`);
      await body().finally(() => rename(`${file}.away`, file));
    }
    async function ended(build: string, outcome: string, failure?: object) {
      const run = `run-of-${build}`;
      await tiny.s.write(`store/tiny/ids/${build}`, `${run}\n`);
      const time = '2026-11-23T00:00:00Z';
      await writeJson(tiny.s.at(`store/tiny/runs/${run}/run.json`), {
        ...{ stream: 'tiny', run, build, workflow: 'nightly/tiny', phase: '', steps: [] },
        ...{ started: time, ended: time, outcome, ...(failure ? { failure } : {}) },
      });
    }

    it('answers the commits of a good build', async () => {
      assert.deepEqual(await examine(), { commits: { x86_64: made.commit } });
    });

    it('refuses unknown builds, and what is no build id', async () => {
      await refuses(/tiny 20261123_09: no such build/, '20261123_09');
      await assert.rejects(examine('../../etc'), { type: 'InputRefused', nonRetryable: true });
    });

    it('refuses builds that were not published, with what became of the run', async () => {
      await ended('20261124_01', 'failed', { code: 'BootFailed', message: 'no login prompt' });
      await refuses(/its run ended as failed \(BootFailed: no login prompt\)/, '20261124_01');
      await ended('20261124_02', 'cancelled');
      await refuses(/its run ended as cancelled/, '20261124_02');
      await tiny.s.write('store/tiny/ids/20261124_03', 'run-now\n');
      await refuses(/its run has not ended/, '20261124_03');
      await tiny.s.write('store/tiny/ids/20261124_04', 'run-signed\n');
      const signed = 'store/tiny.signed/runs/run-signed/x86_64/rebuild.json';
      await tiny.s.write(signed, JSON.stringify({ accepted: id, attempt: 2 }));
      await refuses(new RegExp(`is a signed build, made from the accepted build ${id}`), '20261124_04');
    });

    it('refuses pruned builds', async () => {
      const index = await needJson(indexFile(), buildIndex);
      await writeJson(indexFile(), { ...index, builds: [], 'tombstone-builds': [{ id }] });
      await refuses(/was pruned/).finally(() => writeJson(indexFile(), index));
      await without(folder(), () => refuses(/its x86_64 files are gone: pruned/));
      const { commit } = made;
      const object = join(tiny.staging, 'objects', commit.slice(0, 2), `${commit.slice(2)}.commit`);
      await without(object, () => refuses(new RegExp(`is incomplete \\(x86_64\\): commit ${commit}`)));
      await examine();
    });

    it('refuses incomplete builds and names what is missing', async () => {
      await without(join(folder(), 'lockfile.json'), () =>
        refuses(/is incomplete \(x86_64\): lockfile\.json/),
      );
      const image = { path: 'tiny.qcow2', sha256: 'cd'.repeat(32), size: 5, signature: 'tiny.qcow2.asc' };
      const withImage = (own: BuildMeta, change: object = {}): BuildMeta => ({
        ...own,
        images: { qcow2: { ...image, ...change } },
        treeline: { ...own.treeline, checksums: 'sums.asc' },
      });
      await changed(
        (own) => withImage(own),
        async () => {
          await refuses(/tiny\.qcow2, tiny\.qcow2\.asc, sums\.asc$/);
          for (const file of ['tiny.qcow2', 'tiny.qcow2.asc', 'sums.asc'])
            await tiny.s.write(`store/tiny/runs/${made.run}/x86_64/build/${file}`, '12345');
          await examine();
        },
      );
      await changed(
        (own) => withImage(own, { size: 6 }),
        () => refuses(/: tiny\.qcow2$/),
      );
      await changed(
        (own) => withImage(own, { signature: undefined }),
        () => refuses(/signature of qcow2$/),
      );
      await changed(
        (own) => ({ ...own, images: { qcow2: image } }),
        () => refuses(/: checksums$/),
      );
      const text = await readFile(join(folder(), 'meta.json'), 'utf8');
      await tiny.s.write(`store/tiny/runs/${made.run}/x86_64/build/meta.json`, text.slice(9));
      await refuses(/its x86_64 meta\.json is damaged/).finally(() =>
        tiny.s.write(`store/tiny/runs/${made.run}/x86_64/build/meta.json`, text),
      );
    });

    it('refuses a build that lacks an architecture, or is another than it says', async () => {
      await declare({ approvers: [ann] }, { architectures: ['x86_64', 'aarch64'] });
      await refuses(/was not built for aarch64/);
      await declare({ approvers: [ann] });
      await changed(
        (own) => ({ ...own, buildid: '20261122_01' }),
        () => refuses(/metadata is of tiny 20261122_01/),
      );
    });

    it('refuses a build that did not boot; a flaky one may go', async () => {
      const boot = (outcome: 'failed' | 'flaky') => (own: BuildMeta) => ({
        ...own,
        treeline: { ...own.treeline, tests: { boot: { qcow2: { outcome, attempts: [] } } } },
      });
      await changed(boot('failed'), () => refuses(/boot test failed: qcow2 \(x86_64\)/));
      await changed(boot('flaky'), async () =>
        assert.deepEqual(await examine(), { commits: { x86_64: made.commit } }),
      );
    });

    it('refuses a build that is signed with another key than the stream’s', async () => {
      await declare({ approvers: [ann] }, { signingKey: bob.key });
      const key = (await meta()).treeline.key;
      await refuses(new RegExp(`is signed with ${key}, but the stream's key is ${bob.fingerprint} now`));
    });

    it('needs a stream that is released at all', async () => {
      await declare();
      await fails(examine(), 'StreamInvalid', /tiny: the stream has no `release`/);
    });
  });

  describe('authorize', () => {
    const base = '20261120_01';
    const commits = { x86_64: 'a'.repeat(64) };
    const changes = { pin: { zlib: '2-1.x86_64' }, drop: [], files: 'accepted' as const };
    const about = { case: '20261123-1', build: base, onto: base };
    const file = (name: string) => tiny.s.at(`store/tiny/runs/${made.run}/x86_64/${name}`);
    const released = () =>
      runActivity(activities().authorize, {
        ...{ ...args, ...about, commits, changes },
        ...{ decision: 'approve-fix' as const, signed: id },
      });
    const takes = async (by: string, said: Fields) => {
      const text = await people.sign(by, statementOf(said));
      await runActivity(activities().takeStatement, { ...args, text, request: text });
    };

    it('of a security release is about the build that was made by the plan, and by the group', async () => {
      await declare({ approvers: [ann, bob], security: { approvers: ['bob'] } });
      const refuses = (why: RegExp) => fails(released(), 'BuildNotReleasable', why);
      const run = { stream: 'tiny', run: 'r', build: base, commit: commits.x86_64 };
      await refuses(/is not made from the release 20261120_01/);
      await writeJson(file('accepted-run.json'), { ...run, commit: 'b'.repeat(64) });
      await writeJson(file('changes.json'), changes);
      await refuses(/is not made from the release/);
      await writeJson(file('accepted-run.json'), run);
      await writeJson(file('changes.json'), { ...changes, pin: { zlib: '3-1.x86_64' } });
      await refuses(/has other changes than those that were approved/);
      await writeJson(file('changes.json'), changes);
      const approves = { ...about, decision: 'approve-fix' as const, commits, changes };
      await declare({ approvers: [ann, bob], security: { approvers: ['ann', 'bob'] } });
      await takes('ann', approves);
      await declare({ approvers: [ann, bob], security: { approvers: ['bob'] } });
      await fails(released(), 'StatementRefused', /0 of 1 signed statements/);
      await takes('bob', { ...approves, changes: { ...changes, drop: ['vim'] } });
      await fails(released(), 'StatementRefused', /0 of 1 signed statements/);
      await takes('bob', approves);
      assert.deepEqual(await released(), { approvers: ['bob'] });
    });

    it('of what lacks a released fix counts only statements that say so', async () => {
      await declare({ approvers: [ann, bob] });
      const packages = { zlib: { evra: '1:1-1.x86_64', digest: `sha256:${'c'.repeat(64)}` } };
      await writeJson(file('build/lockfile.json'), {
        metadata: { generated: '', rpmmd_repos: {} },
        packages,
      });
      const brought = { advisories: ['A-1'], cves: [], build: base, packages: { zlib: '1:1-2' } };
      await keepFixed(tiny.host.store, 'tiny', { case: '20261122-1', ...brought });
      const promotes = () =>
        runActivity(activities().authorize, { ...args, decision: 'promote', build: id, onto: null });
      const said = { decision: 'approve', build: id, onto: null, commits: { x86_64: made.commit } } as const;
      await takes('ann', said);
      await fails(promotes(), 'StatementRefused', /name the fixes that it lacks \(20261122-1\)/);
      await takes('bob', { ...said, unfixed: ['20261122-1'] });
      assert.deepEqual(await promotes(), { approvers: ['bob'] });
    });
  });
});
