/** What a person asks for, the fixes that releases have brought, and what lacks them. */
import assert from 'node:assert/strict';
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256 } from '../../src/store/checksums.js';
import { watchActivities } from '../../src/activities/advisory-watch.js';
import type { FailureCode } from '../../src/domain/failures.js';
import { releasedFixes } from '../../src/store/released-fixes.js';
import { writeJson, writeWhole } from '../../src/store/store.js';
import { makePackages, makeSource } from '../reimzul/sources.js';
import { runActivity } from '../steps/activity.js';
import { osv } from './written.js';
import { lockfileWith, release, Watched, type Packages } from './watched.js';

const args = { stream: 'tiny', run: 'stream', step: 'fix' };
const fails = (code: FailureCode, text: RegExp) => (error: unknown) => {
  const { type, message } = error as { type: string; message: string };
  assert.equal(type, code, message);
  assert.match(message, text);
  return true;
};

describe('a security release that is asked for', function () {
  this.timeout('3m');
  let w: Watched;
  let repo: string;
  let srpm: Awaited<ReturnType<typeof makeSource>>;
  const ask = (request: { advisories?: string[]; packages?: string[] }, srpms?: Record<string, string>) =>
    runActivity(watchActivities(w.host).findFix, {
      ...{ ...args, request: { advisories: [], packages: [], embargo: false, ...request } },
      srpms,
    });

  before(async () => {
    w = await Watched.make();
    srpm = await makeSource(w.s.at('sources'), 'soap', '1.1');
    const rpms = await makePackages(w.s.at('sources'), srpm, '.el0');
    const folder = w.s.at('www/base');
    await mkdir(folder, { recursive: true });
    await w.s.step.run(['cp', '-a', `${rpms}/.`, folder]);
    repo = await w.repo('base', [
      {
        id: 'SOAP-1',
        fixes: [
          ['soap', '2:1.1-1.el0'],
          ['soap-doc', '2:1.1-1.el0', 'noarch'],
        ],
        severity: 'Low',
      },
      { id: 'DONE', fixes: [['bash', '5.0-1']] },
      { id: 'GHOST', fixes: [['ghost', '5.0-1']] },
    ]);
    await w.release({
      soap: ['2:1.0-1.el0.x86_64', 'soap-1.0-1.el0.src.rpm'],
      'soap-doc': ['2:1.0-1.el0.noarch', 'soap-1.0-1.el0.src.rpm'],
      bash: '5.1-1.x86_64',
    });
    await w.declare({ base: repo });
  });
  after(() => w.remove());

  it('by an advisory, whatever its severity', async () => {
    const { affecting, fixes } = await ask({ advisories: ['SOAP-1'] });
    assert.deepEqual(fixes, [
      { name: 'soap', evr: '2:1.1-1.el0', advisories: ['SOAP-1'] },
      { name: 'soap-doc', evr: '2:1.1-1.el0', advisories: ['SOAP-1'] },
    ]);
    assert.deepEqual(
      affecting.map(({ advisory }) => [advisory.id, advisory.severity]),
      [['SOAP-1', 'low']],
    );
  });

  it('by packages of the repos, together with advisories', async () => {
    assert.deepEqual(await ask({ packages: ['soap-2:1.1-1.el0.x86_64'] }), {
      affecting: [],
      fixes: [{ name: 'soap', evr: '2:1.1-1.el0', advisories: [] }],
    });
    const { fixes } = await ask({ packages: ['soap-doc-2:1.1-1.el0.noarch'], advisories: ['SOAP-1'] });
    assert.deepEqual(
      fixes.map(({ name, advisories }) => [name, advisories]),
      [
        ['soap', ['SOAP-1']],
        ['soap-doc', ['SOAP-1']],
      ],
    );
  });

  it('is refused for what is not there, or in the release already', async () => {
    const refused = (request: Parameters<typeof ask>[0], text: RegExp) =>
      assert.rejects(ask(request), fails('FixNotFound', text));
    await refused(
      { advisories: ['SOAP-1', 'SOAP-9'] },
      /^no advisory SOAP-9 in the stream's repos and documents$/,
    );
    await refused({ advisories: ['DONE'] }, /^DONE: the release has it: bash-5\.1-1$/);
    await refused({ advisories: ['GHOST'] }, /^GHOST: none of its packages is in the release$/);
    await refused({ packages: ['soap-devel-2:1.1-1.el0.x86_64'] }, /the release has no soap-devel/);
    await refused({ packages: ['soap-2:1.1-1.el0.aarch64'] }, /the release has no soap of this architecture/);
    await refused(
      { packages: ['soap-2:1.0-1.el0.x86_64'] },
      /is not newer than that of the release, 2:1\.0-1\.el0/,
    );
    await refused(
      { packages: ['soap-2:1.2-1.el0.x86_64'] },
      /is in none of the stream's repos; they have 2:1\.1-1\.el0\.x86_64/,
    );
    await refused({ packages: ['bash-6-1.x86_64'] }, /in none of the stream's repos; they have no bash/);
    await refused({ packages: ['nonsense'] }, /write name-\[epoch:\]version-release\.arch/);
  });

  it('with source RPMs, which must be those that were signed for, and of the release', async () => {
    const give = async (file: string, as: string, digest?: string) => {
      const sum = digest ?? (await sha256(file));
      const place = w.host.store.givenSource('tiny', sum, as);
      await mkdir(dirname(place), { recursive: true });
      await copyFile(file, place);
      return { [as]: sum };
    };
    const refused = async (srpms: Record<string, string>, text: RegExp) =>
      assert.rejects(ask({}, srpms), fails('FixNotFound', text));
    const given = await give(srpm.file, srpm.srpm);
    await refused(given, /released by copy: nothing is rebuilt/);
    await w.declare({ base: repo }, {}, { signed: true });
    assert.deepEqual(await ask({}, given), { affecting: [], fixes: [] });
    const open = { ...{ ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }] }] } };
    const document = osv({
      id: 'OPEN',
      affected: [{ package: { ecosystem: 'Own', name: 'soap' }, ...open }],
    });
    await w.s.write('streams/tiny/open.json', JSON.stringify(document));
    await w.declare({ base: repo }, { advisories: ['open.json'] }, { signed: true });
    await assert.rejects(
      ask({ advisories: ['OPEN'] }),
      fails(
        'FixNotFound',
        /^OPEN: affected, no fix known: soap-2:1\.0-1\.el0 .*: name the fix with `--package` or `--srpm`$/,
      ),
    );
    const asked = await ask({ advisories: ['OPEN'] }, given);
    assert.deepEqual(asked.fixes, []);
    assert.deepEqual(
      asked.affecting.map(({ advisory }) => advisory.id),
      ['OPEN'],
    );
    await refused({ [srpm.srpm]: 'a'.repeat(64) }, /was not given to this instance/);
    await refused(await give(srpm.file, srpm.srpm, 'b'.repeat(64)), /is not the file that was signed for/);
    await refused(await give(srpm.file, 'soap-9-1.src.rpm'), /has soap-2:1\.1-1 in it/);
    const other = await makeSource(w.s.at('sources'), 'other');
    await refused(await give(other.file, other.srpm), /no package of the release is made from other/);
    const binary = w.s.at('www/base/soap-1.1-1.el0.x86_64.rpm');
    await refused(await give(binary, 'soap-1.1-2.src.rpm'), /is no source package/);
    await refused(await give(await w.s.write('text', 'text'), 'soap-1.1-3.src.rpm'), /is no RPM/);
  });
});

describe('a fix that was released', function () {
  let w: Watched;
  const fixed = '20261124_01';
  const steps = () => watchActivities(w.host);
  const lacking = (build: string, stream = 'tiny') =>
    runActivity(steps().lacking, { ...args, stream, build });
  const record = (id = '20261124-1', build = fixed) =>
    runActivity(steps().recordFix, { ...args, case: id, advisories: ['A'], cves: ['CVE-2026-0001'], build });
  /** A build in the store as its run leaves it. */
  async function build(id: string, line: string, packages: Packages): Promise<string> {
    const folder = w.host.store.archDir({ stream: line, run: `run-${id}` }, 'x86_64');
    await writeWhole(join(w.host.store.idsDir(line), id), `run-${id}\n`);
    for (const place of [folder, join(folder, 'build')])
      await writeJson(join(place, 'lockfile.json'), lockfileWith(packages));
    return folder;
  }

  before(async () => {
    w = await Watched.make();
    await w.declare({ base: await w.repo('base') }, {}, { signed: true });
    const former = { bash: '1:5.1-1.x86_64', readline: '8-1.x86_64', zlib: '1-1.x86_64' };
    await w.release(former);
    const folder = await build(fixed, 'tiny.signed', {
      ...former,
      bash: '1:5.1-2.x86_64',
      readline: '8-2.x86_64',
      fresh: '1-1.noarch',
    });
    await writeJson(join(folder, 'accepted-run.json'), {
      stream: 'tiny.signed',
      run: 'run-x',
      build: release,
      commit: 'c'.repeat(64),
    });
  });
  after(() => w.remove());

  it('is nothing that anything lacks before it is recorded', async () => {
    assert.deepEqual(await lacking(release), []);
    assert.deepEqual(await releasedFixes(w.host.store, 'tiny'), []);
  });

  it('is remembered as what differs from the release that it was made from, once', async () => {
    const fix = {
      ...{ case: '20261124-1', advisories: ['A'], cves: ['CVE-2026-0001'], build: fixed },
      packages: { bash: '1:5.1-2', readline: '8-2' },
    };
    await record();
    await record();
    assert.deepEqual(await releasedFixes(w.host.store, 'tiny'), [fix]);
    await record('20261124-2');
    assert.deepEqual(
      (await releasedFixes(w.host.store, 'tiny')).map((one) => one.case),
      ['20261124-1', '20261124-2'],
    );
    await build('20261125_01', 'tiny', {});
    await assert.rejects(
      record('20261124-9', '20261125_01'),
      fails('BuildNotReleasable', /20261125_01: is not the build of a security case/),
    );
    await assert.rejects(
      record('20261124-9', '20991125_01'),
      fails('BuildNotReleasable', /is not the build of a security case/),
    );
  });

  it('lacks where a package is older than it; of either line, and of a run', async () => {
    const lack = (of: string, ...packages: object[]) => ({ case: of, advisories: ['A'], packages });
    const bash = { name: 'bash', is: '1:5.1-1', fixed: '1:5.1-2' };
    const readline = { name: 'readline', is: '8-1', fixed: '8-2' };
    assert.deepEqual(
      await lacking(release),
      ['20261124-1', '20261124-2'].map((of) => lack(of, bash, readline)),
    );
    assert.deepEqual(await lacking(fixed), []);
    assert.deepEqual(await lacking(fixed, 'tiny.signed'), []);
    await build('20261126_01', 'tiny', { bash: '5.2-1.x86_64', readline: '8-2.x86_64' });
    assert.deepEqual(
      (await lacking('20261126_01')).map(({ packages }) => packages),
      [[{ ...bash, is: '5.2-1' }], [{ ...bash, is: '5.2-1' }]],
    );
    await build('20261126_02', 'tiny', { bash: '1:5.2-1.x86_64' });
    assert.deepEqual(await lacking('20261126_02'), [], 'a package that is not there lacks nothing');
    await assert.rejects(
      lacking('20261127_01'),
      fails('BuildNotReleasable', /20261127_01: its packages are not known/),
    );
    const run = { stream: 'tiny', run: 'run-20261126_01', step: 'lacking', arch: 'x86_64' as const };
    assert.equal((await runActivity(steps().lackingInRun, run)).length, 2);
  });
});
