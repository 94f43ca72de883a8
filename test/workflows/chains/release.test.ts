/** A release and a rollback: what happens where something goes wrong before, at and after the point of no return. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { refused, releaseId, rollbackId, sideBySide, until, type World } from '../scripted.js';

const [first, second, third] = ['20261101_01', '20261108_01', '20261115_01'] as const;

const steps = [
  ...[
    'load',
    'authorize',
    'checkBuild',
    'takeRelease',
    'documents',
    'signReleaseSummary',
    'signAnnouncement',
  ],
  ...['pushReleaseRepo', 'pushReleaseFiles', 'tryRelease', 'authorize', 'checkHead', 'switchRelease'],
  ...['releaseMetadata', 'checkDrift', 'announce', 'record', 'cleanUpRelease'],
];
const run = (world: World, build: string) => world.stepsOf(releaseId(world.stream, build));
const phase = async (world: World, build: string) => {
  const { phase: now } = await world.client.workflow
    .getHandle(releaseId(world.stream, build))
    .query<{ phase: string }>('progress');
  return now;
};
const waits = (world: World, build: string, what: RegExp) =>
  until(`${build} ${String(what)}`, 60, async () => {
    const promotion = await world.promotion(build);
    return promotion?.phase === 'releasing' && what.test(await phase(world, build).catch(() => ''));
  });

/** A failure after the point of no return waits for a person, who is told once. */
const waitsAt = (step: string, id: string) => async (world: World) => {
  world.fails(step, 'PublishRefused', { times: 2 });
  await world.approved(first);
  for (const tries of [1, 2]) {
    await waits(world, first, new RegExp(`waits for a person: ${id}`));
    await until('it has tried', 60, () => world.count(step) === tries);
    await world.retry(first);
    await world.called(step, tries + 1);
  }
  await world.released(first);
  assert.equal(world.count('undoRelease'), 0);
  assert.equal(world.told('stuck').length, 1, 'told once');
  assert.equal(world.told('failed').length, 0);
  assert.equal(world.records.at(-1)?.outcome, 'released');
};

/** A decision against it, before and after the point of no return. */
const against = (decision: 'reject' | 'withdraw', by: string, end: string) => async (world: World) => {
  const early = world.hold('pushReleaseFiles', first);
  await world.approved(first);
  await early.reached;
  await world.decide(decision, first, by);
  assert.equal(await world.result(first), end);
  assert.deepEqual(run(world, first).slice(-3), ['undoRelease', 'record', 'cleanUpRelease']);
  assert.equal(world.records[0]?.outcome, 'cancelled');
  assert.equal(world.count('switchRelease'), 0);
  assert.equal((await world.view()).current, null);
  const late = world.hold('releaseMetadata', second);
  await world.approved(second);
  await late.reached;
  const decided = world.decide(decision, second, by);
  await until('it is cancelled', 60, async () =>
    (await world.history(releaseId(world.stream, second))).events?.some(
      (event) => event.workflowExecutionCancelRequestedEventAttributes,
    ),
  );
  late.open();
  await world.released(second);
  await decided;
  assert.equal(world.count('undoRelease', second), 0);
  assert.equal(world.count('announce', second), 1);
};

const before = steps.slice(0, steps.indexOf('switchRelease') + 1);

describe('release workflow', function () {
  this.timeout('5m');

  sideBySide({
    async 'switches after everything is there and checked, and announces last'(world) {
      await world.approved(first);
      await world.released(first);
      assert.deepEqual(run(world, first), steps);
      const [record] = world.records;
      assert.equal(record?.outcome, 'released');
      assert.deepEqual(
        record.steps.map(({ state }) => state).filter((state) => state !== 'done'),
        [],
      );
      await world.keep('release-announced', releaseId(world.stream, first));
    },

    async 'undoes what it did when a step up to the switch fails, tells, and is released by a retry'(world) {
      for (const [place, step] of before.entries()) {
        // Some are called twice in a release, and by the promotion too.
        let left = before.slice(0, place + 1).filter((name) => name === step).length;
        const good = world.good(step);
        world.steps[step] = (args) => {
          if (--left !== 0) return good(args);
          throw ApplicationFailure.nonRetryable(`${step} is broken`, 'PublishRefused');
        };
        const begun = run(world, first).length;
        await (begun === 0 ? world.approved(first) : world.retry(first));
        await until(`${step} has failed`, 60, async () => {
          const promotion = await world.promotion(first);
          return promotion?.phase === 'failed' && promotion.note === `PublishRefused: ${step} is broken`;
        });
        assert.equal((await world.view()).inWork, null);
        assert.deepEqual(run(world, first).slice(begun), [
          ...before.slice(0, place + 1),
          // Before it is known to be allowed, nothing was done.
          ...(place < before.indexOf('checkBuild') ? [] : ['undoRelease']),
          ...['record', 'cleanUpRelease'],
        ]);
        const { outcome, failure } = world.records.at(-1) ?? {};
        assert.deepEqual([outcome, failure?.code], ['failed', 'PublishRefused']);
        if (step === 'pushReleaseFiles') await world.keep('release-undone', releaseId(world.stream, first));
      }
      await world.retry(first);
      await world.released(first);
      assert.equal(new Set(world.told('failed')).size, before.length);
    },

    async 'started by hand, without signatures, gets nowhere; a rollback neither'(world) {
      const { client, stream } = world;
      const forged = {
        approver: 'alice',
        fingerprint: 'A',
        nonce: 'f'.repeat(32),
        at: '2026-11-01T00:00:00Z',
      };
      for (const [type, workflowId, input] of [
        [
          'release',
          releaseId(stream, first),
          { kind: 'copy', build: first, onto: null, approvals: [forged], needed: 0 },
        ],
        ['rollback', rollbackId(stream, second), { build: second, to: first }],
      ] as const) {
        const args = [{ stream, ...input }];
        const handle = await client.workflow.start(type, { workflowId, taskQueue: 'control', args });
        await assert.rejects(handle.result());
        assert.deepEqual(world.stepsOf(workflowId), ['load', 'authorize', 'record', 'cleanUpRelease']);
      }
    },

    async 'goes on by itself after a failure that passes'(world) {
      world.fails('pushReleaseFiles', 'TargetUnreachable', { retryable: true });
      await world.approved(first);
      await world.released(first);
      assert.equal(world.count('pushReleaseFiles'), 2);
      assert.equal(world.count('undoRelease') + world.told('failed').length, 0);
    },

    'releaseMetadata fails: never undone, waits for a person': waitsAt('releaseMetadata', 'metadata'),
    'checkDrift fails: never undone, waits for a person': waitsAt('checkDrift', 'drift'),
    'announce fails: never undone, waits for a person': waitsAt('announce', 'announce'),
    'record fails: never undone, waits for a person': waitsAt('record', 'record'),

    async 'repairs a difference, and looks again'(world) {
      let left = 2;
      const good = world.good('checkDrift');
      world.steps.checkDrift = (args) => (left-- > 0 ? ['repo: an object is missing'] : good(args));
      await world.approved(first);
      await world.released(first);
      assert.deepEqual(
        run(world, first).filter((name) => /Drift|repair|Metadata/.test(name)),
        [
          ...['releaseMetadata', 'checkDrift', 'repairRelease', 'releaseMetadata'],
          ...['checkDrift', 'repairRelease', 'releaseMetadata', 'checkDrift'],
        ],
      );
    },

    async 'asks a person about a difference that stays after three repairs'(world) {
      world.steps.checkDrift = () => ['repo: an object is missing'];
      await world.approved(first);
      await waits(world, first, /waits for a person: drift/);
      assert.equal(world.count('repairRelease'), 3);
      await world.called('tellSig');
      delete world.steps.checkDrift;
      await world.retry(first);
      await world.released(first);
      assert.equal(world.told('stuck').length, 1);
      assert.equal(world.count('repairRelease'), 4);
    },

    'a rejection during it: cancelled before the switch, completed after it': against(
      'reject',
      'carol',
      'rejected',
    ),
    'its proposer withdraws during it: cancelled before the switch, completed after it': against(
      'withdraw',
      'alice',
      'withdrawn',
    ),

    async 'an approval withdrawn during it: cancelled, and approved again'(world) {
      const step = world.hold('pushReleaseFiles');
      await world.approved(first);
      await step.reached;
      await world.decide('withdraw', first, 'bob');
      await until(
        'the approval is gone',
        60,
        async () => (await world.promotion(first))?.approvals.length === 1,
      );
      await world.becomes(first, 'failed');
      delete world.steps.pushReleaseFiles;
      await world.retry(first);
      await world.becomes(first, 'proposed');
      await world.approve(first, 'carol');
      await world.released(first);
    },

    async 'holds the announcement until enough different approvers let it go; the next release does not wait'(
      world,
    ) {
      world.rules.hold = true;
      world.rules.approvals.announce = 2;
      await world.approved(first);
      await waits(world, first, /announcement held/);
      await until('readers have it', 60, async () => (await world.view()).current === first);
      assert.equal((await world.view()).inWork, null);
      world.rules.hold = false;
      await world.approved(second);
      await world.released(second);
      assert.equal(world.count('announce', first), 0);
      // It is not current any more: its approvals name the newest release.
      for (const by of ['alice', 'alice']) await world.decide('announce', first, by);
      assert.match(await phase(world, first), /announcement held/);
      await refused(
        world.decide('announce', second, 'bob'),
        'StatementRefused',
        /no announcement of it waits/,
      );
      await refused(
        world.decide('rollback', first, 'alice', { onto: second }),
        'StatementRefused',
        /not the current/,
      );
      await world.decide('announce', first, 'bob');
      assert.equal(await world.result(first), 'released');
      assert.equal(world.count('announce', first), 1);
      assert.equal((await world.view()).current, second);
    },

    async 'an announcement in doubt waits for a person, who settles it before it goes on'(world) {
      world.fails('announce', 'MailInDoubt', { times: 2 });
      await world.approved(first);
      await waits(world, first, /waits for a person: announce/);
      await refused(world.retry(first, 'perhaps'), 'InputRefused', /mail: /);
      for (const [tries, mail] of [
        [1, 'again'],
        [2, 'sent'],
      ] as const) {
        await until('it waits', 60, () => world.count('announce') === tries);
        await waits(world, first, /waits for a person: announce/);
        await world.retry(first, mail);
        await world.called('announce', tries + 1);
      }
      await world.released(first);
      assert.deepEqual(
        run(world, first).filter((name) => /announce|resolve/.test(name)),
        ['announce', 'resolveMail', 'announce', 'resolveMail', 'announce'],
      );
      const resolved = world.calls.filter(({ name }) => name === 'resolveMail').map(({ args }) => args.mail);
      assert.deepEqual(resolved, ['again', 'sent']);
    },

    async 'of a signed rebuild looks at both targets first, and waits for mirrors last'(world) {
      world.steps.checkBuild = (args) => ({ ...(world.good('checkBuild')(args) as object), mirrors: 1 });
      const handle = await world.signed(second, first, null);
      await handle.result();
      const signed = [...steps];
      signed.splice(signed.indexOf('checkBuild'), 0, 'precheckRelease');
      signed.splice(signed.indexOf('announce'), 0, 'checkMirrors');
      assert.deepEqual(run(world, second), signed);
      const asked = world.calls.filter(({ name }) => name === 'authorize').map(({ args }) => args);
      assert.equal(asked.length, 2);
      for (const { decision, build, signed: of, attempt, onto } of asked)
        assert.deepEqual([decision, build, of, attempt, onto], ['release', first, second, 1, null]);
      const [record] = world.records;
      assert.equal(record?.outcome, 'released');
      const { mirror, cloud, repo, mirrors } = record.targets ?? {};
      assert.deepEqual([mirror, cloud, repo], ['verified', 'verified', undefined]);
      assert.match(mirrors ?? '', /^2 of 1 serve it/);
      await world.keep('release-signed', handle.workflowId);
    },

    async 'of a signed rebuild whose switch fails waits until both are known to be back'(world) {
      world.fails('switchRelease', 'PublishRefused');
      world.fails('verifyUndone', 'VerificationFailed');
      const handle = await world.signed(second, first, null);
      await until('it waits', 60, async () =>
        /waits for a person: undo/.test(await phase(world, second).catch(() => '')),
      );
      await world.called('tellSig');
      assert.match(
        String(world.calls.find(({ name }) => name === 'tellSig')?.args.text),
        /: not released, but step undo cannot go on: VerificationFailed/,
      );
      await handle.signal('retry', {});
      await assert.rejects(handle.result());
      assert.deepEqual(
        run(world, second).filter((name) => /undo|Undone|switch|Metadata/.test(name)),
        ['switchRelease', 'undoRelease', 'verifyUndone', 'undoRelease', 'verifyUndone'],
      );
      const { outcome, failure, targets } = world.records.at(-1) ?? {};
      assert.deepEqual([outcome, failure?.code], ['failed', 'PublishRefused']);
      assert.equal(targets?.mirror, 'undone, verified');
      assert.equal(targets.cloud, 'undone, verified');
      await world.keep('release-signed-undone', handle.workflowId);
    },

    async 'of a signed rebuild waits for mirrors that lag, and goes on without them when a person says so'(
      world,
    ) {
      world.steps.checkBuild = (args) => ({ ...(world.good('checkBuild')(args) as object), mirrors: 2 });
      world.steps.checkMirrors = () => ({ serving: ['http://a'], behind: ['http://b (an older summary)'] });
      const handle = await world.signed(second, first, null);
      await world.called('checkMirrors', 2);
      assert.match(await world.details(handle.workflowId), /1 of 2 serve it; behind: http:\/\/b/);
      assert.equal(world.count('announce'), 0);
      await handle.signal('retry', {});
      await handle.result();
      assert.equal(world.count('announce'), 1);
      const step = world.records.at(-1)?.steps.find(({ id }) => id === 'mirrors');
      assert.match(step?.result ?? '', /^continued without waiting: 1 of 2/);
    },

    async 'of a signed rebuild: a rollback that cannot switch both leaves both where they were'(world) {
      for (const build of [first, second]) {
        await world.approved(build);
        await world.released(build);
      }
      world.steps.takeFormer = () => ({ split: true });
      world.fails('switchRelease', 'PublishRefused');
      await world.decide('rollback', second, 'alice', { onto: first });
      await until('it is noted', 60, async () =>
        (await world.view()).history.some(({ decision }) => decision === 'rollback failed'),
      );
      assert.deepEqual(world.stepsOf(rollbackId(world.stream, second)).slice(-5), [
        ...['switchRelease', 'undoRollback', 'verifyUndone', 'record', 'cleanUpRelease'],
      ]);
      assert.equal((await world.view()).current, second);
    },

    async 'rolls back by enough signed statements, and refuses wrong targets'(world) {
      world.rules.approvals.rollback = 2;
      for (const build of [first, second, third]) {
        await world.approved(build);
        await world.released(build);
      }
      const back = (build: string, onto: string | null, by: string) =>
        world.decide('rollback', build, by, { onto, reason: 'netbase is broken' });
      await refused(back(second, first, 'alice'), 'StatementRefused', /is not the current release/);
      await refused(back(third, null, 'alice'), 'StatementRefused', /onto: name the former release/);
      await refused(back(third, third, 'alice'), 'StatementRefused', /no former release/);
      await refused(back(third, '20261102_01', 'alice'), 'StatementRefused', /no former release/);
      await refused(back(third, second, 'mallory'), 'StatementRefused', /no approver/);
      for (const by of ['alice', 'alice'])
        assert.match((await back(third, second, by)).message, /1 of 2 approvals/);
      // Another target is another decision; and who is removed does not count.
      assert.match((await back(third, first, 'bob')).message, /1 of 2 approvals/);
      assert.match((await back(third, second, 'alice')).message, /1 of 2 approvals/);
      world.approvers = ['bob', 'carol'];
      assert.match((await back(third, second, 'bob')).message, /1 of 2 approvals/);
      assert.equal(world.count('takeFormer'), 0);
      assert.match((await back(third, second, 'carol')).message, /readers are being returned/);
      await until('readers are back', 60, async () => (await world.view()).current === second);
      const { released, inWork, history } = await world.view();
      assert.equal(inWork, null);
      assert.deepEqual(
        [released[0]?.rolledBack?.to, released[0]?.rolledBack?.reason],
        [second, 'netbase is broken'],
      );
      assert.equal(history[0]?.decision, 'rolled back');
      const id = rollbackId(world.stream, third);
      assert.deepEqual(world.stepsOf(id), [
        ...['load', 'authorize', 'takeFormer', 'signReleaseSummary', 'switchRelease', 'rollbackMetadata'],
        ...['record', 'cleanUpRelease'],
      ]);
      assert.equal(world.records.at(-1)?.outcome, 'rolled-back');
      await refused(back(second, third, 'bob'), 'StatementRefused', /no former release/);
      await world.keep('rollback', id);
    },

    async 'rolls back only when nothing else is being released, and not over what came between'(world) {
      for (const build of [first, second]) {
        await world.approved(build);
        await world.released(build);
      }
      const step = world.hold('tryRelease', third);
      await world.approved(third);
      await step.reached;
      await world.decide('rollback', second, 'alice', { onto: first });
      await refused(
        world.decide('rollback', second, 'bob', { onto: first }),
        'StatementRefused',
        /in progress already/,
      );
      assert.equal(world.count('takeFormer'), 0);
      step.open();
      await world.released(third);
      await until('it is noted', 60, async () =>
        (await world.view()).history.some(({ decision }) => decision === 'rollback failed'),
      );
      assert.equal((await world.view()).current, third);
      assert.equal(world.count('takeFormer'), 0);
    },

    async 'a release waits for a rollback; a rollback that fails is in the history'(world) {
      for (const build of [first, second]) {
        await world.approved(build);
        await world.released(build);
      }
      world.fails('takeFormer', 'CommitInvalid');
      const back = world.hold('takeFormer');
      await world.decide('rollback', second, 'alice', { onto: first });
      await back.reached;
      await world.approved(third);
      await world.becomes(third, 'ready');
      assert.equal((await world.view()).inWork, second);
      back.open();
      await world.released(third);
      const failed = (await world.view()).history.find(({ decision }) => decision === 'rollback failed');
      assert.match(failed?.reason ?? '', /CommitInvalid: takeFormer fails/);
      assert.equal(world.records.find(({ outcome }) => outcome === 'failed')?.failure?.code, 'CommitInvalid');
    },

    async 'a rollback stops a release whose announcement is held: nothing is announced'(world) {
      await world.approved(first);
      await world.released(first);
      world.rules.hold = true;
      await world.approved(second);
      await waits(world, second, /announcement held/);
      const step = world.hold('rollbackMetadata');
      await world.decide('rollback', second, 'alice', { onto: first });
      await step.reached;
      assert.equal(await world.result(second), 'released');
      // Nothing goes beside it, although the release has ended meanwhile.
      world.rules.hold = false;
      await world.approved(third);
      await world.becomes(third, 'ready');
      assert.equal((await world.view()).inWork, second);
      step.open();
      await until('readers are back', 60, async () => (await world.view()).current === first);
      assert.equal(world.count('announce', second), 0);
      assert.match(
        world.records.find(({ build }) => build === second)?.note ?? '',
        /a rollback was approved/,
      );
      // It was approved on what was taken back.
      assert.equal((await world.becomes(third, 'proposed')).onto, first);
    },

    async 'a rollback stops a release that waits for a person after the switch'(world) {
      await world.approved(first);
      await world.released(first);
      world.fails('releaseMetadata', 'PublishRefused');
      await world.approved(second);
      await waits(world, second, /waits for a person: metadata/);
      await world.decide('rollback', second, 'alice', { onto: first });
      await until(
        'readers are back',
        60,
        async () => (await world.view()).history[0]?.decision === 'rolled back',
      );
      assert.equal((await world.view()).current, first);
      assert.equal(world.count('announce', second), 0);
    },
  });
});
