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
  activityTaskCompletedEventAttributes?: { result?: { payloads: { data: string }[] } };
}
interface History {
  events: Event[];
}

describe('replay', function () {
  const replay = (history: unknown) =>
    Worker.runReplayHistory(
      { workflowBundle: { codePath: workflowBundle } },
      historyFromJSON(history),
      'workflow/sample',
    );
  const read = async (name: string) =>
    JSON.parse(await readFile(join(historiesFolder, name), 'utf8')) as History;

  it('of every committed history goes through', async () => {
    const names = (await readdir(historiesFolder)).filter((name) => name.endsWith('.json'));
    assert.ok(names.length >= 10, `histories: ${names.join(', ')}`);
    for (const name of names) await replay(await read(name));
  });

  for (const [name, step] of [
    ['nightly-published', 'commit'],
    ['stream-renewed', 'examine'],
    ['promotion-released', 'judgePromotion'],
    ['promotion-rejected', 'judgePromotion'],
    ['promotion-redone-released', 'judgePromotion'],
    ['promotion-abandoned', 'clearTesting'],
    ['release-announced', 'switchRelease'],
    ['release-undone', 'undoRelease'],
    ['release-signed', 'checkMirrors'],
    ['release-signed-undone', 'verifyUndone'],
    ['rollback', 'takeFormer'],
    ['rebuild-published', 'signPackages'],
    ['rebuild-accepted', 'equivalence'],
    ['candidate-proposed', 'tellSig'],
    ['security-released', 'lackingNow'],
    ['security-dismissed', 'judgeCase'],
    ['fix-built', 'signPackages'],
    ['fix-copied', 'overrideLockfile'],
  ] as const)
    it(`of ${name} fails when step ${step} is another than it was`, async () => {
      const history = await read(`${name}.json`);
      const altered = history.events.find(
        (event) => event.activityTaskScheduledEventAttributes?.activityType.name === step,
      );
      assert.ok(altered?.activityTaskScheduledEventAttributes);
      altered.activityTaskScheduledEventAttributes.activityType.name = `${step}Elsewhere`;
      await assert.rejects(replay(history), DeterminismViolationError);
    });

  it('fails when the workflow decides otherwise than it did', async () => {
    const history = await read('nightly-no-change.json');
    const results = history.events.flatMap(
      (event) => event.activityTaskCompletedEventAttributes?.result?.payloads ?? [],
    );
    const payload = results.find(({ data }) => decode(data).includes('"packages":'));
    assert.ok(payload);
    // Other inputs than the parent's: this is no “no change” any more.
    payload.data = Buffer.from(decode(payload.data).replace(/"inputHash":"./, '"inputHash":"x')).toString(
      'base64',
    );
    await assert.rejects(replay(history), DeterminismViolationError);
  });
});

const decode = (data: string) => Buffer.from(data, 'base64').toString();
