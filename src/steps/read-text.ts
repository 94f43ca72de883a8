/** Reads texts from outside, files and addresses, of a bounded size in a bounded time. */
import { createReadStream } from 'node:fs';
import type { z } from 'zod';
import { Failure, type FailureCode } from '../domain/failures.js';
import { ask, wholeOf } from './http.js';

const limits = { total: 30_000 };

/** Reads a file or an http(s) URL as text. */
export type ReadText = (path: string) => Promise<string>;

export interface ReadTextOptions {
  readonly signal: AbortSignal;
  readonly maxBytes: number;
  /** What such a text is, in words, such as `list of builds`. */
  readonly what: string;
  /** The failure of what is not there or too large. */
  readonly invalid: FailureCode;
}

/** Fails with `invalid`, or with RepoUnreachable for a URL that does not answer within 30 s. */
export const textReader =
  ({ signal, maxBytes, what, invalid }: ReadTextOptions): ReadText =>
  async (path) => {
    if (/^https?:\/\//.test(path)) {
      // What a server refuses for good is a wrong address in the stream file.
      const request = { signal, maxBytes, away: 'RepoUnreachable', refused: invalid, limits } as const;
      return ask(path, request, async ({ body }) => (await wholeOf(body)).toString('utf8'));
    }
    const limited = AbortSignal.any([signal, AbortSignal.timeout(limits.total)]);
    try {
      const text = await readBounded(createReadStream(path, { signal: limited }), maxBytes);
      if (text !== undefined) return text;
      throw new Failure(invalid, `${path}: is larger than ${maxBytes / 2 ** 20} MiB: no ${what}`);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Failure) throw error;
      const why = limited.aborted ? `no answer within ${limits.total / 1000} s` : reasonOf(error);
      throw new Failure(invalid, `${path}: ${why}`);
    }
  };

/** Undefined for what is larger. */
async function readBounded(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'no such file';
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

/** `3.date: write a date such as …` */
export function firstIssue({ issues: [issue] }: z.ZodError): string {
  return issue ? `${issue.path.map(String).join('.')}: ${issue.message}` : 'is not as documented';
}
