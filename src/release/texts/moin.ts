/** The 'Atomic Host' section of the Download page in the markup of MoinMoin 1.x, which wiki.centos.org ran. */
import type { ReleaseNotes } from '../../domain/release.js';
import { formatBytes } from '../../domain/units.js';
import * as commands from '../../pages/commands.js';
import * as plain from './plain.js';

/**
 * Text that Moin shows as it is. Even in there `}}}` ends it, `||` may end a cell and `@SIG@` and its like are replaced when the page is
 * saved, and `#!` at its start calls a parser; none of these stands in a name that means well.
 */
const verbatim = (raw: string) => {
  const inner = plain
    .oneLine(raw)
    .replaceAll('{', '(')
    .replaceAll('}', ')')
    .replace(/\|(?=\|)/g, '| ')
    .replace(/\|$/, '| ')
    .replace(/^#/, ' #')
    .replaceAll('@', '(at)');
  return inner === '' ? '' : `{{{${inner}}}}`;
};

/** No markup, no smiley, no page's name such as `FrontPage`. */
const isPlain = (word: string) =>
  /^[A-Za-z0-9]+([-_.][A-Za-z0-9]+)*[.,;:]?$/.test(word) && !/([A-Z][a-z0-9]+){2}/.test(word);

/** Prose of the stream's own: words that Moin would make something of stand verbatim, addresses are links. */
const prose = (raw: string) =>
  plain
    .splitAddresses(raw)
    .map((part, place) => {
      if (place % 2 === 1) return link(part, part);
      return part.replace(/\S+/g, (word) => (isPlain(word) ? word : verbatim(word)));
    })
    .join('');

const link = (label: string, address: string) => {
  const href = plain.webAddress(address)?.replaceAll('@', '%40');
  const shown = plain
    .oneLine(label)
    .replace(/[[\]{}|<>]/g, '')
    .replaceAll('@', '(at)');
  return href ? `[[${href}|${shown}]]` : verbatim(label);
};

const table = (heads: readonly string[], rows: readonly (readonly string[])[]) =>
  [heads.map((head) => `'''${head}'''`), ...rows].map(
    (cells) => `||${cells.map((cell) => cell || ' ').join('||')}||`,
  );

/** Our own commands: their words are quoted for the shell and hold neither braces nor `@`. */
const block = (lines: readonly string[]) => [
  '{{{',
  ...lines.map((line) => line.replace(/[{}@]/g, (c) => encodeURIComponent(c))),
  '}}}',
];

/** The section, to be put into the page by a person. */
export function toMoinDownload(notes: ReleaseNotes): string {
  const { architectures, page, signingKey, build, stream } = notes;
  const remote = commands.remoteOf(notes);
  const rows = architectures.flatMap((arch) =>
    arch.images.map((image) => [
      link(image.file, image.url),
      verbatim(arch.architecture),
      formatBytes(image.size),
      verbatim(image.sha256),
      link('signature', image.signature),
    ]),
  );
  const lists = architectures.flatMap(({ architecture, checksums }) =>
    checksums === undefined ? [] : [{ architecture, checksums }],
  );
  const paragraphs: string[][] = [
    ['== Atomic Host =='],
    [
      prose(`${stream.title} ${build}. ${plain.summaryOf(notes)}`),
      link(`Release notes of ${plain.oneLine(stream.title)} ${build}`, page),
    ],
    rows.length > 0
      ? table(['Image', 'Architecture', 'Size', 'SHA-256', 'Signature'], rows)
      : ['This release has no images.'],
    lists.map(
      ({ architecture, checksums }) => ` * ${link(`Signed checksums of ${architecture}`, checksums)}`,
    ),
    table(
      ['Architecture', 'Ref', 'Commit'],
      architectures.map(({ architecture, ref, commit }) => [architecture, ref, commit].map(verbatim)),
    ),
    [
      `Everything is signed with the ${link('signing key', signingKey.url)} ${verbatim(plain.fingerprintOf(notes))}. Fetch it and look at it:`,
    ],
    block(commands.fetchKey(remote)),
    ...(lists[0]
      ? [['Verify downloaded images:'], block(commands.verifyDownload(remote, lists[0].checksums))]
      : []),
    ['Upgrade a machine that follows the releases already:'],
    block(commands.upgrade['rpm-ostree']),
    ['Come from another ref, as root:'],
    block(commands.addRemote(remote)),
    ...architectures.map((arch) => block(commands.rebase(remote, arch.ref)['rpm-ostree'])),
  ];
  return `${paragraphs
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}
