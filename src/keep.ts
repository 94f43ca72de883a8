/** Keeps the parts of an instance running: one that ends by itself is started again, a few times. */
import { setTimeout as sleep } from 'node:timers/promises';

/** The instance cannot run, or not any more. The message says why, and what to do. */
export class InstanceError extends Error {
  override readonly name: string = 'InstanceError';
}

/** A part of an instance that is running. */
export interface Part {
  /** Resolves with the reason once the part is no longer there, also after `close`. Never rejects. */
  readonly ended: Promise<Error>;
  /** Ends it; also called for what is left of a part that has ended by itself. */
  close(): Promise<void>;
}

export interface Patience {
  /** A part that ends this often within `windowMs` is given up. */
  readonly starts: number;
  readonly windowMs: number;
  /** Before the first start; twice as long before each further one. */
  readonly delayMs: number;
}

/** Some 15 s for what may go by, such as a port that is still taken; a service manager has more patience. */
const usual: Patience = { starts: 4, windowMs: 10 * 60_000, delayMs: 1000 };

export interface Kept {
  /** Rejects with an `InstanceError` when the part is given up; stays pending otherwise. */
  readonly failed: Promise<never>;
  /** Ends the part and keeps it no longer. */
  close(): Promise<void>;
}

/**
 * Starts a part and starts it again whenever it ends by itself, with growing pauses. `say` gets a line for each event. A first start
 * that fails is the caller's.
 */
export async function keep(
  name: string,
  start: () => Promise<Part>,
  say: (line: string) => void,
  patience = usual,
): Promise<Kept> {
  const closing = new AbortController();
  const { signal } = closing;
  const starts: number[] = [];
  let part = await start();

  /** Answers the part that runs again, or throws why it does not. */
  const again = async (ended: Error): Promise<Part> => {
    let trouble = `the ${name} has ended: ${ended.message}`;
    for (;;) {
      say(trouble);
      const since = performance.now() - patience.windowMs;
      while ((starts[0] ?? Infinity) < since) starts.shift();
      if (starts.length >= patience.starts)
        throw new InstanceError(`given up after ${starts.length} new starts: ${trouble}`);
      const delay = patience.delayMs * 2 ** starts.length;
      say(`starting the ${name} again in ${delay / 1000} s (${starts.length + 1} of ${patience.starts})`);
      await sleep(delay, undefined, { signal });
      starts.push(performance.now());
      try {
        const fresh = await start();
        say(`the ${name} is up again`);
        return fresh;
      } catch (error) {
        trouble = error instanceof Error ? error.message : String(error);
      }
    }
  };
  const run = async (): Promise<void> => {
    for (;;) {
      const why = await part.ended;
      if (signal.aborted) return;
      await part.close().catch(() => undefined);
      part = await again(why);
    }
  };
  const running = run();
  const failed = new Promise<never>((_, reject) => {
    running.catch((error: unknown) => {
      if (!signal.aborted) reject(error instanceof Error ? error : new Error(String(error)));
    });
  });
  // Whoever does not wait for it hears of it by `say`.
  failed.catch(() => undefined);
  return {
    failed,
    async close() {
      closing.abort();
      await part.close();
      // A start that was under way has come to its end.
      await running.catch(() => undefined);
      await part.close();
    },
  };
}
