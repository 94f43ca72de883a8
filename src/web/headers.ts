/** Which headers a published path has: content type, cache lifetime, and what keeps a browser from misusing it. */
import { buildIdPattern } from '../domain/build-id.js';
import { filterSource } from '../pages/filter.js';

/**
 * Of every answer. A page's own, stricter policy stands in its head; this one holds for whatever else a browser is led to, and says
 * what a page cannot say of itself: that nobody may frame it.
 */
export const securityHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    ...["default-src 'none'", "style-src 'self'", 'img-src data:', `script-src ${filterSource}`],
    ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  ].join('; '),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

const text = 'text/plain; charset=utf-8';
const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json',
  txt: text,
  log: text,
  asc: text,
  yaml: text,
  md: text, // not text/markdown: browsers would offer it for download
  moin: text,
  xml: 'application/xml',
  atom: 'application/atom+xml',
  rpm: 'application/x-rpm',
  iso: 'application/x-iso9660-image',
  tar: 'application/x-tar',
  gz: 'application/gzip',
  xz: 'application/x-xz',
  zst: 'application/zstd',
};

/**
 * Content type of a path. A compressed file is served as what it is, never with a `Content-Encoding`: clients would
 * unpack it on the way, and its checksum would no longer hold.
 */
export function contentType(path: string): string {
  const file = path.slice(path.lastIndexOf('/') + 1);
  const extension = file.slice(file.lastIndexOf('.') + 1);
  if (/\/logs\/[^/]+$/.test(path) && !(extension in types)) return text;
  return (Object.hasOwn(types, extension) && types[extension]) || 'application/octet-stream';
}

/** Names that a publication moves: a cached one would show an old head beside new objects. */
const moving = [
  /\/refs\//,
  /\/(summary|summary\.sig|config)$/,
  /\/delta-indexes\//,
  /\/objects\/.*\.commitmeta$/, // detached signatures: they grow under the same name
  /\/repodata\/repomd\.xml/,
];

/** Names whose content never changes: named by checksum, or under a build id, which is never used twice. */
const immutable = [
  /\/objects\/[0-9a-f]{2}\/[0-9a-f]{62}\.[a-z]+$/,
  /\/deltas\//,
  /\/repodata\/[0-9a-f]{64}-/,
  new RegExp(`/builds/${buildIdPattern}/[^/]+/[^/]+(?<!\\.(html|json|txt|asc|log))$`),
];

/** `Cache-Control` of a path: artifacts for a year, what moves never without asking, the rest for a minute. */
export function cacheControl(path: string): string {
  if (moving.some((pattern) => pattern.test(path))) return 'no-cache';
  if (immutable.some((pattern) => pattern.test(path))) return 'public, max-age=31536000, immutable';
  return 'public, max-age=60';
}
