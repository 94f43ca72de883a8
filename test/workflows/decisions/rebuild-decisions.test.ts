/** What the SIG decides about signed rebuilds: attempts, votes, and that neither is lost. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { fileURLToPath } from 'node:url';
import type { Votes } from '../../../src/domain/promotion.js';
import type { ReworkChanges } from '../../../src/domain/rework-changes.js';
import {
  commitsOf,
  emptyView,
  promotionId,
  rebuildId,
  refused,
  releaseId,
  sideBySide,
  signedOf,
  streamId,
  until,
  type World,
} from '../scripted.js';

const workflowsPath = fileURLToPath(new URL('./scripted-rebuild.js', import.meta.url));
const [first, second] = ['20261101_01', '20261108_01'] as const;
const pinned: ReworkChanges = { pin: { netbase: '6.5-1.noarch' }, drop: [], files: 'accepted' };
const dropped: ReworkChanges = { ...pinned, drop: ['vim', 'nano'] };

/** Approved: its first attempt runs. */
async function begin(world: World, build: string = first): Promise<void> {
  world.rules.mode = 'signed-rebuild';
  await world.approved(build);
}
const said = (votes: Votes | undefined) =>
  Object.fromEntries(
    Object.entries(votes ?? {}).map(([decision, by]) => [decision, by.map(({ approver }) => approver)]),
  );
const attempts = async (world: World, build: string = first) =>
  (await world.promotion(build))?.attempts?.map(({ number, kind, state }) => `${number} ${kind} ${state}`);
/** What its rebuilds were started with. */
const inputs = (world: World) =>
  world.calls.filter(({ name }) => name === 'beginAttempt').map(({ args }) => args);

describe('promotion with signed rebuilds', function () {
  this.timeout('5m');

  sideBySide(
    {
      async 'rebuilds what is approved, and releases what enough approvers have tested'(world) {
        const step = world.hold('testAttempt');
        world.rules.mode = 'signed-rebuild';
        await world.promote(first, 'alice');
        assert.match((await world.approve(first, 'bob')).message, /2 of 2 approvals, is rebuilding/);
        await step.reached;
        const signed = signedOf(first, 1);
        await until(
          'it has a build id',
          60,
          async () => (await world.promotion(first))?.attempts?.[0]?.build === signed,
        );
        assert.deepEqual(await world.promotion(first).then((now) => [now?.phase, now?.missing]), [
          'rebuilding',
          ['alice', 'bob', 'carol'],
        ]);
        // It holds up nobody.
        assert.equal((await world.view()).inWork, null);
        await refused(
          world.say('release', first, 'alice'),
          'StatementRefused',
          /cannot be released: it is running/,
        );
        step.open();
        const { attempts: [attempt] = [] } = await world.attempt(first, 1, 'testing', 'deciding');
        assert.deepEqual(
          [attempt?.kind, attempt?.build, attempt?.commits],
          ['first', signed, commitsOf(signed)],
        );
        await until('the SIG is told', 60, () => world.told('deciding').length > 0);
        assert.deepEqual(world.told('deciding'), [`testing-${first}-1`]);
        assert.match(
          (await world.say('release', first, 'alice')).message,
          /release recorded; 1 of 2 approvals; waiting for bob, carol$/,
        );
        assert.match(
          (await world.say('release', first, 'alice')).message,
          /1 of 2 approvals/,
          'the same person twice counts once',
        );
        await world.say('release', first, 'carol');
        await world.released(first);
        const { current, released, history } = await world.view();
        assert.deepEqual([current, released[0]?.accepted], [signed, first]);
        assert.deepEqual(
          history.map(
            ({ decision, by, refused: no }) => `${no === undefined ? '' : 'refused '}${decision} ${by}`,
          ),
          [
            'released treeline',
            'release carol',
            'release alice',
            'release alice',
            'refused release alice',
            'approve bob',
            'promote alice',
          ],
        );
        assert.deepEqual(inputs(world), [
          {
            stream: world.stream,
            build: first,
            attempt: 1,
            kind: 'first',
            onto: null,
            reuse: true,
            since: 1,
          },
        ]);
        const { args } = world.calls.find(({ name }) => name === 'switchRelease') ?? {};
        assert.deepEqual(args, {
          stream: world.stream,
          kind: 'rebuild',
          build: signed,
          onto: null,
          accepted: first,
          attempt: 1,
        });
        await refused(world.promote(first, 'alice'), 'BuildNotReleasable', /is released already/);
        // Newer than what was accepted, although its id is older than that of the signed build.
        assert.ok('20261101_02' < signed);
        await world.promote('20261101_02', 'alice');
      },

      async 'redoes and reworks, numbered, with what was asked'(world) {
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        await world.say('redo', first, 'alice', { reuse: false });
        await world.attempt(first, 2, 'testing', 'deciding');
        await world.say('rework', first, 'bob', { changes: pinned });
        await world.attempt(first, 3, 'testing', 'deciding');
        await refused(
          world.say('redo', first, 'bob', { changes: dropped }),
          'StatementRefused',
          /names other changes than attempt 3/,
        );
        await world.say('rework', first, 'bob', { changes: dropped, reuse: false });
        await world.attempt(first, 4, 'testing', 'deciding');
        // The same inputs once more.
        await world.say('redo', first, 'carol');
        const { votes, missing } = await world.attempt(first, 5, 'testing', 'deciding');
        assert.deepEqual([votes, missing], [{}, ['alice', 'bob', 'carol']]);
        assert.deepEqual(await attempts(world), [
          '1 first testing',
          '2 redo testing',
          '3 rework testing',
          '4 rework testing',
          '5 redo testing',
        ]);
        assert.deepEqual(
          inputs(world).map(({ attempt, kind, reuse, changes }) => [attempt, kind, reuse, changes]),
          [
            [1, 'first', true, undefined],
            [2, 'redo', false, undefined],
            [3, 'rework', true, pinned],
            [4, 'rework', false, dropped],
            [5, 'redo', true, dropped],
          ],
        );
        for (const name of ['alice', 'bob']) await world.say('release', first, name);
        await world.released(first);
        assert.equal((await world.view()).current, signedOf(first, 5));
        await world.keep('promotion-redone-released', promotionId(world.stream, first));
      },

      async 'stops a running attempt before the next begins'(world) {
        const step = world.hold('testAttempt');
        await begin(world);
        await step.reached;
        delete world.steps.testAttempt;
        await world.say('redo', first, 'alice');
        await world.attempt(first, 2, 'testing', 'deciding');
        assert.deepEqual(await attempts(world), ['1 first cancelled', '2 redo testing']);
        const order = world.calls.map(({ name, args }) => `${name} ${String(args.attempt)}`);
        assert.ok(order.indexOf('endAttempt 1') < order.indexOf('beginAttempt 2'));
        assert.ok(order.includes('endAttempt 1'));
      },

      async 'is abandoned with a reason; its testing location is cleaned, and attempts are counted on'(
        world,
      ) {
        const step = world.hold('testAttempt');
        await begin(world);
        await step.reached;
        delete world.steps.testAttempt;
        await refused(world.say('abandon', first, 'bob'), 'StatementRefused', /reason: say why/);
        await world.say('abandon', first, 'bob', { reason: 'netbase is broken' });
        assert.equal(await world.result(first), 'abandoned');
        const { history, promotions, attempted } = await world.view();
        assert.deepEqual([promotions, attempted], [[], { [first]: 1 }]);
        assert.ok(history.some(({ reason }) => reason === 'abandoned by bob: netbase is broken'));
        const cleaned = world.calls.find(({ name }) => name === 'clearTesting');
        assert.deepEqual(cleaned?.args.builds, [signedOf(first, 1)]);
        assert.equal(world.count('endAttempt'), 1);
        await world.keep('promotion-abandoned', promotionId(world.stream, first));
        await until('it is saved', 60, () => world.saved?.attempted !== undefined);
        await world.terminate(streamId(world.stream));
        await world.start();
        await world.approved(first);
        await world.attempt(first, 2, 'testing', 'deciding');
        assert.deepEqual(await attempts(world), ['2 first testing']);
      },

      async 'says when the testing location could not be cleaned'(world) {
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        world.fails('clearTesting', 'PublishRefused', { message: 'read only' });
        await world.say('abandon', first, 'bob', { reason: 'enough' });
        assert.equal(await world.result(first), 'abandoned');
        assert.match((await world.view()).history[1]?.reason ?? '', /enough; .* was not cleaned: read only/);
      },

      async 'waits for somebody to accept what nobody expected'(world) {
        world.steps.compareAttempt = () => 'unexpected: /usr/bin/ls';
        world.rules.approvals.accept = 2;
        await begin(world);
        const { attempts: [attempt] = [], phase } = await world.attempt(first, 1, 'differs');
        assert.deepEqual([phase, attempt?.note], ['rebuilding', 'unexpected: /usr/bin/ls']);
        await until('the SIG is told', 60, () => world.told('differs').length > 0);
        assert.deepEqual(world.told('differs'), [`differs-${first}-1`]);
        await refused(
          world.say('accept', first, 'alice', { commits: commitsOf(first) }),
          'StatementRefused',
          /names the commits/,
        );
        assert.match(
          (await world.say('accept', first, 'alice')).message,
          /1 of 2 approvals; waiting for bob, carol/,
        );
        assert.equal(world.count('testAttempt'), 0);
        await world.say('accept', first, 'bob');
        const { attempts: [tested] = [] } = await world.attempt(first, 1, 'testing', 'deciding');
        assert.equal(tested?.note, undefined);
        await refused(world.say('accept', first, 'carol'), 'StatementRefused', /no differences to accept/);
        for (const name of ['alice', 'bob']) await world.say('release', first, name);
        await world.released(first);
      },

      async 'counts together only who asks for the very same'(world) {
        world.rules.approvals.rework = 2;
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        await world.say('rework', first, 'alice', { changes: pinned });
        await world.say('rework', first, 'bob', { changes: dropped });
        await world.say('rework', first, 'carol', { changes: pinned, reuse: false });
        assert.deepEqual(await attempts(world), ['1 first testing']);
        await world.say('rework', first, 'bob', { changes: { ...pinned, pin: { ...pinned.pin } } });
        const { attempts: all } = await world.attempt(first, 2, 'testing', 'deciding');
        assert.deepEqual(all?.[1]?.changes, pinned);
      },

      async 'takes an approver’s last word, and one that is withdrawn for none'(world) {
        world.rules.approvals.redo = 2;
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        await world.say('release', first, 'alice');
        await world.say('redo', first, 'alice');
        await world.say('release', first, 'bob');
        assert.deepEqual(said((await world.promotion(first))?.votes), { release: ['bob'], redo: ['alice'] });
        assert.deepEqual((await world.promotion(first))?.missing, ['carol']);
        await refused(
          world.decide('withdraw', first, 'carol', { attempt: 1 }),
          'StatementRefused',
          /carol has said nothing of attempt 1/,
        );
        await world.decide('withdraw', first, 'alice', { attempt: 1 });
        const { votes, note, approvals } = (await world.promotion(first)) ?? {};
        assert.deepEqual([said(votes), approvals?.length], [{ release: ['bob'] }, 2]);
        assert.match(note ?? '', /alice has withdrawn the word on attempt 1/);
        await world.say('release', first, 'alice');
        await world.released(first);
      },

      async 'does what the first of two asks for who want different things'(world) {
        const step = world.hold('testAttempt');
        await begin(world);
        await step.reached;
        delete world.steps.testAttempt;
        await Promise.allSettled([
          world.say('redo', first, 'alice', { attempt: 1 }),
          world.say('rework', first, 'bob', { attempt: 1, changes: pinned }),
        ]);
        await world.attempt(first, 2, 'testing', 'deciding');
        assert.equal((await attempts(world))?.length, 2);
        await refused(
          world.say('abandon', first, 'carol', { attempt: 1, reason: 'late' }),
          'StatementRefused',
          /was said of attempt 1; the last is 2/,
        );
      },

      async 'refuses what is not about its last attempt, word for word'(world) {
        await begin(world);
        await refused(
          world.say('redo', second, 'alice', { attempt: 1 }),
          'StatementRefused',
          /no rebuild of it/,
        );
        await world.attempt(first, 1, 'testing', 'deciding');
        const no = (sent: Promise<unknown>, why: RegExp) => refused(sent, 'StatementRefused', why);
        await no(world.decide('release', first, 'alice'), /^attempt: missing/);
        await no(world.say('release', first, 'alice', { attempt: 2 }), /was said of attempt 2/);
        await no(
          world.say('release', first, 'alice', { signed: first }),
          /has made 20261101_51, not 20261101_01/,
        );
        await no(world.say('release', first, 'alice', { commits: commitsOf(first) }), /names the commits/);
        await no(world.say('release', first, 'alice', { onto: second }), /was signed when 20261108/);
        await no(world.decide('redo', first, 'alice', { attempt: 1 }), /^reuse: missing/);
        await no(world.say('redo', first, 'alice', { commits: commitsOf(second) }), /names the commits/);
        await no(world.say('rework', first, 'alice'), /^changes: missing/);
        await no(world.say('release', first, 'mallory'), /mallory is no approver/);
        assert.deepEqual((await world.promotion(first))?.votes, {});
      },

      async 'does not count the word of an approver who was removed'(world) {
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        await world.say('release', first, 'carol');
        world.approvers = ['alice', 'bob'];
        await world.say('release', first, 'alice');
        const { votes, note, missing, phase } = (await world.promotion(first)) ?? {};
        assert.deepEqual([said(votes), missing, phase], [{ release: ['alice'] }, ['bob'], 'deciding']);
        assert.equal(note, 'no longer counts: what carol said of the attempt');
        await world.say('release', first, 'bob');
        await world.released(first);
      },

      async 'begins no attempt on approvals that no longer count'(world) {
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        world.approvers = ['alice', 'carol', 'dave'];
        await world.say('redo', first, 'alice');
        assert.match(
          (await world.promotion(first))?.note ?? '',
          /redo waits for approvals of the build: 1 of 2/,
        );
        assert.equal(world.count('beginAttempt'), 1);
        await world.approve(first, 'carol');
        await world.attempt(first, 2, 'testing', 'deciding');
      },

      async 'ends with a veto and with its proposer’s withdrawal: the rebuild is stopped'(world) {
        for (const [build, decision, by] of [
          [first, 'reject', 'carol'],
          [second, 'withdraw', 'alice'],
        ] as const) {
          const step = world.hold('testAttempt', build);
          await begin(world, build);
          await step.reached;
          delete world.steps.testAttempt;
          await world.decide(decision, build, by);
          assert.equal(await world.result(build), decision === 'reject' ? 'rejected' : 'withdrawn');
          assert.equal(world.count('endAttempt', build), 1);
          assert.equal(world.count('clearTesting'), build === first ? 1 : 2);
        }
      },

      async 'stops the rebuild when an approval of the build is withdrawn'(world) {
        const step = world.hold('testAttempt');
        await begin(world);
        await step.reached;
        delete world.steps.testAttempt;
        await world.decide('withdraw', first, 'bob');
        await world.attempt(first, 1, 'cancelled', 'deciding');
        await world.approve(first, 'carol');
        await world.say('redo', first, 'alice');
        await world.attempt(first, 2, 'testing', 'deciding');
      },

      async 'shows a rebuild that has failed, and asks the SIG'(world) {
        world.fails('testAttempt', 'BootTestFailed', { message: 'no login' });
        await begin(world);
        const { attempts: [attempt] = [] } = await world.attempt(first, 1, 'failed', 'deciding');
        assert.equal(attempt?.note, 'BootTestFailed: no login');
        await until('the SIG is told', 60, () => world.told('deciding').length > 0);
        const text = world.calls.find(({ args }) => args.event === 'deciding')?.args.text;
        assert.match(
          String(text),
          /attempt 1 \(20261101_51\) has failed: BootTestFailed: no login\n.*nothing\n.*alice/,
        );
        await world.say('redo', first, 'alice');
        await world.attempt(first, 2, 'testing', 'deciding');
      },

      async 'retries a release that has failed while its votes stand, or redoes'(world) {
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        world.fails('tryRelease', 'TargetDiffers', { times: 2, message: 'cloud is full' });
        for (const name of ['alice', 'bob']) await world.say('release', first, name);
        assert.match((await world.becomes(first, 'failed')).note ?? '', /cloud is full/);
        await world.retry(first);
        await until('it has failed again', 60, () => world.count('tryRelease') === 2);
        await world.becomes(first, 'failed');
        await world.say('redo', first, 'carol');
        await world.attempt(first, 2, 'testing', 'deciding');
        for (const name of ['alice', 'bob']) await world.say('release', first, name);
        await world.released(first);
        assert.equal((await world.view()).current, signedOf(first, 2));
      },

      async 'asks again for what was said when another release was the newest; what is older is superseded'(
        world,
      ) {
        const third = '20261115_01';
        for (const build of [first, second, third]) await begin(world, build);
        for (const build of [first, second, third]) await world.attempt(build, 1, 'testing', 'deciding');
        const step = world.hold('tryRelease', signedOf(second, 1));
        for (const name of ['alice', 'bob']) await world.say('release', second, name);
        await step.reached;
        for (const name of ['alice', 'bob']) await world.say('release', third, name);
        await world.becomes(third, 'ready');
        assert.equal((await world.view()).inWork, second);
        step.open();
        await world.released(second);
        const { votes, note, attempts: all } = await world.becomes(third, 'deciding');
        assert.deepEqual([said(votes), all?.length], [{}, 1]);
        assert.match(note ?? '', /20261108_51 is the newest release now: decide again/);
        assert.equal(await world.result(first), 'superseded');
        // Its commit follows what is no release any more.
        await refused(
          world.say('release', third, 'bob'),
          'StatementRefused',
          /attempt 1 was begun before 20261108_51 was released: redo it/,
        );
        await world.say('redo', third, 'bob');
        await world.attempt(third, 2, 'testing', 'deciding');
        for (const name of ['bob', 'carol']) await world.say('release', third, name);
        await world.released(third);
        assert.equal(world.count('beginAttempt', third), 2);
        // Back to the one before, by the ids of what readers have.
        await world.decide('rollback', signedOf(third, 2), 'alice', { onto: signedOf(second, 1) });
        await until('readers are back', 60, async () => (await world.view()).current === signedOf(second, 1));
      },

      async 'keeps a tested attempt where a rework could not be made, and goes back to the accepted inputs'(
        world,
      ) {
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        const none = { pin: {}, drop: [], files: 'accepted' } as const;
        const no = (changes: ReworkChanges, code: string, why: RegExp) =>
          refused(world.say('rework', first, 'bob', { changes }), code, why);
        await no({ ...none, drop: [] }, 'StatementRefused', /attempt 1 has the accepted inputs: redo it/);
        world.steps.checkRework = () => {
          throw ApplicationFailure.nonRetryable('no package nebtase', 'PackageNotFound');
        };
        await no(
          { ...none, drop: [], pin: { nebtase: '1-1.noarch' } },
          'PackageNotFound',
          /no package nebtase/,
        );
        // The archive has none of these: nothing is judged by them later.
        assert.equal(world.count('takeStatement'), 2);
        await world.decide('report', first, 'alice', { result: 'pass' });
        assert.equal((await world.attempt(first, 1, 'testing', 'deciding')).attempts?.length, 1);
        delete world.steps.checkRework;
        await world.say('rework', first, 'bob', { changes: pinned });
        await world.attempt(first, 2, 'testing', 'deciding');
        await world.say('rework', first, 'bob', { changes: { ...none, drop: [] } });
        const { attempts = [] } = await world.attempt(first, 3, 'testing', 'deciding');
        assert.deepEqual(
          attempts.map(({ changes }) => changes),
          [undefined, pinned, none],
        );
      },

      async 'begun again, finds its running rebuild; one that was ended shows as failed'(world) {
        const step = world.hold('testAttempt');
        await begin(world);
        await step.reached;
        await until('it is saved', 60, () => world.saved?.promotions[0]?.attempts?.[0]?.build !== undefined);
        await world.terminate(streamId(world.stream));
        await world.terminate(promotionId(world.stream, first));
        await world.start();
        await until(
          'it is begun again',
          60,
          async () => (await world.view()).history[0]?.decision === 'lost',
        );
        assert.equal((await world.promotion(first))?.phase, 'rebuilding');
        step.open();
        delete world.steps.testAttempt;
        await world.attempt(first, 1, 'testing', 'deciding');
        assert.equal(world.count('beginAttempt'), 1);

        const again = world.hold('testAttempt');
        await world.say('redo', first, 'alice');
        await again.reached;
        await world.terminate(rebuildId(world.stream, first, 2));
        const { attempts: all } = await world.attempt(first, 2, 'failed', 'deciding');
        assert.match(all?.[1]?.note ?? '', /was terminated/);
        again.open();
        delete world.steps.testAttempt;

        // All that ended while nobody listened is known too.
        const last = world.hold('testAttempt');
        await world.say('redo', first, 'alice');
        await last.reached;
        await until('it is saved', 60, () => world.saved?.promotions[0]?.attempts?.length === 3);
        await world.terminate(streamId(world.stream));
        await world.terminate(promotionId(world.stream, first));
        last.open();
        await world.client.workflow.getHandle(rebuildId(world.stream, first, 3)).result();
        await world.start();
        await world.attempt(first, 3, 'testing', 'deciding');
        const ends = [
          ['failed', 'BootTestFailed: no login', undefined],
          ['cancelled', undefined, 'cancel'],
          ['failed', 'its workflow was terminated', 'terminate'],
        ] as const satisfies readonly (readonly [string, string | undefined, string | undefined])[];
        for (const [place, [state, note, how]] of ends.entries()) {
          const number = 4 + place;
          if (how === undefined) world.fails('testAttempt', 'BootTestFailed', { message: 'no login' });
          const held = world.hold('testAttempt');
          await world.say('redo', first, 'alice');
          await held.reached;
          await until('it is saved', 60, () => world.saved?.promotions[0]?.attempts?.length === number);
          await world.terminate(streamId(world.stream));
          await world.terminate(promotionId(world.stream, first));
          const rebuild = world.client.workflow.getHandle(rebuildId(world.stream, first, number));
          if (how === 'cancel') await rebuild.cancel();
          if (how === 'terminate') await rebuild.terminate();
          if (how !== 'cancel') held.open();
          await assert.rejects(rebuild.result());
          delete world.steps.testAttempt;
          await world.start();
          const { attempts: known } = await world.attempt(first, number, state, 'deciding');
          assert.equal(known?.at(-1)?.note, note);
        }
      },

      async 'finds a rebuild that was begun after what is known was saved'(world) {
        const step = world.hold('testAttempt');
        await begin(world);
        await step.reached;
        await until('it is saved', 60, () => world.saved?.promotions[0]?.attempts !== undefined);
        const [saved] = world.saved?.promotions ?? [];
        await world.terminate(streamId(world.stream));
        await world.terminate(promotionId(world.stream, first));
        assert.ok(saved);
        const { attempts: _unknown, ...proposed } = saved;
        world.saved = { ...emptyView(world.stream), promotions: [{ ...proposed, phase: 'proposed' }] };
        await world.start();
        await world.attempt(first, 1, 'running', 'rebuilding');
        step.open();
        await world.attempt(first, 1, 'testing', 'deciding');
        assert.equal(world.count('beginAttempt'), 1);
      },

      async 'begun again during its release, is released'(world) {
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        const step = world.hold('tryRelease');
        for (const name of ['alice', 'bob']) await world.say('release', first, name);
        await step.reached;
        await until('it is saved', 60, () => world.saved?.promotions[0]?.phase === 'releasing');
        await world.terminate(streamId(world.stream));
        await world.terminate(promotionId(world.stream, first));
        await world.start();
        await until('it is found', 60, async () => (await world.view()).inWork === first);
        step.open();
        await world.released(first);
        assert.equal(world.stepsOf(releaseId(world.stream, signedOf(first, 1))).length, 5);
      },

      async 'a word against a running release stops it in time, where too few want it then'(world) {
        world.rules.approvals.redo = 2;
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        const step = world.hold('tryRelease');
        for (const name of ['alice', 'bob']) await world.say('release', first, name);
        await step.reached;
        await refused(
          world.say('release', first, 'carol'),
          'StatementRefused',
          /attempt 1 is being released/,
        );
        const other = world.say('redo', first, 'carol');
        await world.say('redo', first, 'alice');
        await other;
        await world.attempt(first, 2, 'testing', 'deciding');
        assert.equal(world.count('switchRelease'), 0);
        step.open();
      },

      async 'waits, and says why, while nobody can tell whose word counts'(world) {
        await begin(world);
        await world.attempt(first, 1, 'testing', 'deciding');
        await world.say('release', first, 'alice');
        world.steps.judgePromotion = () => {
          throw ApplicationFailure.nonRetryable('stream.yaml: wrong', 'StreamInvalid');
        };
        await world.say('release', first, 'bob');
        const { phase, note } = (await world.promotion(first)) ?? {};
        assert.deepEqual([phase, note], ['deciding', 'which approvals count? stream.yaml: wrong']);
        delete world.steps.judgePromotion;
        await world.say('release', first, 'carol');
        await world.released(first);
      },
    },
    { workflowsPath },
  );
});

describe('promotion with signed rebuilds over weeks', function () {
  this.timeout('5m');

  sideBySide(
    {
      async 'reminds for as long as nobody decides, with short histories, and never expires'(world) {
        world.rules.proposalAge = 2;
        world.rules.decisionRemindEvery = 1;
        const step = world.hold('testAttempt');
        await begin(world);
        await step.reached;
        const handle = world.client.workflow.getHandle(promotionId(world.stream, first));
        const run = (await handle.describe()).runId;
        step.open();
        await world.attempt(first, 1, 'testing', 'deciding');
        await until('it has reminded', 60, () => world.told('waiting').length >= 8);
        const keys = world.told('waiting');
        assert.equal(new Set(keys).size, keys.length, keys.join(' '));
        assert.ok(keys.every((key) => key.startsWith(`waiting-${first}-attempt-1-testing-`)));
        const now = await handle.describe();
        assert.notEqual(now.runId, run, 'it has continued as new');
        assert.ok(now.historyLength < 120, `${now.historyLength} events`);
        const text = world.calls.findLast(({ args }) => args.event === 'waiting')?.args.text;
        assert.match(
          String(text),
          /\(20261101_51\) can be tested\nsaid so far: nothing\nawaiting: alice, bob, carol/,
        );
        for (const name of ['alice', 'bob']) await world.say('release', first, name);
        await world.released(first);
      },

      async 'continues as new in the middle of a rebuild'(world) {
        const step = world.hold('testAttempt');
        await begin(world);
        await step.reached;
        const handle = world.client.workflow.getHandle(promotionId(world.stream, first));
        const run = (await handle.describe()).runId;
        await until('it has continued as new', 60, async () => {
          await world.approve(first, 'carol');
          return (await handle.describe()).runId !== run;
        });
        assert.equal((await world.promotion(first))?.phase, 'rebuilding');
        step.open();
        await world.attempt(first, 1, 'testing', 'deciding');
        assert.equal(world.count('beginAttempt'), 1);
      },
    },
    { workflowsPath, longHistory: 60 },
  );
});
