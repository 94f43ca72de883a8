/** The texts of a release: what they say of a tiny one, and what text that wants to be markup cannot do in them. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReleaseNotes } from '../../src/domain/release.js';
import {
  clearSignCommand,
  instanceKeyFile,
  makeInstanceKey,
  readKey,
  signingHome,
} from '../../src/keys/gpg.js';
import { toFeed, type FeedItem } from '../../src/release/texts/feed.js';
import { toMail } from '../../src/release/texts/mail.js';
import { toMarkdown, toMarkdownDownload } from '../../src/release/texts/markdown.js';
import { toMoinDownload } from '../../src/release/texts/moin.js';
import { summaryOf } from '../../src/release/texts/plain.js';
import { packageRoot } from '../../src/settings.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { hostile, hostileNotes, tinyNotes, tinySecurity } from './notes-fixture.js';

const recorded = (name: string) => readFile(join(packageRoot, 'test/recorded/release-notes', name), 'utf8');
const feedFacts = { name: 'tiny', title: 'Tiny Atomic Host', url: tinyNotes.url };
const [tinyArch] = tinyNotes.architectures;

/** The tiny notes with other facts of their only architecture. */
const withArch = (change: Partial<ReleaseNotes['architectures'][number]>): ReleaseNotes => ({
  ...tinyNotes,
  architectures: [{ ...tinyArch!, ...change }],
});
const bothArchitectures: ReleaseNotes = {
  ...tinyNotes,
  architectures: [tinyArch!, { ...tinyArch!, architecture: 'aarch64', ref: 'tiny/aarch64/standard' }],
};

/** What is outside of fenced blocks and of code. */
function markup(markdown: string): string {
  const lines: string[] = [];
  let fence = '';
  for (const line of markdown.split('\n')) {
    const ticks = /^(`{3,})/.exec(line)?.[1];
    if (fence === '' && ticks) fence = ticks;
    else if (fence !== '' && line === fence) fence = '';
    else if (fence === '') lines.push(line);
  }
  assert.equal(fence, '', 'a block is not closed');
  return lines.join('\n').replace(/(?<!\\)`[^`\n]*`/g, 'CODE');
}

describe('the texts of a release', function () {
  let s: Scratch;
  before(async () => (s = await makeScratch('texts')));
  after(() => s.remove());

  const texts: Record<string, (notes: ReleaseNotes) => string> = {
    'notes.md': toMarkdown,
    'download.md': toMarkdownDownload,
    'download.moin': toMoinDownload,
    'announcement.txt': (notes) => `Subject: ${toMail(notes).subject}\n\n${toMail(notes).text}`,
    'releases.atom': (notes) => toFeed([{ notes }], feedFacts),
  };
  for (const [name, text] of Object.entries(texts)) {
    it(`are as recorded: ${name}`, async () => assert.equal(text(tinyNotes), await recorded(name)));
    it(`hold nothing that is not visible: ${name}`, () =>
      assert.doesNotMatch(text(hostileNotes()), /[\x00-\x09\x0b-\x1f\x7f\u202e\ufffe]|\p{Cs}/u));
    it(`are the same each time, and for several architectures: ${name}`, () => {
      assert.equal(text(tinyNotes), text(structuredClone(tinyNotes)));
      if (name !== 'releases.atom') assert.match(text(bothArchitectures), /aarch64/);
    });
  }

  describe('of a security release', () => {
    const notes: ReleaseNotes = { ...tinyNotes, security: tinySecurity };
    const words =
      'Security release, Important: fixes TINY-2026:7, OSV-2026-9 (CVE-2026-1000, CVE-2026-1001).';

    it('say so, with its advisories and CVEs', () => {
      const flat = (text: string) => text.replace(/[\\{}]/g, '').replace(/\s+/g, ' ');
      for (const [name, text] of Object.entries(texts)) assert.ok(flat(text(notes)).includes(words), name);
      const feed = toFeed([{ notes }], feedFacts);
      assert.match(feed, /<title>Tiny Atomic Host 20261123_01: security release<\/title>/);
      assert.match(feed, /<category term="security">/);
      assert.equal(
        summaryOf({ ...notes, security: { ...tinySecurity, advisories: [] } }).indexOf('Security release. '),
        0,
      );
    });

    it('list an advisory once, and one that no repo knows too', () => {
      const text = toMarkdown(notes);
      assert.equal(text.match(/^\| `TINY-2026:7` \|/gm)?.length, 1);
      assert.match(
        text,
        /^\| `OSV-2026-9` \| security \| Important \| bash: another \| CVE-2026-1001, CVE-2026-1000 \|/m,
      );
    });

    it('are announced as a security notice: what is affected, how to update, what to compare with', () => {
      const { subject, text } = toMail(notes);
      assert.equal(
        subject,
        'TINY-2026:7, OSV-2026-9 Important Tiny Atomic Host 20261123_01 bash, bash-doc, fresh and 1 more Security Update',
      );
      const places = ['Advisories fixed', 'What is affected', 'How to upgrade', 'Commits', 'Images'].map(
        (title) => text.indexOf(`\n${title}\n=`),
      );
      assert.deepEqual(
        [...places].sort((a, b) => a - b),
        places,
      );
      assert.ok(Math.min(...places) > 0, text);
      assert.match(text, /\n {2}upgraded bash 5\.1-1 -> 1:5\.2~rc1-1\n/);
      assert.match(text, /ostree admin upgrade/);
      assert.match(text, new RegExp(`tiny/x86_64/standard\n  ${'c0'.repeat(32)}\n`));
      assert.doesNotMatch(toMail(tinyNotes).text, /\nCommits\n|Security release/);
    });

    it('hold nothing that is not visible or begins a line badly', () => {
      const [advisory] = tinySecurity.advisories;
      const advisories = [{ ...advisory!, id: hostile, title: hostile, cves: [hostile] }];
      const bad = { ...hostileNotes(), security: { case: '20261123-1', advisories } };
      for (const [name, text] of Object.entries(texts))
        assert.doesNotMatch(text(bad), /[\x00-\x09\x0b-\x1f\x7f\u202e\ufffe]|\p{Cs}/u, name);
      assert.doesNotMatch(toMail(bad).subject, /[\r\n]/);
      assert.doesNotMatch(toMail(bad).text, /^(-|From )/m);
      assert.doesNotMatch(markup(toMarkdown(bad)), /(?<!\\)<(?!https?:)|@/);
    });
  });

  describe('in Markdown', () => {
    it('let nothing act that is not ours', () => {
      const text = markup(toMarkdown(hostileNotes()));
      assert.doesNotMatch(text, /(?<!\\)<(?!https?:\/\/[^<>\s]*>)/, 'HTML');
      assert.doesNotMatch(text, /(?<!\\)`|(?<!\\)!\[|(?<!\\)~~|@/);
      const links = [...text.matchAll(/(?<!\\)\]\(([^)]*)\)/g)].map((match) => match[1]!);
      for (const link of links) assert.match(link, /^https:\/\/example\.org\/[^()\s"<>[\]]*$/);
      // An address by itself is a link for GitHub, unless it is written so that it is none.
      assert.doesNotMatch(text.replaceAll(/<https?:[^>]*>|\]\([^)]*\)/g, ''), /:\/\/|www\./);
      const headings = text.split('\n').filter((line) => /^(#|=|-|\d+\.)/.test(line));
      assert.ok(headings.length === 8 && headings.every((line) => /^##? /.test(line)), headings.join('\n'));
    });

    it('keep every row of a table to its cells', () => {
      for (const text of [toMarkdown(hostileNotes()), toMarkdownDownload(hostileNotes())]) {
        const rows = text.split('\n').filter((line) => line.startsWith('| '));
        const cells = rows.map((row) => row.match(/(?<!\\)\|/g)?.length);
        rows.forEach((row, n) => {
          if (row.startsWith('| ---')) assert.equal(cells[n + 1], cells[n], rows[n + 1]);
        });
        assert.ok(rows.length >= 6);
      }
    });

    it('show a changelog as it is, whatever fences are in it', () => {
      const text = toMarkdown(hostileNotes());
      assert.match(
        text,
        /\n````\n\* 2026-11-02 \|\|<<Include[^\n]*\n\|\|<<Include[^\n]*\n```\n= Heading =\n(.*\n)+````\n/,
      );
    });

    it('tell a first release from one without changes', () => {
      assert.doesNotMatch(toMarkdown({ ...withArch({}), former: null }), /Packages changed/);
      assert.match(
        toMarkdown(withArch({ changes: [], advisories: [] })),
        /since 20261026_01\n\nNo package changed\.\n\n## Images/,
      );
      assert.match(toMarkdown(withArch({ images: [] })), /This release has no images\./);
    });
  });

  describe('in MoinMoin markup', () => {
    it('let nothing act that is not ours', () => {
      const text = toMoinDownload(hostileNotes());
      // What is left without verbatim text and links is our own markup and plain words.
      const rest = text
        .replace(/\{\{\{[\s\S]*?\}\}\}/g, 'CODE')
        .replace(/\[\[https?:[^|\]\s]*\|[^[\]{}|<>]*\]\]/g, 'LINK');
      assert.doesNotMatch(rest.replace(/'''[\w -]+'''/g, ''), /[{}[\]<>@`^~]|__|''|--/);
      assert.doesNotMatch(text, /@[A-Z]+@|\{\{\{\s*#!|\{\{\{\{|\}\}\}\}/);
      for (const line of rest.split('\n').filter((row) => row.includes('||')))
        assert.match(line, /^\|\|.*\|\|$/);
      assert.deepEqual(
        rest.split('\n').filter((line) => line.startsWith('=')),
        ['== Atomic Host =='],
      );
    });

    it('shows words that Moin would make links of', () => {
      const text = toMoinDownload({
        ...tinyNotes,
        stream: { ...tinyNotes.stream, title: 'CentOS FrontPage #!python' },
      });
      assert.match(text, /\nCentOS \{\{\{FrontPage\}\}\} \{\{\{ #!python\}\}\} 20261123_01\. /);
    });
  });

  describe('in the mail', () => {
    const { text } = toMail(hostileNotes());

    it('have lines that lists, clear signatures and mail boxes leave alone', () => {
      for (const mail of [text, toMail(tinyNotes).text, toMail(bothArchitectures).text])
        for (const line of mail.split('\n')) {
          assert.doesNotMatch(line, /^(-|From |\.)|\s$/);
          if (!/https?:\/\/|[0-9a-f]{64}/.test(line)) assert.ok(line.length <= 72, line);
        }
      assert.match(text, /\S\n$/);
    });

    it('keep lines that begin badly from doing so', () => {
      const { text: bad } = toMail({
        ...tinyNotes,
        stream: {
          ...tinyNotes.stream,
          description: `- dash ${'x'.repeat(62)} From here ${'y'.repeat(62)} .dot`,
        },
      });
      assert.match(bad, /\n - dash\n?/);
      assert.match(bad, /\n From here/);
    });

    it('have a subject of one line', () => {
      const { subject } = toMail(hostileNotes());
      assert.doesNotMatch(subject, /[\r\n]/);
      assert.match(subject, /Bcc: all@example\.org 20261123_01 released$/);
    });

    it('stand in a clear signature as they are', async () => {
      await makeInstanceKey(s.step, s.folder);
      const { fingerprint } = await readKey(s.step, instanceKeyFile(s.folder));
      await writeFile(s.at('mail.txt'), text);
      await s.step.run(clearSignCommand(signingHome(s.folder), fingerprint, s.at('mail.txt')));
      const signed = await readFile(s.at('mail.txt.asc'), 'utf8');
      assert.ok(signed.includes(`\n\n${text}-----BEGIN PGP SIGNATURE-----`));
    });

    it('tell an architecture that is new from one without changes', () => {
      const { changes, ...fresh } = { ...tinyArch!, architecture: 'aarch64' as const };
      const { text: both } = toMail({ ...tinyNotes, architectures: [{ ...tinyArch!, changes: [] }, fresh] });
      assert.ok(both.includes('\nx86_64:\n  No package changed.\naarch64:\n  New in this release.\n'));
    });

    it('name at most 40 packages and say how many more there are', () => {
      const many = Array.from({ length: 100 }, (_, n) => ({
        change: [`p${n}`, 0, { NewPackage: [`p${n}`, '1-1', 'noarch'] }] as [
          string,
          0,
          { NewPackage: [string, string, string] },
        ],
        changelog: [],
      }));
      const lines = toMail(withArch({ changes: many })).text.split('\n');
      assert.equal(lines.filter((line) => line.startsWith('  added p')).length, 39);
      assert.ok(lines.includes(`  and 61 more: ${tinyNotes.page}`));
      const all = toMail(withArch({ changes: many.slice(0, 40) })).text;
      assert.equal(all.match(/\n {2}added p/g)?.length, 40);
      assert.doesNotMatch(all, / more:/);
    });
  });

  describe('in the feed', () => {
    /** What a real parser makes of it: [tag, attributes, text] of each element. */
    async function parsed(feed: string): Promise<[string, Record<string, string>, string][]> {
      const program =
        'import json,sys,xml.etree.ElementTree as e\n' +
        'json.dump([[n.tag.split("}")[1],n.attrib,n.text or ""] for n in e.fromstring(sys.stdin.buffer.read()).iter()],sys.stdout)';
      const { stdout } = await s.step.run(['python3', '-I', '-c', program], { input: feed, capture: 'all' });
      return JSON.parse(stdout) as [string, Record<string, string>, string][];
    }
    const values = (elements: Awaited<ReturnType<typeof parsed>>, tag: string) =>
      elements.filter(([name]) => name === tag).map(([, , text]) => text);
    const release = (build: string, released: string): FeedItem => ({
      notes: { ...tinyNotes, build, time: released, page: `${tinyNotes.url}/releases/${build}/index.html` },
    });

    it('are well-formed, whatever is in them', async () => {
      const notes = hostileNotes();
      const elements = await parsed(toFeed([{ notes }], { ...feedFacts, title: notes.stream.title }));
      assert.equal(elements.filter(([tag]) => tag === 'entry').length, 1);
      assert.match(
        values(elements, 'title')[1]!,
        /^T \|\|<<Include.*\]\]> --> Bcc: all@example\.org 20261123_01$/,
      );
    });

    it('have what Atom asks for, the newest first, with ids that stay', async () => {
      const items = [
        release('20261026_01', '2026-10-27T10:00:00.000Z'),
        release('20261123_01', '2026-11-24T10:00:00.000Z'),
      ];
      const elements = await parsed(toFeed(items, feedFacts));
      const entries = ['20261123_01', '20261026_01'].map(
        (build) => `${tinyNotes.url}/releases/${build}/index.html`,
      );
      assert.deepEqual(values(elements, 'id'), [`${tinyNotes.url}/releases.atom`, ...entries]);
      assert.deepEqual(values(elements, 'updated'), [
        '2026-11-24T10:00:00.000Z',
        '2026-11-24T10:00:00.000Z',
        '2026-10-27T10:00:00.000Z',
      ]);
      assert.deepEqual(values(elements, 'name'), ['Tiny Atomic Host']);
      assert.deepEqual(values(elements, 'summary'), [summaryOf(tinyNotes), summaryOf(tinyNotes)]);
      assert.deepEqual(
        elements.filter(([tag]) => tag === 'link').map(([, { rel, href }]) => [rel, href]),
        [
          ['self', `${tinyNotes.url}/releases.atom`],
          ['alternate', `${tinyNotes.url}/index.html`],
          ...entries.map((page) => ['alternate', page]),
        ],
      );
    });

    it('tell of a rollback, which makes an entry new', async () => {
      const item = release('20261123_01', '2026-11-24T10:00:00.000Z');
      const back = { at: '2026-11-26T08:00:00.000Z', to: '20261026_01', reason: 'It does <not> boot.' };
      const treeline = {
        released: '2026-11-24T11:00:00.000Z',
        ref: 'x',
        page: 'x',
        former: null,
        approvers: [],
        'rolled-back': back,
      };
      const entry = { version: '20261123_01', metadata: 'x', commits: [], treeline };
      const elements = await parsed(toFeed([{ ...item, entry }], feedFacts));
      assert.deepEqual(values(elements, 'updated'), [back.at, back.at]);
      assert.deepEqual(values(elements, 'published'), ['2026-11-24T11:00:00.000Z']);
      assert.match(values(elements, 'summary')[0]!, /^Rolled back to 20261026_01: It does <not> boot\. /);
    });

    it('hold the 50 newest, and none where there is none', async () => {
      const items = Array.from({ length: 60 }, (_, n) =>
        release(
          `202601${String((n % 28) + 1).padStart(2, '0')}_0${1 + Math.floor(n / 28)}`,
          new Date(Date.UTC(2026, 0, n + 1)).toISOString(),
        ),
      );
      assert.equal(values(await parsed(toFeed(items, feedFacts)), 'published').length, 50);
      assert.deepEqual(values(await parsed(toFeed([], feedFacts)), 'updated'), ['1970-01-01T00:00:00.000Z']);
    });
  });

  it('say in short what a release brings', () => {
    assert.equal(
      summaryOf(tinyNotes),
      'Follows Fedora build 12 of 2026-11-17. Packages since 20261026_01: 2 upgraded, 1 added, 1 removed. Fixes 1 advisory.',
    );
    assert.equal(summaryOf(bothArchitectures), summaryOf(tinyNotes));
    const { upstream, ...own } = withArch({ changes: [], advisories: [] });
    assert.equal(summaryOf(own), 'Packages since 20261026_01: unchanged.');
    assert.equal(summaryOf({ ...own, former: null }), 'The first release.');
  });
});
