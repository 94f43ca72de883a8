/** How a builder takes jobs and sends news: at most once, as reimzul's own does. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../../domain/failures.js';
import { Beanstalk } from '../beanstalk.js';

export interface Queue {
  /** `host:port`. */
  readonly address: string;
  /** Ends everything here. */
  readonly signal: AbortSignal;
  /** A line for people. */
  readonly say: (line: string) => void;
}

const patienceMs = 2000;
const reserveSeconds = 30;

/** Does something with a connection of its own, again and again until the server answers. Throws the signal's reason. */
async function persist<T>({ address, signal, say }: Queue, body: (to: Beanstalk) => Promise<T>): Promise<T> {
  for (let said = false; ; await sleep(patienceMs, undefined, { signal })) {
    let connection: Beanstalk | undefined;
    try {
      connection = await Beanstalk.connect(address, signal);
      said = false;
      return await body(connection);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Failure && error.code === 'ReimzulAway')) throw error;
      if (!said) say(`${error.message}; trying again`);
      said = true;
    } finally {
      connection?.close();
    }
  }
}

/** Puts a job into a tube. It may come twice when the connection breaks in its middle. */
export const send = (queue: Queue, tube: string, job: object): Promise<string> =>
  persist(queue, async (connection) => {
    await connection.use(tube);
    return connection.put(JSON.stringify(job));
  });

/**
 * Takes jobs from the tubes, one after the other, until the signal is aborted. A job is deleted before it is looked at: whatever
 * becomes of it, nobody gets it again. One that `handle` fails at is told and dropped.
 */
export async function serveTubes(
  queue: Queue,
  tubes: readonly string[],
  handle: (job: unknown) => Promise<void>,
): Promise<void> {
  const { signal, say } = queue;
  while (!signal.aborted)
    await persist(queue, async (connection) => {
      for (const tube of tubes) await connection.watch(tube);
      await connection.ignore('default');
      for (;;) {
        const job = await connection.reserve(reserveSeconds);
        if (job === undefined) continue;
        // Gone meanwhile: another builder may have it.
        if (!(await connection.delete(job.id))) continue;
        try {
          await handle(JSON.parse(job.body.toString('utf8')));
        } catch (error) {
          signal.throwIfAborted();
          const why = error instanceof Error ? error.message : String(error);
          say(`job ${job.id} of ${tubes.join(', ')} dropped: ${why.slice(0, 1000)}`);
        }
      }
    }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
}
