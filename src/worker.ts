/** The worker: serves the task queues of its roles. One process serves all of them unless told otherwise. */
import { DefaultLogger, NativeConnection, Runtime, Worker, type LogLevel } from '@temporalio/worker';
import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { activitiesOf, roles, type Role } from './activities/index.js';
import type { Host } from './activities/host.js';
import { urgentLane } from './domain/lines.js';
import type { Architecture } from './domain/stream.js';
import type { Settings } from './settings.js';
import { Store } from './store/store.js';
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

export const hostArchitecture = (): Architecture => (process.arch === 'arm64' ? 'aarch64' : 'x86_64');

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

export interface RunningWorkers {
  /** Ends when the workers have ended; rejects if one fails. */
  readonly ended: Promise<void>;
  /** Stops taking steps, cancels those that run (they are tried again by the next worker) and ends. */
  close(): Promise<void>;
}

/** Starts the workers of these roles. Call `installRuntime` before. */
export async function startWorkers(settings: Settings, of: readonly Role[] = roles): Promise<RunningWorkers> {
  await access(workflowBundle).catch(() => {
    throw new Error(`${workflowBundle}: missing. Build first: \`npm run build\`.`);
  });
  const connection = await NativeConnection.connect({ address: settings.temporalAddress });
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
          ...(role === 'control' ? { workflowBundle: { codePath: workflowBundle } } : {}),
          maxConcurrentActivityTaskExecutions: slotsOf(role, taskQueue),
          // A cancellation comes with a heartbeat's answer: the default would let a person wait for 16 s.
          maxHeartbeatThrottleInterval: '2s',
          // A step that has not ended by then is cancelled and tried again elsewhere: they are all idempotent.
          shutdownGraceTime: '1s',
          shutdownForceTime: '30s',
        }),
      );
  const runs = workers.map((worker) => worker.run());
  const ended = Promise.all(runs).then(() => connection.close());
  ended.catch(() => undefined);
  return {
    ended,
    async close() {
      const busy = workers.some((worker) => worker.getStatus().numInFlightActivities > 0);
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      // An idle worker's poll is only answered after some seconds: there is nothing to wait for.
      await Promise.race([
        ended.catch(() => undefined),
        ...(busy ? [] : [sleep(500, undefined, { ref: false })]),
      ]);
    },
  };
}
