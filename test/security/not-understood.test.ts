/** What an advisory leaves open is never called harmless: ranges, statuses, streams and severities of all kinds, with the right verdict. */
import assert from 'node:assert/strict';
import { watchActivities } from '../../src/activities/advisory-watch.js';
import { severityOf, severityOfCvss } from '../../src/security/severity.js';
import { runActivity } from '../steps/activity.js';
import { Watched } from './watched.js';
import { affected, csaf, osv } from './written.js';

const ecosystem = 'AlmaLinux:9';
type Events = readonly Readonly<Record<string, string>>[];
const range = (...events: Events) => ({ type: 'ECOSYSTEM', events });
const entry = (change: object, name = 'bash', of: object = { ecosystem }) => ({
  package: { ...of, name },
  ...change,
});
const ranges = (...events: Events) => entry({ ranges: [range(...events)] });

/** A CSAF document about these products, of these statuses: `status: [product id, purl?]`. */
const vex = (
  id: string,
  statuses: Readonly<Record<string, readonly string[]>>,
  { tree = {}, ...vulnerability }: { tree?: object } & Record<string, unknown> = {},
) =>
  csaf({
    tracking: { id },
    rest: {
      product_tree: {
        full_product_names: Object.values(statuses)
          .flat()
          .map((product) => ({ product_id: product, name: product })),
        ...tree,
      },
      vulnerabilities: [{ cve: 'CVE-2026-0001', product_status: statuses, ...vulnerability }],
    },
  });

/** By id: the verdict, and what is said of each package. */
type Expected = Readonly<Record<string, readonly string[]>>;

describe('an advisory that is not understood', function () {
  let w: Watched;
  before(async () => {
    w = await Watched.make();
    await w.release({
      bash: '2-1.x86_64',
      epoch: '1:2-1.x86_64',
      tagged: '2-1.el9.x86_64',
      'python3-tk': ['8.6-1.x86_64', 'python3.9-3.9-1.src.rpm'],
      zlib: '2-1.x86_64',
      nodejs: '1:16.20.2-8.module+el8.9.0+1+a75119d5.x86_64',
      'nodejs-nodemon': '3.0-1.module+el8.9.0+1+a75119d5.noarch',
      podman: '4-1.module+el8.9.0+1+a75119d5.x86_64',
      plus: '1.2+git-1.x86_64',
    });
  });
  after(() => w.remove());

  async function judged(documents: readonly unknown[], expected: Expected, security: object = {}) {
    const { of, failed } = await w.judgeDocuments(documents, security);
    assert.deepEqual(failed, []);
    const found = Object.values(of).map(({ id, verdict, affected: packages }) => [
      id,
      [verdict, ...packages.map((one) => `${one.name}: ${one.state === 'lacks' ? one.fixed : one.state}`)],
    ]);
    assert.deepEqual(Object.fromEntries(found), expected);
    return of;
  }
  const all = (cases: Readonly<Record<string, readonly [object, ...string[]]>>) =>
    judged(
      [Object.entries(cases).map(([id, [one]]) => osv({ id, affected: [one] }))],
      Object.fromEntries(Object.entries(cases).map(([id, [, ...expected]]) => [id, expected])),
    );

  it('is judged by all its events, in RPM’s order, whatever theirs', () =>
    all({
      UNORDERED: [
        ranges({ introduced: '5-1' }, { fixed: '7-1' }, { fixed: '3-1' }, { introduced: '0' }),
        ...['acted', 'bash: 3-1'],
      ],
      'ONE-EVENT': [ranges({ introduced: '0', fixed: '3-1' }), 'acted', 'bash: 3-1'],
      REVERSED: [ranges({ fixed: '10-1' }, { introduced: '1-1' }), 'acted', 'bash: 10-1'],
      GAP: [ranges({ introduced: '0' }, { fixed: '1-1' }, { introduced: '3-1' }, { fixed: '7-1' }), 'fixed'],
      AGAIN: [ranges({ introduced: '1-1' }, { introduced: '0' }, { fixed: '3-1' }), 'acted', 'bash: 3-1'],
      'FIXED-ONLY': [ranges({ fixed: '3-1' }), 'acted', 'bash: 3-1'],
      'FIXED-HERE': [ranges({ introduced: '0' }, { fixed: '2-1' }), 'fixed'],
      'FIXED-AND-BACK': [
        ranges({ introduced: '0' }, { fixed: '2-1' }, { introduced: '2-1' }, { fixed: '3-1' }),
        ...['acted', 'bash: 3-1'],
      ],
      LATER: [ranges({ introduced: '3-1' }, { fixed: '4-1' }), 'unaffected'],
      'TWO-RANGES': [
        entry({
          ranges: [
            range({ introduced: '3-1' }, { fixed: '9-1' }),
            range({ introduced: '0' }, { fixed: '2-5' }),
          ],
        }),
        ...['acted', 'bash: 2-5'],
      ],
      'BOTH-RANGES': [
        entry({ ranges: [range({ introduced: '0' }, { fixed: '3-1' }), range({ fixed: '2-5' })] }),
        ...['acted', 'bash: 3-1'],
      ],
      LIMIT: [ranges({ introduced: '0' }, { limit: '2-1' }), 'unaffected'],
      'LIMIT-ABOVE': [ranges({ introduced: '0' }, { limit: '3-1' }), 'unfixed', 'bash: unfixed'],
      'NO-LIMIT': [
        ranges({ introduced: '0' }, { limit: '1-1' }, { limit: '*' }, { fixed: '3-1' }),
        ...['acted', 'bash: 3-1'],
      ],
    }));

  it('is affected where no fix is known, and that is a verdict of its own', async () => {
    const of = await all({
      NEVER: [ranges({ introduced: '0' }), 'unfixed', 'bash: unfixed'],
      LAST: [ranges({ introduced: '0' }, { last_affected: '2-1' }), 'unfixed', 'bash: unfixed'],
      'LAST-BELOW': [ranges({ introduced: '0' }, { last_affected: '1-1' }), 'unaffected'],
      'LAST-THEN-FIXED': [
        ranges({ introduced: '0' }, { last_affected: '2-1' }, { fixed: '3-1' }),
        ...['acted', 'bash: 3-1'],
      ],
      'LAST-THEN-AGAIN': [
        ranges({ introduced: '0' }, { last_affected: '2-1' }, { introduced: '4-1' }, { fixed: '5-1' }),
        ...['unfixed', 'bash: unfixed'],
      ],
      VERSIONS: [entry({ versions: ['1-1', '2-1'] }), 'unfixed', 'bash: unfixed'],
      'OTHER-VERSIONS': [entry({ versions: ['1-1', '3-1'] }), 'unaffected'],
      'VERSIONS-FIXED': [
        entry({ versions: ['2-1'], ranges: [range({ introduced: '2-5' }, { fixed: '3-1' })] }),
        ...['acted', 'bash: 3-1'],
      ],
    });
    assert.equal(of.LAST!.reason, 'affected, no fix known: bash-2-1 (no fix is known)');
  });

  it('is not judged where its versions cannot be compared', async () => {
    const of = await all({
      'NO-RELEASE': [ranges({ introduced: '0' }, { fixed: '3' }), 'unclear', 'bash: unclear'],
      NONSENSE: [ranges({ introduced: '0' }, { fixed: 'all versions' }), 'unclear', 'bash: unclear'],
      'PARTLY-KNOWN': [ranges({ introduced: '0' }, { fixed: '3-1' }, { fixed: '' }), 'acted', 'bash: 3-1'],
      'PARTLY-FIXED': [
        ranges({ introduced: '0' }, { fixed: '1-1' }, { introduced: '?' }),
        'unclear',
        'bash: unclear',
      ],
      'ODD-EVENT': [ranges({ repaired: '3-1' }), 'unclear', 'bash: unclear'],
      'NO-EVENTS': [entry({ ranges: [{ type: 'ECOSYSTEM' }] }), 'unclear', 'bash: unclear'],
      SEMVER: [
        entry({ ranges: [{ ...range({ introduced: '0' }, { fixed: '3.0.0' }), type: 'SEMVER' }] }),
        ...['unclear', 'bash: unclear'],
      ],
      NOTHING: [entry({}), 'unclear', 'bash: unclear'],
      'NO-NAME': [{ ranges: [range({ fixed: '3-1' })] }, 'unclear'],
      'ODD-NAME': [entry({ ranges: [range({ fixed: '3-1' })] }, 'ba;sh'), 'unclear'],
      ELSEWHERE: [entry({ ranges: [range({ fixed: '3' })] }, 'absent-package'), 'absent'],
    });
    assert.equal(
      of['NO-RELEASE']!.reason,
      'cannot be judged: bash-2-1 (affected.0.ranges.0.events.1.fixed: `3` is no [epoch:]version-release)',
    );
    assert.equal(
      of['ODD-NAME']!.reason,
      'not understood: affected.0.package.name: `ba;sh` is no package name',
    );
  });

  it('is not judged where the released package has an epoch and the advisory writes none, unless that is the same', () =>
    all({
      'NO-EPOCH': [entry({ ranges: [range({ fixed: '3-1' })] }, 'epoch'), 'unclear', 'epoch: unclear'],
      'NO-EPOCH-FIXED': [entry({ ranges: [range({ fixed: '2-1' })] }, 'epoch'), 'fixed'],
      'NO-EPOCH-VERSIONS': [entry({ versions: ['2-1'] }, 'epoch'), 'unclear', 'epoch: unclear'],
      'EPOCH-0': [entry({ ranges: [range({ fixed: '0:3-1' })] }, 'epoch'), 'fixed'],
      'EPOCH-1': [entry({ ranges: [range({ fixed: '1:3-1' })] }, 'epoch'), 'acted', 'epoch: 1:3-1'],
      'EPOCH-ABOVE': [entry({ ranges: [range({ fixed: '1:1-1' })] }), 'acted', 'bash: 1:1-1'],
    }));

  it('is told by ecosystem and package URL whether it is about RPMs', () => {
    const of = (name: string) => entry({ ranges: [range({ fixed: '3-1' })] }, 'bash', { ecosystem: name });
    const purl = (text: string, name = 'bash') =>
      entry({ ranges: [range({ fixed: '1.2+git-2' })] }, name, { purl: text });
    return all({
      ROCKY: [of('rocky linux:9'), 'acted', 'bash: 3-1'],
      REDHAT: [of('Red Hat:enterprise_linux:9::baseos'), 'acted', 'bash: 3-1'],
      OWN: [of('Our Own Linux'), 'acted', 'bash: 3-1'],
      ALPINE: [of('ALPINE:v3.20'), 'absent'],
      DEBIAN: [of('Debian:12'), 'absent'],
      ENCODED: [purl('pkg:rpm/x/plus?arch=x86_64', 'plus'), 'acted', 'plus: 1.2+git-2'],
      'OTHER-ARCH': [purl('pkg:rpm/x/plus?arch=aarch64', 'plus'), 'absent'],
      DEB: [purl('pkg:deb/debian/plus', 'plus'), 'absent'],
    });
  });

  it('is about the package’s own distribution where it speaks of several', () =>
    judged(
      [
        osv({
          id: 'SEVERAL',
          affected: [
            entry({ ranges: [range({ introduced: '0' })] }, 'tagged', { ecosystem: 'AlmaLinux:8' }),
            entry({ ranges: [range({ fixed: '3-1.el9' })] }, 'tagged'),
            entry({ versions: ['2-1'] }, 'tagged', { ecosystem: 'AlmaLinux:10' }),
          ],
        }),
        osv({
          id: 'ONE',
          affected: [entry({ ranges: [range({ introduced: '0' })] }, 'tagged', { ecosystem: 'AlmaLinux:8' })],
        }),
      ],
      { SEVERAL: ['acted', 'tagged: 3-1.el9'], ONE: ['unfixed', 'tagged: unfixed'] },
    ));

  it('is told of a package that is numbered in its own way by its source package', () =>
    all({
      'SOURCE-LACKS': [
        entry({ ranges: [range({ fixed: '3.9-2' })] }, 'python3.9'),
        'unclear',
        'python3-tk: unclear',
      ],
      'SOURCE-HAS': [entry({ ranges: [range({ fixed: '1:3.9-1' })] }, 'python3.9'), 'fixed'],
      'SOURCE-OPEN': [
        entry({ ranges: [range({ introduced: '0' })] }, 'python3.9'),
        'unfixed',
        'python3-tk: unfixed',
      ],
    }));

  it('counts until it is withdrawn', () =>
    judged(
      [
        osv({ id: 'PAST', withdrawn: '2020-01-01T00:00:00Z', affected: [affected('bash', '3-1')] }),
        osv({ id: 'FUTURE', withdrawn: '2999-01-01T00:00:00Z', affected: [affected('bash', '3-1')] }),
        csaf({ tracking: { id: 'CSAF' }, document: { category: 'csaf_withdrawn' } }),
      ],
      { PAST: ['withdrawn'], FUTURE: ['acted', 'bash: 3-1'], CSAF: ['withdrawn'] },
    ));

  it('is judged by each status of a CSAF product', async () => {
    const bash = 'bash-2-1.x86_64';
    const later = 'bash-3-1.x86_64';
    const of = await judged(
      [
        vex('FIXED', { fixed: [later] }),
        vex('FIXED-BELOW', { fixed: ['bash-1-1.x86_64'] }),
        vex('RECOMMENDED', { known_affected: [bash], recommended: [later] }),
        vex('FIRST-FIXED', { first_fixed: [later] }),
        vex('AFFECTED', { known_affected: ['bash'] }),
        vex('AFFECTED-HERE', { known_affected: [bash] }),
        vex('AFFECTED-OTHER', { known_affected: [later] }),
        vex('AFFECTED-FIXED', { known_affected: ['bash'], fixed: [later] }),
        vex('AFFECTED-AND-FIXED', { known_affected: ['bash'], fixed: [bash] }),
        vex('FIRST-AFFECTED', { first_affected: [later], fixed: ['bash-4-1.x86_64'] }),
        vex('LAST-AFFECTED', { last_affected: [later] }),
        vex('NOT-AFFECTED', { known_not_affected: ['bash'] }),
        vex('INVESTIGATED', { under_investigation: ['bash'] }),
        vex('INVESTIGATED-FIXED', { under_investigation: ['bash'], fixed: [bash] }),
        vex('FIXED-NOWHERE', { fixed: ['bash'] }),
        vex('OTHER-ARCH', { fixed: ['bash-3-1.aarch64'] }),
        vex('UNKNOWN-PRODUCT', { known_affected: ['CSAFPID-1'] }, { tree: { full_product_names: [] } }),
        vex('NO-PRODUCT', {}),
      ],
      {
        FIXED: ['acted', 'bash: 3-1'],
        'FIXED-BELOW': ['fixed'],
        RECOMMENDED: ['acted', 'bash: 3-1'],
        'FIRST-FIXED': ['acted', 'bash: 3-1'],
        AFFECTED: ['unfixed', 'bash: unfixed'],
        'AFFECTED-HERE': ['unfixed', 'bash: unfixed'],
        'AFFECTED-OTHER': ['unclear', 'bash: unclear'],
        'AFFECTED-FIXED': ['acted', 'bash: 3-1'],
        'AFFECTED-AND-FIXED': ['fixed'],
        'FIRST-AFFECTED': ['unaffected'],
        'LAST-AFFECTED': ['unfixed', 'bash: unfixed'],
        'NOT-AFFECTED': ['unaffected'],
        INVESTIGATED: ['unclear', 'bash: unclear'],
        'INVESTIGATED-FIXED': ['fixed'],
        'FIXED-NOWHERE': ['unclear', 'bash: unclear'],
        'OTHER-ARCH': ['absent'],
        'UNKNOWN-PRODUCT': ['unclear'],
        'NO-PRODUCT': ['unclear'],
      },
    );
    assert.match(of['AFFECTED-OTHER']!.reason, /only of 3-1 it is said that it is affected/);
    assert.match(of['UNKNOWN-PRODUCT']!.reason, /product CSAFPID-1 is not in its product tree/);
  });

  it('takes several vulnerabilities of a document each for itself, and all of them together', () =>
    judged(
      [
        csaf({
          tracking: { id: 'TWO' },
          rest: {
            product_tree: {},
            vulnerabilities: [
              { product_status: { fixed: ['bash-3-1.x86_64'] } },
              { product_status: { known_affected: ['zlib-2-1.x86_64', 'bash-2-1.x86_64'] } },
            ],
          },
        }),
      ],
      { TWO: ['acted', 'bash: 3-1', 'bash: unfixed', 'zlib: unfixed'] },
    ));

  it('says what is known of a fix, by CSAF’s remediations', async () => {
    const remedy = (category: string, more: object = {}) => ({
      remediations: [{ category, details: 'Restart  it.', product_ids: ['bash'], ...more }],
    });
    const { of } = await w.judgeDocuments([
      vex('NONE', { known_affected: ['bash'] }, remedy('none_available')),
      vex('NEVER', { known_affected: ['bash'] }, remedy('no_fix_planned')),
      vex('WORKAROUND', { known_affected: ['bash'] }, remedy('workaround')),
      vex('VENDOR', { known_affected: ['bash'] }, remedy('vendor_fix')),
      vex('OTHER', { known_affected: ['bash'] }, remedy('no_fix_planned', { product_ids: ['zlib'] })),
      vex(
        'GROUP',
        { known_affected: ['bash'] },
        {
          ...remedy('no_fix_planned', { product_ids: [], group_ids: ['g'] }),
          tree: { product_groups: [{ group_id: 'g', product_ids: ['bash'] }] },
        },
      ),
    ]);
    const why = (id: string) =>
      of[id]!.affected.map((one) => (one.state === 'unfixed' ? one.why : one.state));
    assert.deepEqual(['NONE', 'NEVER', 'WORKAROUND', 'VENDOR', 'OTHER', 'GROUP'].map(why), [
      ['no fix is available yet'],
      ['no fix is planned'],
      ['workaround: Restart it.'],
      ['vendor fix: Restart it.'],
      ['no fix is known'],
      ['no fix is planned'],
    ]);
  });

  it('finds products of CSAF by branches, ranges, modules and the distributions that they are parts of', () => {
    const branches = (...product: object[]) => ({
      branches: [
        {
          category: 'vendor',
          name: 'V',
          branches: [{ category: 'product_name', name: 'bash', branches: product }],
        },
      ],
    });
    const version = (name: string, category = 'product_version') => ({
      ...{ category, name },
      product: { product_id: 'P', name: `V bash ${name}` },
    });
    const part = (ref: string, of: string) => ({
      ...{ category: 'default_component_of', product_reference: ref, relates_to_product_reference: of },
      full_product_name: { product_id: `${of}:${ref}`, name: `${ref} as a part of ${of}` },
    });
    const parts = {
      full_product_names: [
        { product_id: 'rhel_8', name: 'Linux 8', product_identification_helper: { cpe: 'cpe:/o:v:linux:8' } },
        { product_id: 'rhel_9', name: 'Linux 9', product_identification_helper: { cpe: 'cpe:/o:v:linux:9' } },
        { product_id: 'tagged', name: 'tagged' },
      ],
      relationships: [
        part('tagged', 'rhel_8'),
        part('tagged', 'rhel_9'),
        part('tagged-3-1.el9.x86_64', 'rhel_9'),
      ],
    };
    const purl = (text: string) => ({
      tree: {
        full_product_names: [{ product_id: 'P', name: 'x', product_identification_helper: { purl: text } }],
      },
    });
    return judged(
      [
        vex(
          'BRANCHES',
          { known_affected: ['P'] },
          { tree: { ...branches(version('2-1')), full_product_names: [] } },
        ),
        vex(
          'RANGE',
          { known_affected: ['P'] },
          {
            tree: {
              ...branches(version('vers:rpm/>=1-1|<3-1', 'product_version_range')),
              full_product_names: [],
            },
          },
        ),
        vex(
          'RANGE-LAST',
          { known_affected: ['P'] },
          { tree: { ...branches(version('<=2-1', 'product_version_range')), full_product_names: [] } },
        ),
        vex(
          'ODD-RANGE',
          { known_affected: ['P'] },
          { tree: { ...branches(version('before 3', 'product_version_range')), full_product_names: [] } },
        ),
        vex(
          'DISTRIBUTIONS',
          { known_affected: ['rhel_8:tagged'], fixed: ['rhel_9:tagged-3-1.el9.x86_64'] },
          { tree: parts },
        ),
        vex(
          'OTHER-DISTRIBUTION',
          { known_affected: ['rhel_8:tagged'], known_not_affected: ['rhel_9:tagged'] },
          { tree: parts },
        ),
        vex('EPOCH', { fixed: ['P'] }, purl('pkg:rpm/v/epoch@3-1?arch=x86_64&epoch=1')),
        vex('SOURCE', { known_affected: ['P'] }, purl('pkg:rpm/v/python3.9?arch=src')),
        vex('NO-VERSION', { fixed: ['P'] }, purl('pkg:rpm/v/bash@3?arch=x86_64')),
        vex('CONTAINER', { known_affected: ['P'] }, purl('pkg:oci/bash@sha256%3Aabc')),
      ],
      {
        BRANCHES: ['unfixed', 'bash: unfixed'],
        RANGE: ['acted', 'bash: 3-1'],
        'RANGE-LAST': ['unfixed', 'bash: unfixed'],
        'ODD-RANGE': ['unclear', 'bash: unclear'],
        DISTRIBUTIONS: ['acted', 'tagged: 3-1.el9'],
        'OTHER-DISTRIBUTION': ['unaffected'],
        EPOCH: ['acted', 'epoch: 1:3-1'],
        SOURCE: ['unfixed', 'python3-tk: unfixed'],
        'NO-VERSION': ['unclear', 'bash: unclear'],
        CONTAINER: ['unclear'],
      },
    );
  });

  it('is not applicable where it is about another module stream', async () => {
    const of18 = '1:18.14.2-3.module+el8.7.0+2+5ac9fd80';
    const of16 = '1:16.20.9-1.module+el8.9.0+3+a75119d5';
    const module = (id: string, stream: string, ref: string) =>
      vex(
        id,
        { fixed: [`S:${stream}:${ref}`] },
        {
          tree: {
            full_product_names: [{ product_id: 'S', name: 'AppStream 8' }],
            relationships: [
              {
                ...{ product_reference: `${stream}:8070:bd13`, relates_to_product_reference: 'S' },
                full_product_name: { product_id: `S:${stream}`, name: 'module' },
              },
              {
                ...{ product_reference: ref, relates_to_product_reference: `S:${stream}` },
                full_product_name: { product_id: `S:${stream}:${ref}`, name: 'package' },
              },
            ],
          },
        },
      );
    const documents = [
      module('CSAF-18', 'nodejs:18', `nodejs-${of18}.x86_64`),
      module('CSAF-16', 'nodejs:16', `nodejs-${of16}.x86_64`),
      osv({
        id: 'OSV-18',
        summary: 'Important: nodejs:18 security update',
        affected: [affected('nodejs', of18)],
      }),
      osv({
        id: 'OSV-16',
        summary: 'Important: nodejs:16 security update',
        affected: [affected('nodejs', of16)],
      }),
      osv({
        id: 'OSV-NO-STREAM',
        summary: 'Important: security update',
        affected: [affected('nodejs', of18)],
      }),
      osv({
        id: 'OSV-PURL',
        affected: [
          entry({ ranges: [range({ fixed: of18 })] }, 'nodejs', {
            purl: 'pkg:rpm/v/nodejs?rpmmod=nodejs%3A18',
          }),
        ],
      }),
    ];
    const of = await judged(documents, {
      'CSAF-18': ['unaffected'],
      'CSAF-16': ['acted', `nodejs: ${of16}`],
      'OSV-18': ['unaffected'],
      'OSV-16': ['acted', `nodejs: ${of16}`],
      'OSV-NO-STREAM': ['unclear', 'nodejs: unclear'],
      'OSV-PURL': ['unaffected'],
    });
    assert.match(
      of['CSAF-18']!.reason,
      /^not applicable: it is about module stream nodejs:18, and the release has nodejs-1:16/,
    );
  });

  it('is not applicable where updateinfo names another module stream, which repos tell of what they list', async () => {
    const nodejs = ['nodejs', '1:18.14.2-3.module+el8.7.0+2+5ac9fd80'] as const;
    const nodemon = ['nodejs-nodemon', '3.1-1.module+el8.7.0+2+5ac9fd80', 'noarch'] as const;
    const podman = ['podman', '5-1.module+el8.10.0+4+20a2a3c2'] as const;
    const repo = await w.repo('modular', [
      { id: 'NODE-18', module: 'nodejs:18', fixes: [nodejs, nodemon] },
      { id: 'NODE-16', module: 'nodejs:16', fixes: [['nodejs', '1:16.20.9-1'], nodemon] },
      { id: 'TOOLS-4', module: 'container-tools:4.0', fixes: [podman] },
      { id: 'TOOLS-8', module: 'container-tools:rhel8', fixes: [podman] },
    ]);
    const verdicts = async () => {
      await w.declare({ modular: repo });
      const { of, failed } = await w.judge();
      assert.deepEqual(failed, []);
      return Object.fromEntries(Object.values(of).map(({ id, verdict }) => [id, verdict]));
    };
    assert.deepEqual(await verdicts(), {
      ...{ 'NODE-18': 'unaffected', 'NODE-16': 'acted', 'TOOLS-4': 'unclear', 'TOOLS-8': 'unclear' },
    });
    const modules = `---
document: modulemd
version: 2
data:
  name: container-tools
  stream: rhel8
  version: 8090020230825
  context: a75119d5
  arch: x86_64
  summary: Tools
  description: Tools
  license: {module: [MIT]}
  artifacts:
    rpms: [podman-0:4-1.module+el8.9.0+1+a75119d5.x86_64]
...
`;
    const file = await w.s.write('modules.yaml', modules);
    await w.s.step.run(['modifyrepo_c', '--mdtype=modules', file, w.s.at('www/modular/repodata')]);
    assert.deepEqual(await verdicts(), {
      ...{ 'NODE-18': 'unaffected', 'NODE-16': 'acted', 'TOOLS-4': 'unaffected', 'TOOLS-8': 'acted' },
    });
  });

  it('is passed over in updateinfo where its publisher says so, and counts of packages whose versions are usable', async () => {
    const fix = [['bash', '3-1']] as const;
    await w.declare({
      repo: await w.repo('statuses', [
        ...['retracted', 'Testing', 'obsolete', 'pending'].map((status) => ({
          id: status,
          status,
          fixes: fix,
        })),
        ...['final', 'stable', 'odd'].map((status) => ({ id: status, status, fixes: fix })),
        {
          id: 'BAD-VERSION',
          fixes: [
            ['zlib', '2;reboot-1'],
            ['bash', '3-1'],
          ],
        },
        { id: 'ONLY-BAD', fixes: [['zlib', '2;reboot-1']] },
        { id: 'NO-PACKAGES', fixes: [] },
      ]),
    });
    const { of, failed } = await w.judge();
    assert.deepEqual(failed, []);
    assert.deepEqual(Object.fromEntries(Object.values(of).map(({ id, verdict }) => [id, verdict])), {
      ...{ retracted: 'withdrawn', Testing: 'withdrawn', obsolete: 'withdrawn', pending: 'withdrawn' },
      ...{ final: 'acted', stable: 'acted', odd: 'acted' },
      ...{ 'BAD-VERSION': 'acted', 'ONLY-BAD': 'unclear', 'NO-PACKAGES': 'unclear' },
    });
    assert.equal(of.retracted!.reason, 'passed over: its status is retracted');
    assert.match(
      of['BAD-VERSION']!.reason,
      /^the release lacks it: bash; cannot be judged: zlib-2-1 \(`2;reboot-1` is no version\)$/,
    );
  });

  it('is told of once, and again when its verdict changes; below the limit or beside the core it is only listed', async () => {
    const news = async (documents: readonly unknown[], security: object = {}) => {
      await w.judgeDocuments(documents, security);
      const { news: found } = await w.look();
      await runActivity(watchActivities(w.host).rememberVerdicts, {
        ...{ stream: 'tiny', run: 'stream', step: 'told-verdicts' },
        told: found.map(({ id, verdict }) => ({ id, verdict })),
      });
      return found.map(({ id, verdict }) => `${id} ${verdict}`);
    };
    const unfixed = vex('TOLD', { known_affected: ['bash'] });
    const low = csaf({
      tracking: { id: 'LOW' },
      document: { aggregate_severity: { text: 'Low' } },
      rest: {
        product_tree: { full_product_names: [{ product_id: 'bash', name: 'bash' }] },
        vulnerabilities: [{ product_status: { known_affected: ['bash'] } }],
      },
    });
    assert.deepEqual(await news([unfixed, low]), ['TOLD unfixed']);
    assert.deepEqual(await news([unfixed, low]), []);
    assert.deepEqual(await news(['{']), [], 'what cannot be read is not settled');
    assert.deepEqual(await news([unfixed]), []);
    assert.deepEqual(await news([vex('TOLD', { under_investigation: ['bash'] })]), ['TOLD unclear']);
    assert.deepEqual(await news([vex('TOLD', { fixed: ['bash-3-1.x86_64'] })]), [], 'a case is opened');
    assert.deepEqual(
      (await w.look()).found.map(({ advisory }) => advisory.id),
      ['TOLD'],
    );
    assert.deepEqual(await news([unfixed]), ['TOLD unfixed']);
    assert.deepEqual(await news([vex('SIDE', { known_affected: ['bash'] })], { core: ['zlib'] }), []);
  });

  it('costs only itself in a list, and is named', async () => {
    const { of, failed } = await w.judgeDocuments([
      [
        osv({ id: 'GOOD', affected: [affected('bash', '3-1')] }),
        osv({ id: 'BAD', published: 'yesterday' }),
        { id: '<b>' },
        osv({ id: 'ALSO-GOOD', affected: [affected('bash', '3-1')] }),
        7,
        osv({ id: 'WORSE', affected: 'all' }),
      ],
    ]);
    assert.deepEqual(Object.keys(of).sort(), ['ALSO-GOOD', 'GOOD']);
    assert.equal(failed.length, 1);
    assert.match(
      failed[0]!,
      /^advisories-\d+\.json: AdvisoryInvalid: 4 of its advisories are left out: BAD: published: .*; record 3: is neither an OSV nor a CSAF document; record 5: .* and 1 more$/,
    );
  });

  describe('in its severity', () => {
    const critical = 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H';
    const [zero, weak] = ['C:N/I:N/A:N', 'C:L/I:N/A:N'].map((impact) =>
      critical.replace('C:H/I:H/A:H', impact),
    );

    it('is as severe as its CVSS vector', () => {
      const cases: Readonly<Record<string, string>> = {
        [critical]: 'critical',
        [critical.replace('3.1', '3.0')]: 'critical',
        [`${critical}/E:U/RL:O/RC:U`]: 'critical',
        'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N': 'critical',
        'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U': 'critical',
        'CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N': 'moderate',
        'AV:N/AC:L/Au:N/C:P/I:P/A:P': 'important',
        '(AV:N/AC:L/Au:N/C:C/I:C/A:C)': 'critical',
        'AV:L/AC:H/Au:N/C:P/I:N/A:N': 'low',
        [weak!]: 'moderate',
        [zero!]: 'none',
        ...{
          '9.8': 'critical',
          '7.0': 'important',
          '4': 'moderate',
          '3.9': 'low',
          '0.0': 'none',
          '11': 'unknown',
        },
        ...{ HIGH: 'important', '': 'unknown', nonsense: 'unknown', 'CVSS:5.0/AV:N': 'unknown' },
        ...{ 'CVSS:3.1/AV:N/AC:L': 'unknown', [`${critical}${'/'.repeat(1000)}`]: 'unknown' },
      };
      assert.deepEqual(
        Object.fromEntries(Object.keys(cases).map((text) => [text, severityOfCvss(text)])),
        cases,
      );
    });

    it('is as severe as its vendor’s word says, in any case', () => {
      const cases: Readonly<Record<string, string>> = {
        ...{ Critical: 'critical', urgent: 'critical', IMPORTANT: 'important', high: 'important' },
        ...{ ' Moderate ': 'moderate', medium: 'moderate', Low: 'low', negligible: 'low' },
        ...{
          None: 'unknown',
          Unknown: 'unknown',
          unspecified: 'unknown',
          constructor: 'unknown',
          '': 'unknown',
        },
      };
      assert.deepEqual(Object.fromEntries(Object.keys(cases).map((word) => [word, severityOf(word)])), cases);
    });

    it('counts as at the limit where it has none that is known, and the highest counts of several', async () => {
      const plain = { summary: 'x', affected: [affected('bash', '3-1')] };
      const score = (text: string) => [{ type: 'CVSS_V3', score: text }];
      const { of, found } = await w.judgeDocuments(
        [
          osv({ ...plain, id: 'VECTOR', severity: score(critical) }),
          osv({
            ...plain,
            id: 'SEVERAL',
            severity: [...score(weak!), { type: 'CVSS_V2', score: 'AV:N/AC:L/Au:N/C:P/I:P/A:P' }],
          }),
          osv({
            ...plain,
            id: 'WORD-BELOW',
            severity: score(critical),
            database_specific: { severity: 'LOW' },
          }),
          osv({
            ...plain,
            id: 'OF-PACKAGE',
            affected: [{ ...affected('bash', '3-1'), severity: score(critical) }],
          }),
          osv({ ...plain, id: 'WEAK', severity: score(weak!) }),
          osv({ ...plain, id: 'ZERO', severity: score(zero!) }),
          osv({ ...plain, id: 'MISSING' }),
          osv({
            ...plain,
            id: 'ODD',
            severity: [{ type: 'X', score: '?' }],
            database_specific: { severity: 'Unknown' },
          }),
          osv({ ...plain, id: 'BROKEN', severity: 'high' }),
          csaf({
            tracking: { id: 'NO-WORD' },
            document: { aggregate_severity: undefined },
            rest: { product_tree: {}, vulnerabilities: [{ product_status: { fixed: ['bash-3-1.x86_64'] } }] },
          }),
          vex(
            'SCORES',
            { fixed: ['bash-3-1.x86_64'] },
            { scores: [{ products: [], cvss_v3: { baseScore: 9.8, vectorString: critical } }] },
          ),
        ],
        { severity: 'important' },
      );
      const severities = Object.fromEntries(
        Object.values(of).map(({ id, severity, verdict }) => [id, `${severity} ${verdict}`]),
      );
      assert.deepEqual(severities, {
        ...{ VECTOR: 'critical acted', SEVERAL: 'important acted', 'WORD-BELOW': 'critical acted' },
        ...{ 'OF-PACKAGE': 'critical acted', WEAK: 'moderate below', ZERO: 'none below' },
        ...{ MISSING: 'unknown acted', ODD: 'unknown acted', BROKEN: 'unknown acted' },
        ...{ 'NO-WORD': 'unknown acted', SCORES: 'critical acted' },
      });
      assert.equal(found.length, 9);
      assert.deepEqual(new Set(found.slice(-4)), new Set(['MISSING', 'ODD', 'BROKEN', 'NO-WORD']));
    });
  });
});
