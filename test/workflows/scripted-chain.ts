/** A server and workers whose steps are scripted: a chain's own decisions are tested, and each path is quick. */
import type { Client } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { searchAttributes } from '../../src/search-attributes.js';
import { checkInput } from '../support/inputs.js';
import { localEnvironment } from '../support/temporal.js';
import { workflowBundle } from '../../src/workflows/bundle.js';

export type Args = Record<string, unknown>;
export type Script = Record<string, (args: Args) => unknown>;

const queues = [
  ...['control', 'compose-x86_64', 'compose-x86_64@test', 'compose-aarch64', 'compose-aarch64@test'],
  ...['images-x86_64', 'signing', 'publish', 'reimzul'],
];

export class ScriptedChain {
  private constructor(
    private readonly environment: TestWorkflowEnvironment,
    private readonly workers: readonly Worker[],
    private readonly ended: Promise<unknown>,
  ) {}

  /** `call` is what every step of these names does. */
  static async start(
    names: readonly string[],
    call: (name: string, args: Args) => unknown,
  ): Promise<ScriptedChain> {
    const environment = await localEnvironment({ server: { searchAttributes } });
    const activities = Object.fromEntries(
      names.map((name) => [
        name,
        async (args: Args): Promise<unknown> => {
          checkInput(name, args);
          return await call(name, args);
        },
      ]),
    );
    const workers = await Promise.all(
      queues.map((taskQueue) =>
        Worker.create({
          connection: environment.nativeConnection,
          taskQueue,
          activities,
          ...(taskQueue === 'control' ? { workflowBundle: { codePath: workflowBundle } } : {}),
        }),
      ),
    );
    return new ScriptedChain(environment, workers, Promise.all(workers.map((worker) => worker.run())));
  }

  get client(): Client {
    return this.environment.client;
  }

  async close(): Promise<void> {
    for (const worker of this.workers) worker.shutdown();
    await this.ended;
    await this.environment.teardown();
  }
}
