/** Release notes as facts, small but with everything in them; and the same with text that wants to be markup. */
import type { ReleaseNotes } from '../../src/domain/release.js';

const url = 'https://example.org/atomic';
const build = '20261123_01';
const place = `${url}/builds/${build}/x86_64`;

const bashEntry = {
  time: '2026-11-02T12:00:00Z',
  author: 'Ada <ada@example.org> - 5.2-1',
  text: '- fix a | in `set`\n- new upstream',
};

export const tinyNotes: ReleaseNotes = {
  stream: {
    name: 'tiny',
    title: 'Tiny Atomic Host',
    description: 'A host for containers; see https://example.org/about.',
    osname: 'tiny',
  },
  build,
  former: '20261026_01',
  time: '2026-11-24T10:00:00.000Z',
  url,
  page: `${url}/releases/${build}/index.html`,
  signingKey: {
    fingerprint: '0123456789ABCDEF0123456789ABCDEF01234567',
    user: 'Tiny release key',
    url: `${url}/signing-key.asc`,
  },
  approvers: ['Ada', 'Grace'],
  upstream: { name: 'Fedora', number: 12, date: '2026-11-17' },
  knownIssues: [
    'The first boot takes a minute longer than it should, and there is nothing that anyone can do about it; see https://example.org/issues/7.',
  ],
  architectures: [
    {
      architecture: 'x86_64',
      ref: 'tiny/x86_64/standard',
      commit: 'c0'.repeat(32),
      packages: 200,
      images: [
        {
          kind: 'qcow2',
          file: `tiny-${build}.qcow2`,
          url: `${place}/tiny-${build}.qcow2`,
          signature: `${place}/tiny-${build}.qcow2.asc`,
          sha256: 'ab'.repeat(32),
          size: 300 * 2 ** 20,
          bootTest: 'passed',
        },
      ],
      checksums: `${place}/sha256sum.txt.asc`,
      changes: [
        {
          change: [
            'bash',
            2,
            { PreviousPackage: ['bash', '5.1-1', 'x86_64'], NewPackage: ['bash', '1:5.2~rc1-1', 'x86_64'] },
          ],
          changelog: [bashEntry],
        },
        {
          change: [
            'bash-doc',
            2,
            {
              PreviousPackage: ['bash-doc', '5.1-1', 'noarch'],
              NewPackage: ['bash-doc', '1:5.2~rc1-1', 'noarch'],
            },
          ],
          changelog: [bashEntry],
        },
        { change: ['fresh', 0, { NewPackage: ['fresh', '1-1', 'noarch'] }], changelog: [] },
        { change: ['gone', 1, { PreviousPackage: ['gone', '1-1', 'noarch'] }], changelog: [] },
      ],
      advisories: [
        {
          id: 'TINY-2026:7',
          title: 'bash: escape from a restricted shell',
          type: 'security',
          severity: 'Important',
          references: [
            { id: 'CVE-2026-1000', href: 'https://example.org/CVE-2026-1000' },
            { id: '4711', href: 'https://example.org/bugs?id=4711' },
          ],
          packages: ['bash'],
        },
      ],
    },
  ],
};

/** What a case makes of the tiny release; no repo of it has the second advisory. */
export const tinySecurity: NonNullable<ReleaseNotes['security']> = {
  case: '20261123-1',
  advisories: [
    { id: 'TINY-2026:7', title: 'bash: escape', severity: 'moderate', cves: ['CVE-2026-1000'] },
    {
      ...{ id: 'OSV-2026-9', title: 'bash: another', severity: 'important' },
      ...{ cves: ['CVE-2026-1001', 'CVE-2026-1000'], issued: '2026-11-23T08:00:00Z' },
    },
  ],
};

/** Tries to get out of a cell, a line, a block or a string, in each of the markups, and into headers, links and macros. */
export const hostile =
  '||<<Include(FrontPage)>>{{attachment:x.png}}}}} [[http://evil.example|x]] [x](javascript:alert(1)) ![i](http://evil.example/i) ' +
  '<script>alert("1")</script> & | `code` ```\n```\n= Heading =\n# Heading\n----\n- list\nFrom me\n.\n@SIG@ FrontPage ' +
  'http://evil.example/ www.evil.example a@evil.example \u0000\u0007\u001b[31m\u202e\ud800\ufffe ]]> -->\r\nBcc: all@example.org';

/** The tiny notes with that in every place that is filled by packages and advisories, and in the stream's own words. */
export function hostileNotes(): ReleaseNotes {
  const [arch] = tinyNotes.architectures;
  return {
    ...tinyNotes,
    stream: { ...tinyNotes.stream, title: `T ${hostile}`, description: hostile },
    signingKey: { ...tinyNotes.signingKey, user: hostile },
    approvers: [hostile],
    knownIssues: [hostile],
    architectures: [
      {
        ...arch!,
        changes: [
          {
            change: [
              hostile,
              2,
              { PreviousPackage: [hostile, hostile, hostile], NewPackage: [hostile, hostile, hostile] },
            ],
            changelog: [{ time: '2026-11-02T12:00:00Z', author: hostile, text: hostile }],
          },
        ],
        advisories: [
          {
            id: hostile,
            title: hostile,
            type: hostile,
            severity: hostile,
            references: [
              { id: hostile, href: 'javascript:alert(1)' },
              { id: hostile, href: 'https://example.org/a)|b"<c>[[d]]{{e}}' },
            ],
            packages: [hostile],
          },
        ],
      },
    ],
  };
}
