/** `treeline apply` on a real server. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import { describeSchedule, planSchedules } from '../../src/schedules/schedules.js';
import { loadStream } from '../../src/streams/load.js';
import { until } from '../support/ports.js';
import { TestInstance } from '../support/instance.js';

describe('treeline apply', function () {
  let instance: TestInstance;

  before(async () => {
    instance = await TestInstance.create();
    await instance.declare('one', {
      release: {
        approvers: [{ name: 'Ada', key: 'ada.asc' }],
        approvals: { promote: 1 },
        cadence: { anchor: '2026-11-24' },
        security: { watch: '15m' },
      },
    });
    await instance.declare('two', {
      release: undefined,
      schedule: { cron: '0 5 * * 1', timezone: 'Europe/Berlin', catchUp: '2h', paused: true },
    });
    await instance.startServer();
  });
  after(() => instance.close());

  const apply = async (...args: string[]) => {
    const result = await instance.cli('apply', ...args);
    assert.equal(result.exitCode, 0, result.stderr);
    return result.stdout;
  };

  it('shows the difference, creates, and is idempotent', async () => {
    assert.match(await apply('--dry-run'), /create nightly\/one\n\s+cron: none → 30 2 \* \* \*/);
    assert.match(await apply('--dry-run'), /create stream\/one/);
    assert.match(await apply('--dry-run'), /create candidate\/one\n\s+cron: none → 10 \* \* \* \*/);
    assert.equal(
      await describeSchedule(await instance.client(), 'one'),
      undefined,
      'a dry run changes nothing',
    );
    assert.match(await apply('--dry-run'), /create watch\/one\n\s+cron: none → \*\/15 \* \* \* \*/);
    assert.match(await apply(), /Applied 5 changes/);
    assert.match(await apply(), /Nothing to change/);
    const one = await describeSchedule(await instance.client(), 'one');
    assert.equal(one?.policies.overlap, ScheduleOverlapPolicy.SKIP);
    assert.equal(one.policies.catchupWindow, 6 * 3600 * 1000);
    assert.equal(one.policies.pauseOnFailure, false);
    const two = await describeSchedule(await instance.client(), 'two');
    assert.equal(two?.state.paused, true);
    assert.equal(two.spec.timezone, 'Europe/Berlin');
  });

  it('looks at the release dates of the streams that have some, every hour', async () => {
    const client = await instance.client();
    const look = await describeSchedule(client, 'one', 'candidate');
    assert.deepEqual(look?.spec.calendars?.[0]?.minute, [{ start: 10, end: 10, step: 1 }]);
    assert.equal(look.spec.timezone ?? 'UTC', 'UTC');
    assert.equal(look.policies.overlap, ScheduleOverlapPolicy.SKIP);
    assert.equal(look.policies.catchupWindow, 24 * 3600 * 1000);
    assert.equal(look.action.workflowType, 'candidate');
    assert.deepEqual(look.action.args, [{ stream: 'one' }]);
    assert.equal(await describeSchedule(client, 'two', 'candidate'), undefined);
    const changes = JSON.parse(await apply('--json', '--dry-run')) as { id: string; action: string }[];
    assert.deepEqual(
      changes.map(({ id, action }) => [id, action]),
      [
        ['stream/one', 'none'],
        ['nightly/one', 'none'],
        ['candidate/one', 'none'],
        ['watch/one', 'none'],
        ['nightly/two', 'none'],
      ],
    );
  });

  it('looks for advisories as often as the stream says', async () => {
    const client = await instance.client();
    const watch = await describeSchedule(client, 'one', 'watch');
    assert.deepEqual(watch?.spec.calendars?.[0]?.minute, [{ start: 0, end: 59, step: 15 }]);
    assert.equal(watch.policies.overlap, ScheduleOverlapPolicy.SKIP);
    assert.equal(watch.action.workflowType, 'securityWatch');
    assert.deepEqual(watch.action.args, [{ stream: 'one' }]);
    assert.equal(await describeSchedule(client, 'two', 'watch'), undefined);
  });

  it('says when the next nightly is', async () => {
    const status = JSON.parse((await instance.cli('status', '--json')).stdout) as {
      stream: string;
      next?: string;
      paused: boolean;
    }[];
    assert.match(status.find(({ stream }) => stream === 'one')?.next ?? '', /T02:30:00/);
    assert.equal(status.find(({ stream }) => stream === 'two')?.paused, true);
  });

  it('updates what changed: cron, pause and resume; a pause by hand is shown and undone', async () => {
    await instance.edit('one', 'stream.yaml', (text) => text.replace('30 2 * * *', '45 3 * * *'));
    await instance.edit('two', 'stream.yaml', (text) => text.replace('paused: true', 'paused: false'));
    const shown = await apply();
    assert.match(shown, /update nightly\/one\n\s+cron: 30 2 \* \* \* → 45 3 \* \* \*/);
    assert.match(shown, /update nightly\/two\n\s+paused: true → false/);
    const client = await instance.client();
    assert.equal((await describeSchedule(client, 'two'))?.state.paused, false);
    const status = JSON.parse((await instance.cli('status', '--json')).stdout) as {
      stream: string;
      next?: string;
    }[];
    assert.match(status.find(({ stream }) => stream === 'one')?.next ?? '', /T03:45:00/);
    await client.schedule.getHandle('nightly/one').pause('by hand');
    assert.match(await apply(), /update nightly\/one\n\s+paused: true → false/);
  });

  it('removes schedules of streams that are gone or have none any more', async () => {
    await rm(join(instance.settings.streams, 'two'), { recursive: true });
    await instance.edit('one', 'stream.yaml', (text) =>
      text.replace(/schedule:\n(?: .*\n)*/, '').replace(/ {2}(cadence|security):\n {4}.*\n/g, ''),
    );
    const client = await instance.client();
    // The list of schedules is eventually consistent.
    await until('the server lists the schedule', 20, async () =>
      (await planSchedules(client, [await loadStream(instance.settings, 'one')])).some(
        ({ stream }) => stream === 'two',
      ),
    );
    const shown = await apply();
    assert.match(shown, /remove nightly\/one/);
    assert.match(shown, /remove candidate\/one/);
    assert.match(shown, /remove watch\/one/);
    assert.match(shown, /remove nightly\/two\n\s+the stream is gone/);
    assert.equal(await describeSchedule(client, 'one'), undefined);
    assert.equal(await describeSchedule(client, 'one', 'candidate'), undefined);
    assert.equal(await describeSchedule(client, 'two'), undefined);
  });
});
