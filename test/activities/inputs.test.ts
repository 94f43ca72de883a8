/** What workflows give to activities is what those take: every input of the committed histories. Scripted activities check theirs too. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historiesFolder } from '../support/histories.js';
import { allActivities, checkInput } from '../support/inputs.js';

interface Scheduled {
  activityTaskScheduledEventAttributes?: {
    activityType: { name: string };
    input?: { payloads: { data: string }[] };
  };
}

describe('inputs of activities', () => {
  it('have a schema', () => {
    for (const [name, { schema }] of Object.entries(allActivities)) assert.ok(schema, name);
  });

  it('fit it, in every committed history', async () => {
    for (const name of await readdir(historiesFolder)) {
      const { events } = JSON.parse(await readFile(join(historiesFolder, name), 'utf8')) as {
        events: Scheduled[];
      };
      for (const { activityTaskScheduledEventAttributes: scheduled } of events) {
        if (!scheduled) continue;
        const { activityType, input } = scheduled;
        const value: unknown = JSON.parse(Buffer.from(input?.payloads[0]?.data ?? '', 'base64').toString());
        checkInput(activityType.name, value);
      }
    }
  });
});
