/** The Atom feed of a stream's releases (RFC 4287). */
import { h } from 'preact';
import { renderToString } from 'preact-render-to-string';
import type { ReleaseEntry, ReleaseNotes } from '../../domain/release.js';
import { oneLine, summaryOf } from './plain.js';

export interface FeedItem {
  readonly notes: ReleaseNotes;
  /** What releases.json says of it, such as that it was rolled back. */
  readonly entry?: ReleaseEntry | undefined;
}

export interface FeedFacts {
  /** The stream's name and title. */
  readonly name: string;
  readonly title: string;
  /** Readers' address of the release location. */
  readonly url: string;
}

const feedLength = 50;

/** `releases.atom`: the 50 newest releases, the newest first, whatever the order of `items`. */
export function toFeed(items: readonly FeedItem[], facts: FeedFacts): string {
  const base = facts.url.replace(/\/+$/, '');
  const title = oneLine(facts.title);
  const newest = items
    .map(factsOf)
    .sort((a, b) => b.released - a.released)
    .slice(0, feedLength);
  const feed = h(
    'feed',
    { xmlns: 'http://www.w3.org/2005/Atom' },
    h('id', null, `${base}/releases.atom`),
    h('title', null, `${title} releases`),
    h('updated', null, time(Math.max(0, ...newest.map(({ updated }) => updated)))),
    h('author', null, h('name', null, title)),
    h('link', { rel: 'self', type: 'application/atom+xml', href: `${base}/releases.atom` }),
    h('link', { rel: 'alternate', type: 'text/html', href: `${base}/index.html` }),
    newest.map((item) => entryOf(item, title, facts.name)),
  );
  // What ends a CDATA section must not stand in XML's text; preact escapes what matters to HTML.
  return `<?xml version="1.0" encoding="utf-8"?>\n${renderToString(feed).replaceAll(']]>', ']]&gt;')}\n`;
}

/** A release's page never moves: its address is the entry's id too. */
function factsOf({ notes, entry }: FeedItem) {
  const released = Date.parse(entry?.treeline.released ?? notes.time);
  const back = entry?.treeline['rolled-back'];
  const rolledBack = back
    ? `Rolled back to ${back.to}${back.reason ? `: ${oneLine(back.reason).replace(/\.$/, '')}` : ''}. `
    : '';
  return {
    build: notes.build,
    page: notes.page,
    released,
    updated: back ? Date.parse(back.at) : released,
    security: notes.security !== undefined,
    summary: rolledBack + summaryOf(notes),
  };
}

const entryOf = (item: ReturnType<typeof factsOf>, title: string, stream: string) =>
  h(
    'entry',
    null,
    h('id', null, item.page),
    h('title', null, `${title} ${item.build}${item.security ? ': security release' : ''}`),
    h('published', null, time(item.released)),
    h('updated', null, time(item.updated)),
    h('link', { rel: 'alternate', type: 'text/html', href: item.page }),
    h('category', { term: stream }),
    item.security ? h('category', { term: 'security' }) : null,
    h('summary', { type: 'text' }, item.summary),
  );

const time = (at: number) => new Date(at).toISOString();
