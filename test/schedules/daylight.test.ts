/** What docs/operating.md says of cron times and daylight saving, as the server has it. */
import assert from 'node:assert/strict';
import type { Client } from '@temporalio/client';
import { TestInstance } from '../support/instance.js';

describe('a cron time where daylight saving begins or ends', function () {
  let instance: TestInstance;
  let client: Client;
  before(async () => {
    instance = await TestInstance.create();
    await instance.startServer();
    client = await instance.client();
  });
  after(() => instance.close());

  const local = new Intl.DateTimeFormat('sv-SE', {
    timeZone: 'Europe/Berlin',
    dateStyle: 'short',
    timeStyle: 'short',
  });

  const year = new Date().getUTCFullYear() + 1;

  /** The starts of this cron time in Berlin in the next year, by their local times. */
  async function starts(cron: string): Promise<string[]> {
    const handle = await client.schedule.create({
      scheduleId: cron,
      spec: {
        cronExpressions: [cron],
        timezone: 'Europe/Berlin',
        startAt: new Date(`${year}-01-01T00:00:00Z`),
      },
      action: { type: 'startWorkflow', workflowType: 'nightly', taskQueue: 'nobody', args: [] },
    });
    const { info } = await handle.describe();
    return info.nextActionTimes
      .map((time) => local.format(time))
      .filter((time) => time.startsWith(`${year}-`));
  }

  /** The last Sunday of a month, two digits. */
  const lastSunday = (month: number) => {
    const last = new Date(Date.UTC(year, month, 0));
    return String(last.getUTCDate() - last.getUTCDay()).padStart(2, '0');
  };

  it('is left out on the day that does not have it', async () => {
    const times = await starts('30 2 25-31 3 *');
    const sunday = lastSunday(3);
    const days = ['25', '26', '27', '28', '29', '30', '31'].filter((day) => day !== sunday);
    assert.deepEqual(
      times.map((time) => [time.slice(8, 10), time.slice(11)]),
      days.map((day) => [day, '02:30']),
    );
  });

  it('starts once on the day that has it twice', async () => {
    const times = await starts('30 2 25-31 10 *');
    const days = ['25', '26', '27', '28', '29', '30', '31'];
    assert.deepEqual(
      times.map((time) => [time.slice(8, 10), time.slice(11)]),
      days.map((day) => [day, '02:30']),
    );
  });
});
