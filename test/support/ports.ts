import { createServer } from 'node:net';
import { once } from 'node:events';

/**
 * Below what Linux gives to outgoing connections (32768 and above): none of those takes the port before it is used. One
 * after another, from anywhere: neither this process nor another one that runs tests gets the same soon.
 */
let next = 20_000 + Math.floor(Math.random() * 12_000);

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    if (++next >= 32_000) next = 20_000;
    const port = next;
    const server = createServer().listen(port, '127.0.0.1');
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Waits until a condition holds; fails, saying what for, when it takes longer than `seconds`. */
export async function until<T>(
  what: string,
  seconds: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  for (
    const deadline = Date.now() + seconds * 1000;
    ;
    await new Promise((resolve) => setTimeout(resolve, 100))
  ) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
  }
}
