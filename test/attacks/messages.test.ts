/**
 * Who holds the instance's Temporal certificate can start any workflow, and signal any that runs, with anything. What is none of a
 * message's form is refused: a workflow does not begin with it, and one that runs goes on, and shows what it refused.
 */
import assert from 'node:assert/strict';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { z } from 'zod';
import * as rebuildMessages from '../../src/workflows/chains/rebuild-messages.js';
import { troubleSignal } from '../../src/workflows/chains/chain.js';
import * as securityMessages from '../../src/workflows/decisions/security-messages.js';
import * as streamSignals from '../../src/workflows/decisions/signals.js';
import * as workflows from '../../src/workflows/index.js';
import {
  commitsOf,
  promotionId,
  refused,
  releaseId,
  rollbackId,
  sideBySide,
  streamId,
  until,
} from '../workflows/scripted.js';

/** Nothing that takes an argument takes these. */
const nothings: readonly unknown[] = [undefined, null, 0, true, [], [[]], 'text'.repeat(500)];
/** No id is any of these. */
const noIds: readonly unknown[] = [
  null, 5, {}, [], '', '.', '..', '../x', '/etc/passwd', '--help', '-rf', 'a b', 'a\nb', 'a;id', '$(id)', '20261101_00', '20261101_01/..',
  '20261101_01\n', '__proto__', 'constructor', 'toString', 'é', 'x'.repeat(5000), { toString: 'x' }, ['20261101_01'],
]; // prettier-ignore

const build = '20261101_01';
interface Message {
  readonly name: string;
  readonly schemas: readonly z.ZodType[];
}
const signals = Object.values<unknown>({
  ...rebuildMessages,
  ...securityMessages,
  ...streamSignals,
  troubleSignal,
}).filter((one): one is Message => (one as Partial<Message>).schemas?.[0] !== undefined);

/** A good argument of a message, and its fields that name something. */
const good: Readonly<Record<string, readonly [Record<string, unknown>, ...string[]]>> = {
  promote: [{ build }, 'build'],
  retry: [{}],
  go: [{ current: build, turn: '1' }, 'turn'],
  superseded: [{ by: build }, 'by'],
  rebuildNews: [{ attempt: 1, state: 'testing', build, commits: commitsOf(build) }, 'build', 'state'],
  fixNews: [{ attempt: 1, state: 'built', build, commits: commitsOf(build) }, 'build', 'state'],
  promotionNews: [{ case: '20261101-1', text: 't' }, 'case'],
};

const fits = ({ schemas }: Message, value: unknown) => schemas[0]!.safeParse(value).success;

describe('messages to workflows', () => {
  it('take nothing that is not of their form', () => {
    let tried = 0;
    for (const signal of signals)
      for (const value of nothings) {
        // No advisories are found once in a while.
        if (signal.name === 'join' && JSON.stringify(value) === '[]') continue;
        assert.ok(!fits(signal, value), `${signal.name} ${JSON.stringify(value)}`);
        tried++;
      }
    for (const [name, [value, ...fields]] of Object.entries(good)) {
      const signal = signals.find((one) => one.name === name);
      assert.ok(signal, name);
      assert.ok(fits(signal, value), name);
      assert.ok(fits(signal, { ...value, ofLater: 1 }), `${name}: what is unknown is dropped`);
      assert.ok(!('ofLater' in (signal.schemas[0]!.parse({ ...value, ofLater: 1 }) as object)), name);
      for (const field of fields)
        for (const bad of noIds.filter((one) => field !== 'turn' || typeof one !== 'string')) {
          assert.ok(!fits(signal, { ...value, [field]: bad }), `${name}.${field} ${JSON.stringify(bad)}`);
          tried++;
        }
    }
    assert.ok(tried >= 200, String(tried));
  });

  it('are all there is to start a workflow by', () => {
    for (const [name, one] of Object.entries(workflows)) {
      assert.ok('schema' in one, `${name} is declared by \`workflow\``);
      // That one word may be a stream's name.
      for (const stream of noIds.filter((one) => one !== 'constructor'))
        assert.ok(
          !one.schema.safeParse({ stream, force: true }).success,
          `${name} ${JSON.stringify(stream)}`,
        );
    }
  });
});

describe('a malformed message', function () {
  this.timeout('5m');

  sideBySide({
    async 'ends a workflow that is started with it at once, for good'(world) {
      await world.promote(build, 'alice');
      const started = Object.keys(workflows).flatMap((type) => [
        [type, undefined] as const,
        [type, null] as const,
        [type, { stream: '../x' }] as const,
      ]);
      await Promise.all(
        started.map(async ([type, input], at) => {
          const error: unknown = await world.execute(type, `attack/${world.stream}/${at}`, [input]).then(
            () => undefined,
            (reason: unknown) => reason,
          );
          assert.ok(error instanceof WorkflowFailedError, `${type} ${String(error)}`);
          assert.ok(error.cause instanceof ApplicationFailure, String(error.cause));
          assert.equal(error.cause.type, 'InputRefused');
          assert.match(error.cause.message, new RegExp(`^${type}: (stream|input|kind): `));
        }),
      );
    },

    async 'does not stop a stream, which shows what it refused'(world) {
      await world.promote(build, 'alice');
      const toStream = [
        'promote', 'decide', 'promotionChanged', 'advisories', 'caseChanged', 'releasesChanged', 'trouble',
      ]; // prettier-ignore
      for (const name of toStream)
        for (const value of [null, {}, ['__proto__'], { build: '../../x', statement: {} }])
          await world.entity.signal(name, value);
      for (const name of ['promote', 'decide', 'retry'] as const)
        await refused(world.update(name, { build: '--help', statement: 5 }), 'InputRefused', /: /);
      await world.approve(build, 'bob');
      await world.released(build);
      const { memo } = await world.client.workflow.getHandle(streamId(world.stream)).describe();
      const told = memo?.refused as string[];
      assert.equal(told.length, 20, 'the first 20 of 24 are kept');
      assert.match(told[0]!, /^\d{4}-.*Z promote: input: /);
      const { refused: shown } = await until('it is shown', 60, () => world.view());
      assert.deepEqual(shown, told);
    },

    async 'does not make a stream or a promotion believe that something is released, or taken back'(world) {
      await world.approved(build);
      await world.released(build);
      const later = '20261108_01';
      const other = { current: later, build: later, accepted: later, to: later, commits: commitsOf(later) };
      const forge = async (id: string, ...names: string[]) => {
        for (const name of names)
          for (const value of [undefined, {}, other, { ...other, build }])
            await world.client.workflow.getHandle(id).signal(name, value);
      };
      const stream = ['releasesChanged', 'releaseDone', 'rollbackEnded'];
      await forge(streamId(world.stream), ...stream);
      await world.called('released', 2);
      const { current, released } = await world.view();
      assert.deepEqual([current, released.map((one) => one.build)], [build, [build]]);

      // One that this promotion did not start: it would have to be told.
      const held = world.hold('switchRelease', later);
      await world.promote(later, 'alice');
      await world.approve(later, 'bob');
      await held.reached;
      await world.terminate(promotionId(world.stream, later));
      await world.renew();
      await until('its promotion is begun again', 60, async () =>
        (await world.view()).history.some(({ decision }) => decision === 'lost'),
      );
      const promotion = world.client.workflow.getHandle(promotionId(world.stream, later));
      await until('it runs', 60, async () => (await promotion.describe()).status.name === 'RUNNING');
      await forge(promotionId(world.stream, later), 'releaseEnded');
      await forge(streamId(world.stream), ...stream);
      await until('the server is asked', 60, () =>
        world.calls.some(
          ({ name, args }) => name === 'workflowEnd' && args.id === releaseId(world.stream, later),
        ),
      );
      assert.equal((await world.promotion(later))?.phase, 'releasing');
      assert.equal((await world.view()).inWork, later);
      assert.equal((await world.view()).current, build);
      held.open();
      await world.released(later);

      const back = world.hold('switchRelease', build);
      await world.decide('rollback', later, 'alice', { onto: build });
      await back.reached;
      await forge(streamId(world.stream), ...stream);
      await until('the server is asked', 60, () =>
        world.calls.some(
          ({ name, args }) => name === 'workflowEnd' && args.id === rollbackId(world.stream, later),
        ),
      );
      assert.equal((await world.view()).inWork, later, 'nothing else goes meanwhile');
      assert.equal((await world.view()).current, later);
      back.open();
      await until('readers are back', 60, async () => (await world.view()).current === build);
      await until('it has ended', 60, async () => (await world.view()).inWork === null);
      assert.match((await world.view()).history[0]?.reason ?? '', /readers are back on/);
    },
  });
});
