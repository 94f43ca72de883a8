/** Free ports of this host. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below what Linux gives to outgoing connections (32768 and above): none of those takes the port before it is used. One
 * after another, from anywhere: neither this process nor another one gets the same soon.
 */
const [lowest, highest] = [20_000, 32_000];
let next = lowest + Math.floor(Math.random() * (highest - lowest));

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    if (++next >= highest) next = lowest;
    const port = next;
    if (await isFree(port)) return port;
  }
}

/** Does nothing listen at this loopback port? */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  if (free) await once(server.close(), 'close');
  return free;
}
