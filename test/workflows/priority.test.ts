/** A security case goes before all that waits for the same workers: what its workflow starts has its priority. */
import assert from 'node:assert/strict';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { dynamicConfig } from '../../src/temporal/server-config.js';
import { localEnvironment } from '../support/temporal.js';
import { until } from '../support/ports.js';

const workflowsPath = fileURLToPath(new URL('./priority-workflows.js', import.meta.url));
const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };

const extraArgs = Object.entries(dynamicConfig).flatMap(([key, value]) => [
  '--dynamic-config-value',
  `${key}=${JSON.stringify(value)}`,
]);

describe('priority', function () {
  it('of a workflow is that of its children’s steps, which overtake a backlog', async () => {
    const environment = await localEnvironment({ server: { extraArgs } });
    const { client, nativeConnection: connection } = environment;
    const done: string[] = [];
    let open = () => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    const step = async (name: string) => {
      if (name === 'first') await opened;
      done.push(name);
    };
    const workflowBundle = await bundleWorkflowCode({ workflowsPath, logger: quiet });
    const workflows = await Worker.create({ connection, taskQueue: 'control', workflowBundle });
    // One at a time, as a host signs.
    const steps = await Worker.create({
      ...{ connection, taskQueue: 'signing', activities: { step } },
      maxConcurrentActivityTaskExecutions: 1,
    });
    const ended = Promise.all([workflows.run(), steps.run()]);
    const start = async (type: string, names: string[], priority: object) => {
      const workflowId = `${type}-${randomUUID()}`;
      const handle = await client.workflow.start(type, {
        ...{ workflowId, taskQueue: 'control', args: [names] },
        ...priority,
      });
      await until('its steps wait', 30, async () => {
        const { pendingActivities } = (await handle.describe()).raw;
        return type === 'parent' || pendingActivities?.length === names.length;
      });
      return handle;
    };
    const ordinary = Array.from({ length: 10 }, (_, i) => `ordinary-${i}`);
    const handles = [await start('stepsOf', ['first'], {}), await start('stepsOf', ordinary, {})];
    const urgent = await start('parent', ['urgent'], { priority: { priorityKey: 1 } });
    handles.push(urgent);
    await until('its child’s step waits', 30, async () => {
      const child = await client.workflow
        .getHandle(`${urgent.workflowId}-child`)
        .describe()
        .catch(() => undefined);
      return child?.raw.pendingActivities?.length === 1;
    });
    open();
    await Promise.all(handles.map((handle) => handle.result()));
    for (const worker of [workflows, steps]) worker.shutdown();
    await ended;
    await environment.teardown();
    // One of the backlog may have been handed out before.
    assert.ok(done.indexOf('urgent') <= 2, done.join(', '));
    assert.equal(done.length, ordinary.length + 2);
  });
});
