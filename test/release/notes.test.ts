/** Release notes from real packages in real commits, and real repo metadata. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import type { Host } from '../../src/host.js';
import { Failure } from '../../src/domain/failures.js';
import { releaseNotes, type ReleaseNotes } from '../../src/domain/release.js';
import { streamSchema, type Stream } from '../../src/domain/stream.js';
import {
  detachSignCommand,
  instanceKeyFile,
  makeInstanceKey,
  readKey,
  signingHome,
} from '../../src/keys/gpg.js';
import { makeNotes, type NotesInput } from '../../src/release/notes.js';
import { readSettings } from '../../src/settings.js';
import { Store, writeJson } from '../../src/store/store.js';
import { serve, type WebServer } from '../../src/web/serve.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { hostile } from './notes-fixture.js';

const [former, build] = ['20261026_01', '20261123_01'];
const run = { stream: 'tiny', run: 'release-run' };

/** `[epoch:]version-release`; those with a changelog are in a spec file of their own, for it is the spec's. */
const packages = {
  old: { same: '1-1', gone: '1:2-3', down: '2.0-1', epoch: '9-1', tilde: '1.0~rc1-1', logged: '1.9-1' },
  new: {
    same: '1-1',
    fresh: '2-1',
    down: '1.9-1',
    epoch: '1:1-1',
    tilde: '1.0-1',
    logged: '1.10-1',
    noted: '1-1',
  },
};
const oldLog = '* Mon Oct 05 2026 Ada <ada@example.org> - 1.9-1\n- older\n';
const sameDay = `* Mon Oct 05 2026 Eve ${hostile.replace(/[\r\n\0]|\ud800/g, ' ').replaceAll('%', '%%')}\n- on the same day\n`;
const longLog = Array.from(
  { length: 30 },
  (_, n) => `* Sun Nov 01 2026 Grace - 1.10-0.${30 - n}\n- ${'long '.repeat(n === 0 ? 1000 : 1)}\n`,
);
const changelogs = { old: oldLog, new: `${longLog.slice(0, 15).join('')}${sameDay}${oldLog}` };

/** Fixes: id, package, version, release, epoch, arch. */
const fixes = [
  ['TINY-1', 'logged', '1.10', '1', '0', 'noarch'],
  ['TINY-2-old-has-it', 'logged', '1.9', '1', '0', 'noarch'],
  ['TINY-3-later', 'logged', '1.11', '1', '0', 'noarch'],
  ['TINY-4-epoch', 'epoch', '10', '1', '0', 'noarch'],
  ['TINY-5-tilde', 'tilde', '1.0~rc2', '1', '0', 'noarch'],
  ['TINY-6-fresh', 'fresh', '2', '1', '0', 'noarch'],
  ['TINY-7-down', 'down', '1.95', '1', '0', 'noarch'],
  ['TINY-8-arch', 'logged', '1.10', '1', '0', 'x86_64'],
] as const;
const updateinfo = (list: readonly (typeof fixes)[number][], title = 'A fix') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<updates>${list
    .map(
      ([
        id,
        name,
        version,
        release,
        epoch,
        arch,
      ]) => `<update from="x" status="stable" type="security" version="1">
  <id>${id}</id><title>${title}</title><issued date="2026-11-01 00:00:00"/><severity>Important</severity>
  <references><reference href="https://example.org/CVE-2026-1" id="CVE-2026-1" type="cve"/>
    <reference href="javascript:alert(1)" id="12" type="bugzilla"/></references>
  <pkglist><collection short="x"><name>x</name><package name="${name}" version="${version}" release="${release}"
    epoch="${epoch}" arch="${arch}" src="x.src.rpm"><filename>x.rpm</filename></package></collection></pkglist>
</update>`,
    )
    .join('\n')}</updates>`;

describe('release notes', function () {
  let s: Scratch;
  let host: Host;
  let web: WebServer;
  let stream: Stream;

  const meta = (commit: string) => ({
    name: 'tiny',
    buildid: build,
    architecture: 'x86_64',
    ref: 'tiny/x86_64/nightly',
    'ostree-commit': commit,
    'ostree-version': build,
    'ostree-timestamp': '2026-11-23T00:00:00Z',
    images: { qcow2: { path: 'tiny.qcow2', sha256: 'ab'.repeat(32), size: 7, signature: 'tiny.qcow2.asc' } },
    treeline: {
      'input-hash': 'ab'.repeat(32),
      composer: 'dnf',
      key: '',
      packages: 7,
      tests: { boot: { qcow2: { outcome: 'flaky', attempts: [] } } },
      steps: [],
      lockfile: 'lockfile.json',
      checksums: 'sha256sum.txt.asc',
      logs: [],
    },
  });
  const input = (change: Partial<NotesInput> = {}): NotesInput => ({
    ...{ stream, build, former, run, approvers: ['Ada', 'Grace'], now: new Date('2026-11-24T10:00:00Z') },
    ...change,
  });
  const notes = (change?: Partial<NotesInput>) => makeNotes(host, s.step, input(change));
  const withRepos = (...repos: Partial<Stream['repos'][number]>[]): Stream => ({
    ...stream,
    repos: repos.map((repo, n) => ({
      ...{ id: `repo-${n}`, baseurl: '', gpgKeys: [stream.signingKey], metadataSigned: false, ...repo },
    })),
  });
  const archOf = ({ architectures }: ReleaseNotes) => architectures[0]!;

  /** Builds the RPMs of one side, their database and a commit of it in `repo`. */
  async function commitOf(side: 'old' | 'new', repo: string): Promise<string> {
    const logged = (name: string) => name === 'logged' || name === 'noted';
    const specs = [false, true].map((log) => {
      const parts = Object.entries(packages[side])
        .filter(([name]) => logged(name) === log)
        .map(([name, evr]) => {
          const [, epoch, version, release] = /^(?:(\d+):)?([^-]+)-(.+)$/.exec(evr)!;
          return `%package -n ${name}\nSummary: x\n${epoch ? `Epoch: ${epoch}\n` : ''}Version: ${version}\nRelease: ${release}\n%description -n ${name}\nx\n%files -n ${name}\n`;
        });
      return `Name: none\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\nx\n${parts.join('')}${log ? `%changelog\n${changelogs[side]}` : ''}`;
    });
    for (const [n, spec] of specs.entries()) {
      const file = await s.write(`${side}/${n}.spec`, spec);
      await s.step.run(['rpmbuild', '-bb', '--quiet', '--define', `_topdir ${s.at(side)}`, file]);
    }
    const files = (await readdir(s.at(side, 'RPMS/noarch'))).map((rpm) => s.at(side, 'RPMS/noarch', rpm));
    const database = s.at(`${side}-tree/usr/share/rpm`);
    await mkdir(database, { recursive: true });
    await s.step.run([
      'rpm',
      '--dbpath',
      database,
      '--justdb',
      '--nodeps',
      '--noscripts',
      '--install',
      ...files,
    ]);
    await s.step.run(['ostree', `--repo=${repo}`, 'init', '--mode=archive']);
    const { stdout } = await s.step.run([
      ...(['ostree', `--repo=${repo}`, 'commit', '--orphan', `--tree=dir=${s.at(`${side}-tree`)}`] as const),
    ]);
    return stdout.trim();
  }

  /** A repo of the new packages, with this updateinfo as modifyrepo_c writes it. */
  async function repoOf(name: string, xml?: string, compression = 'gz'): Promise<string> {
    const folder = s.at('www', name);
    await cp(s.at('new/RPMS/noarch'), folder, { recursive: true });
    await s.step.run(['createrepo_c', '--quiet', folder]);
    if (xml === undefined) return folder;
    const file = await s.write(`${name}-updateinfo.xml`, xml);
    const options = ['--mdtype=updateinfo', `--compress-type=${compression}`];
    await s.step.run(['modifyrepo_c', ...options, file, `${folder}/repodata`]);
    return folder;
  }
  const updateinfoFile = async (folder: string) =>
    `${folder}/repodata/${(await readdir(`${folder}/repodata`)).find((name) => name.includes('updateinfo'))}`;
  /** The advisories' ids of repos by their folders below `www`, read as files. */
  const idsOf = async (...folders: string[]) =>
    archOf(
      await notes({ stream: withRepos(...folders.map((folder) => ({ baseurl: `file://${folder}` }))) }),
    ).advisories.map(({ id }) => id);

  before(async () => {
    s = await makeScratch('notes');
    host = { settings: readSettings({ TREELINE_STATE: s.folder }), store: new Store(s.folder) };
    await mkdir(s.at('www'));
    web = await serve({ root: s.at('www'), port: 0 });
    await makeInstanceKey(s.step, s.folder);
    const place = { location: s.at('www/tiny'), url: 'https://example.org/tiny/' };
    stream = streamSchema.parse({
      ...{ name: 'tiny', title: 'Tiny', description: 'Small.', osname: 'tinyos', composer: 'dnf' },
      ...{
        treefile: '/none',
        ref: 'tiny/${arch}/nightly',
        releasever: '1',
        signingKey: instanceKeyFile(s.folder),
      },
      repos: [{ id: 'none', baseurl: `file://${s.at('www/none')}`, gpgKeys: ['/none'] }],
      publish: { buildlogs: place, release: place },
      release: {
        ref: 'tiny/${arch}/stable',
        approvers: [{ name: 'Ada', key: '/none' }],
        knownIssues: await s.write('issues.txt', '\r\nThe first\n  of them.\n\n \n\nThe second.\n'),
      },
    });
    const { store } = host;
    await mkdir(store.releases('tiny'), { recursive: true });
    // Each in another repo: the former release's commit may have gone from the staging repo.
    const old = await commitOf('old', store.releaseRepo('tiny'));
    const recent = await commitOf('new', store.repo('tiny'));
    await s.write(`store/tiny/ids/${build}`, 'build-run\n');
    await writeJson(
      `${store.archDir({ stream: 'tiny', run: 'build-run' }, 'x86_64')}/build/meta.json`,
      meta(recent),
    );
    await writeJson(`${store.releaseDir('tiny', former)}/x86_64/meta.json`, meta(old));
    await repoOf('none');
  });
  after(async () => {
    await web.close();
    await s.remove();
  });

  it('has the facts of the build, with the addresses at the release location', async () => {
    const made = releaseNotes.parse(
      await notes({ upstream: { name: 'Fedora', number: 3, date: '2026-11-17' } }),
    );
    const url = 'https://example.org/tiny';
    const key = await readKey(s.step, stream.signingKey);
    assert.deepEqual(
      { ...made, architectures: [] },
      {
        stream: { name: 'tiny', title: 'Tiny', description: 'Small.', osname: 'tinyos' },
        ...{ build, former, time: '2026-11-24T10:00:00.000Z', url, approvers: ['Ada', 'Grace'] },
        page: `${url}/releases/${build}/index.html`,
        signingKey: { fingerprint: key.fingerprint, user: key.user, url: `${url}/signing-key.asc` },
        upstream: { name: 'Fedora', number: 3, date: '2026-11-17' },
        knownIssues: ['The first of them.', 'The second.'],
        architectures: [],
      },
    );
    const arch = archOf(made);
    assert.equal(arch.ref, 'tiny/x86_64/stable');
    assert.equal(arch.packages, 7);
    assert.equal(arch.checksums, `${url}/builds/${build}/x86_64/sha256sum.txt.asc`);
    assert.deepEqual(arch.images, [
      {
        ...{ kind: 'qcow2', file: 'tiny.qcow2', sha256: 'ab'.repeat(32), size: 7, bootTest: 'flaky' },
        url: `${url}/builds/${build}/x86_64/tiny.qcow2`,
        signature: `${url}/builds/${build}/x86_64/tiny.qcow2.asc`,
      },
    ]);
  });

  it('compares packages as RPM does', async () => {
    const { changes } = archOf(await notes());
    assert.deepEqual(
      changes?.map(({ change: [name, kind, { PreviousPackage, NewPackage }] }) => [
        name,
        kind,
        PreviousPackage?.[1],
        NewPackage?.[1],
      ]),
      [
        ['down', 3, '2.0-1', '1.9-1'],
        ['epoch', 2, '9-1', '1:1-1'],
        ['fresh', 0, undefined, '2-1'],
        ['gone', 1, '1:2-3', undefined],
        ['logged', 2, '1.9-1', '1.10-1'],
        ['noted', 0, undefined, '1-1'],
        ['tilde', 2, '1.0~rc1-1', '1.0-1'],
      ],
    );
  });

  it('has the changelog entries that the former package lacked, newest first, also of its last day', async () => {
    const { changes = [] } = archOf(await notes());
    const entries = new Map(changes.map(({ change, changelog }) => [change[0], changelog]));
    const logged = entries.get('logged')!;
    assert.equal(logged.length, 16);
    assert.equal(logged[0]?.author, 'Grace - 1.10-0.30');
    assert.equal(logged[0].text.length, 2000);
    assert.deepEqual(
      { ...logged[1] },
      { time: '2026-11-01T12:00:00Z', author: 'Grace - 1.10-0.29', text: '- long' },
    );
    assert.match(logged[15]!.author, /^Eve \|\|<<Include/);
    assert.equal(logged[15]!.text, '- on the same day');
    for (const name of ['tilde', 'fresh', 'noted', 'gone']) assert.deepEqual(entries.get(name), [], name);
  });

  it('has at most 20 entries of a package', async () => {
    const saved = changelogs.new;
    changelogs.new = longLog.join('');
    try {
      const repo = s.at('many');
      await rm(s.at('new-tree'), { recursive: true });
      const commit = await commitOf('new', repo);
      await s.step.run(['ostree', `--repo=${host.store.repo('tiny')}`, 'pull-local', repo, commit]);
      await s.write('store/tiny/ids/20261123_02', 'many-run\n');
      const file = `${host.store.archDir({ stream: 'tiny', run: 'many-run' }, 'x86_64')}/build/meta.json`;
      await writeJson(file, meta(commit));
      const { changes } = archOf(await notes({ build: '20261123_02' }));
      assert.equal(changes?.find(({ change }) => change[0] === 'logged')?.changelog.length, 20);
    } finally {
      changelogs.new = saved;
    }
  });

  it('of a first release, and of an architecture new in it, names no changes and no advisories', async () => {
    const repo = await repoOf('first', updateinfo(fixes));
    for (const before of [null, '20250101_01']) {
      const arch = archOf(await notes({ former: before, stream: withRepos({ baseurl: `file://${repo}` }) }));
      assert.equal(arch.changes, undefined);
      assert.deepEqual(arch.advisories, []);
    }
  });

  for (const compression of ['gz', 'xz', 'bz2'])
    it(`names the advisories that it fixes, from updateinfo in ${compression}`, async () => {
      const repo = await repoOf(compression, updateinfo(fixes), compression);
      assert.match(await updateinfoFile(repo), new RegExp(`\\.${compression}$`));
      assert.deepEqual(await idsOf(repo), ['TINY-1', 'TINY-4-epoch', 'TINY-5-tilde']);
    });

  it('reads updateinfo that is not packed, over HTTP, with all that an advisory says', async () => {
    const repo = await repoOf('plain');
    const file = await s.write(
      'updateinfo.xml',
      updateinfo(
        fixes.slice(0, 1),
        hostile.replace(/[^ -~]/g, '').replace(/[<>&]/g, (c) => `&#${c.charCodeAt(0)};`),
      ),
    );
    await s.step.run(['modifyrepo_c', '--no-compress', file, `${repo}/repodata`]);
    const { advisories } = archOf(await notes({ stream: withRepos({ baseurl: `${web.url}/plain` }) }));
    const { title, ...rest } = advisories[0]!;
    assert.equal(advisories.length, 1);
    assert.match(title, /^\|\|<<Include\(FrontPage\)>>/);
    assert.ok(title.length <= 300);
    assert.deepEqual(rest, {
      ...{ id: 'TINY-1', type: 'security', severity: 'Important', packages: ['logged'] },
      references: [{ id: 'CVE-2026-1', href: 'https://example.org/CVE-2026-1' }, { id: '12' }],
    });
  });

  it('joins the advisories of several repos', async () => {
    const one = await repoOf('one', updateinfo([fixes[0]]));
    const other = await repoOf(
      'other',
      updateinfo([['TINY-1', 'tilde', '1.0', '1', '0', 'noarch'] as never, fixes[3]]),
    );
    const repos = withRepos(
      { baseurl: `file://${one}` },
      { baseurl: `file://${s.at('www/none')}` },
      { baseurl: `file://${other}` },
    );
    const { advisories } = archOf(await notes({ stream: repos }));
    assert.deepEqual(
      advisories.map(({ id, packages: names }) => [id, names]),
      [
        ['TINY-1', ['logged', 'tilde']],
        ['TINY-4-epoch', ['epoch']],
      ],
    );
  });

  it('verifies the signature of a repo that is signed', async () => {
    const repo = await repoOf('signed', updateinfo(fixes.slice(0, 1)));
    const { fingerprint } = await readKey(s.step, stream.signingKey);
    await s.step.run(detachSignCommand(signingHome(s.folder), fingerprint, `${repo}/repodata/repomd.xml`));
    const signed = { baseurl: `file://${repo}`, metadataSigned: true };
    assert.equal(archOf(await notes({ stream: withRepos(signed) })).advisories.length, 1);
    await writeFile(
      `${repo}/repodata/repomd.xml`,
      `${await readFile(`${repo}/repodata/repomd.xml`, 'utf8')}\n`,
    );
    assert.equal(archOf(await notes({ stream: withRepos(signed) })).advisories.length, 0);
  });

  describe('whose updateinfo is broken', () => {
    const lines: string[] = [];
    /** The notes are made, with the other repo's advisory, and the log says why this one gave none. */
    async function goesOn(baseurl: string, why: RegExp) {
      lines.length = 0;
      const good = await repoOf('good', updateinfo([fixes[3]]));
      const repos = withRepos({ baseurl }, { baseurl: `file://${good}` });
      const step = { ...s.step, note: (line: string) => void lines.push(line) };
      const { advisories } = archOf(await makeNotes(host, step, input({ stream: repos })));
      assert.deepEqual(
        advisories.map(({ id }) => id),
        ['TINY-4-epoch'],
      );
      assert.equal(lines.length, 1);
      assert.match(lines[0]!, /^repo-0: no advisories from this repo: /);
      assert.match(lines[0]!, why);
    }

    it('goes on when it is cut off', async () => {
      const text = updateinfo(fixes);
      await goesOn(
        `file://${await repoOf('cut', text.slice(0, text.length - 100))}`,
        /updateinfo is broken: no element found|unclosed/,
      );
    });

    it('goes on when it blows up on reading', async () => {
      const laughs = Array.from(
        { length: 12 },
        (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`,
      ).join('');
      const bomb = `<?xml version="1.0"?><!DOCTYPE updates [<!ENTITY l0 "ha">${laughs}]>${updateinfo(fixes, '&l12;').replace(/^<\?.*\n/, '')}`;
      await goesOn(`file://${await repoOf('laughs', bomb)}`, /updateinfo is broken: .*amplification/);
    });

    it('goes on when it is not the file that repomd.xml names', async () => {
      const repo = await repoOf('changed', updateinfo(fixes));
      await writeFile(
        await updateinfoFile(repo),
        await readFile(await updateinfoFile(await repoOf('x', updateinfo(fixes.slice(0, 1))))),
      );
      await goesOn(`file://${repo}`, /updateinfo/);
    });

    it('goes on when the repo is away', async () => {
      await goesOn('http://127.0.0.1:9/', /repo-0/);
    });
  });

  it('says what is missing', async () => {
    const without = (change: object) => notes({ stream: { ...stream, ...change } });
    const issues = { ...stream.release!, knownIssues: s.at('nowhere.txt') };
    const fails = (made: Promise<unknown>, code: string, text: RegExp) =>
      assert.rejects(
        made,
        (error) => error instanceof Failure && error.code === code && text.test(error.message),
      );
    await fails(
      without({ release: issues }),
      'StreamInvalid',
      /release\.knownIssues: .*nowhere\.txt: no such file/,
    );
    await fails(
      without({ publish: { buildlogs: stream.publish.buildlogs } }),
      'StreamInvalid',
      /publish\.release: missing/,
    );
    await fails(notes({ build: '20200101_01' }), 'BuildNotReleasable', /20200101_01: .* x86_64/);
    await writeJson(`${host.store.releaseDir('tiny', '20261001_01')}/x86_64/meta.json`, meta('0'.repeat(64)));
    await fails(
      notes({ former: '20261001_01' }),
      'CommitInvalid',
      /^0{64}: its package database cannot be read/,
    );
  });
});
