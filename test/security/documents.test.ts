/** OSV and CSAF documents: what is taken from them, and what is refused. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import type { AffectedPackage } from '../../src/domain/security.js';
import { serve } from '../../src/web/serve.js';
import { Watched } from './watched.js';
import { affected, csaf, osv } from './written.js';

const fixedOf = (one: AffectedPackage) => `${one.name} ${one.state === 'lacks' ? one.fixed : one.why}`;

describe('advisories in documents', function () {
  let w: Watched;
  before(async () => {
    w = await Watched.make();
    await w.release({
      bash: ['5.1-1.el9.x86_64', 'bash-5.1-1.el9.src.rpm'],
      zlib: '1:1.2-1.el9.x86_64',
      'python3-libs': ['3.9-1.el9.x86_64', 'python3.9-3.9-1.el9.src.rpm'],
      'python3-tk': ['8.6-1.el9.x86_64', 'python3.9-3.9-1.el9.src.rpm'],
    });
  });
  after(() => w.remove());
  const judge = (...documents: unknown[]) => w.judgeDocuments(documents);
  const refused = async (document: unknown, why: RegExp) => {
    const { of, failed } = await judge(document, osv({ id: 'GOOD' }));
    assert.deepEqual(Object.keys(of), ['GOOD']);
    assert.equal(failed.length, 1);
    assert.match(failed[0]!, why);
    assert.match(failed[0]!, /^advisories-\d+\.json: AdvisoryInvalid: /);
    assert.ok(!failed[0]!.includes(w.s.folder), failed[0]);
  };

  it('are read from OSV', async () => {
    const { of, failed } = await judge(osv());
    assert.deepEqual(failed, []);
    const { source, ...one } = of['ALSA-2026:1']!;
    assert.match(source, /^advisories-\d+\.json$/);
    assert.deepEqual(one, {
      ...{ id: 'ALSA-2026:1', title: 'Important: bash security update', severity: 'important' },
      ...{ cves: ['CVE-2026-0001', 'CVE-2026-0002'], issued: '2026-11-20T08:00:00.000Z', verdict: 'acted' },
      ...{
        reason: 'the release lacks it: bash',
        affected: [{ name: 'bash', state: 'lacks', released: '5.1-1.el9', fixed: '5.1-2.el9' }],
      },
    });
  });

  it('are read from CSAF, by the purls of its products', async () => {
    const { of, failed } = await judge(csaf());
    assert.deepEqual(failed, []);
    const { severity, cves, issued, verdict, affected: packages } = of['RHSA-2026:1']!;
    assert.deepEqual(
      [severity, cves, issued, verdict],
      ['critical', ['CVE-2026-0009'], '2026-11-20T08:00:00.000Z', 'acted'],
    );
    assert.deepEqual(packages, [
      { name: 'bash', state: 'lacks', released: '5.1-1.el9', fixed: '5.1-2.el9' },
      { name: 'zlib', state: 'lacks', released: '1:1.2-1.el9', fixed: '1:1.2+git-9.el9' },
    ]);
  });

  it('are read from CSAF by names where there are no purls; drafts are not read', async () => {
    const tree = {
      product_tree: { full_product_names: [{ product_id: 'x', name: 'bash-0:5.1-3.el9.x86_64' }] },
      vulnerabilities: [
        {
          cve: 'CVE-2026-1',
          product_status: { fixed: ['x', 'unknown'] },
          threats: [{ category: 'impact', details: 'Important' }],
        },
      ],
    };
    const { of } = await judge(
      csaf({ tracking: { id: 'NAMES' }, document: { aggregate_severity: undefined }, rest: tree }),
      csaf({ tracking: { id: 'DRAFT', status: 'draft' } }),
    );
    assert.deepEqual(
      [of.DRAFT!, of.NAMES!].map(({ id, severity, verdict, affected: packages }) => [
        ...[id, severity, verdict],
        packages.map(fixedOf),
      ]),
      [
        ['DRAFT', 'critical', 'withdrawn', []],
        ['NAMES', 'important', 'acted', ['bash 5.1-3.el9']],
      ],
    );
    assert.equal(of.DRAFT!.reason, 'passed over: its status is draft');
    assert.equal(
      of.NAMES!.reason,
      'the release lacks it: bash; not understood: product unknown is not in its product tree',
    );
  });

  it('count where their ranges and ecosystems say so', async () => {
    const many = [
      osv({ id: 'SINCE', affected: [affected('bash', '6-1', '5.1-2')] }),
      osv({ id: 'BETWEEN', affected: [affected('bash', '6-1', '5.0-1')] }),
      osv({ id: 'PYPI', affected: [affected('bash', 'any thing', '0', 'PyPI')] }),
      osv({
        id: 'GIT',
        affected: [
          {
            ...affected('bash', 'x'),
            ranges: [{ type: 'GIT', events: [{ introduced: '0' }, { fixed: 'abc' }] }],
          },
        ],
      }),
      osv({
        id: 'PURL',
        affected: [
          {
            ...affected('bash', '6-1', '0', ''),
            package: { ecosystem: 'Own', name: 'bash', purl: 'pkg:rpm/own/bash' },
          },
        ],
      }),
      osv({ id: 'WITHDRAWN', withdrawn: '2026-11-22T00:00:00Z' }),
      osv({
        id: 'DISTRIBUTIONS',
        affected: [
          affected('bash', '4.4-9.el8'),
          affected('bash', '5.1-2.el9'),
          affected('bash', '6-1.el10'),
        ],
      }),
      osv({ id: 'HIGH', summary: 'x', database_specific: { severity: 'HIGH' } }),
      osv({
        id: 'MODERATE',
        summary: 'x',
        affected: [{ ...affected('bash', '6-1'), ecosystem_specific: { severity: 'MODERATE' } }],
      }),
      osv({ id: 'SOURCE', affected: [affected('python3.9', '3.9-2.el9')] }),
    ];
    const { of, failed } = await judge(many, osv({ id: 'ALONE' }));
    assert.deepEqual(failed, []);
    assert.deepEqual(
      Object.fromEntries(
        Object.values(of).map(({ id, verdict, affected: packages }) => [
          id,
          [verdict, ...packages.map(fixedOf)],
        ]),
      ),
      {
        ALONE: ['acted', 'bash 5.1-2.el9'],
        BETWEEN: ['acted', 'bash 6-1'],
        DISTRIBUTIONS: ['acted', 'bash 5.1-2.el9'],
        GIT: ['unclear', 'bash affected.0: it names no versions'],
        HIGH: ['acted', 'bash 5.1-2.el9'],
        MODERATE: ['below', 'bash 6-1'],
        PURL: ['acted', 'bash 6-1'],
        PYPI: ['absent'],
        SINCE: ['unaffected'],
        // By the source's name and version; what is numbered in its own way is not judged by it.
        SOURCE: ['acted', 'python3-libs 3.9-2.el9'],
        WITHDRAWN: ['withdrawn'],
      },
    );
  });

  it('are put together with what a repo says of the same', async () => {
    const repo = await w.repo('same', [
      { id: 'ALSA-2026:1', fixes: [['zlib', '1:2-1.el9']], severity: 'Low', issued: '2026-11-01' },
    ]);
    await w.s.write('streams/tiny/same.json', JSON.stringify(osv()));
    await w.declare({ same: repo }, { advisories: ['same.json'] });
    const { of } = await w.judge();
    const { severity, issued, source, affected: packages, title } = of['ALSA-2026:1']!;
    assert.deepEqual(
      [severity, issued, source, title],
      ['important', '2026-11-01T00:00:00Z', 'same', 'About ALSA-2026:1'],
    );
    assert.deepEqual(
      packages.map(({ name }) => name),
      ['bash', 'zlib'],
    );
  });

  it('come from folders and addresses, each source for itself', async () => {
    await w.s.write('streams/tiny/folder/1.json', JSON.stringify(osv({ id: 'IN-FOLDER' })));
    await w.s.write('streams/tiny/folder/2.json', '{');
    await w.s.write('streams/tiny/folder/no.txt', 'nothing');
    await w.s.write('web/there.json', JSON.stringify(osv({ id: 'AT-ADDRESS' })));
    await mkdir(w.s.at('streams/tiny/empty'), { recursive: true });
    const web = await serve({ root: w.s.at('web'), port: 0 });
    try {
      await w.declare(
        { none: await w.repo('none') },
        {
          advisories: [
            'folder',
            'empty',
            `${web.url}/there.json`,
            `${web.url}/gone.json`,
            'http://127.0.0.1:9/x.json',
            'missing.json',
          ],
        },
      );
      const { of, failed } = await w.judge();
      assert.deepEqual(Object.keys(of).sort(), ['AT-ADDRESS', 'IN-FOLDER']);
      assert.equal(of['AT-ADDRESS']!.source, `${web.url}/there.json`);
      assert.equal(of['IN-FOLDER']!.source, 'folder/1.json');
      assert.equal(failed.length, 4, failed.join('\n'));
      assert.match(failed[0]!, /^folder\/2\.json: AdvisoryInvalid: is not JSON/);
      assert.equal(failed[1], `${web.url}/gone.json: AdvisoryInvalid: HTTP status 404`);
      assert.match(failed[2]!, /^http:\/\/127\.0\.0\.1:9\/x\.json: RepoUnreachable: /);
      assert.equal(failed[3], 'missing.json: AdvisoryInvalid: no such file');
    } finally {
      await web.close();
    }
  });

  it('are refused where they are not as documented', async () => {
    await refused('', /is not JSON/);
    await refused('null', /is neither an OSV nor a CSAF document/);
    await refused({ id: 'X' }, /is neither an OSV nor a CSAF document/);
    await refused(
      osv({ id: '../x' }),
      /AdvisoryInvalid: 1 of its advisories is left out: id: an advisory id such as/,
    );
    await refused(osv({ modified: 'yesterday' }), /left out: ALSA-2026:1: modified: .*datetime/);
    await refused(csaf({ document: { csaf_version: '3.0' } }), /document\.csaf_version: only CSAF 2 is read/);
    await refused(csaf({ tracking: { id: 'a b' } }), /document\.tracking\.id: an advisory id/);
    await refused(csaf({ rest: { vulnerabilities: {} } }), /vulnerabilities: .*expected array/);
  });

  it('are refused where they are hostile: nested without end, or too large', async () => {
    const text = JSON.stringify(csaf());
    const deep = `${'{"branches":['.repeat(50_000)}${']}'.repeat(50_000)}`;
    await refused(text.replace('"branches":[', `"branches":[${deep},`), /nested too deeply/);
    await refused(`"${'x'.repeat(33 * 2 ** 20)}"`, /is larger than 32 MiB: no advisory/);
    await refused(osv({ aliases: Array(1001).fill('x') }), /aliases: .*(<=|most|big)/);
    const names = ['__proto__', 'constructor'].map((name) => affected(name, '9-1'));
    const { of } = await judge(JSON.stringify(osv({ id: 'NAMES', affected: names.slice(1) })));
    assert.equal(of.NAMES?.verdict, 'absent');
  });
});
