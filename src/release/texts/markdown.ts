/** Release notes and the Download page's section in Markdown (CommonMark with GitHub's tables). */
import { allAdvisories, originGroups, type ChangeNote, type ReleaseNotes } from '../../domain/release.js';
import { formatBytes } from '../../domain/units.js';
import * as commands from '../../pages/commands.js';
import { changeKinds, groupChanges } from '../../pages/facts.js';
import * as plain from './plain.js';

type Arch = ReleaseNotes['architectures'][number];

/** Nothing in it acts: no markup, no HTML, no link of its own, also none that GitHub would make by itself. */
const escaped = (raw: string) =>
  raw
    .replaceAll('@', '(at)')
    .replace(/[\\`*_[\]<>&|~#!{}]/g, '\\$&')
    .replaceAll('://', ':\\/\\/')
    .replace(/\bwww\./gi, (www) => `${www.slice(0, -1)}\\.`);

/** What would begin a list, a rule or the underline of a heading. */
const startless = (line: string) => line.replace(/^[-+=]/, '\\$&').replace(/^(\d+)([.)])/, '$1\\$2');

const text = (raw: string) => startless(escaped(plain.oneLine(raw)));

/** In a table too: there `\|` is a bar, also in code. */
const code = (raw: string) => {
  const inner = plain.oneLine(raw).replaceAll('`', "'").replaceAll('|', '\\|');
  return inner === '' ? '' : `\`${inner}\``;
};

const link = (label: string, address: string | undefined) => {
  const href = address && plain.webAddress(address);
  return href ? `[${text(label)}](${href})` : text(label);
};

/** The stream's own prose: addresses become links. */
const prose = (raw: string) => {
  const parts = plain.splitAddresses(raw).map((part, place) => {
    const href = place % 2 === 1 ? plain.webAddress(part) : undefined;
    return href ? `<${href}>` : escaped(part);
  });
  return startless(parts.join(''));
};

const table = (heads: readonly string[], rows: readonly (readonly string[])[]) => [
  `| ${heads.join(' | ')} |`,
  `| ${heads.map(() => '---').join(' | ')} |`,
  ...rows.map((cells) => `| ${cells.join(' | ')} |`),
];

/** A block that is shown as it is: its fence is longer than any in it. */
function block(lines: readonly string[], language = ''): string[] {
  const longest = Math.max(
    2,
    ...(lines
      .join('\n')
      .match(/`+/g)
      ?.map((ticks) => ticks.length) ?? []),
  );
  const fence = '`'.repeat(longest + 1);
  return [fence + language, ...lines, fence];
}
const shell = (lines: readonly string[]) => block(lines, 'sh');

/** The release notes, for people. */
export function toMarkdown(notes: ReleaseNotes): string {
  const { stream, build, time, approvers, page, reports = [], knownIssues } = notes;
  const approved = approvers.length > 0 ? `, approved by ${approvers.map(text).join(', ')}` : '';
  return document(
    [`# ${text(stream.title)} ${build}`],
    [prose(plain.summaryOf(notes))],
    stream.description ? [prose(stream.description)] : [],
    [`Released on ${plain.day(time)}${approved}. This page: <${plain.webAddress(page) ?? ''}>`],
    ...upgrade(notes, '##'),
    ...changes(notes),
    ...advisories(notes),
    ['## Images'],
    ...images(notes),
    ...verify(notes, '##'),
    ...origins(notes),
    ...(reports.length > 0
      ? [
          ['## Test reports'],
          reports.map(
            ({ by, result, note }) =>
              `* ${text(by)}: ${result}${note === undefined ? '' : `: ${prose(note)}`}`,
          ),
        ]
      : []),
    ...(knownIssues.length > 0 ? [['## Known issues'], knownIssues.map((issue) => `* ${prose(issue)}`)] : []),
  );
}

/** The section of the Download page. */
export function toMarkdownDownload(notes: ReleaseNotes): string {
  return document(
    ['## Atomic Host'],
    [
      `**${text(notes.stream.title)} ${notes.build}**`,
      prose(plain.summaryOf(notes)),
      link('Release notes', notes.page),
    ],
    ...images(notes),
    ...verify(notes, '###'),
    ...upgrade(notes, '###'),
  );
}

/** Paragraphs, each of some lines; empty ones are left out. */
const document = (...paragraphs: readonly (readonly string[])[]) =>
  `${paragraphs
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;

function upgrade(notes: ReleaseNotes, level: string): string[][] {
  const remote = commands.remoteOf(notes);
  const several = notes.architectures.length > 1;
  return [
    [`${level} How to upgrade`],
    ['A machine that follows the releases already gets this one with'],
    shell(commands.upgrade['rpm-ostree']),
    ['or, where there is no rpm-ostree,'],
    shell(commands.upgrade.ostree),
    [`${level} How to come from another ref`],
    ['As root, fetch the signing key and look at it:'],
    shell(commands.fetchKey(remote)),
    [`It must have the fingerprint ${code(plain.fingerprintOf(notes))}. Then add the repository once:`],
    shell(commands.addRemote(remote)),
    ...notes.architectures.flatMap((arch) => {
      const rebase = commands.rebase(remote, arch.ref);
      return [
        [`Move the machine${several ? ` (${arch.architecture})` : ''} over with`],
        shell(rebase['rpm-ostree']),
        ['or, where there is no rpm-ostree,'],
        shell(rebase.ostree),
      ];
    }),
  ];
}

function images({ architectures }: ReleaseNotes): string[][] {
  const row = (arch: Arch) => (image: Arch['images'][number]) => [
    link(image.file, image.url),
    arch.architecture,
    formatBytes(image.size),
    code(image.sha256),
    link('signature', image.signature),
  ];
  const rows = architectures.flatMap((arch) => arch.images.map(row(arch)));
  const lists = architectures.flatMap(({ architecture, checksums }) =>
    checksums === undefined ? [] : [link(`Signed checksums of ${architecture}`, checksums)],
  );
  const commits = architectures.map(({ architecture, ref, commit }) => [
    architecture,
    code(ref),
    code(commit),
  ]);
  return [
    rows.length > 0
      ? table(['Image', 'Architecture', 'Size', 'SHA-256', 'Signature'], rows)
      : ['This release has no images.'],
    lists,
    table(['Architecture', 'Ref', 'Commit'], commits),
  ];
}

/** Where the packages of a signed release are from. */
function origins(notes: ReleaseNotes): string[][] {
  const rows = originGroups(notes).map(({ what, names }) => [
    text(what),
    String(names.length),
    names.map(code).join(', '),
  ]);
  return rows.length > 0 ? [['## Where the packages are from'], table(['', 'Count', 'Packages'], rows)] : [];
}

function verify(notes: ReleaseNotes, level: string): string[][] {
  const first = notes.architectures.find(({ checksums }) => checksums !== undefined);
  if (first?.checksums === undefined) return [];
  const remote = commands.remoteOf(notes);
  const where = notes.architectures.length > 1 ? ` These are the commands for ${first.architecture}:` : '';
  return [
    [`${level} How to verify a download`],
    [
      `The images and checksums are signed with the key ${code(plain.fingerprintOf(notes))} (${link('signing key', notes.signingKey.url)}).${where}`,
    ],
    shell([...commands.fetchKey(remote), ...commands.verifyDownload(remote, first.checksums)]),
    ['gpg must say “Good signature” and name that fingerprint, sha256sum “OK” for each image.'],
  ];
}

function changes({ architectures, former }: ReleaseNotes): string[][] {
  if (former === null) return [];
  return [
    [`## Packages changed since ${former}`],
    ...architectures.flatMap((arch) => [
      ...(architectures.length > 1 ? [[`### ${arch.architecture}`]] : []),
      ...(!arch.changes
        ? [['New in this release.']]
        : arch.changes.length === 0
          ? [['No package changed.']]
          : [...changeTables(arch.changes), ...changelogs(arch.changes)]),
    ]),
  ];
}

function changeTables(notes: readonly ChangeNote[]): string[][] {
  const groups = groupChanges(notes.map(({ change }) => change));
  return changeKinds
    .filter((kind) => groups[kind].length > 0)
    .flatMap((kind) => [
      [`**${kind.slice(0, 1).toUpperCase()}${kind.slice(1)}: ${groups[kind].length}**`],
      table(
        ['Package', 'Former', 'Now', 'Architecture'],
        groups[kind].map(({ name, from, to, arch }) => [name, from ?? '', to ?? '', arch].map(code)),
      ),
    ]);
}

/** Packages of one source carry the same changelog: it is shown once. */
function changelogs(notes: readonly ChangeNote[]): string[][] {
  const byText = new Map<string, string[]>();
  for (const { change, changelog } of notes) {
    if (changelog.length === 0) continue;
    const lines = changelog.flatMap(({ time, author, text: entry }) => [
      `* ${plain.day(time)} ${plain.oneLine(author)}`,
      ...plain.visibleLines(entry),
    ]);
    const shown = block(lines).join('\n');
    byText.set(shown, [...(byText.get(shown) ?? []), change[0]]);
  }
  return [...byText].flatMap(([shown, names]) => [[`Changelog of ${names.map(code).join(', ')}:`], [shown]]);
}

function advisories(notes: ReleaseNotes): string[][] {
  const found = allAdvisories(notes);
  if (found.length === 0) return [];
  return [
    ['## Advisories fixed'],
    table(
      ['Advisory', 'Type', 'Severity', 'Title', 'CVEs and bugs', 'Packages'],
      found.map(({ id, type, severity = '', title, references, packages }) => [
        code(id),
        text(type),
        text(severity),
        text(title),
        references.map(({ id: name, href }) => link(name, href)).join(', '),
        packages.map(code).join(', '),
      ]),
    ),
  ];
}
