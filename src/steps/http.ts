/**
 * The one HTTP client: all requests of Treeline's own go through it. Each has time limits, a size limit and a redirect rule, bodies come
 * as a stream, and what goes wrong is a `Failure` that says whether another try helps.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure, type FailureCode } from '../domain/failures.js';
import { formatBytes } from '../domain/units.js';

export interface Request {
  /** Its abortion ends the request with its reason. */
  readonly signal: AbortSignal;
  /** Code of what another try may help: no answer, a broken one, status 408, 425, 429 and 5xx. A retryable one. */
  readonly away: FailureCode;
  /** Code of what is final: every other status, an answer that is too large, a redirect to elsewhere. */
  readonly refused: FailureCode;
  readonly method?: 'GET' | 'HEAD' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Statuses besides 2xx that are answers too. Default none. */
  readonly statuses?: readonly number[];
  /** Bytes of the body at most. */
  readonly maxBytes: number;
  /** Change of the time limits, for tests. */
  readonly limits?: Partial<Limits>;
}

/** Milliseconds. */
export interface Limits {
  /** To the answer's headers, connection and redirects included. */
  readonly answer: number;
  /** Between two parts of the body. */
  readonly idle: number;
  /** For all of it, however steadily it comes. */
  readonly total: number;
}
/** An image of some GiB over a slow line takes hours; a server that is silent for a minute is not coming back. */
const defaults: Limits = { answer: 30_000, idle: 60_000, total: 6 * 3_600_000 };
const maxRedirects = 5;
/** A server that asks for more patience than this is asked again after it. Milliseconds. */
const longestRetryAfter = 3_600_000;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Undone compression does not occur: it is asked for as it is. Ends with a `Failure` when it breaks off or is too large. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Sends a request and hands its answer to `use`; whatever of the body is not read by then is not waited for. Redirects lead to the same
 * origin only, or from http to https of the same host; credentials in the address become a header that goes to no other origin. Fails with
 * `away` or `refused`; what `use` throws passes.
 */
export async function ask<T>(
  address: string,
  request: Request,
  use: (answer: Answer) => T | Promise<T>,
): Promise<T> {
  const { signal, statuses = [], maxBytes } = request;
  const limits = { ...defaults, ...request.limits };
  signal.throwIfAborted();
  const ending = new AbortController();
  const cancel = () => ending.abort(signal.reason);
  signal.addEventListener('abort', cancel, { once: true });
  const overtime = (what: string, ms: number) =>
    setTimeout(() => ending.abort(new Error(`${what} within ${ms / 1000} s`)), ms);
  const total = overtime('was not complete', limits.total);
  let patience = overtime('no answer', limits.answer);
  const away = (error: unknown) => {
    signal.throwIfAborted();
    return error instanceof Failure ? error : new Failure(request.away, `${address}: ${reasonOf(error)}`);
  };
  const tooLarge = () => new Failure(request.refused, `${address}: is larger than ${formatBytes(maxBytes)}`);

  async function* bounded(body: AsyncIterable<Uint8Array>) {
    let size = 0;
    try {
      for await (const chunk of body) {
        clearTimeout(patience);
        size += chunk.length;
        if (size > maxBytes) throw tooLarge();
        yield chunk;
        patience = overtime('no more of the answer', limits.idle);
      }
    } catch (error) {
      throw away(error);
    }
  }

  try {
    const response = await send(address, request, ending.signal).catch((error: unknown) => {
      throw away(error);
    });
    clearTimeout(patience);
    const { status, headers, body } = response;
    if (!response.ok && !statuses.includes(status)) throw refusal(address, request, status, headers);
    if (body && Number(headers.get('content-length') ?? 0) > maxBytes) throw tooLarge();
    patience = overtime('no more of the answer', limits.idle);
    return await use({ status, headers, body: bounded((body ?? []) as AsyncIterable<Uint8Array>) });
  } finally {
    clearTimeout(total);
    clearTimeout(patience);
    signal.removeEventListener('abort', cancel);
    // Closes the connection of a body that was not read to its end.
    ending.abort();
  }
}

/** The answer of the last address that redirects lead to. */
async function send(address: string, request: Request, signal: AbortSignal): Promise<Response> {
  const { method = 'GET', body, refused } = request;
  const first = new URL(address);
  const credentials = authorization(first);
  first.username = first.password = '';
  for (let [url, hop] = [first, 0]; ; hop++) {
    const response = await fetch(url, {
      ...{ method, signal, redirect: 'manual' },
      headers: {
        // The bytes as they are: a digest and a length are those of the file.
        'accept-encoding': 'identity',
        ...request.headers,
        ...(credentials !== undefined && url.origin === first.origin ? { authorization: credentials } : {}),
      },
      ...(body === undefined ? {} : { body }),
    });
    const location = response.headers.get('location');
    if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response;
    await response.body?.cancel();
    const next = new URL(location, url);
    const upgrade = url.protocol === 'http:' && next.protocol === 'https:' && next.hostname === url.hostname;
    if (next.origin !== url.origin && !upgrade)
      throw new Failure(refused, `${address}: redirects to ${next.origin}: give the address there`);
    if (hop === maxRedirects) throw new Failure(refused, `${address}: redirects more than ${hop} times`);
    // As a GET it would say nothing.
    if (method === 'POST' && response.status < 307)
      throw new Failure(refused, `${address}: redirects a POST with status ${response.status}`);
    url = next;
  }
}

const authorization = ({ username, password }: URL): string | undefined =>
  username || password
    ? `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
    : undefined;

function refusal(address: string, { away, refused }: Request, status: number, headers: Headers): Failure {
  const text = `${address}: HTTP status ${status}`;
  const again = status >= 500 || [408, 425, 429].includes(status);
  return again ? new Failure(away, text, [], retryAfter(headers)) : new Failure(refused, text);
}

/** `Retry-After` in milliseconds: a number of seconds, or a date. */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get('retry-after')?.trim();
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return ms > 0 ? Math.min(ms, longestRetryAfter) : undefined;
}

/** Fetch hides the reason in causes. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return reasonOf(error.cause);
  return error.message || ('code' in error ? String(error.code) : error.name);
}

/** Small content, whole; undefined for status 404. */
export const fetchBytes = (url: string, request: Request): Promise<Buffer | undefined> =>
  ask(url, { ...request, statuses: [404] }, async ({ status, body }) =>
    status === 404 ? undefined : wholeOf(body),
  );

export async function wholeOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export interface Downloaded {
  /** Hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** Reads a body into a file as it comes, or nowhere. `onBytes` is told how many have come. Fails with DiskFull, and as the body does. */
export async function save(
  body: AsyncIterable<Uint8Array>,
  file?: string,
  onBytes?: (done: number) => void,
): Promise<Downloaded> {
  const hash = createHash('sha256');
  let size = 0;
  async function* counted() {
    for await (const chunk of body) {
      hash.update(chunk);
      size += chunk.length;
      onBytes?.(size);
      yield chunk;
    }
  }
  if (file === undefined)
    await pipeline(counted, new Writable({ write: (_chunk, _encoding, done) => done() }));
  else {
    await mkdir(dirname(file), { recursive: true });
    await pipeline(counted, createWriteStream(file)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      throw new Failure('DiskFull', `${file}: no space left for the download`);
    });
  }
  return { sha256: hash.digest('hex'), size };
}
