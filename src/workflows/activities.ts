/** The activities as workflows call them: queue, time limits and retries of each role. */
import { proxyActivities, workflowInfo, type ActivityOptions } from '@temporalio/workflow';
import type {
  ComposeActivities,
  ControlActivities,
  ImageActivities,
  PublishActivities,
  ReimzulActivities,
  SigningActivities,
} from '../activities/index.js';
import { urgent, urgentLane } from '../domain/lines.js';
import type { Architecture } from '../domain/stream.js';

const common = {
  // Heartbeats come every 3 s; a worker that is silent for 20 s is taken for dead and its step is started elsewhere.
  heartbeatTimeout: '20s',
  // A cancelled step has really ended (its processes too) before the workflow goes on.
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  // What cannot be fixed by a retry says so itself (nonRetryable); the total time below bounds the rest.
  retry: { initialInterval: '5s', backoffCoefficient: 2, maximumInterval: '2m' },
} as const satisfies ActivityOptions;

/** Small steps: reading and writing files. */
export const control = proxyActivities<ControlActivities>({
  ...common,
  taskQueue: 'control',
  startToCloseTimeout: '2m',
  // A webhook or file system that is away for an hour must not hold up what has long been published.
  scheduleToCloseTimeout: '1h',
});

/** A security release has a lane of its own on queues with few slots: it does not wait for composes and images that take an hour. */
const laneOf = (queue: string) =>
  workflowInfo().priority?.priorityKey === urgent.priorityKey ? urgentLane(queue) : queue;

/** Composes of a whole distribution take up to an hour on a slow builder; a repo may be away for some hours. */
const composeLimits = { startToCloseTimeout: '3h', scheduleToCloseTimeout: '12h' } as const;

/** On any host of the role. */
export const compose = (arch: Architecture) =>
  proxyActivities<ComposeActivities>({ ...common, ...composeLimits, taskQueue: laneOf(`compose-${arch}`) });

/** On the very host that has the run's scratch folder. */
export const composeOn = (hostQueue: string) =>
  proxyActivities<ComposeActivities>({ ...common, ...composeLimits, taskQueue: laneOf(hostQueue) });

/** Images of tens of GiB and boot tests of up to an hour under emulation. */
export const images = (arch: Architecture) =>
  proxyActivities<ImageActivities>({
    ...common,
    taskQueue: laneOf(`images-${arch}`),
    startToCloseTimeout: '2h',
    scheduleToCloseTimeout: '8h',
  });

/** A hardware token, or a person who has to plug it in, is slow. */
export const signing = proxyActivities<SigningActivities>({
  ...common,
  taskQueue: 'signing',
  startToCloseTimeout: '1h',
  scheduleToCloseTimeout: '24h',
});

/** A kernel takes hours, a lost job is submitted again, and builders may be away over a weekend. */
export const reimzul = proxyActivities<ReimzulActivities>({
  ...common,
  taskQueue: 'reimzul',
  startToCloseTimeout: '2d',
  scheduleToCloseTimeout: '7d',
});

/** Pushes over a slow line; a target that is away comes back within the day. */
export const publish = proxyActivities<PublishActivities>({
  ...common,
  taskQueue: 'publish',
  startToCloseTimeout: '6h',
  scheduleToCloseTimeout: '24h',
});
