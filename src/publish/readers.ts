/** What readers get of a target by its `url`, perhaps from a cache on the way, and what the location itself has. */
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../store/checksums.js';
import { Failure } from '../domain/failures.js';
import type { BuildMeta } from '../domain/metadata.js';
import type { Target } from '../domain/stream.js';
import { formatSeconds } from '../domain/units.js';
import { ask, fetchBytes, save, wholeOf, type Answer, type Request } from '../steps/http.js';
import type { Step } from '../steps/step.js';
import { cachedFor } from './cached.js';
import { publishTo } from './targets/index.js';
import type { Placed } from './targets/target.js';

/** The readers' address of a file. */
export const urlOf = ({ url }: Pick<Target, 'url'>, path: string): string =>
  `${url.replace(/\/+$/, '')}/${path}`;

/** How a readers' address is asked by default. Metadata, refs and pages of a large distribution are some MiB. */
export const asReader = ({ signal }: Pick<Step, 'signal'>) =>
  ({ signal, away: 'TargetUnreachable', refused: 'PublishRefused', maxBytes: 64 * 2 ** 20 }) as const;

type Asked = NonNullable<Request['headers']>;
/** For a request that no cache may answer by itself. */
export const pastCaches = { 'cache-control': 'no-cache', pragma: 'no-cache' } as const;

/** What readers get of a file; undefined for 404. Fails with TargetUnreachable, PublishRefused. */
export const fetchPublished = (
  step: Pick<Step, 'signal'>,
  target: Pick<Target, 'url'>,
  path: string,
  headers: Asked = {},
): Promise<Buffer | undefined> => fetchBytes(urlOf(target, path), { ...asReader(step), headers });

/**
 * What the location itself has of a file, past all caches; undefined if it has none. Of a location that cannot be read, as one that may
 * only be written to, readers' address is asked, with the word that no cache may answer. What is decided upon is read here.
 */
export const readPlaced = (step: Step, target: Target, path: string): Promise<Placed | undefined> =>
  publishTo(target)
    .read(step, path)
    .catch(async (error: unknown) => {
      if (!(error instanceof Failure)) throw error;
      step.note(`${target.location}/${path}: cannot be read there: ${error.message}`);
      const content = await fetchPublished(step, target, path, pastCaches);
      return content && { content };
    });

/** What one look at an address shows. */
interface Look {
  readonly right: boolean;
  /** What readers get, in words. */
  readonly found: string;
  /** Seconds for which a cache goes on giving this answer; undefined where none gave it. */
  readonly cachedFor: number | undefined;
}

/** So long is waited for caches, in seconds. Refs and summary are to be asked for every few minutes. */
const longestWait = 15 * 60;
const longestNap = 30;
/** For what keeps readers behind without a word on it. */
const napForUnknown = 5;

/**
 * Looks until all is right, as long as what is wrong comes from a cache on the way: that is asked to look again itself, and waited for as
 * long as it says. Answers the last look. Fails with ReadersBehind for a cache that keeps an answer for more than a quarter of an hour.
 */
async function patiently(step: Step, url: string, look: (headers: Asked) => Promise<Look>): Promise<Look> {
  const began = Date.now();
  try {
    for (let round = 0; ; round++) {
      const seen = await look({});
      if (seen.right || seen.cachedFor === undefined) return seen;
      const behind = await look(pastCaches);
      if (!behind.right && behind.cachedFor === undefined) return behind;
      // The look past it has brought it up to date, if it does what it is asked for.
      if (round === 0 && behind.right) continue;
      const waited = (Date.now() - began) / 1000;
      if (waited + seen.cachedFor > longestWait)
        throw new Failure(
          'ReadersBehind',
          `${url}: a cache or mirror gives readers an older state (${seen.found}), for another ${formatSeconds(seen.cachedFor)} or more; Treeline waits ${formatSeconds(longestWait)} at most`,
        );
      step.note(`${url}: readers get an older state (${seen.found}), for another ${seen.cachedFor} s`);
      step.tell(
        `A cache gives readers an older ${basename(url)} for another ${formatSeconds(seen.cachedFor)}`,
      );
      const seconds = Math.min(Math.max(seen.cachedFor, 1), longestNap);
      await sleep(seconds * 1000, undefined, { signal: step.signal });
    }
  } finally {
    step.tell(undefined);
  }
}

/**
 * Waits until readers get of these files what the location has: for caches, also those that do not say that they are one, and for mirrors
 * that follow. Fails with ReadersBehind.
 */
export async function awaitReaders(step: Step, target: Target, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const url = urlOf(target, path);
    await patiently(step, url, async (headers) => {
      const placed = await readPlaced(step, target, path);
      const request = { ...asReader(step), headers, statuses: [404] };
      return ask(url, request, async ({ status, headers: answered, body }) => {
        const content = status === 404 ? undefined : await wholeOf(body);
        const right = content ? placed !== undefined && content.equals(placed.content) : placed === undefined;
        const wait = cachedFor(answered, placed?.time) ?? napForUnknown;
        return { right, found: foundIn(status, answered), cachedFor: wait };
      });
    });
  }
}

/** `HTTP status 404`, or what tells the answer from a later one. */
function foundIn(status: number, headers: Headers): string {
  const tags = ['last-modified', 'etag', 'age'].flatMap((name) => {
    const value = headers.get(name);
    return value === null ? [] : [`${name} ${value}`];
  });
  return [...(status < 300 && tags.length > 0 ? [] : [`HTTP status ${status}`]), ...tags].join(', ');
}

/** Are the images there for readers, whole in length? Fails with VerificationFailed, ReadersBehind, TargetUnreachable. */
export async function verifyFiles(step: Step, url: string, meta: BuildMeta): Promise<void> {
  for (const image of Object.values(meta.images)) {
    const address = `${url}/${image.path}`;
    const { right, found } = await patiently(step, address, async (headers) => {
      const { status, length, answered } = await lengthOf(step, address, headers);
      return {
        right: length === image.size,
        found: length === undefined ? `HTTP status ${status}` : `${length} bytes`,
        cachedFor: cachedFor(answered),
      };
    });
    if (!right)
      throw new Failure('VerificationFailed', `${address}: ${found} instead of ${image.size} bytes`);
  }
}

interface Length {
  readonly status: number;
  /** Bytes; undefined for what is not there. */
  readonly length: number | undefined;
  readonly answered: Headers;
}

/** By HEAD; where that is not answered with a length by the first byte, and of a server that knows no ranges by all of them. */
async function lengthOf(step: Step, url: string, headers: Asked = {}): Promise<Length> {
  const request = { ...asReader(step), refused: 'VerificationFailed', maxBytes: Infinity } as const;
  const head = await ask(
    url,
    { ...request, headers, method: 'HEAD', statuses: [404, 405, 501] },
    ({ status, headers: answered }) => ({ status, length: declared(answered), answered }),
  );
  if (head.status === 404 || (head.status < 300 && head.length !== undefined)) return head;
  const first = { ...request, headers: { ...headers, range: 'bytes=0-0' }, statuses: [404, 416] };
  return ask(url, first, async ({ status, headers: answered, body }: Answer) => {
    const ranged = /^bytes (?:0-0|\*)\/(\d+)$/.exec(answered.get('content-range') ?? '')?.[1];
    if (ranged !== undefined) return { status, length: Number(ranged), answered };
    const length = status === 200 ? (declared(answered) ?? (await save(body)).size) : undefined;
    return { status, length, answered };
  });
}

/** `Content-Length`, where that is the file's: not of an encoding. */
function declared(headers: Headers): number | undefined {
  const length = headers.get('content-length');
  return length === null || headers.has('content-encoding') ? undefined : Number(length);
}

/** A file that was published. */
export interface PublishedFile {
  readonly file: string;
  /** Below the target. */
  readonly path: string;
  /** It was there before with another content, which a cache may go on giving for a while: a page or list, on which nothing depends. */
  readonly moves: boolean;
}

/** The files of a folder that was pushed to `path`. */
export async function publishedBelow(folder: string, path: string, moves: boolean): Promise<PublishedFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => {
    const file = join(entry.parentPath, entry.name);
    return entry.isFile() ? [{ file, path: `${path}${relative(folder, file)}`, moves }] : [];
  });
}

/** What is larger than the file by more than this is not read to its end. Bytes. */
const slack = 2 ** 20;

/** Do readers get these files, byte for byte? Fails with VerificationFailed, ReadersBehind, TargetUnreachable. */
export async function compareFiles(
  step: Step,
  target: Target,
  files: readonly PublishedFile[],
): Promise<void> {
  const facts = await Promise.all(files.map(({ file }) => stat(file)));
  const total = facts.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  for (const [place, { file, path, moves }] of files.entries()) {
    const url = urlOf(target, path);
    const { size = 0, mtime } = facts[place] ?? {};
    const wanted = await sha256(file);
    const request = { ...asReader(step), refused: 'VerificationFailed', maxBytes: size + slack } as const;
    const look = (headers: Asked): Promise<Look> =>
      ask(url, { ...request, headers, statuses: [404] }, async ({ status, headers: answered, body }) => {
        const tell = (bytes: number) => step.progress({ done: done + bytes, total, unit: 'bytes' });
        const got = status === 404 ? undefined : await save(body, undefined, tell);
        const found = got ? `sha256 ${got.sha256}, ${got.size} bytes` : `HTTP status ${status}`;
        // Some caches do not say what they are.
        const hidden = moves && got ? napForUnknown : undefined;
        return { right: got?.sha256 === wanted, found, cachedFor: cachedFor(answered, mtime) ?? hidden };
      });
    const { right, found } = moves
      ? await lookOnce(step, target, path, wanted, look)
      : await patiently(step, url, look);
    if (!right)
      throw new Failure(
        'VerificationFailed',
        `${url}: readers get ${found}; published was sha256 ${wanted}, ${size} bytes`,
      );
    done += size;
  }
}

/** A cache that gives an older state is asked to look again, and not waited for: all is right if the location has what is wanted. */
async function lookOnce(
  step: Step,
  target: Target,
  path: string,
  wanted: string,
  look: (headers: Asked) => Promise<Look>,
): Promise<Look> {
  const seen = await look({});
  if (seen.right || seen.cachedFor === undefined) return seen;
  await look(pastCaches);
  const placed = await readPlaced(step, target, path);
  const there = placed && createHash('sha256').update(placed.content).digest('hex');
  step.note(`${urlOf(target, path)}: readers get an older state for another ${seen.cachedFor} s or more`);
  return { ...seen, right: there === wanted };
}
