/** The stream workflow: what it takes in, refuses and remembers, and that it is never lost. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import type { CadenceActions } from '../../../src/domain/candidate.js';
import {
  commitsOf,
  fingerprintOf,
  promotionId,
  refused,
  releaseId,
  sideBySide,
  streamId,
  until,
} from '../scripted.js';

const [first, second, third] = ['20261101_01', '20261108_01', '20261115_01'] as const;

describe('stream workflow', function () {
  this.timeout('5m');

  sideBySide({
    async 'only proposes by a signal without a statement, as anyone may send it'(world) {
      await world.entity.signal('promote', { build: first });
      const { approvals, proposedBy, missing, needed, onto } = await world.becomes(first, 'proposed');
      assert.deepEqual(
        { approvals, proposedBy, missing, needed, onto },
        { approvals: [], proposedBy: 'unsigned', missing: ['alice', 'bob', 'carol'], needed: 2, onto: null },
      );
      // It is remembered when its promotion has answered, and that may be seen before.
      const record = await until('it is remembered', 60, async () => (await world.view()).history[0]);
      assert.deepEqual([record.decision, record.by, record.fingerprint], ['promote', 'unsigned', undefined]);
      await world.entity.signal('promote', { build: second, by: 'schedule' });
      assert.equal((await world.becomes(second, 'proposed')).proposedBy, 'schedule');
      assert.equal(world.count('takeStatement'), 0);
    },

    async 'counts the proposer as the stream says'(world) {
      const { message, promotion } = await world.promote(first, 'alice');
      assert.match(message, /1 of 2 approvals, waits for bob, carol$/);
      assert.equal(promotion?.proposedBy, 'alice');
      assert.equal((await world.view()).history[0]?.fingerprint, fingerprintOf('alice'));
      world.rules.proposerCounts = false;
      assert.match((await world.promote(second, 'alice')).message, /0 of 2 approvals, waits for alice, bob/);
      assert.equal((await world.promotion(second))?.proposedBy, 'alice');
      // Proposed is proposed; where the proposer counts, it is one more approval.
      await refused(world.promote(second, 'bob'), 'BuildNotReleasable', /is proposed already/);
      world.rules.proposerCounts = true;
      world.rules.approvals.promote = 3;
      // As the rules are now, whenever it was signed.
      await world.promote(second, 'bob');
      const approvals = (await world.promotion(second))?.approvals.map(({ approver }) => approver);
      assert.deepEqual(approvals, ['alice', 'bob']);
    },

    async 'refuses what cannot be released, by statement or without, and records what it looked at'(world) {
      world.index = [{ build: second, at: '2026-11-08T12:00:00Z', commits: commitsOf(second) }];
      await world.terminate(streamId(world.stream));
      await world.start();
      await refused(world.promote('nonsense'), 'InputRefused', /build: write a build id such as/);
      await refused(world.promote(second), 'BuildNotReleasable', /is released already/);
      await refused(
        world.promote(first, 'alice'),
        'BuildNotReleasable',
        /is older than the release 20261108_01/,
      );
      for (const why of ['is unknown', 'its nightly failed', 'was pruned']) {
        world.steps.examine = () => {
          throw ApplicationFailure.nonRetryable(`${third}: ${why}`, 'BuildNotReleasable');
        };
        await refused(world.promote(third, 'alice'), 'BuildNotReleasable', new RegExp(why));
        assert.match((await world.refusals())[0] ?? '', new RegExp(why));
      }
      // By signal: no answer, but in the history.
      await world.entity.signal('promote', { build: second });
      await until('it is recorded', 60, async () =>
        /released already/.test((await world.refusals())[0] ?? ''),
      );
      assert.equal((await world.view()).promotions.length, 0);
    },

    async 'refuses statements that do not fit, and records it'(world) {
      await refused(world.promote(first, 'mallory'), 'StatementRefused', /mallory is no approver/);
      await refused(world.decide('approve', first, 'mallory'), 'StatementRefused', /mallory is no approver/);
      assert.equal((await world.view()).history[0]?.by, 'unknown');
      const wrong = { commits: commitsOf(second) };
      await refused(
        world.promote(first, 'alice', wrong),
        'StatementRefused',
        /names the commits x86_64 20261108/,
      );
      await refused(
        world.promote(first, 'alice', { onto: second }),
        'StatementRefused',
        /was signed when 20261108/,
      );
      const statement = await world.statement('approve', first, 'alice');
      await refused(
        world.update('promote', { build: first, statement }),
        'StatementRefused',
        /says approve 20261101_01, not promote/,
      );
      await refused(
        world.decide('promote', first, 'alice'),
        'StatementRefused',
        /send it by `treeline promote`/,
      );
      await refused(world.approve(first, 'alice'), 'StatementRefused', /no promotion of it is open/);
      await refused(
        world.decide('announce', first, 'alice'),
        'StatementRefused',
        /no announcement of it waits/,
      );
      await refused(world.retry(first), 'BuildNotReleasable', /no promotion of it is open/);
      await world.promote(first, 'alice');
      await refused(world.approve(first, 'bob', wrong), 'StatementRefused', /names the commits/);
      await refused(world.approve(first, 'bob', { onto: second }), 'StatementRefused', /was signed when/);
      await refused(
        world.decide('withdraw', first, 'bob'),
        'StatementRefused',
        /neither proposed nor approved/,
      );
      await refused(world.retry(first), 'BuildNotReleasable', /is proposed; there is nothing to try again/);
      assert.equal((await world.promotion(first))?.approvals.length, 1);
      assert.equal((await world.refusals()).length, 11);
    },

    async 'is not stopped by requests that are none'(world) {
      for (const request of [
        undefined,
        null,
        5,
        {},
        { build: { toString: 5 } },
        { statement: 7, build: first },
      ])
        for (const name of ['promote', 'decide', 'retry'] as const) {
          await assert.rejects(world.update(name, request), `${name} ${JSON.stringify(request)}`);
          if (name !== 'retry') await world.entity.signal(name, request);
        }
      await world.promote(first, 'alice');
      assert.equal((await world.promotion(first))?.phase, 'proposed');
      assert.deepEqual(world.count('takeStatement'), 1);
    },

    async 'begins when the build store cannot be read yet, and tells'(world) {
      await world.terminate(streamId(world.stream));
      world.fails('recall', 'StreamInvalid', { message: 'stream.yaml:3: wrong' });
      await world.start();
      await until('it is shown', 60, async () =>
        /cannot be read: stream.yaml:3: wrong/.test(await world.details(streamId(world.stream))),
      );
      // What comes in meanwhile waits.
      const proposed = world.promote(first, 'alice');
      await world.renew();
      assert.match((await proposed).message, /1 of 2/);
      assert.doesNotMatch(await world.details(streamId(world.stream)), /wrong/);
    },

    async 'goes on when it cannot save what it knows or ask what runs'(world) {
      world.fails('saveView', 'CommandFailed', { times: 100, message: 'disk on fire' });
      world.fails('running', 'CommandFailed', { times: 100 });
      await world.approved(first);
      await world.released(first);
      const run = (await world.entity.describe()).runId;
      await world.renew();
      await until('it is renewed', 60, async () => (await world.entity.describe()).runId !== run);
      await until('it is shown', 60, async () =>
        /cannot be saved: disk on fire/.test(await world.details(streamId(world.stream))),
      );
      delete world.steps.saveView;
      await world.promote(second);
      await until('it is saved', 60, () => world.saved?.promotions.length === 1);
      assert.equal(world.saved?.current, first);
    },

    async 'continues as new while a promotion waits: the same view, a short history'(world) {
      const run = (await world.entity.describe()).runId;
      await world.promote(first, 'alice');
      await world.promote(second);
      await refused(world.approve(first, 'carol', { onto: second }), 'StatementRefused', /signed when/);
      await until('it is saved', 60, () => (world.saved?.history.length ?? 0) === 3);
      const before = await world.view();
      const { historyLength } = await world.entity.describe();
      await world.renew();
      const renewed = await until('it is renewed', 60, async () => {
        const now = await world.entity.describe();
        return now.runId !== run && now;
      });
      assert.deepEqual(await world.view(), before);
      assert.ok(renewed.historyLength < historyLength, `${renewed.historyLength} of ${historyLength}`);
      await world.approve(first, 'bob');
      await world.released(first);
      assert.equal(await world.result(first), 'released');
      await world.keep('stream-renewed', streamId(world.stream), run);
    },

    async 'continues as new while a release runs: its end is known'(world) {
      const run = (await world.entity.describe()).runId;
      const step = world.hold('takeRelease');
      await world.approved(first);
      await step.reached;
      await world.promote(second, 'alice');
      await until(
        'the rules of the second are read',
        60,
        async () => (await world.promotion(second))?.reportsNeeded !== undefined,
      );
      const before = await world.view();
      assert.equal(before.inWork, first);
      await world.renew();
      await until('it is renewed', 60, async () => (await world.entity.describe()).runId !== run);
      assert.deepEqual(await world.view(), before);
      // Still only one at a time.
      await world.approve(second, 'bob');
      await world.becomes(second, 'ready');
      step.open();
      await world.released(first);
      assert.equal((await world.view()).inWork, null);
    },

    async 'continues as new when its history is long'(world) {
      const run = (await world.entity.describe()).runId;
      await world.promote(first, 'alice');
      // Requests that are none: all that they leave is an event each.
      for (let sent = 0; sent < 1000; sent += 50)
        await Promise.all(Array.from({ length: 50 }, () => world.entity.signal('retry', {})));
      await until('it is renewed', 60, async () => (await world.entity.describe()).runId !== run);
      assert.equal((await world.promotion(first))?.phase, 'proposed');
    },

    async 'continues as new only when every update has its answer'(world) {
      const run = (await world.entity.describe()).runId;
      const step = world.hold('examine', first);
      const slow = world.promote(first, 'alice');
      await step.reached;
      await world.renew();
      // It goes on working while it waits to leave.
      await world.approved(second);
      await world.released(second);
      assert.equal((await world.entity.describe()).runId, run);
      step.open();
      await refused(slow, 'StatementRefused', /was signed when nothing was the newest release/);
      await until('it is renewed', 60, async () => (await world.entity.describe()).runId !== run);
      assert.match((await world.refusals())[0] ?? '', /was signed when/);
    },

    async 'loses no request that comes in while it continues as new'(world) {
      const builds = Array.from({ length: 8 }, (_, i) => `2026120${i + 1}_01`);
      await Promise.all(
        builds.flatMap((build, i) => [
          i % 2 === 0 ? world.promote(build) : world.entity.signal('promote', { build }),
          world.renew(),
        ]),
      );
      await until(
        'all are proposed',
        60,
        async () => (await world.view()).promotions.length === builds.length,
      );
    },

    async 'ended and started again, finds its promotions, and begins lost ones again'(world) {
      await world.promote(first, 'alice');
      await world.promote(second, 'alice');
      await until('it is saved', 60, () => world.saved?.history.length === 2);
      await world.terminate(streamId(world.stream));
      await world.start();
      await until('it has looked', 60, () => world.count('running') === 1);
      assert.equal((await world.promotion(first))?.approvals.length, 1);
      assert.deepEqual(
        (await world.view()).history.map(({ decision }) => decision),
        ['promote', 'promote'],
      );

      await until('it is saved', 60, () => world.saved?.history.length === 2);
      await world.terminate(streamId(world.stream));
      await world.terminate(promotionId(world.stream, second));
      await world.start();
      await until('it is noted', 60, async () => (await world.view()).history[0]?.decision === 'lost');
      await world.approve(second, 'bob');
      await world.released(second);
      assert.equal(await world.result(first), 'superseded');
    },

    async 'ended with a promotion during a release: the release is found, and nothing is beside it'(world) {
      const step = world.hold('tryRelease');
      await world.approved(first);
      await step.reached;
      await world.promote(second, 'alice');
      await until('it is saved', 60, () => world.saved?.promotions.length === 2);
      await world.terminate(streamId(world.stream));
      await world.terminate(promotionId(world.stream, first));
      await world.start();
      await until('it is found', 60, async () => (await world.view()).inWork === first);
      await world.approve(second, 'bob');
      await world.becomes(second, 'ready');
      step.open();
      await world.released(first);
      assert.equal(world.count('switchRelease'), 1);
    },

    async 'a release that is ended in its middle fails its promotion; retry releases'(world) {
      const step = world.hold('tryRelease');
      await world.approved(first);
      await step.reached;
      await world.terminate(releaseId(world.stream, first));
      assert.match((await world.becomes(first, 'failed')).note ?? '', /was terminated/);
      step.open();
      await world.retry(first);
      await world.released(first);
    },

    async 'takes the build that the scheduled look at the cadence proposes'(world) {
      const tell = [{ key: `candidate-${first}`, event: 'candidate', subject: 'Candidate', text: 'text' }];
      world.steps.lookAtCadence = () => ({ propose: { build: first, due: '2026-11-24' }, tell });
      const id = `candidate/${world.stream}`;
      await world.execute<CadenceActions>('candidate', id, [{ stream: world.stream }]);
      assert.equal((await world.becomes(first, 'proposed')).proposedBy, 'schedule');
      assert.deepEqual(world.told('candidate'), [`candidate-${first}`]);
      await world.keep('candidate-proposed', id);
      world.steps.lookAtCadence = () => ({ tell: [] });
      assert.deepEqual(await world.execute('candidate', id, [{ stream: world.stream }]), { tell: [] });
      assert.equal(world.count('rememberTold'), 1);
      world.steps.lookAtCadence = () => ({ tell: [{ ...tell[0], event: 'reminder' }] });
      world.fails('tellSig', 'MailRefused');
      await assert.rejects(world.execute('candidate', id, [{ stream: world.stream }]), WorkflowFailedError);
      assert.equal(world.count('rememberTold'), 1);
    },
  });
});
