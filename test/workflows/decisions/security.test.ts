/** Security cases, from what the watch has found to their release, beside all else that a stream is at. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { fileURLToPath } from 'node:url';
import type { CasePhase, SecurityCase } from '../../../src/domain/security.js';
import { fixId, securityId } from '../../../src/workflows/decisions/stream-messages.js';
import {
  affecting,
  commitsOf,
  fixedBuild,
  refused,
  releaseId,
  sideBySide,
  signedOf,
  streamId,
  until,
  type World,
} from '../scripted.js';

const workflowsPath = fileURLToPath(new URL('./scripted-security.js', import.meta.url));
const [base, newer, newest] = ['20261101_01', '20261108_01', '20261115_01'] as const;
const released = { build: base, at: '2026-11-01T12:00:00Z', commits: commitsOf(base) };

/** Readers have a release. */
async function begin(world: World): Promise<void> {
  world.index = [released];
  await world.terminate(streamId(world.stream));
  await world.start();
  await until('it knows the release', 60, async () => (await world.view()).current === base);
}
const approve = async (world: World, one: SecurityCase, ...by: string[]) => {
  for (const name of by) await world.sayOf('approve-fix', one, name);
};
const isReleased = (world: World, one: Pick<SecurityCase, 'id'>) =>
  world.caseIs('released', ({ id }) => id === one.id);
/** A person asks for a fix. */
const ask = (world: World, by: string, packages: string[], more: object = {}) =>
  world.decide('fix', base, by, { fix: { advisories: [], packages, embargo: false, ...more } });
const planned = (world: World, phase: CasePhase = 'waiting') =>
  world.caseIs(phase, ({ plan }) => plan !== undefined);
/** What anybody was told, by those whom it was told. */
const toldTo = (world: World, audience?: string) =>
  world.calls
    .filter(({ name, args }) => name === 'tellSig' && args.audience === audience)
    .map(({ args }) => String(args.event));
const opened = async (world: World) => (await world.view()).security?.map(({ id }) => id) ?? [];

describe('security cases', function () {
  this.timeout('5m');

  sideBySide(
    {
      async 'from what the watch has found to the release'(world) {
        await begin(world);
        await world.advisories('A');
        const one = await planned(world);
        assert.match(one.id, /^\d{8}-1$/);
        assert.deepEqual(
          [one.openedBy, one.attempt, one.needed, one.missing],
          ['watch', 1, 1, ['alice', 'bob']],
        );
        assert.deepEqual(one.plan?.changes.pin, { a: '2-1.noarch' });
        await approve(world, one, 'alice');
        const { times, approvals, build } = await isReleased(world, one);
        assert.deepEqual(
          [build, approvals.map(({ approver }) => approver)],
          [fixedBuild(one.id, 1), ['alice']],
        );
        const {
          published,
          detected,
          planned: plan = '',
          approved = '',
          built = '',
          released: out = '',
        } = times;
        assert.equal(published, '2026-11-01T00:00:00Z');
        for (const [before, after] of [
          [detected, plan],
          [plan, approved],
          [plan, built],
          [approved, out],
        ] as const)
          assert.ok(before !== '' && before <= after, JSON.stringify(times));
        const { current, released: all, inWork, history } = await world.view();
        // Other builds are compared with the build that it was made from.
        assert.deepEqual([current, all[0]?.accepted, inWork], [build, base, null]);
        assert.deepEqual(
          history.map(({ decision, case: of }) => [decision, of === one.id]),
          [
            ['released', true],
            ['approve-fix', true],
            ['security case', true],
          ],
        );
        // The release asks for the approvals of just this plan, and that its build is made by it.
        const asked = world.calls.filter(
          ({ name, workflow }) => name === 'authorize' && workflow === releaseId(world.stream, build ?? ''),
        );
        assert.equal(asked.length, 2);
        for (const { args } of asked) {
          const { decision, build: of, onto, signed, case: about, commits, changes } = args;
          assert.deepEqual([decision, of, onto, signed, about], ['approve-fix', base, base, build, one.id]);
          assert.deepEqual([commits, changes], [commitsOf(base), one.plan.changes]);
        }
        const documents = world.calls.find(({ name }) => name === 'documents')?.args;
        assert.deepEqual(documents?.security, { case: one.id, advisories: [affecting('A').advisory] });
        assert.deepEqual(
          world.fixed.map(({ case: id, advisories, cves }) => [id, advisories, cves]),
          [[one.id, ['A'], ['CVE-A']]],
        );
        await until('all are told', 60, () => toldTo(world, 'sig').includes('released'));
        for (const audience of ['security', 'sig'])
          assert.deepEqual(toldTo(world, audience), ['opened', 'waiting', 'released']);
        await world.keep('security-released', securityId(world.stream, one.id));
      },

      async 'those that come together make one release, and none opens two'(world) {
        world.rules.security.join = 3;
        await begin(world);
        await world.advisories('A');
        await world.caseIs('joining');
        await world.advisories('A', 'B');
        await world.advisories('B');
        const one = await planned(world);
        assert.deepEqual(
          one.advisories.map(({ id }) => id),
          ['A', 'B'],
        );
        assert.deepEqual(Object.keys(one.plan?.changes.pin ?? {}), ['a', 'b']);
        // It slept while it waited for more.
        const { events } = await world.history(securityId(world.stream, one.id));
        assert.ok(events && events.length < 200, String(events?.length));
        // It does not wait for more any more.
        await world.advisories('A', 'B', 'C');
        await until('another one is open', 60, async () => (await opened(world)).length === 2);
        const [second] = await opened(world);
        assert.deepEqual(
          (await world.case(second ?? ''))?.advisories.map(({ id }) => id),
          ['C'],
        );
        await world.sayOf('dismiss-fix', one, 'bob', { reason: 'no' });
        await world.advisories('A', 'B', 'C');
        await world.renew();
        await world.advisories('A', 'B', 'C');
        // It has taken in all that came before this.
        await refused(world.retry('20200101-1'), 'BuildNotReleasable', /no such security case/);
        await world.called('planCase', 2);
        assert.equal((await opened(world)).length, 2);
      },

      async 'takes in nothing that is not as the watch makes it'(world) {
        await begin(world);
        const [good] = [affecting('A')];
        for (const found of [
          undefined,
          'A',
          [{ ...good, advisory: { ...good.advisory, id: '../../etc' } }],
          [{ ...good, fixes: [{ name: '$(reboot)', evr: '1-1', advisories: [] }] }],
          [{ ...good, fixes: [{ name: 'a', evr: '1 -1', advisories: [] }] }],
        ])
          await world.entity.signal('advisories', { found });
        await until('they are refused', 60, async () => (await world.view()).refused?.length === 5);
        assert.deepEqual(await opened(world), []);
        await world.advisories('A');
        await planned(world);
      },

      async 'by hand: by one of the group, on the current release, for what no open case covers'(world) {
        await begin(world);
        await refused(
          ask(world, 'carol', ['zlib']),
          'StatementRefused',
          /carol is not of the security group/,
        );
        await refused(ask(world, 'mallory', ['zlib']), 'StatementRefused', /no approver/);
        await refused(ask(world, 'alice', []), 'StatementRefused', /names neither/);
        await refused(
          world.decide('fix', newer, 'alice', { fix: { advisories: ['A'], packages: [], embargo: false } }),
          'StatementRefused',
          /is not the current release/,
        );
        await refused(
          world.decide('fix', base, 'alice', {
            commits: {},
            fix: { advisories: ['A'], packages: [], embargo: false },
          }),
          'StatementRefused',
          /has the commits/,
        );
        await refused(
          world.decide('fix', base, 'alice', {
            fix: { advisories: [], packages: [], embargo: false },
            srpms: { 'zlib-2-1.src.rpm': 'a'.repeat(64) },
          }),
          'StatementRefused',
          /only where releases are signed rebuilds/,
        );
        world.steps.findFix = () => {
          throw ApplicationFailure.nonRetryable('zlib-9-1: the release has it', 'FixNotFound');
        };
        await refused(ask(world, 'alice', ['zlib']), 'FixNotFound', /the release has it/);
        delete world.steps.findFix;
        assert.match((await ask(world, 'bob', ['zlib'])).message, /security case \d+-1: zlib-9-1: is opened/);
        const one = await planned(world);
        assert.equal(one.openedBy, 'bob');
        await refused(
          ask(world, 'alice', ['zlib']),
          'StatementRefused',
          new RegExp(`case ${one.id} is open for it`),
        );
        await ask(world, 'alice', [], { advisories: ['A'] });
        await refused(
          ask(world, 'alice', [], { advisories: ['A'] }),
          'StatementRefused',
          /A: security case .*-2 is open/,
        );
        await approve(world, one, 'alice');
        await isReleased(world, one);
      },

      async 'one under embargo is told to the security group alone'(world) {
        await begin(world);
        await world.promote(newer, 'alice');
        await ask(world, 'alice', ['zlib'], { embargo: true });
        const one = await planned(world);
        assert.equal(one.embargoed, true);
        const child = await world.history(fixId(world.stream, one.id, 1));
        assert.ok(child.events?.length);
        await until('the group is told', 60, () => toldTo(world, 'security').includes('waiting'));
        await world.sayOf('approve-fix', one, 'alice');
        await isReleased(world, one);
        assert.deepEqual(toldTo(world, 'sig'), []);
        const secret = JSON.stringify(
          world.calls
            .filter(
              ({ name, args }) =>
                name === 'tellSig' && args.audience !== 'security' && args.event !== 'unfixed',
            )
            .map(({ args }) => args),
        );
        assert.doesNotMatch(secret, /zlib|security/);
      },

      async 'reminds the group, with the command, until it is approved'(world) {
        world.rules.security.remindEvery = 2;
        await begin(world);
        await world.advisories('A');
        const one = await planned(world);
        await until(
          'it is reminded',
          60,
          () => toldTo(world, 'security').filter((event) => event === 'reminder').length >= 2,
        );
        assert.ok(!toldTo(world, 'sig').includes('reminder'));
        const texts = world.calls.filter(({ args }) => args.event === 'reminder').map(({ args }) => args);
        for (const { text } of texts)
          assert.match(
            String(text),
            new RegExp(
              `a 1-1.noarch → 2-1.noarch \\(fix\\)\nto approve: treeline security ${world.stream} --approve ${one.id}$`,
            ),
          );
        assert.equal(new Set(texts.map(({ key }) => key)).size, texts.length, 'each is another mail');
        await approve(world, one, 'bob');
        await isReleased(world, one);
      },

      async 'is dismissed with a reason by one of the group, and its build is stopped'(world) {
        await begin(world);
        const step = world.hold('beginCase');
        await world.advisories('A');
        await step.reached;
        const one = await planned(world, 'building');
        await refused(world.sayOf('dismiss-fix', one, 'bob'), 'StatementRefused', /reason: say why/);
        await refused(
          world.sayOf('dismiss-fix', one, 'carol', { reason: 'no' }),
          'StatementRefused',
          /not of the security group/,
        );
        assert.match(
          (await world.sayOf('dismiss-fix', one, 'bob', { reason: 'not reachable here' })).message,
          /is dismissed/,
        );
        const { note } = await world.caseIs('dismissed');
        assert.match(note ?? '', /dismissed by bob: not reachable here/);
        const { status } = await world.client.workflow.getHandle(fixId(world.stream, one.id, 1)).describe();
        assert.equal(status.name, 'CANCELLED');
        await refused(world.sayOf('approve-fix', one, 'bob'), 'StatementRefused', /is dismissed already/);
        await world.keep('security-dismissed', securityId(world.stream, one.id));
      },

      async 'counts the approvals of those who are in the group now, and of what is planned now'(world) {
        world.rules.approvals.fix = 2;
        const step = world.hold('testCase');
        await begin(world);
        await world.advisories('A');
        await step.reached;
        const one = await planned(world, 'building');
        await refused(
          world.sayOf('approve-fix', one, 'carol'),
          'StatementRefused',
          /not of the security group/,
        );
        const other = { pin: { a: '3-1.noarch' }, drop: [], files: 'accepted' } as const;
        await refused(
          world.sayOf('approve-fix', one, 'alice', { changes: { ...other, drop: [] } }),
          'StatementRefused',
          /names other changes/,
        );
        await refused(
          world.sayOf('approve-fix', one, 'alice', { commits: commitsOf(newer) }),
          'StatementRefused',
          /names the commits/,
        );
        await refused(
          world.sayOf('approve-fix', { ...one, id: one.id.replace('-1', '-7') }, 'alice'),
          'StatementRefused',
          /there is none/,
        );
        assert.match(
          (await world.sayOf('approve-fix', one, 'alice')).message,
          /is building, 1 of 2 approvals, waits for bob/,
        );
        await world.sayOf('withdraw', one, 'alice');
        await until('it is withdrawn', 60, async () => (await world.case(one.id))?.approvals.length === 0);
        await approve(world, one, 'alice', 'bob');
        world.rules.security.group = ['alice', 'carol'];
        step.open();
        const { missing, note } = await world.caseIs('waiting');
        assert.deepEqual(missing, ['carol']);
        assert.match(note ?? '', /no longer counts: the approval of bob/);
        await approve(world, one, 'carol');
        await isReleased(world, one);
      },

      async 'a build that fails waits for a retry; so does a release'(world) {
        world.fails('beginCase', 'RebuildFailed');
        world.fails('checkBuild', 'BuildDamaged');
        await begin(world);
        await world.advisories('A');
        const failed = await world.caseIs('failed');
        assert.match(failed.note ?? '', /RebuildFailed: beginCase fails/);
        await world.retry(failed.id);
        const one = await planned(world);
        assert.equal(one.attempt, 2);
        await approve(world, one, 'alice');
        const again = await world.caseIs('failed');
        assert.match(again.note ?? '', /BuildDamaged/);
        assert.equal((await world.view()).inWork, null);
        await world.retry(one.id);
        const { build } = await isReleased(world, one);
        // The same build.
        assert.equal(build, fixedBuild(one.id, 2));
        await refused(world.retry(one.id), 'BuildNotReleasable', /no such security case is open/);
        await until(
          'they are told',
          60,
          () => toldTo(world, 'security').filter((event) => event === 'failed').length === 2,
        );
      },

      async 'begins again from another release, and asks for approvals again'(world) {
        world.rules.approvals.fix = 2;
        await begin(world);
        await world.advisories('A');
        const before = await planned(world);
        await approve(world, before, 'alice');
        await world.approved(newer);
        await world.released(newer);
        const one = await world.caseIs('waiting', ({ plan }) => plan?.base === newer);
        assert.deepEqual([one.attempt, one.approvals.length], [2, 0]);
        await refused(world.sayOf('approve-fix', before, 'bob'), 'StatementRefused', /is made from/);
        await until('why is told', 60, () =>
          world.calls.some(
            ({ args }) =>
              args.event === 'waiting' && String(args.text).includes(`${newer} is the release now`),
          ),
        );
        await approve(world, one, 'alice', 'bob');
        await isReleased(world, one);
        const { current, released: all } = await world.view();
        assert.deepEqual([current, all[0]?.accepted], [fixedBuild(one.id, 2), newer]);
      },

      async 'ends when another release has the fix'(world) {
        await begin(world);
        await world.advisories('A');
        const one = await planned(world);
        world.builtWith.set(newer, ['a']);
        await world.approved(newer);
        await world.released(newer);
        const { note } = await world.caseIs('fixed');
        assert.match(note ?? '', /has the fixes/);
        assert.equal(world.count('planCase'), 1);
        await refused(world.sayOf('approve-fix', one, 'alice'), 'StatementRefused', /is fixed already/);
      },

      async 'differs: waits for a word on that, by the commits of its build'(world) {
        world.steps.compareCase = () => '/usr/bin/x: added';
        await begin(world);
        await world.advisories('A');
        const one = await world.caseIs('differs');
        assert.match(one.note ?? '', /usr.bin.x: added/);
        await approve(world, one, 'alice');
        await refused(
          world.sayOf('accept-fix', one, 'alice', { commits: commitsOf(base) }),
          'StatementRefused',
          /names the commits/,
        );
        assert.equal(world.count('testCase'), 0);
        await world.sayOf('accept-fix', one, 'bob');
        await isReleased(world, one);
        await refused(world.sayOf('accept-fix', one, 'bob'), 'StatementRefused', /is released already/);
      },

      async 'of signed rebuilds: nothing is signed before it is approved; released with the accepted build of its base'(
        world,
      ) {
        world.rules.mode = 'signed-rebuild';
        const signed = signedOf(base, 1);
        world.index = [{ ...released, build: signed, accepted: base, commits: commitsOf(signed) }];
        await world.terminate(streamId(world.stream));
        await world.start();
        await until('it knows the release', 60, async () => (await world.view()).current === signed);
        await world.advisories('A');
        const one = await planned(world);
        assert.equal(world.count('compareCase'), 0);
        await approve(world, one, 'alice');
        await isReleased(world, one);
        const take = world.calls.find(({ name }) => name === 'precheckRelease')?.args;
        assert.deepEqual([take?.build, take?.accepted, take?.onto], [fixedBuild(one.id, 1), base, signed]);
        assert.equal((await world.view()).released[0]?.accepted, base);
        // A nightly of after the accepted one may be promoted, although its id is less than that of the security release.
        await world.promote(newer, 'alice');
      },

      async 'goes before promotions, and after what is being released; promotions are told and asked'(world) {
        await begin(world);
        const step = world.hold('tryRelease', newer);
        await world.approved(newer);
        await step.reached;
        await world.approved(newest);
        await world.becomes(newest, 'ready');
        await world.advisories('A');
        await until('promotions are told', 60, () => world.told('security-case').length === 2);
        const first = await planned(world);
        await approve(world, first, 'alice');
        await world.caseIs('ready');
        assert.equal((await world.view()).inWork, newer);
        step.open();
        // The other release came first: it begins again from that. The promotion goes meanwhile, nothing holds it.
        await world.released(newer);
        const one = await world.caseIs('waiting', ({ plan }) => plan?.base === newer);
        const { onto } = await world.becomes(newest, 'proposed');
        assert.equal(onto, newer);
        await approve(world, one, 'bob');
        await isReleased(world, one);
        const lacking = await until('it is told what it lacks', 60, async () => {
          const now = await world.promotion(newest);
          return now?.unfixed && now;
        });
        assert.deepEqual(lacking.unfixed, [one.id]);
        assert.match(
          lacking.note ?? '',
          new RegExp(`lacks the fix of security case ${one.id}, A: a 1-1 .*--unfixed ${one.id}`),
        );
        await until('the SIG is told', 60, () => world.told('unfixed').length === 1);
        await refused(world.approve(newest, 'alice'), 'ReleaseUnfixed', new RegExp(`--unfixed ${one.id}`));
        for (const by of ['alice', 'bob']) await world.approve(newest, by, { unfixed: [one.id] });
        await world.released(newest);
      },

      async 'a promotion of what lacks a released fix is refused, unless it says so'(world) {
        await begin(world);
        await world.advisories('A');
        const one = await planned(world);
        await approve(world, one, 'bob');
        await isReleased(world, one);
        await refused(
          world.promote(newer, 'alice'),
          'ReleaseUnfixed',
          new RegExp(`lacks the fix of security case ${one.id}`),
        );
        // A mere proposal is taken in, and says so.
        const { promotion } = await world.promote(newer);
        assert.deepEqual(promotion?.unfixed, [one.id]);
        await refused(world.approve(newer, 'alice'), 'ReleaseUnfixed', /lacks/);
        await world.approve(newer, 'alice', { unfixed: [one.id] });
        // One that has it is promoted as ever.
        world.builtWith.set(newest, ['a']);
        await world.approved(newest);
        await world.released(newest);
      },

      async 'a case and its build that are lost are found or begun again'(world) {
        await begin(world);
        const step = world.hold('beginCase');
        await world.advisories('A');
        await step.reached;
        const one = await planned(world, 'building');
        await world.terminate(securityId(world.stream, one.id));
        await world.terminate(streamId(world.stream));
        await world.start();
        await until('it is begun again', 60, async () =>
          (await world.view()).history.some(({ decision }) => decision === 'lost'),
        );
        step.open();
        await planned(world);
        // The build was found.
        assert.equal(world.count('planCase'), 1);
        const held = world.hold('tryRelease', fixedBuild(one.id, 1));
        await approve(world, one, 'alice');
        await held.reached;
        for (const id of [securityId(world.stream, one.id), streamId(world.stream)])
          await world.terminate(id);
        await world.start();
        await until(
          'its release is found',
          60,
          async () => (await world.view()).inWork === fixedBuild(one.id, 1),
        );
        held.open();
        await isReleased(world, one);
        assert.equal(world.count('switchRelease'), 1);
        assert.equal((await world.view()).inWork, null);
        // A build that is gone has failed, and is made again.
        const third = world.hold('testCase');
        await world.advisories('B');
        await third.reached;
        const { id } = await world.caseIs('building');
        await world.terminate(fixId(world.stream, id, 1));
        const failed = await world.caseIs('failed');
        assert.match(failed.note ?? '', /terminated/);
        third.open();
        await world.retry(id);
        assert.equal((await planned(world)).attempt, 2);
      },

      async 'a word against it stops its release before the switch'(world) {
        await begin(world);
        await world.advisories('A');
        const one = await planned(world);
        const step = world.hold('tryRelease', fixedBuild(one.id, 1));
        await approve(world, one, 'alice');
        await step.reached;
        await world.sayOf('dismiss-fix', await world.caseIs('releasing'), 'bob', { reason: 'wrong' });
        await world.caseIs('dismissed');
        assert.equal(world.count('switchRelease'), 0);
        const { current, inWork } = await world.view();
        assert.deepEqual([current, inWork], [base, null]);
        // The way is free.
        await world.approved(newer);
        await world.released(newer);
      },
    },
    { workflowsPath },
  );
});

describe('security cases with a long history', function () {
  this.timeout('5m');
  sideBySide(
    {
      async 'continue as new, and lose nothing'(world) {
        world.rules.security.remindEvery = 1;
        world.rules.approvals.fix = 2;
        await begin(world);
        await world.advisories('A');
        const one = await planned(world);
        await approve(world, one, 'alice');
        const handle = world.client.workflow.getHandle(securityId(world.stream, one.id));
        const { runId } = await handle.describe();
        await until('it has continued', 90, async () => (await handle.describe()).runId !== runId);
        await approve(world, one, 'bob');
        const { approvals } = await isReleased(world, one);
        assert.deepEqual(
          approvals.map(({ approver }) => approver),
          ['alice', 'bob'],
        );
        assert.equal(world.count('planCase'), 1);
      },
    },
    { workflowsPath, longHistory: 80 },
  );
});
