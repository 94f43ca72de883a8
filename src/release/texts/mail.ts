/** The announcement, in the form that announce lists use: plain text, to be signed inline as it is. */
import { allAdvisories, type ChangeNote, type ReleaseNotes } from '../../domain/release.js';
import { gravest, severityWord } from '../../domain/security.js';
import { formatBytes } from '../../domain/units.js';
import * as commands from '../../pages/commands.js';
import { changeKinds, groupChanges } from '../../pages/facts.js';
import * as plain from './plain.js';

const width = 72;
const packageLines = 40;
const advisoryLines = 40;

/** Words that are never broken: who copies them needs them whole. */
const whole = /^(https?:\/\/\S{1,500}|[0-9a-f]{64})$/;

/** Lines of at most `width` columns; `indent` stands before each, `first` before the first. */
function wrap(text: string, indent = '', first = indent): string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of plain
    .oneLine(text)
    .split(' ')
    .flatMap(pieces(width - indent.length))) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

const pieces = (length: number) => (word: string) =>
  whole.test(word) || word.length <= length ? [word] : (word.match(new RegExp(`.{1,${length}}`, 'gu')) ?? []);

/** Subject (one line, no line break that would make a header of its own) and text of the mail. */
export function toMail(notes: ReleaseNotes): { subject: string; text: string } {
  const { stream, build, page, security } = notes;
  const changes = heading(security ? 'What is affected' : 'What is new', whatIsNew(notes));
  const fixed = heading('Advisories fixed', advisories(notes));
  const sections: string[][] = [
    wrap(`${plain.oneLine(stream.title)} ${build} is released.`),
    stream.description ? wrap(stream.description) : [],
    wrap(plain.summaryOf(notes)),
    ...(security ? [...fixed, ...changes] : [...changes, ...fixed]),
    ...heading('How to upgrade', upgrade(notes)),
    ...(security ? heading('Commits', commits(notes)) : []),
    ...heading('Images', images(notes)),
    ...heading(
      'Known issues',
      notes.knownIssues.flatMap((issue) => wrap(issue, '    ', '  * ')),
    ),
    ['The full release notes, with changelogs and how to verify images:', page],
    ['Everything is signed with this key:', `  ${plain.fingerprintOf(notes)}`, `  ${notes.signingKey.url}`],
  ];
  const text = sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map(safe).join('\n'))
    .join('\n\n');
  return { subject: subject(notes), text: `${text}\n` };
}

/** Of a security release as security notices have it: advisory, severity, what is updated. */
function subject({ stream, build, security, architectures }: ReleaseNotes): string {
  const what = `${plain.oneLine(stream.title)} ${build}`;
  if (!security) return `${what} released`;
  const { advisories: all } = security;
  const ids = plain.firstNames(
    all.map(({ id }) => id),
    3,
  );
  const changed = architectures.flatMap(({ changes = [] }) => changes.map(({ change: [name] }) => name));
  const names = plain.firstNames([...new Set(changed)].sort(), 3);
  return [
    ...(all.length > 0 ? [ids, severityWord(gravest(all))] : []),
    what,
    ...(names ? [names] : []),
    'Security Update',
  ].join(' ');
}

const heading = (title: string, lines: readonly string[]): string[][] =>
  lines.length > 0 ? [[title, '='.repeat(title.length), ...lines]] : [];

/** A clear signature would escape a leading `-`, a mail box a leading `From `; neither keeps spaces at the end. */
const safe = (line: string) => (/^(-|From |\.)/.test(line) ? ` ${line}` : line).trimEnd();

function whatIsNew({ architectures, former, page }: ReleaseNotes): string[] {
  if (former === null) return [];
  return architectures.flatMap(({ architecture, changes }) => [
    ...(architectures.length > 1 ? [`${architecture}:`] : []),
    ...(!changes
      ? ['  New in this release.']
      : changes.length > 0
        ? packages(changes, Math.floor(packageLines / architectures.length), page)
        : ['  No package changed.']),
  ]);
}

function packages(changes: readonly ChangeNote[], most: number, page: string): string[] {
  const groups = groupChanges(changes.map(({ change }) => change));
  const lines = changeKinds.flatMap((kind) =>
    groups[kind].map(({ name, from, to }) =>
      wrap(
        from && to ? `${kind} ${name} ${from} -> ${to}` : `${kind} ${name} ${to ?? from ?? ''}`,
        '      ',
        '  ',
      ),
    ),
  );
  const rest = lines.length - most;
  return [
    ...lines.slice(0, rest > 0 ? most - 1 : most).flat(),
    ...(rest > 0 ? [`  and ${rest + 1} more: ${page}`] : []),
  ];
}

function advisories(notes: ReleaseNotes): string[] {
  const found = allAdvisories(notes);
  const lines = found.slice(0, advisoryLines).flatMap(({ id, title, type, severity, references }) => {
    const cves = references
      .map((reference) => reference.id)
      .filter((reference) => /^CVE-[\d-]+$/.test(reference));
    return [
      ...wrap(`${id} (${severity ? `${severity}, ` : ''}${type}) ${title}`, '      ', '  '),
      ...(cves.length > 0 ? wrap(cves.join(', '), '      ') : []),
    ];
  });
  return found.length > advisoryLines
    ? [...lines, `  and ${found.length - advisoryLines} more: ${notes.page}`]
    : lines;
}

function upgrade(notes: ReleaseNotes): string[] {
  const remote = commands.remoteOf(notes);
  const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}`);
  return [
    ...wrap('A machine that follows the releases already:'),
    ...indented(commands.upgrade['rpm-ostree']),
    ...(notes.security ? ['or, where there is no rpm-ostree,', ...indented(commands.upgrade.ostree)] : []),
    ...wrap('Any other, as root, after a look at the fingerprint of the key (see below):'),
    ...indented(commands.fetchKey(remote)),
    ...indented(commands.addRemote(remote)),
    ...notes.architectures.flatMap((arch) => [
      ...(notes.architectures.length > 1 ? [`${arch.architecture}:`] : []),
      ...indented(commands.rebase(remote, arch.ref)['rpm-ostree']),
    ]),
  ];
}

const commits = ({ architectures }: ReleaseNotes): string[] =>
  architectures.flatMap(({ ref, commit }) => [plain.oneLine(ref), `  ${commit}`]);

const images = ({ architectures }: ReleaseNotes): string[] =>
  architectures.flatMap(({ architecture, images: all, checksums }) => [
    ...all.flatMap(({ kind, size, url, sha256 }) => [
      `${plain.oneLine(kind)}, ${architecture}, ${formatBytes(size)}`,
      `  ${url}`,
      `  sha256 ${sha256}`,
    ]),
    ...(checksums === undefined ? [] : ['Signed checksums:', `  ${checksums}`]),
  ]);
