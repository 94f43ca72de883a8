/** The real activity that takes build ids, as Temporal runs it. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { asStep } from '../../src/activities/as-step.js';
import { type Host } from '../../src/host.js';
import { stepArgs } from '../../src/domain/inputs.js';
import { prepareActivities } from '../../src/activities/prepare.js';
import { Failure, type FailureCode } from '../../src/domain/failures.js';
import { emptyIndex } from '../../src/domain/metadata.js';
import { readSettings } from '../../src/settings.js';
import { Store, writeJson } from '../../src/store/store.js';
import { serve } from '../../src/web/serve.js';
import { runActivity as run } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

describe('reserve', function () {
  let s: Scratch;
  let host: Host;
  let target: Awaited<ReturnType<typeof serve>>;
  beforeEach(async () => {
    s = await makeScratch('reserve');
    host = { settings: readSettings({ TREELINE_STATE: s.folder }), store: new Store(s.folder) };
    await mkdir(s.at('www'));
    target = await serve({ root: s.at('www'), port: 0 });
  });
  afterEach(async () => {
    await target.close();
    await s.remove();
  });

  const reserve = async (
    name: string,
    date = '2026-11-23T12:00:00.000Z',
    stream = 'tiny',
    more: { publish?: object; release?: object } = {},
  ) => {
    const publish = { buildlogs: { location: s.at('www'), url: target.url }, ...more.publish };
    const frozen = { name: stream, publish, release: more.release };
    await writeJson(join(host.store.runDir({ stream, run: name }), 'stream.json'), frozen);
    return (await run(prepareActivities(host).reserve, { stream, run: name, step: 'reserve', date })).build;
  };

  it('gives 20 runs at once 20 ids, without a gap', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, (_, i) => reserve(`run-${i}`)));
    assert.deepEqual(
      ids.sort(),
      Array.from({ length: 20 }, (_, i) => `20261123_${String(i + 1).padStart(2, '0')}`),
    );
  });

  it('gives the same run the same id, also past midnight and after others', async () => {
    const first = await reserve('a', '2026-11-23T23:59:59.999Z');
    assert.equal(await reserve('b', '2026-11-24T00:00:00.000Z'), '20261124_01');
    assert.equal(await reserve('a', '2026-11-24T00:00:01.000Z'), first);
    assert.equal(first, '20261123_01');
    assert.equal(await reserve('c', '2026-11-23T23:59:59.999Z'), '20261123_02');
  });

  it('counts for each stream', async () => {
    assert.equal(await reserve('a'), '20261123_01');
    assert.equal(await reserve('a', undefined, 'other'), '20261123_01');
  });

  it('never gives an id that a signed rebuild has, also on a builder whose store knows nothing', async () => {
    const index = { ...emptyIndex(), builds: [{ id: '20261123_01', arches: ['x86_64' as const] }] };
    await writeJson(s.at('www/testing/builds.json'), index);
    const testing = { location: s.at('www/testing'), url: `${target.url}/testing` };
    const signed = { publish: { testing }, release: { rebuild: {} } };
    assert.equal(await reserve('a', undefined, 'tiny', signed), '20261123_02');
  });

  it('never gives an id that is published or was, even where its file is lost', async () => {
    const index = {
      ...emptyIndex(),
      builds: [{ id: '20261123_02', arches: ['x86_64'] }],
      'tombstone-builds': [{ id: '20261123_01' }],
    };
    await writeJson(s.at('store/tiny/published/builds.json'), index);
    assert.equal(await reserve('a'), '20261123_03');
  });

  it('never gives an id that the target has, on a new builder whose store is empty', async () => {
    const index = { ...emptyIndex(), builds: [{ id: '20261123_01', arches: ['x86_64'] }] };
    await writeJson(s.at('www/builds.json'), index);
    assert.equal(await reserve('a'), '20261123_02');
  });

  it('ends with PublishConflict after the 99th of a day, and goes on the next day', async () => {
    for (let n = 1; n <= 98; n++)
      await s.write(`store/tiny/ids/20261123_${String(n).padStart(2, '0')}`, 'other\n');
    assert.equal(await reserve('a'), '20261123_99');
    await assert.rejects(reserve('b'), {
      type: 'PublishConflict',
      nonRetryable: true,
      message: /all 99 build ids of 2026-11-23/,
    });
    assert.equal(await reserve('b', '2026-11-24T00:00:00Z'), '20261124_01');
    assert.equal((await readdir(s.at('store/tiny/ids'))).length, 100);
  });

  describe('as a step', () => {
    const args = { stream: 'tiny', run: 'r', step: 'any' };
    const failing = (error: Error) => asStep(host, stepArgs, (): Promise<never> => Promise.reject(error));

    const cases: [FailureCode, number, boolean][] = [
      ['DiskFull', 1, true],
      ['TargetUnreachable', 4, true],
      ['SigningFailed', 1, false],
      ['CommandFailed', 2, true],
      ['CommandFailed', 3, false],
    ];
    for (const [code, attempt, retryable] of cases)
      it(`${code} at attempt ${attempt} is ${retryable ? 'tried again' : 'final'}, with remedy and tail`, async () => {
        await assert.rejects(
          run(failing(new Failure(code, 'what happened', ['last'])), args, attempt),
          (error: unknown) => {
            const { type, message, nonRetryable, details } = error as {
              type: string;
              message: string;
              nonRetryable: boolean;
              details: [{ step: string; remedy: string; tail: string[] }];
            };
            assert.deepEqual([type, message, nonRetryable], [code, 'what happened', !retryable]);
            assert.deepEqual([details[0].step, details[0].tail], ['any', ['last']]);
            assert.ok(details[0].remedy.length > 10);
            return true;
          },
        );
      });

    it('an unknown error is a CommandFailed; the log has its stack', async () => {
      await assert.rejects(run(failing(new TypeError('oops')), args), {
        type: 'CommandFailed',
        message: 'oops',
        nonRetryable: false,
      });
      const log = await readFile(s.at('store/tiny/runs/r/logs/any.log'), 'utf8');
      assert.match(log, /^# .* any, attempt 1, on .*\n# .* failed: TypeError: oops\n\s+at /);
    });

    it('a log on a full disk ends neither the step nor the worker', async () => {
      await s.write('store/tiny/runs/r/logs/other.log', '');
      await symlink('/dev/full', s.at('store/tiny/runs/r/logs/any.log'));
      const noisy = asStep(host, stepArgs, async (step) =>
        (await step.run(['seq', '1', '200000'])).stdout.slice(-7),
      );
      assert.equal(await run(noisy, args), '200000\n');
    });

    it('is appended to the log of an earlier try, with what it ran', async () => {
      const echo = asStep(host, stepArgs, (step) => step.run(['echo', 'hello']));
      await run(echo, args);
      await run(echo, args, 2);
      const log = await readFile(s.at('store/tiny/runs/r/logs/any.log'), 'utf8');
      assert.match(
        log,
        /any, attempt 1, .*\n\+ echo hello\nhello\n# .* done\n+# .* any, attempt 2, .*\n\+ echo hello\nhello\n# .* done\n$/,
      );
    });
  });
});
