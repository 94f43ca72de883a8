/** A promotion while it collects approvals and waits for its turn. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { promotionId, refused, sideBySide, until, type World } from '../scripted.js';

const [first, second] = ['20261101_01', '20261108_01'] as const;
const approvers = async (world: World, build: string) =>
  (await world.promotion(build))?.approvals.map(({ approver }) => approver);

describe('promotion workflow', function () {
  this.timeout('5m');

  sideBySide({
    async 'is released when enough different people have approved it'(world) {
      await world.promote(first, 'alice');
      await world.approve(first, 'alice');
      assert.deepEqual(await approvers(world, first), ['alice'], 'the same person twice counts once');
      assert.match((await world.approve(first, 'bob')).message, /2 of 2 approvals/);
      await world.released(first);
      assert.deepEqual((await world.view()).released[0]?.build, first);
      assert.deepEqual(
        (await world.view()).history.map(({ decision, by }) => `${decision} ${by}`),
        ['released treeline', 'approve bob', 'approve alice', 'promote alice'],
      );
      await world.keep('promotion-released', promotionId(world.stream, first));
    },

    async 'ends with a rejection, which only its author can take back'(world) {
      await world.promote(first, 'alice');
      await world.decide('reject', first, 'bob', { reason: 'netbase is broken' });
      assert.equal(await world.result(first), 'rejected');
      const { vetoes, promotions, history } = await world.view();
      assert.deepEqual([vetoes.map(({ by }) => by), promotions], [['bob'], []]);
      assert.ok(history.some(({ reason }) => reason === 'rejected by bob: netbase is broken'));
      await refused(world.promote(first, 'carol'), 'BuildNotReleasable', /was rejected by bob/);
      await refused(
        world.decide('withdraw', first, 'alice'),
        'StatementRefused',
        /no promotion of it is open/,
      );
      await refused(world.promote(first), 'BuildNotReleasable', /was rejected by bob/);
      await world.decide('withdraw', first, 'bob');
      assert.deepEqual((await world.view()).vetoes, []);
      await world.approved(first);
      await world.released(first);
      await world.keep('promotion-rejected', promotionId(world.stream, first), await world.firstRun(first));
    },

    async 'waits for passing test reports, and shows those that failed'(world) {
      world.testers = ['tess'];
      world.rules.approvals.reports = 2;
      const report = (by: string, result: string, note?: string) =>
        world.decide('report', first, by, { result, ...(note === undefined ? {} : { note }) });
      await world.promote(first, 'alice');
      await refused(report('tess', 'fail'), 'StatementRefused', /says what failed: --note/);
      assert.match((await report('tess', 'fail', 'no network')).message, /report is recorded: fail/);
      await world.approve(first, 'bob');
      const { phase, reports, reportsNeeded } = await world.becomes(first, 'proposed');
      assert.deepEqual(
        [phase, reportsNeeded, reports?.map(({ by, result, note }) => [by, result, note])],
        ['proposed', 2, [['tess', 'fail', 'no network']]],
      );
      await report('alice', 'pass');
      assert.equal((await world.promotion(first))?.phase, 'proposed');
      assert.equal(world.count('load'), 0);
      await report('tess', 'pass', 'network is back');
      await world.released(first);
      // Without a promotion it is recorded all the same, and nothing else begins.
      await world.decide('report', second, 'tess', { result: 'pass' });
      assert.deepEqual((await world.view()).promotions, []);
    },

    async 'loses an approval that is withdrawn, and ends when its proposer withdraws'(world) {
      world.rules.approvals.promote = 3;
      await world.approved(first);
      await world.decide('withdraw', first, 'bob');
      const { missing, note } = await world.becomes(first, 'proposed');
      assert.deepEqual(await approvers(world, first), ['alice']);
      assert.deepEqual(missing, ['bob', 'carol']);
      assert.match(note ?? '', /bob has withdrawn/);
      await world.decide('withdraw', first, 'alice');
      assert.equal(await world.result(first), 'withdrawn');
      assert.equal((await world.view()).history[1]?.reason, 'withdrawn by alice');
      assert.equal(world.count('load'), 0);
      // Nobody has vetoed it.
      await world.promote(first, 'bob');
    },

    async 'does not count an approver who was removed while it waits'(world) {
      await world.promote(first, 'alice');
      world.approvers = ['bob', 'carol', 'dave'];
      await world.approve(first, 'bob');
      const { approvals, missing, note } = await world.becomes(first, 'proposed');
      assert.deepEqual(
        approvals.map(({ approver }) => approver),
        ['bob'],
      );
      assert.deepEqual(missing, ['carol', 'dave']);
      assert.equal(note, 'no longer counts: the approval of alice');
      await world.approve(first, 'dave');
      await world.released(first);
    },

    async 'does not count an approver who was removed between the last approval and its turn'(world) {
      const step = world.hold('takeRelease', first);
      await world.approved(first);
      await step.reached;
      await world.promote(second, 'alice');
      await world.approve(second, 'carol');
      await world.becomes(second, 'ready');
      world.approvers = ['alice', 'bob'];
      world.steps.documents = ({ build }) => {
        if (build === first) throw ApplicationFailure.nonRetryable('no notes', 'StreamInvalid');
      };
      step.open();
      const { note, missing } = await world.becomes(second, 'proposed');
      assert.deepEqual([note, missing], ['no longer counts: the approval of carol', ['bob']]);
      assert.equal(world.count('switchRelease'), 0);
      // It has given its turn back.
      await until('the turn is back', 60, async () => (await world.view()).inWork === null);
      await world.approve(second, 'bob');
      await world.released(second);
      assert.equal(await world.result(first), 'superseded');
    },

    async 'gives its turn back while nobody can tell which approvals count'(world) {
      const step = world.hold('takeRelease', first);
      await world.approved(first);
      await step.reached;
      await world.approved(second);
      await world.becomes(second, 'ready');
      world.steps.judgePromotion = (args) => {
        if ((args.promotion as { build: string }).build === second)
          throw ApplicationFailure.nonRetryable('stream.yaml: wrong', 'StreamInvalid');
        return world.good('judgePromotion')(args);
      };
      world.steps.documents = ({ build }) => {
        if (build === first) throw ApplicationFailure.nonRetryable('no notes', 'StreamInvalid');
      };
      step.open();
      assert.match((await world.becomes(second, 'proposed')).note ?? '', /which approvals count\?/);
      await until('the turn is back', 60, async () => (await world.view()).inWork === null);
      delete world.steps.judgePromotion;
      await world.approve(second, 'carol');
      await world.released(second);
    },

    async 'does not count an approver who was removed during the release'(world) {
      const step = world.hold('tryRelease');
      await world.approved(first);
      await step.reached;
      world.approvers = ['alice', 'carol'];
      step.open();
      const { note } = await world.becomes(first, 'failed');
      assert.match(note ?? '', /^StatementRefused: 1 of 2/);
      assert.equal(world.count('switchRelease'), 0);
      assert.equal(world.count('undoRelease'), 1);
      await world.retry(first);
      await world.becomes(first, 'proposed');
      await world.approve(first, 'carol');
      await world.released(first);
    },

    async 'waits, and says why, while nobody can tell which approvals count'(world) {
      await world.promote(first, 'alice');
      world.steps.judgePromotion = () => {
        throw ApplicationFailure.nonRetryable('release.approvers: fewer than are needed', 'StreamInvalid');
      };
      await world.approve(first, 'bob');
      const waiting = await until('it says why', 60, async () => {
        const now = await world.promotion(first);
        return now?.note !== undefined && now;
      });
      assert.equal(waiting.phase, 'proposed');
      assert.match(waiting.note ?? '', /which approvals count\? release.approvers: fewer than/);
      assert.equal(world.count('load'), 0);
      delete world.steps.judgePromotion;
      await world.approve(first, 'carol');
      await world.released(first);
      assert.ok((await world.view()).history.every(({ decision }) => decision !== 'lost'));
    },

    async 'waits when the rules cannot be read at its beginning, and asks again with the reminder'(world) {
      world.rules.remindEvery = 2;
      world.fails('judgePromotion', 'KeyMissing', { message: 'a key is missing' });
      await world.promote(first);
      await until('it waits', 60, async () =>
        /a key is missing/.test((await world.promotion(first))?.note ?? ''),
      );
      // It knows nothing of reminders yet: a decision makes it look again.
      await world.approve(first, 'alice');
      assert.equal((await world.promotion(first))?.note, undefined);
      await until('it reminds', 60, () => world.told('waiting').length > 0);
    },

    async 'reminds at each interval, and expires'(world) {
      world.rules.remindEvery = 1;
      world.rules.proposalAge = 15;
      await world.promote(first, 'alice');
      assert.equal(await world.result(first), 'expired');
      const keys = world.told('waiting');
      assert.ok(keys.length >= 2, keys.join(' '));
      assert.equal(new Set(keys).size, keys.length);
      const text = world.calls.find(({ name }) => name === 'tellSig')?.args.text;
      assert.equal(text, `${world.stream} ${first}: 1 of 2 approvals; awaiting: bob, carol`);
      assert.equal(world.told('expired').length, 1);
      // Proposed once more, it is told of once more.
      await world.promote(first, 'alice');
      await until('it reminds', 60, () => world.told('waiting').length > keys.length);
      assert.equal(world.told('proposed').length, 2);
      assert.equal(new Set(world.told('waiting')).size, world.told('waiting').length);
    },

    async 'takes turns; what is older than a release is superseded'(world) {
      const step = world.hold('pushReleaseRepo', second);
      await world.promote(first, 'alice');
      await world.approved(second);
      await step.reached;
      await world.approve(first, 'bob');
      await world.becomes(first, 'ready');
      step.open();
      await world.released(second);
      assert.equal(await world.result(first), 'superseded');
      assert.equal(world.count('switchRelease'), 1);
    },

    async 'asks again for approvals that were given on another release'(world) {
      const step = world.hold('pushReleaseRepo', first);
      await world.approved(first);
      await step.reached;
      await world.approved(second);
      await world.becomes(second, 'ready');
      assert.equal((await world.view()).inWork, first);
      step.open();
      await world.released(first);
      const { approvals, note, onto } = await world.becomes(second, 'proposed');
      assert.deepEqual([approvals, onto], [[], first]);
      assert.match(note ?? '', /20261101_01 is the newest release now: approve again/);
      await world.approve(second, 'alice');
      await world.approve(second, 'bob');
      await world.released(second);
      assert.deepEqual(
        (await world.view()).released.map(({ build }) => build),
        [second, first],
      );
    },

    async 'counts an approval on the new release, and drops those on the former'(world) {
      await world.promote(second, 'carol');
      await world.approved(first);
      await world.released(first);
      await world.approve(second, 'alice');
      assert.deepEqual(await approvers(world, second), ['alice']);
      await world.approve(second, 'bob');
      await world.released(second);
    },

    async 'a third approval while it has its turn does not let another one go beside it'(world) {
      const builds = ['20261101_01', '20261102_01', '20261103_01'];
      const step = world.hold('pushReleaseRepo', builds[0]);
      for (const build of builds) await world.approved(build);
      await step.reached;
      await Promise.all(
        builds
          .slice(1)
          .flatMap((build) => [
            world.approve(build, 'carol'),
            world.decide('withdraw', build, 'bob').then(() => world.approve(build, 'bob')),
          ]),
      );
      await world.decide('withdraw', builds[0] ?? '', 'bob');
      await world.becomes(builds[0] ?? '', 'failed');
      // The next two were approved on nothing, as it is still: the older goes first.
      await until('one is released', 60, async () => (await world.view()).current !== null);
      step.open();
      assert.equal(world.count('undoRelease', builds[0]), 1);
    },
  });
});
