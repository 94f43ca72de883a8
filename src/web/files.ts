/**
 * Static files over HTTP. Each request opens the file once and answers from that open file, so that size, ETag and
 * content belong together while publications rename new files into place, and a pruned file is still read to its end.
 */
import { constants } from 'node:fs';
import { open, readlink, type FileHandle } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cacheControl, contentType, securityHeaders } from './headers.js';

/**
 * The path below the root that a request target means, or `undefined` where there can be none: no `.` or `..`, no
 * hidden files, no encoded slash. Each segment is decoded whole, since dnf asks for `libstdc%2b%2b` and means `+`.
 */
export function requestPath(target: string): string | undefined {
  if (!target.startsWith('/')) return undefined;
  const path = target.replace(/[?#].*$/s, '');
  try {
    const segments = path.split('/').filter(Boolean).map(decodeURIComponent);
    if (segments.some((segment) => /^\.|[/\0]/.test(segment))) return undefined;
    return `/${segments.join('/')}${path.endsWith('/') && segments.length > 0 ? '/' : ''}`;
  } catch {
    return undefined;
  }
}

/** The byte range that a `Range` header asks for; `undefined` for none or one that is not understood: then all is sent. */
export function parseRange(header: string | undefined, size: number): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (!match[1] && !match[2])) return undefined;
  const [first, last] = [match[1], match[2]];
  const range = first
    ? { start: Number(first), end: last ? Math.min(Number(last), size - 1) : size - 1 }
    : { start: Math.max(0, size - Number(last)), end: size - 1 };
  if (first && last && Number(first) > Number(last)) return undefined;
  return range.start > range.end ? 'unsatisfiable' : range;
}
export interface Range {
  readonly start: number;
  /** Inclusive. */
  readonly end: number;
}

/** What a web server serves. All paths are absolute and without links of their own. */
export interface Served {
  readonly root: string;
  /** Folders outside of `root` that links below it may lead to. A link to anything else is not found. */
  readonly linked: readonly string[];
}

/** Answers one request from the files below the root. */
export async function answer(served: Served, req: IncomingMessage, res: ServerResponse): Promise<void> {
  for (const [name, value] of Object.entries(securityHeaders)) res.setHeader(name, value);
  // HTTP/0.9 has no headers: what it is answered could be taken for a page of any kind.
  if (req.httpVersionMajor < 1) return void res.writeHead(505, { Connection: 'close' }).end();
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    res.setHeader('Allow', 'GET, HEAD');
    return say(res, 405, 'Only GET and HEAD.');
  }
  const path = requestPath(req.url ?? '');
  const file = path === undefined ? undefined : await openFile(served, path);
  // Browsers ask for it beside every log; pages carry their own icon.
  if (path === '/favicon.ico' && file === undefined) return void res.writeHead(204).end();
  if (path === undefined || file === undefined) return say(res, 404, 'Not found.');
  if (file === 'folder') {
    // Relative links of an index page need the slash; a relative target works behind any prefix.
    res.setHeader('Location', `${encodeURIComponent(path.slice(path.lastIndexOf('/') + 1))}/`);
    return say(res, 301, 'Moved.');
  }
  try {
    await send(path.endsWith('/') ? `${path}index.html` : path, file, req, res);
  } finally {
    await file.close();
  }
}

/** Opens the file of a path, for a path with a slash at its end the folder's index page. */
async function openFile(served: Served, path: string): Promise<FileHandle | 'folder' | undefined> {
  const name = path.endsWith('/') ? `${path}index.html` : path;
  try {
    // O_NONBLOCK: opening a named pipe must not hang.
    const file = await open(join(served.root, name), constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await file.stat();
    const allowed = isWithin(served, await readlink(`/proc/self/fd/${file.fd}`));
    if (allowed && stats.isFile()) return file;
    await file.close();
    return allowed && stats.isDirectory() && name === path ? 'folder' : undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENXIO'].includes(String(code))) return undefined;
    throw error;
  }
}

/** Is a file that was opened, by its path without links, one that may be served? */
const isWithin = ({ root, linked }: Served, path: string) =>
  [root, ...linked].some((folder) => {
    const below = relative(folder, path);
    return below === '' || below.split('/').every((segment) => !segment.startsWith('.'));
  });

async function send(
  path: string,
  file: FileHandle,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const stats = await file.stat({ bigint: true });
  const size = Number(stats.size);
  const etag = `"${stats.ino.toString(16)}-${stats.size.toString(16)}-${stats.mtimeNs.toString(16)}"`;
  res.setHeader('Content-Type', contentType(path));
  res.setHeader('Cache-Control', cacheControl(path));
  res.setHeader('Accept-Ranges', 'bytes');
  res.setHeader('Last-Modified', stats.mtime.toUTCString());
  res.setHeader('ETag', etag);
  // If-Modified-Since is left out on purpose: within one second a summary can change twice.
  const known = req.headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (known?.some((tag) => tag === etag || tag === '*')) return void res.writeHead(304).end();

  const ifRange = req.headers['if-range'];
  const wanted = ifRange === undefined || ifRange === etag ? req.headers.range : undefined;
  const range = parseRange(wanted, size);
  if (range === 'unsatisfiable') {
    res.setHeader('Content-Range', `bytes */${size}`);
    return say(res, 416, 'No such range.');
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  if (range) res.setHeader('Content-Range', `bytes ${start}-${end}/${size}`);
  const length = end - start + 1;
  res.writeHead(range ? 206 : 200, { 'Content-Length': length });
  if (req.method === 'HEAD' || length === 0) return void res.end();

  const content = file.createReadStream({ start, end, autoClose: false });
  await pipeline(content, res, { end: false });
  // Cut short under us: the client must see a broken transfer, not wait for the rest.
  if (content.bytesRead === length) res.end();
  else res.destroy();
}

function say(res: ServerResponse, status: number, message: string): void {
  res.setHeader('Cache-Control', 'no-cache');
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  const body = `${message}\n`;
  res.writeHead(status, { 'Content-Length': Buffer.byteLength(body) });
  res.end(res.req.method === 'HEAD' ? undefined : body);
}
