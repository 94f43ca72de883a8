/** Real HTTP servers that behave as some do between a publisher and its readers. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Http {
  /** Without a slash at its end. */
  readonly url: string;
  close(): void;
}

export async function startHttp(answer: RequestListener): Promise<Http> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

interface Kept {
  at: number;
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/** A cache before `origin`. */
export class Cache {
  readonly #kept = new Map<string, Kept>();
  readonly asked: string[] = [];
  private constructor(
    readonly origin: string,
    /** So long an answer is kept. */
    public seconds: number,
    /** `obeys` a reader's `no-cache`; is `silent` about being a cache. */
    readonly manner: 'obeys' | 'stubborn' | 'silent',
  ) {}
  server!: Http;
  get url() {
    return this.server.url;
  }

  static async start(origin: string, seconds: number, manner: Cache['manner'] = 'stubborn'): Promise<Cache> {
    const cache = new Cache(origin, seconds, manner);
    cache.server = await startHttp((req, res) => {
      cache.#answer(req, res).catch(() => res.destroy());
    });
    return cache;
  }

  /** What is kept now is kept for its full time from now on, whatever the origin has. */
  restart(): void {
    for (const kept of this.#kept.values()) kept.at = Date.now();
  }
  forget(): void {
    this.#kept.clear();
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const key = `${req.method} ${req.url}`;
    this.asked.push(key);
    const fresh = this.manner === 'obeys' && req.headers['cache-control'] === 'no-cache';
    let kept = fresh ? undefined : this.#kept.get(key);
    if (!kept || Date.now() - kept.at >= this.seconds * 1000) {
      const found = await fetch(`${this.origin}${req.url}`, { method: req.method ?? 'GET' });
      const length = found.headers.get('content-length');
      kept = {
        at: Date.now(),
        status: found.status,
        headers: length === null ? {} : { 'content-length': length },
        body: Buffer.from(await found.arrayBuffer()),
      };
      this.#kept.set(key, kept);
    }
    const age = String(Math.round((Date.now() - kept.at) / 1000));
    const said = this.manner === 'silent' ? {} : { age, 'cache-control': `max-age=${this.seconds}` };
    res.writeHead(kept.status, { ...kept.headers, ...said }).end(kept.body);
  }

  close(): void {
    this.server.close();
  }
}
