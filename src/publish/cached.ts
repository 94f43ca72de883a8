/** What the headers of an answer say of a cache on the way (RFC 9111). */

/**
 * Seconds for which a cache goes on giving this answer; 0 for one that asks the next time; undefined where the answer comes from the server
 * itself. A cache says so by `Age`. Some do not, as nginx's: then `placed`, when the file was last changed at its location, tells
 * an older state by its `Last-Modified`, as long as the answer may be kept at all.
 */
export function cachedFor(headers: Headers, placed?: Date): number | undefined {
  const lifetime = lifetimeOf(headers);
  const age = seconds(headers.get('age'));
  if (age !== undefined) return Math.max(0, lifetime - age);
  const modified = dateOf(headers.get('last-modified'));
  // HTTP's times have whole seconds.
  const older = modified !== undefined && placed !== undefined && modified < Math.floor(+placed / 1000);
  return older && lifetime > 0 ? lifetime : undefined;
}

/** What the answer itself says, else a tenth of the time for which it had not changed, as RFC 9111 proposes. */
function lifetimeOf(headers: Headers): number {
  const control = headers.get('cache-control') ?? '';
  if (/\bno-(cache|store)\b/i.test(control)) return 0;
  const directive = (name: string) =>
    seconds(new RegExp(`(?:^|[ ,])${name}="?(\\d+)`, 'i').exec(control)?.[1] ?? null);
  const date = dateOf(headers.get('date')) ?? Date.now() / 1000;
  const expires = headers.get('expires');
  const explicit =
    directive('s-maxage') ??
    directive('max-age') ??
    // One that is no date, such as `0`, has passed.
    (expires === null ? undefined : Math.max(0, (dateOf(expires) ?? 0) - date));
  const modified = dateOf(headers.get('last-modified'));
  return explicit ?? (modified === undefined ? 0 : Math.max(0, Math.floor((date - modified) / 10)));
}

const seconds = (text: string | null): number | undefined =>
  text !== null && /^\d+$/.test(text.trim()) ? Number(text) : undefined;

function dateOf(text: string | null): number | undefined {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000);
}
