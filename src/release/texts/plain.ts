/** What all texts of a release share. Names, changelogs and advisories are the packagers' text: nothing in them may act as markup. */
import { formatFingerprint } from '../../pages/facts.js';
import { allAdvisories, originGroups, type ReleaseNotes } from '../../domain/release.js';
import { cvesOf, gravest, severityWord } from '../../domain/security.js';

/** Controls, formatting such as right-to-left marks, lone surrogates and non-characters: none of it is text. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]/gu;

/** One line of visible text. */
export const oneLine = (text: string) => text.replace(/\s+/g, ' ').replace(invisible, '').trim();

/** Lines of visible text. */
export const visibleLines = (text: string) =>
  text
    .replace(/\r\n?/g, '\n')
    .split('\n')
    .map((line) => line.replace(/\t/g, '    ').replace(invisible, '').trimEnd());

/** An http(s) address with nothing in it that a markup could take for its own; undefined for any other. */
export function webAddress(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) return undefined;
  return url.href.replace(
    /[\s<>()[\]{}|\\^`"'*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Splits prose of the stream's own into text and http(s) addresses; those stand at the odd places. */
export const splitAddresses = (text: string) =>
  oneLine(text).split(/(https?:\/\/[^\s<>"|`]*[^\s<>"|`.,;:!?)\]'])/);

export const day = (time: string) => time.slice(0, 10);

/** `2 advisories`, with the plural spelt out. */
const plural = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`;

/** At most `most` of these names, and how many more there are. */
export const firstNames = (names: readonly string[], most: number) =>
  names.slice(0, most).map(oneLine).join(', ') +
  (names.length > most ? ` and ${names.length - most} more` : '');

/** Of a security release: that it is one, and what it fixes. */
function securityText({ advisories }: NonNullable<ReleaseNotes['security']>): string {
  if (advisories.length === 0) return 'Security release.';
  const ids = firstNames(
    advisories.map(({ id }) => id),
    10,
  );
  const cves = cvesOf(advisories);
  const named = cves.length > 0 ? ` (${firstNames(cves, 20)})` : '';
  return `Security release, ${severityWord(gravest(advisories))}: fixes ${ids}${named}.`;
}

/** What the release brings, in a sentence or two, for feeds and heads of texts. Plain text. */
export function summaryOf(notes: ReleaseNotes): string {
  const { former, architectures, upstream, accepted, security } = notes;
  // A package that changed on several architectures counts once.
  const changed = architectures.flatMap(({ changes = [] }) => changes.map(({ change }) => change));
  const words = ['added', 'removed', 'upgraded', 'downgraded'] as const;
  const counts = ([2, 0, 1, 3] as const).flatMap((code) => {
    const { size } = new Set(changed.filter(([, kind]) => kind === code).map(([name]) => name));
    return size > 0 ? [`${size} ${words[code]}`] : [];
  });
  const since =
    former === null ? 'The first release.' : `Packages since ${former}: ${counts.join(', ') || 'unchanged'}.`;
  const fixed = allAdvisories(notes);
  return [
    ...(security ? [securityText(security)] : []),
    ...(accepted === undefined ? [] : [signedFrom(notes)]),
    ...(upstream ? [`Follows ${oneLine(upstream.name)} build ${upstream.number} of ${upstream.date}.`] : []),
    since,
    ...(fixed.length > 0 ? [`Fixes ${plural(fixed.length, 'advisory', 'advisories')}.`] : []),
  ].join(' ');
}

/** What a signed release, or a security release, was made from. */
function signedFrom(notes: ReleaseNotes): string {
  const groups = originGroups(notes);
  const counts =
    groups.length > 0 ? `: ${groups.map(({ what, names }) => `${names.length} ${what}`).join(', ')}` : '';
  // A release by copy has one location.
  const made = notes.repo === undefined ? 'Made from' : 'Signed rebuild of';
  return `${made} the accepted build ${notes.accepted ?? ''}${counts}.`;
}

export const fingerprintOf = ({ signingKey }: ReleaseNotes) =>
  formatFingerprint(oneLine(signingKey.fingerprint));
