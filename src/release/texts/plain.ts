/** What all texts of a release share. Names, changelogs and advisories are the packagers' text: nothing in them may act as markup. */
import { formatFingerprint, shellWord } from '../../pages/facts.js';
import type { Advisory, ReleaseNotes } from '../../domain/release.js';

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

/** Each advisory once, whatever the architectures that it fixes. By id. */
export function allAdvisories({ architectures }: ReleaseNotes): Advisory[] {
  const found = new Map<string, Advisory>();
  for (const entry of architectures.flatMap(({ advisories }) => advisories)) {
    const packages = new Set([...(found.get(entry.id)?.packages ?? []), ...entry.packages]);
    found.set(entry.id, { ...entry, packages: [...packages].sort() });
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** What the release brings, in a sentence or two, for feeds and heads of texts. Plain text. */
export function summaryOf(notes: ReleaseNotes): string {
  const { former, architectures, upstream } = notes;
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
    ...(upstream ? [`Follows ${oneLine(upstream.name)} build ${upstream.number} of ${upstream.date}.`] : []),
    since,
    ...(fixed.length > 0 ? [`Fixes ${plural(fixed.length, 'advisory', 'advisories')}.`] : []),
  ].join(' ');
}

/**
 * Name of the ostree remote of the releases: not the name under which nightly builds are known, for a machine that follows those
 * has that remote already, and a change to the same ref of the same remote would be refused.
 */
export const remoteOf = ({ stream }: ReleaseNotes) => `${stream.osname}-release`;

export const keyFileOf = (notes: ReleaseNotes) => `${remoteOf(notes)}.asc`;

export const fingerprintOf = ({ signingKey }: ReleaseNotes) =>
  formatFingerprint(oneLine(signingKey.fingerprint));

/** Name of the checksums' file beside the images, without the signature's ending. */
const listOf = (checksums: string) =>
  decodeURIComponent(checksums.split('/').at(-1) ?? '').replace(/\.asc$/, '');

/** Commands of the texts, as lines for a POSIX shell. */
export const commands = {
  /** On a machine that follows the releases. */
  upgrade: {
    'rpm-ostree': ['rpm-ostree upgrade', 'systemctl reboot'],
    ostree: ['ostree admin upgrade', 'systemctl reboot'],
  },

  /** Fetches the key and shows whose it is. */
  key: (notes: ReleaseNotes) => [
    `curl -fsS -o ${shellWord(keyFileOf(notes))} ${shellWord(notes.signingKey.url)}`,
    `gpg --show-keys ${shellWord(keyFileOf(notes))}`,
  ],

  remote: (notes: ReleaseNotes) => [
    'ostree remote add --if-not-exists \\',
    '  --set=gpg-verify=true --set=gpg-verify-summary=true \\',
    `  --gpg-import=${shellWord(keyFileOf(notes))} ${shellWord(remoteOf(notes))} \\`,
    `  ${shellWord(`${notes.url}/repo`)}`,
  ],

  /** From any other ref or remote. */
  rebase: (notes: ReleaseNotes, { ref }: { ref: string }) => ({
    'rpm-ostree': [`rpm-ostree rebase ${shellWord(`${remoteOf(notes)}:${ref}`)}`, 'systemctl reboot'],
    ostree: [`ostree admin switch ${shellWord(`${remoteOf(notes)}:${ref}`)}`, 'systemctl reboot'],
  }),

  /** After the download of images into the current folder. What is not signed is not looked at. */
  verify: (notes: ReleaseNotes, checksums: string) => {
    const list = shellWord(listOf(checksums));
    return [
      `gpg --import ${shellWord(keyFileOf(notes))}`,
      `curl -fsS -o ${shellWord(`${listOf(checksums)}.asc`)} ${shellWord(checksums)}`,
      `gpg --output ${list} --decrypt ${shellWord(`${listOf(checksums)}.asc`)} &&`,
      `  sha256sum --check --ignore-missing ${list}`,
    ];
  },
};
