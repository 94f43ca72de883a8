/** A webhook's receiver: a real HTTP server that keeps what it is told. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export interface Webhook {
  readonly url: string;
  /** What it was told, oldest first. */
  readonly received: unknown[];
  /** Its answer; `silent` gives none. Default 200. */
  status: number | 'silent';
  close(): void;
}

export async function startWebhook(): Promise<Webhook> {
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      hook.received.push(body);
      if (hook.status !== 'silent') response.writeHead(hook.status).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const hook: Webhook = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received: [],
    status: 200,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return hook;
}
