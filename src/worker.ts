/** The worker: serves the task queues of its roles. One process serves all of them unless told otherwise. */
import { DefaultLogger, NativeConnection, Runtime, Worker, type LogLevel } from '@temporalio/worker';
import { Client } from '@temporalio/client';
import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { activitiesOf, roles, type Role } from './activities/index.js';
import { hostArchitecture, type Host } from './host.js';
import { urgentLane } from './domain/lines.js';
import type { Settings } from './settings.js';
import { InstanceError, type Part } from './keep.js';
import { keepHouse } from './housekeeping.js';
import { Store } from './store/store.js';
import { connectionOptions, ServerAway } from './temporal/connect.js';
import { workflowBundle } from './workflows/bundle.js';

/**
 * Steps that run at a time, per queue: heavy ones have fixed slots, so that a host is not overrun. One signs: gpg's agent ends with
 * the step that started it, and would leave another one without. Those of reimzul wait for its builders.
 */
const slots: Record<Role, number> = {
  control: 20,
  compose: 2,
  images: 2,
  signing: 1,
  publish: 4,
  reimzul: 200,
};

/**
 * The task queues of a role on this host. Compose has one of this host's own, for steps that share its disk. Where the few slots may be
 * taken for hours, security releases have one slot of their own.
 */
export function queuesOf(role: Role, settings: Settings): string[] {
  const arch = hostArchitecture();
  const heavy =
    role === 'compose'
      ? [`compose-${arch}`, `compose-${arch}@${settings.host}`]
      : role === 'images'
        ? [`images-${arch}`]
        : undefined;
  return heavy ? [...heavy, ...heavy.map(urgentLane)] : [role];
}

const slotsOf = (role: Role, queue: string) => (queue.endsWith(urgentLane('')) ? 1 : slots[role]);

/**
 * The SDK gives up on workflow code that computes for 5 s, as caught in a loop. On a crowded machine a replay takes as long, and each failed
 * task makes the server wait longer before the next. The option is in the SDK, but not in its public type.
 */
const workflowsOf = () => ({ workflowBundle: { codePath: workflowBundle }, isolateExecutionTimeout: '20s' });

/** Sets up logs and metrics of this process. Once, before any worker. `destination`: a file, or 2 for standard error. */
export function installRuntime(settings: Settings, destination: string | number): void {
  const log = pino({ level: 'info' }, pino.destination({ dest: destination, mkdir: true, sync: true }));
  const levels: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
    TRACE: 'trace',
    DEBUG: 'debug',
    INFO: 'info',
    WARN: 'warn',
    ERROR: 'error',
  };
  Runtime.install({
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => log[levels[level]](meta ?? {}, message)),
    shutdownSignals: [],
    ...(settings.metrics === undefined
      ? {}
      : { telemetryOptions: { metrics: { prometheus: { bindAddress: settings.metrics } } } }),
  });
}

/**
 * Starts the workers of these roles; all have ended when one fails. `close` takes no more steps and cancels those that run: they are
 * tried again by the next worker. Call `installRuntime` before. Throws `ServerAway`.
 */
export async function startWorkers(settings: Settings, of: readonly Role[] = roles): Promise<Part> {
  await access(workflowBundle).catch(() => {
    throw new InstanceError(`${workflowBundle}: missing. Build first: \`npm run build\`.`);
  });
  const connection = await NativeConnection.connect(await connectionOptions(settings)).catch(
    (error: unknown) => {
      throw new ServerAway(settings, error);
    },
  );
  const host: Host = { settings, store: new Store(settings.state) };
  const workers: Worker[] = [];
  for (const role of of)
    for (const taskQueue of queuesOf(role, settings))
      workers.push(
        await Worker.create({
          connection,
          namespace: settings.temporalNamespace,
          taskQueue,
          activities: activitiesOf[role](host),
          ...(role === 'control' ? workflowsOf() : {}),
          maxConcurrentActivityTaskExecutions: slotsOf(role, taskQueue),
          // A cancellation comes with a heartbeat's answer: the default would let a person wait for 16 s.
          maxHeartbeatThrottleInterval: '2s',
          // A step that has not ended by then is cancelled and tried again elsewhere: they are all idempotent.
          shutdownGraceTime: '1s',
          shutdownForceTime: '30s',
        }),
      );
  const runs = workers.map((worker) => worker.run());
  const client = new Client({ connection, namespace: settings.temporalNamespace });
  const closing = new AbortController();
  void everyHour(() => keepHouse(host, client, Runtime.instance().logger), closing.signal);
  const done = Promise.allSettled(runs).then(() => connection.close());
  return {
    ended: Promise.all(runs).then(
      () => new Error('it was stopped'),
      (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
    ),
    async close() {
      closing.abort();
      const busy = workers.some((worker) => worker.getStatus().numInFlightActivities > 0);
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      // An idle worker's poll is only answered after some seconds: there is nothing to wait for.
      await Promise.race([done, ...(busy ? [] : [sleep(500, undefined, { ref: false })])]);
    },
  };
}

/** At once, and then an hour after the end of the last time. */
async function everyHour(task: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await task();
    await sleep(3_600_000, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
