/** A release location with pages: four releases, one of them rolled back, a candidate, a calendar, and hostile names. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CadenceRow } from '../../src/domain/cadence.js';
import type { DecisionRecord, Promotion, StreamView } from '../../src/domain/promotion.js';
import {
  releaseIndex,
  releaseNotes,
  type ReleaseEntry,
  type ReleaseIndex,
  type ReleaseNotes,
} from '../../src/domain/release.js';
import type { ReleasesInput, ReleaseStreamFacts } from '../../src/pages/types.js';
import { writeReleasePages } from '../../src/pages/write.js';
import { hash, hostile } from './packages.js';
import { fixedBuild, security } from './security-site.js';
import { newer, older, stream as builds } from './site.js';

const fingerprint = 'C99E737D7BC92E56D61C12796231C6DFCC378F33';
const url = 'http://127.0.0.1:8470/releases/sample';
export const approvers = ['Alice Arbor', 'Bob Birch', 'Carol Cedar', hostile];
export const candidate = newer;
export const backed = '20260930_02';
export const former = '20260928_01';
export const current = '20261026_01';
export const generated = '2026-11-23T20:15:00Z';

export const stream: ReleaseStreamFacts = {
  ...builds,
  ref: 'sample/${arch}/release',
  url,
  architectures: ['x86_64', 'aarch64'],
  fingerprint,
  builds: '../../buildlogs/sample/',
  // Signed builds have pages like those of others.
  testing: '../../buildlogs/sample/',
  security: true,
};

const back = {
  at: '2026-09-30T18:40:00Z',
  to: former,
  reason: `Machines with two disks do not boot. ${hostile}`,
};

const entry = (version: string, released: string, before: string | null): ReleaseEntry => ({
  version,
  metadata: `${url}/releases/${version}/release.json`,
  commits: stream.architectures.map((architecture) => ({
    architecture,
    checksum: hash(version + architecture),
  })),
  treeline: {
    released,
    ref: 'sample/${arch}/release',
    page: `${url}/releases/${version}/index.html`,
    former: before,
    approvers: ['Alice Arbor', 'Bob Birch'],
    ...(version === backed ? { 'rolled-back': back } : {}),
  },
});

export const index: ReleaseIndex = releaseIndex.parse({
  stream: 'sample',
  metadata: { 'last-modified': generated },
  releases: [
    entry('20260803_01', '2026-08-04T10:01:00Z', null),
    entry(former, '2026-09-29T09:30:00Z', '20260803_01'),
    entry(backed, '2026-09-30T15:12:00Z', former),
    entry(current, '2026-10-27T11:48:00Z', former),
  ],
});

const row = (due: string, windowFrom: string, number: number, rest: Partial<CadenceRow>): CadenceRow => ({
  due,
  windowFrom,
  upstream: { number, date: windowFrom, from: 'rule' },
  state: 'coming',
  ...rest,
});

export const calendar: readonly CadenceRow[] = [
  row('2026-08-04', '2026-07-28', 61, { state: 'released', release: '20260803_01' }),
  row('2026-09-01', '2026-08-25', 63, { state: 'missed' }),
  row('2026-09-29', '2026-09-22', 65, {
    state: 'released',
    release: former,
    upstream: { number: 65, date: '2026-09-23', from: 'list' },
  }),
  row('2026-10-27', '2026-10-20', 68, {
    state: 'released',
    release: current,
    upstream: { number: 68, date: '2026-10-21', from: 'override' },
  }),
  row('2026-11-24', '2026-11-17', 70, { state: 'due' }),
  row('2026-12-22', '2026-12-15', 72, {}),
  row('2027-01-19', '2027-01-12', 74, {}),
];

const alice = {
  approver: 'Alice Arbor',
  fingerprint: '8F1A5D0C44B7E0136E2B9A7D3C55F0E1D2A9B6C4',
  nonce: hash('alice').slice(0, 32),
  at: '2026-11-23T09:05:00Z',
};

export const proposed: Promotion = {
  build: candidate,
  phase: 'proposed',
  proposedBy: 'schedule',
  proposedAt: '2026-11-23T06:00:00Z',
  onto: current,
  approvals: [alice],
  needed: 2,
  missing: approvers.slice(1),
  expires: '2026-12-21T06:00:00Z',
};

/** Its third attempt at a signed rebuild waits for a decision. */
export const rebuilt: Promotion = {
  ...proposed,
  ...{
    build: older,
    phase: 'deciding',
    proposedBy: 'Alice Arbor',
    missing: ['Carol Cedar', hostile],
  },
  approvals: [alice, { ...alice, approver: 'Bob Birch' }],
  votesNeeded: { release: 2, redo: 1, rework: 1, accept: 1, abandon: 1 },
  votes: {
    release: [{ ...alice, onto: current, signed: candidate, reason: `boots ${hostile}` }],
    redo: [{ ...alice, approver: 'Bob Birch', onto: current, reuse: false }],
  },
  attempts: [
    {
      ...{ number: 1, kind: 'first', reuse: true, state: 'failed' },
      ...{
        began: '2026-11-21T08:00:00Z',
        ended: '2026-11-21T09:30:00Z',
        note: 'SourceMissing: vim <b>8</b>',
      },
    },
    {
      ...{ number: 2, kind: 'redo', reuse: true, state: 'cancelled', build: '20261121_04' },
      ...{ began: '2026-11-21T10:00:00Z', ended: '2026-11-21T10:05:00Z' },
    },
    {
      ...{ number: 3, kind: 'rework', reuse: false, state: 'testing', build: candidate },
      changes: { pin: { netbase: `6.5-1.noarch` }, drop: [hostile], files: 'current' },
      ...{ began: '2026-11-22T08:00:00Z', ended: '2026-11-22T11:00:00Z' },
    },
  ],
};

const history: readonly DecisionRecord[] = [
  {
    at: '2026-11-23T12:31:00Z',
    decision: 'approve',
    build: candidate,
    by: hostile,
    fingerprint: hash('mallory').slice(0, 40).toUpperCase(),
    refused: 'The key is not one of the stream’s approvers.',
  },
  { at: alice.at, decision: 'approve', build: candidate, by: alice.approver, fingerprint: alice.fingerprint },
  { at: '2026-11-23T06:00:00Z', decision: 'promote', build: candidate, by: 'schedule' },
  {
    at: back.at,
    decision: 'rollback',
    build: backed,
    by: 'Bob Birch',
    fingerprint: hash('bob').slice(0, 40).toUpperCase(),
    reason: back.reason,
  },
];

export const view: StreamView = {
  stream: 'sample',
  current,
  promotions: [proposed, rebuilt],
  inWork: null,
  released: [],
  vetoes: [{ build: '20261121_01', by: 'Carol Cedar', fingerprint: alice.fingerprint }],
  history,
};

export const input: ReleasesInput = {
  generated,
  stream,
  index,
  view,
  approvers,
  calendar,
  upstream: 'Fedora',
};

/** Nothing has happened yet, and nothing is planned. */
export const blank: ReleasesInput = {
  ...input,
  index: { ...index, releases: [] },
  view: { ...view, current: null, promotions: [], vetoes: [], history: [] },
  calendar: [],
};

const changelog = [
  {
    time: '2026-10-02T12:00:00Z',
    author: 'Dora Douglas <dora@example.org> - 3.0.17-3',
    text: `- Fix CVE-2026-1001: out-of-bounds read\n- Resolves: #4711 ${hostile}`,
  },
  { time: '2026-09-20T12:00:00Z', author: 'Dora Douglas <dora@example.org> - 3.0.17-2', text: '- Rebuild' },
];

const notesOf = (architecture: 'x86_64' | 'aarch64'): ReleaseNotes['architectures'][number] => {
  const base = `${url}/builds/${current}/${architecture}`;
  const package_ = (name: string, version: string): [string, string, string] => [name, version, architecture];
  const images = (['qcow2', 'vagrant-libvirt'] as const).map((kind) => {
    const file = `sample-${current}-${kind}+a b.${architecture}.img`;
    return {
      kind,
      file,
      url: `${base}/${encodeURIComponent(file)}`,
      signature: `${base}/${encodeURIComponent(`${file}.sig`)}`,
      sha256: hash(file),
      size: kind === 'qcow2' ? 498_073_600 : 512_000_000,
      bootTest: kind === 'qcow2' ? 'passed' : 'not tried on this host',
    };
  });
  return {
    architecture,
    ref: `sample/${architecture}/release`,
    commit: hash(current + architecture),
    packages: 211,
    images,
    checksums: `${base}/sha256sum.txt.asc`,
    changes: [
      {
        change: [
          'openssl',
          2,
          {
            PreviousPackage: package_('openssl', '1:3.0.17-1'),
            NewPackage: package_('openssl', '1:3.0.17-3'),
          },
        ],
        changelog,
      },
      {
        change: [
          'jq',
          3,
          { PreviousPackage: package_('jq', '1.7-1'), NewPackage: package_('jq', '1.6-2.1') },
        ],
        changelog: [],
      },
      { change: [hostile, 0, { NewPackage: package_(hostile, '1-1') }], changelog: [] },
      { change: ['nano', 1, { PreviousPackage: package_('nano', '7.2-1') }], changelog: [] },
    ],
    advisories: [
      {
        id: 'SAMPLE-2026-0007',
        title: 'A minor thing',
        type: 'bugfix',
        severity: 'Low',
        references: [{ id: '#4711' }],
        packages: ['jq'],
      },
      {
        id: 'SAMPLE-2026-0004',
        title: `openssl security update ${hostile}`,
        type: 'security',
        severity: 'Important',
        references: [
          { id: 'CVE-2026-1001', href: 'https://cve.example.org/CVE-2026-1001' },
          { id: 'CVE-2026-1002', href: 'javascript:alert(1)' },
        ],
        packages: ['openssl', ...(architecture === 'aarch64' ? ['openssl-libs'] : [])],
      },
    ],
  };
};

export const notes: ReleaseNotes = releaseNotes.parse({
  stream,
  build: current,
  former,
  time: '2026-10-27T11:40:00Z',
  url,
  page: `${url}/releases/${current}/index.html`,
  signingKey: {
    fingerprint,
    user: 'Sample signing key <sample@example.org>',
    url: `${url}/signing-key.asc`,
  },
  approvers: ['Alice Arbor', 'Bob Birch'],
  upstream: { name: 'Fedora', number: 68, date: '2026-10-21' },
  knownIssues: [
    'The first boot takes two minutes longer on machines without a hardware random number generator.',
    hostile,
  ],
  architectures: [notesOf('x86_64'), notesOf('aarch64')],
});

export const backedNotes: ReleaseNotes = { ...notes, build: backed, former };

/** Beside a release's page. */
export const documents = [
  'notes.md', 'notes.json', 'download.md', 'download.moin', 'announcement.txt', 'release.json',
]; // prettier-ignore

/** Writes the location into `releases/sample` of a folder of its own; every file that a page links to exists. */
export async function makeReleaseSite(): Promise<{ root: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'treeline-releases-'));
  const dir = join(root, 'releases/sample');
  const put = async (path: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), path);
  };
  for (const file of ['releases.json', 'stream.json', 'releases.atom', 'signing-key.asc'])
    await put(`releases/sample/${file}`);
  for (const { version } of index.releases)
    for (const file of ['index.html', ...documents]) await put(`releases/sample/releases/${version}/${file}`);
  for (const { images, checksums = '' } of notes.architectures)
    for (const address of [checksums, ...images.flatMap((image) => [image.url, image.signature])])
      await put(decodeURIComponent(new URL(address).pathname));
  await put(`releases/sample/releases/${fixedBuild}/index.html`);
  await put('index.html');
  await put('buildlogs/sample/index.html');
  for (const arch of stream.architectures)
    for (const build of [candidate, older]) await put(`buildlogs/sample/builds/${build}/${arch}/index.html`);
  await writeReleasePages(dir, {
    ...{ ...input, security },
    pages: [{ notes }, { notes: backedNotes, next: current, rolledBack: back }],
  });
  return { root, remove: () => rm(root, { recursive: true, force: true }) };
}
