/** The look for advisories, with repos as createrepo_c makes them, and what they do to it that are broken or hostile. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import type { Considered } from '../../src/domain/security.js';
import { emptyReleases } from '../../src/store/releases.js';
import { readWatch } from '../../src/store/watch-record.js';
import { writeJson } from '../../src/store/store.js';
import { serve } from '../../src/web/serve.js';
import { release, updateinfo, Watched } from './watched.js';

describe('a look for advisories', function () {
  this.timeout('3m');
  let w: Watched;
  beforeEach(async () => void (w = await Watched.make()));
  afterEach(() => w.remove());

  it('compares versions as RPM does, with the current release', async () => {
    /** Released, fixed; is it lacking? */
    const cases = {
      plain: ['5.1-1', '5.1-2', true],
      digits: ['1.9-1', '1.10-1', true],
      same: ['5.1-2', '5.1-2', false],
      newer: ['5.2-1', '5.1-9', false],
      'epoch-released': ['1:2-1', '9-1', false],
      'epoch-fixed': ['9-1', '1:1-1', true],
      'epoch-zero': ['2-1', '0:2-1', false],
      'tilde-released': ['1.0~rc1-1', '1.0-1', true],
      'tilde-fixed': ['1.0-1', '1.0~rc2-1', false],
      'caret-released': ['1.0^git2-1', '1.0^git1-1', false],
      'caret-fixed': ['1.0-1', '1.0^git1-1', true],
      'caret-below-next': ['1.0^git9-1', '1.0.1-1', true],
    } as const;
    const all = Object.entries(cases);
    await w.release(Object.fromEntries(all.map(([name, [is]]) => [name, `${is}.x86_64`])));
    await w.declare({
      base: await w.repo(
        'base',
        all.map(([name, [, evr]]) => ({ id: `A-${name}`, fixes: [[name, evr]] })),
      ),
    });
    const { of, found, failed } = await w.judge();
    assert.deepEqual(failed, []);
    for (const [name, [is, fixed, lacking]] of all) {
      const { verdict, affected: what } = of[`A-${name}`]!;
      assert.equal(verdict, lacking ? 'acted' : 'fixed', name);
      assert.deepEqual(what, lacking ? [{ name, state: 'lacks', released: is, fixed }] : [], name);
      assert.equal(found.includes(`A-${name}`), lacking, name);
    }
  });

  it('lists what it does not act on, with the reason', async () => {
    await w.release({ bash: '5.1-1.x86_64', zlib: '1.2-1.x86_64', doc: '1-1.noarch' });
    await w.declare(
      {
        base: await w.repo('base', [
          {
            id: 'FIX',
            fixes: [
              ['bash', '5.1-2'],
              ['bash-doc', '5.1-2', 'noarch'],
            ],
            severity: 'Critical',
          },
          {
            id: 'NOARCH',
            fixes: [
              ['doc', '2-1', 'noarch'],
              ['bash', '5.1-3'],
            ],
          },
          { id: 'DONE', fixes: [['bash', '5.0-9']] },
          { id: 'GHOST', fixes: [['ghost', '2-1']] },
          {
            id: 'OTHER-ARCH',
            fixes: [
              ['bash', '9-1', 'aarch64'],
              ['bash', '9-1', 'i686'],
              ['bash', '9-1', 'src'],
            ],
          },
          { id: 'LOW', fixes: [['bash', '6-1']], severity: 'Moderate' },
          { id: 'NO-WORD', fixes: [['bash', '6-1']], severity: 'None' },
          { id: 'SIDE', fixes: [['zlib', '1.3-1']] },
          { id: 'NO-SECURITY', fixes: [['bash', '7-1']], type: 'bugfix', title: 'a CVE-2026-7777 in it' },
        ]),
      },
      { core: ['bash', 'doc'] },
    );
    const { of, found } = await w.judge();
    assert.deepEqual(
      Object.values(of)
        .map(({ id, verdict }) => [id, verdict])
        .sort(),
      [
        ['DONE', 'fixed'],
        ['FIX', 'acted'],
        ['GHOST', 'absent'],
        ['LOW', 'below'],
        ['NO-SECURITY', 'acted'],
        ['NO-WORD', 'acted'],
        ['NOARCH', 'acted'],
        ['OTHER-ARCH', 'absent'],
        ['SIDE', 'not-core'],
      ],
    );
    assert.equal(found[0], 'FIX', 'the most severe first');
    assert.deepEqual(found.slice(1).sort(), ['NO-SECURITY', 'NO-WORD', 'NOARCH']);
    assert.equal(found.at(-1), 'NO-WORD', 'what has no severity comes after what is known to be as severe');
    assert.equal(
      of.LOW!.reason,
      'moderate, and the stream acts from important on; the release lacks it: bash',
    );
    assert.equal(of['NO-WORD']!.severity, 'unknown');
    assert.deepEqual(of.LOW!.affected, [{ name: 'bash', state: 'lacks', released: '5.1-1', fixed: '6-1' }]);
    assert.match(of.DONE!.reason, /the release has it: bash-5\.1-1/);
    assert.match(of.SIDE!.reason, /none of the stream's core packages; the release lacks it: zlib/);
    const { verdict: _v, reason: _r, affected: _a, ...advisory } = of.FIX!;
    assert.deepEqual(advisory, {
      ...{ id: 'FIX', title: 'About FIX', severity: 'critical', cves: ['CVE-2026-0001'], source: 'base' },
      issued: '2026-11-20T08:00:00Z',
    });
    const record = await readWatch(w.host.store, 'tiny');
    assert.equal(record?.release, release);
    assert.ok(Date.now() - Date.parse(record.looked) < 120_000);
  });

  it('says nothing of a bugfix that names no CVE', async () => {
    await w.release({ bash: '5.1-1.x86_64' });
    const text = updateinfo([{ id: 'BUG', fixes: [['bash', '6-1']], type: 'bugfix' }]).replace(
      'CVE-2026-0001 in it',
      '',
    );
    await w.declare({ base: await w.repo('base', text) });
    assert.deepEqual((await w.judge()).of, {});
  });

  it('asks for all fixes of an advisory, in the highest version that it names', async () => {
    await w.release({ bash: '5.1-1.el9.x86_64', libs: '1-1.noarch' });
    await w.declare({
      base: await w.repo('base', [
        {
          id: 'A',
          fixes: [
            ['bash', '5.1-3.el9'],
            ['bash', '5.1-2.el9'],
            ['libs', '2-1', 'noarch'],
            ['bash', '6.0-1.el10'],
          ],
        },
      ]),
    });
    const [one] = (await w.look()).found;
    assert.deepEqual(one?.fixes, [
      { name: 'bash', evr: '5.1-3.el9', advisories: ['A'] },
      { name: 'libs', evr: '2-1', advisories: ['A'] },
    ]);
    assert.deepEqual(Object.keys(one.advisory).sort(), [
      'cves',
      'id',
      'issued',
      'severity',
      'source',
      'title',
    ]);
  });

  it('takes an advisory of two repos for one, also of two architectures', async () => {
    await w.release({ bash: '5.1-1.x86_64', zlib: '1-1.x86_64' }, release, ['x86_64']);
    const one = await w.repo('one/x86_64', [{ id: 'A', fixes: [['bash', '5.1-2']], severity: 'Moderate' }]);
    const two = await w.repo('two', [
      { id: 'A', fixes: [['zlib', '1-2']], severity: 'Important', issued: '2026-11-19' },
    ]);
    await w.declare({ one: one.replace(/x86_64$/, '$basearch'), two });
    const { found } = await w.look();
    assert.deepEqual(
      found.map(({ fixes }) => fixes.map(({ name }) => name)),
      [['bash', 'zlib']],
    );
    assert.equal(found[0]?.advisory.severity, 'important');
    assert.equal(found[0].advisory.issued, '2026-11-19T00:00:00Z');
  });

  it('counts a package of any architecture', async () => {
    const { host } = w;
    await w.release({ bash: '5.1-2.x86_64' });
    await w.release({ bash: '5.1-1.aarch64' }, release, ['aarch64']);
    const x86 = await w.repo('base/x86_64', [{ id: 'A', fixes: [['bash', '5.1-2']] }]);
    await w.repo('base/aarch64', [{ id: 'A', fixes: [['bash', '5.1-2', 'aarch64']] }]);
    await w.declare(
      { base: x86.replace(/x86_64$/, '$basearch') },
      {},
      { architectures: ['x86_64', 'aarch64'] },
    );
    assert.deepEqual(
      (await w.look()).found.map(({ fixes }) => fixes.map(({ name, evr }) => `${name}-${evr}`)),
      [['bash-5.1-2']],
    );
    assert.deepEqual((await readdir(host.store.security('tiny'))).sort(), ['cache', 'watch.json']);
  });

  it('sees what has changed since it last looked', async () => {
    await w.release({ bash: '5.1-1.x86_64' });
    await w.repo('base', []);
    const web = await serve({ root: w.s.folder + '/www', port: 0 });
    try {
      await w.declare({ base: `${web.url}/base` });
      assert.deepEqual((await w.judge()).found, []);
      await w.repo('base', [{ id: 'A', fixes: [['bash', '5.1-2']] }]);
      assert.deepEqual((await w.judge()).found, ['A']);
      await w.release({ bash: '5.1-2.x86_64' }, '20261124_01');
      const { of, found } = await w.judge();
      assert.deepEqual([of.A?.verdict, found], ['fixed', []]);
      await web.close();
      const { failed } = await w.judge();
      assert.equal(failed.length, 1);
      assert.match(failed[0]!, /^base: RepoUnreachable: repo base at http.* does not answer/);
    } finally {
      await web.close().catch(() => undefined);
    }
  });

  it('has nothing to look for where nothing is released', async () => {
    await writeJson(`${w.host.store.releasePublished('tiny')}/releases.json`, emptyReleases('tiny'));
    await w.declare({ base: await w.repo('base', [{ id: 'A', fixes: [['bash', '5.1-2']] }]) });
    const { looked: _, ...answer } = await w.look();
    assert.deepEqual(answer, { release: null, found: [], failed: [], news: [] });
    assert.equal(await readWatch(w.host.store, 'tiny'), undefined);
  });

  describe('at a source that is not as it should be', () => {
    /** The other repo's advisory counts, and one line says what is wrong with this one. */
    async function costsOnlyItself(bad: string, why: RegExp): Promise<Record<string, Considered>> {
      await w.release({ bash: '5.1-1.x86_64', zlib: '1-1.x86_64' });
      await w.declare({ bad, good: await w.repo('good', [{ id: 'GOOD', fixes: [['bash', '5.1-2']] }]) });
      const { of, failed, found } = await w.judge();
      assert.equal(failed.length, 1, failed.join('\n'));
      assert.match(failed[0]!, why);
      assert.ok(failed[0]!.length < 400);
      assert.ok(found.includes('GOOD'));
      assert.deepEqual((await readWatch(w.host.store, 'tiny'))?.failed, failed);
      return of;
    }
    const refused = async (text: string | Buffer, why: RegExp, ...options: string[]) =>
      assert.deepEqual(Object.keys(await costsOnlyItself(await w.repo('bad', text, ...options), why)), [
        'GOOD',
      ]);
    const fix = updateinfo([{ id: 'BAD', fixes: [['zlib', '2-1']] }]);

    it('goes on when it is away', () =>
      costsOnlyItself(
        'http://127.0.0.1:9/',
        /^bad: RepoUnreachable: repo bad at http:\/\/127\.0\.0\.1:9\/ does not answer/,
      ));
    it('goes on when it is cut off', () =>
      refused(
        fix.slice(0, -30),
        /^bad: AdvisoryInvalid: its updateinfo is broken: .*(no element found|unclosed)/,
      ));
    it('goes on when it is no XML', () =>
      refused('{}', /^bad: AdvisoryInvalid: .*(not well-formed|syntax error)/));
    it('goes on when it is empty', () => refused('', /^bad: AdvisoryInvalid: .*no element found/));
    it('goes on when it is something else', () =>
      refused('<html><body/></html>', /^bad: AdvisoryInvalid: .*its root is `html`, not `updates`/));
    it('goes on when its bytes are no text', () =>
      refused(
        Buffer.from(fix.replace('About', 'Ab\xff\xfeout'), 'latin1'),
        /^bad: AdvisoryInvalid: .*invalid token/,
      ));
    it('goes on when entities would blow it up', () => {
      const laughs = Array.from(
        { length: 12 },
        (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`,
      ).join('');
      return refused(
        `<?xml version="1.0"?><!DOCTYPE updates [<!ENTITY l0 "ha">${laughs}]>${fix.replace(/^<\?.*\n/, '').replace('About', '&l12;')}`,
        /^bad: AdvisoryInvalid: .*it has a document type/,
      );
    });
    it('goes on when an entity would read a file', () =>
      refused(
        `<?xml version="1.0"?><!DOCTYPE updates [<!ENTITY f SYSTEM "file:///etc/passwd">]>${fix.replace(/^<\?.*\n/, '').replace('About', '&f;')}`,
        /^bad: AdvisoryInvalid: .*it has a document type/,
      ));
    it('goes on when it is nested without end', () =>
      refused(`<updates>${'<a>'.repeat(100_000)}`, /^bad: AdvisoryInvalid: .*within more than 32 others/));
    it('goes on when it unpacks to more than there may be', async () => {
      const bad = await w.repo('bad', fix);
      const folder = w.s.at('www/bad/repodata');
      const member = gzipSync(Buffer.alloc(20 * 2 ** 20, ' '));
      const bomb = Buffer.concat([gzipSync('<updates>'), ...Array<Buffer>(26).fill(member)]);
      await w.s.step.run(['modifyrepo_c', '--remove', 'updateinfo', folder]);
      await writeFile(w.s.at('bomb.xml.gz'), bomb);
      await w.s.step.run([
        'modifyrepo_c',
        '--mdtype=updateinfo',
        '--no-compress',
        w.s.at('bomb.xml.gz'),
        folder,
      ]);
      await costsOnlyItself(bad, /^bad: AdvisoryInvalid: .*more than 512 MiB unpacked/);
    });
    it('goes on when one piece of it is too large', () =>
      refused(
        fix.replace('https://example.org/1', 'x'.repeat(6 << 20)),
        /^bad: AdvisoryInvalid: .*a piece of more than 4 MiB/,
      ));
    it('goes on when it has too many packages', () =>
      refused(
        updateinfo([
          { id: 'BAD', fixes: Array.from({ length: 5001 }, (_, n) => ['zlib', `${n + 2}-1`] as const) },
        ]),
        /^bad: AdvisoryInvalid: .*more than 5000 packages/,
      ));
    it('goes on when it is not what repomd.xml says', async () => {
      const bad = await w.repo('bad', fix);
      const folder = w.s.at('www/bad/repodata');
      const name = (await readdir(folder)).find((file) => file.includes('updateinfo'))!;
      await writeFile(`${folder}/${name}`, (await readFile(`${folder}/${name}`)).subarray(1));
      await costsOnlyItself(bad, /^bad: RepoUnreachable: .*updateinfo/);
    });
    it('leaves out what has no usable id, and judges the packages whose versions are usable', async () => {
      const bad = await w.repo('bad', [
        { id: 'ID WITH `rm -rf`', fixes: [['zlib', '2-1']] },
        { id: '../../x', fixes: [['zlib', '2-1']] },
        {
          id: 'VERSION',
          fixes: [
            ['zlib', '2;reboot-1'],
            ['bash', '6-1'],
          ],
        },
        { id: 'FINE', fixes: [['zlib', '2-1']] },
      ]);
      const of = await costsOnlyItself(
        bad,
        /^bad: AdvisoryInvalid: 2 of its advisories are left out: `ID WITH `rm -rf`` is no id; `\.\.\/\.\.\/x` is no id$/,
      );
      assert.deepEqual(Object.keys(of).sort(), ['FINE', 'GOOD', 'VERSION']);
      assert.equal(
        of.VERSION!.reason,
        'the release lacks it: bash; cannot be judged: zlib-1-1 (`2;reboot-1` is no version)',
      );
    });
    it('makes one line of a title, whatever is in it', async () => {
      await w.release({ bash: '5.1-1.x86_64' });
      await w.declare({
        base: await w.repo('base', [
          { id: 'A', fixes: [['bash', '6-1']], title: `one&#10;two&#x9b;${'x'.repeat(1000)}` },
        ]),
      });
      const { title } = (await w.judge()).of.A!;
      assert.match(title, /^one two xxx/);
      assert.equal(title.length, 300);
    });
  });

  it('reads updateinfo in zstd, as newer versions of createrepo_c pack it', async () => {
    await w.release({ bash: '5.1-1.x86_64' });
    const base = await w.repo('base', [{ id: 'OLD', fixes: [['bash', '6-1']] }]);
    const text = Buffer.from(updateinfo([{ id: 'A', fixes: [['bash', '6-1']] }]));
    // One block that is stored as it is: magic, frame header with the size, block header.
    const header = Buffer.alloc(12);
    header.writeUInt32BE(0x28b52ffd, 0);
    header.writeUInt8(0xa0, 4);
    header.writeUInt32LE(text.length, 5);
    header.writeUIntLE((text.length << 3) | 1, 9, 3);
    const packed = Buffer.concat([header, text]);
    const digest = createHash('sha256').update(packed).digest('hex');
    const folder = w.s.at('www/base/repodata');
    await writeFile(`${folder}/updateinfo.xml.zst`, packed);
    const data = `<data type="updateinfo"><checksum type="sha256">${digest}</checksum><location href="repodata/updateinfo.xml.zst"/><timestamp>1</timestamp><size>${packed.length}</size></data>`;
    const repomd = await readFile(`${folder}/repomd.xml`, 'utf8');
    await writeFile(`${folder}/repomd.xml`, repomd.replace(/<data type="updateinfo">.*?<\/data>/s, data));
    await w.declare({ base });
    assert.deepEqual([(await w.judge()).found, (await w.judge()).failed], [['A'], []]);
  });

  for (const type of ['gz', 'xz', 'bz2'])
    it(`reads updateinfo in ${type}`, async () => {
      await w.release({ bash: '5.1-1.x86_64' });
      await w.declare({
        base: await w.repo('base', [{ id: 'A', fixes: [['bash', '6-1']] }], `--compress-type=${type}`),
      });
      assert.deepEqual((await w.judge()).found, ['A']);
    });
});
