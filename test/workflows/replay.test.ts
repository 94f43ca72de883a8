/**
 * Replays histories of real runs, committed when they were made: a change to a workflow that would break runs in flight is
 * seen here. The altered histories prove that these tests can fail.
 */
import assert from 'node:assert/strict';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { workflowBundle } from '../../src/workflows/bundle.js';
import { historiesFolder } from '../support/histories.js';

interface Event {
  eventType: string;
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
}
interface History {
  events: Event[];
}

describe('replay', function () {
  this.timeout('1m');
  const replay = (history: unknown) =>
    Worker.runReplayHistory(
      { workflowBundle: { codePath: workflowBundle } },
      historyFromJSON(history),
      'nightly/sample',
    );
  const read = async (name: string) =>
    JSON.parse(await readFile(join(historiesFolder, name), 'utf8')) as History;

  it('of every committed history goes through', async () => {
    const names = (await readdir(historiesFolder)).filter((name) => name.endsWith('.json'));
    assert.ok(names.length >= 3, `histories: ${names.join(', ')}`);
    for (const name of names) await replay(await read(name));
  });

  it('fails when a step is another than it was', async () => {
    const history = await read('nightly-published.json');
    const commit = history.events.find(
      (event) => event.activityTaskScheduledEventAttributes?.activityType.name === 'commit',
    );
    assert.ok(commit?.activityTaskScheduledEventAttributes);
    commit.activityTaskScheduledEventAttributes.activityType.name = 'commitElsewhere';
    await assert.rejects(replay(history), DeterminismViolationError);
  });

  it('fails when a step is missing', async () => {
    const history = await read('nightly-no-change.json');
    const at = history.events.findIndex(
      (event) => event.activityTaskScheduledEventAttributes?.activityType.name === 'resolve',
    );
    assert.ok(at > 0);
    history.events.splice(at, 1);
    await assert.rejects(replay(history));
  });
});
