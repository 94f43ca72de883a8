/** OSV and CSAF documents: what is taken from them, and what is refused. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { serve } from '../../src/web/serve.js';
import { Watched } from './watched.js';

const osv = (change: object = {}) => ({
  ...{ schema_version: '1.6.0', id: 'ALSA-2026:1', modified: '2026-11-21T00:00:00Z' },
  ...{ published: '2026-11-20T10:00:00+02:00', summary: 'Important: bash security update' },
  ...{ aliases: ['GHSA-x'], related: ['CVE-2026-0002', 'CVE-2026-0001'] },
  affected: [affected('bash', '5.1-2.el9')],
  ...change,
});
const affected = (name: string, fixed: string, introduced = '0', ecosystem = 'AlmaLinux:9') => ({
  package: { ecosystem, name },
  ranges: [{ type: 'ECOSYSTEM', events: [{ introduced }, { fixed }] }],
});

/** As of a vendor whose products are parts of a distribution. */
const csaf = (change: { tracking?: object; document?: object; rest?: object } = {}) => ({
  document: {
    ...{ category: 'csaf_security_advisory', csaf_version: '2.0', title: 'bash security update' },
    aggregate_severity: { text: 'Critical' },
    tracking: {
      ...{
        id: 'RHSA-2026:1',
        status: 'final',
        version: '1',
        initial_release_date: '2026-11-20T08:00:00+00:00',
      },
      ...change.tracking,
    },
    ...change.document,
  },
  product_tree: {
    branches: [
      {
        ...{ category: 'vendor', name: 'V' },
        branches: [
          { category: 'product_name', name: 'D', product: { product_id: 'BaseOS-9', name: 'BaseOS 9' } },
          {
            ...{ category: 'product_version', name: 'bash' },
            product: {
              product_id: 'bash-0:5.1-2.el9.x86_64',
              name: 'bash',
              product_identification_helper: { purl: 'pkg:rpm/v/bash@5.1-2.el9?arch=x86_64' },
            },
          },
          {
            ...{ category: 'product_version', name: 'zlib' },
            product: {
              ...{ product_id: 'zlib', name: 'zlib' },
              product_identification_helper: { purl: 'pkg:rpm/v/zlib@1.2%2Bgit-9.el9?arch=x86_64&epoch=1' },
            },
          },
        ],
      },
    ],
    relationships: ['bash-0:5.1-2.el9.x86_64', 'zlib', 'curl-0:8-2.el9.noarch'].map((id) => ({
      ...{
        category: 'default_component_of',
        product_reference: id,
        relates_to_product_reference: 'BaseOS-9',
      },
      full_product_name: { product_id: `BaseOS-9:${id}`, name: `${id} as a part of BaseOS 9` },
    })),
  },
  vulnerabilities: [
    {
      cve: 'CVE-2026-0009',
      product_status: { fixed: ['BaseOS-9:bash-0:5.1-2.el9.x86_64', 'BaseOS-9:zlib', 'BaseOS-9'] },
      threats: [{ category: 'impact', details: 'Low' }],
    },
  ],
  ...change.rest,
});

describe('advisories in documents', function () {
  this.timeout('2m');
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
  let n = 0;

  /** The judgement of one look at these documents alone. */
  async function judge(...documents: unknown[]) {
    const files: string[] = [];
    for (const document of documents) {
      const name = `advisories-${++n}.json`;
      await w.s.write(
        `streams/tiny/${name}`,
        typeof document === 'string' ? document : JSON.stringify(document),
      );
      files.push(name);
    }
    await w.declare({ none: await w.repo('none') }, { advisories: files });
    return w.judge();
  }
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
        lacking: [{ name: 'bash', released: '5.1-1.el9', fixed: '5.1-2.el9' }],
      },
    });
  });

  it('are read from CSAF, by the purls of its products', async () => {
    const { of, failed } = await judge(csaf());
    assert.deepEqual(failed, []);
    const { severity, cves, issued, verdict, lacking } = of['RHSA-2026:1']!;
    assert.deepEqual(
      [severity, cves, issued, verdict],
      ['critical', ['CVE-2026-0009'], '2026-11-20T08:00:00.000Z', 'acted'],
    );
    assert.deepEqual(lacking, [
      { name: 'bash', released: '5.1-1.el9', fixed: '5.1-2.el9' },
      { name: 'zlib', released: '1:1.2-1.el9', fixed: '1:1.2+git-9.el9' },
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
      Object.values(of).map(({ id, severity, lacking }) => [id, severity, lacking[0]?.fixed]),
      [['NAMES', 'important', '5.1-3.el9']],
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
        Object.values(of).map(({ id, verdict, lacking }) => [
          id,
          [verdict, ...lacking.map(({ name, fixed }) => `${name} ${fixed}`)],
        ]),
      ),
      {
        ALONE: ['acted', 'bash 5.1-2.el9'],
        BETWEEN: ['acted', 'bash 6-1'],
        DISTRIBUTIONS: ['acted', 'bash 5.1-2.el9'],
        GIT: ['absent'],
        HIGH: ['acted', 'bash 5.1-2.el9'],
        MODERATE: ['below', 'bash 6-1'],
        PURL: ['acted', 'bash 6-1'],
        PYPI: ['absent'],
        SINCE: ['fixed'],
        // By the source's name and version; what is numbered in its own way is not judged by it.
        SOURCE: ['acted', 'python3-libs 3.9-2.el9'],
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
    const { severity, issued, source, lacking, title } = of['ALSA-2026:1']!;
    assert.deepEqual(
      [severity, issued, source, title],
      ['important', '2026-11-01T00:00:00Z', 'same', 'About ALSA-2026:1'],
    );
    assert.deepEqual(
      lacking.map(({ name }) => name),
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
    await refused(osv({ id: '../x' }), /id: an advisory id such as/);
    await refused(
      osv({ affected: [affected('bash', '5.1')] }),
      /affected\.0\.ranges\.0\.events\.1\.fixed: write \[epoch:\]version-release/,
    );
    await refused(
      osv({ affected: [affected('ba;sh', '5.1-2')] }),
      /affected\.0\.package\.name: write a package name/,
    );
    await refused(osv({ modified: 'yesterday' }), /modified: .*datetime/);
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
