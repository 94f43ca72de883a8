/** The rebuild of a source package, with a real beanstalkd, real RPMs and a real repo; each trap of reimzul's. */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../src/host.js';
import { reimzulActivities } from '../../src/activities/reimzul.js';
import type { RebuildArgs } from '../../src/domain/inputs.js';
import type { RebuiltSource } from '../../src/domain/rebuild.js';
import { reimzulSettings } from '../../src/domain/rebuild-settings.js';
import { readSettings } from '../../src/settings.js';
import { exists, needJson, Store, writeJson } from '../../src/store/store.js';
import { rebuiltSource } from '../../src/domain/rebuild.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, until, type Scratch } from '../steps/scratch.js';
import { Reimzul, type Behaviour, type Hands } from './reimzul.js';
import { makePackages, makeSource, type Made } from './sources.js';

const arch = 'x86_64';
const disttag = '.tl1';

describe('rebuildSource', function () {
  let s: Scratch;
  let [hello, other, kernel]: Made[] = [];
  let rpms: Record<'good' | 'swapped' | 'otherDist' | 'otherVersion' | 'other' | 'kernel', string>;
  let reimzul: Reimzul;
  let host: Host;
  let run: string;
  let runs = 0;

  const source = (): Made => {
    assert.ok(hello);
    return hello;
  };

  before(async () => {
    s = await makeScratch('reimzul');
    hello = await makeSource(s.at('sources'), 'hello');
    other = await makeSource(s.at('sources'), 'other');
    kernel = await makeSource(s.at('sources'), 'kernel');
    const swapped = await makeSource(s.at('swapped'), 'hello', '1.0', '# evil');
    const newer = await makeSource(s.at('sources'), 'hello', '1.1');
    rpms = {
      good: await makePackages(s.at('built'), hello, disttag),
      swapped: await makePackages(s.at('swapped'), swapped, disttag),
      otherDist: await makePackages(s.at('built'), hello, '.el9'),
      otherVersion: await makePackages(s.at('built'), newer, disttag),
      other: await makePackages(s.at('built'), other, disttag),
      kernel: await makePackages(s.at('built'), kernel, disttag),
    };
  });
  after(() => s.remove());

  const begin = async (settings: Record<string, unknown> = {}, options = {}) => {
    run = `run-${++runs}`;
    reimzul = await Reimzul.start(s.at(run), options);
    const state = s.at(run, 'state');
    host = { settings: readSettings({ TREELINE_STATE: state }), store: new Store(state) };
    const declared = reimzulSettings.parse({
      ...{ beanstalk: reimzul.address, target: 't1', disttag, submitter: 'tests' },
      ...{ incoming: s.at(run, 'incoming'), results: reimzul.url },
      ...{ lost: '2s', deadline: '10s', tries: 2 },
      ...settings,
    });
    const where = { stream: 'tiny', run };
    await writeJson(join(host.store.runDir(where), 'stream.json'), {
      releasever: '1',
      release: { rebuild: { reimzul: declared } },
    });
    const sources = join(host.store.archDir(where, arch), 'sources');
    await mkdir(sources, { recursive: true });
    for (const made of [hello, other, kernel]) if (made) await cp(made.file, join(sources, made.srpm));
  };
  afterEach(() => reimzul.close());

  const args = (made: Made = source()): RebuildArgs => {
    const { srpm, digest, packages, noarch } = made;
    return { stream: 'tiny', run, arch, step: `rebuild-${srpm}`, source: { srpm, digest, packages, noarch } };
  };
  const rebuild = (made?: Made) => runActivity(reimzulActivities(host).rebuildSource, args(made));
  const log = (made: Made = source()) =>
    readFile(join(host.store.logs({ stream: 'tiny', run }), `rebuild-${made.srpm}.log`), 'utf8');
  const rebuilt = (made: Made = source()) =>
    join(host.store.archDir({ stream: 'tiny', run }, arch), 'rebuilt', made.srpm.slice(0, -8));
  const news = () => s.at(run, 'state/news', run);

  /** What a good builder does. */
  const good: Behaviour = async (hands) => {
    await hands.news('Building');
    await hands.results(rpms.good);
    await hands.news('Success');
    await hands.createrepo();
  };
  /** Behaves so at its first job, and well at the others. */
  const first =
    (behaviour: Behaviour): Behaviour =>
    (hands) =>
      hands.number === 1 ? behaviour(hands) : good(hands);
  const failsWith = (code: string, message: RegExp) => (error: unknown) => {
    assert.ok(error instanceof ApplicationFailure, String(error));
    assert.equal(error.type, code, error.message);
    assert.match(error.message, message);
    return true;
  };
  const isGood = async (result: RebuiltSource, tries: number) => {
    assert.equal(result.tries, tries);
    assert.deepEqual(
      result.packages.map(({ name, evr, arch: its }) => [name, evr, its]),
      [
        ['hello', '2:1.0-1.tl1', 'x86_64'],
        ['hello-doc', '2:1.0-1.tl1', 'noarch'],
      ],
    );
    for (const { file } of result.packages)
      assert.deepEqual(await readFile(join(rebuilt(), file)), await readFile(join(rpms.good, file)));
  };

  it('submits the job, and gives the packages that were accepted and no others', async () => {
    await begin();
    reimzul.behaviour = good;
    const result = await rebuild();
    await isGood(result, 1);
    const url = `${reimzul.url}/t1.x86_64/hello/20261125000001/1.0-1.x86_64/`;
    const { srpm, builder, timestamp, url: its, log: buildLog } = result;
    assert.deepEqual(
      [srpm, builder, timestamp, its, buildLog],
      ['hello-1.0-1.src.rpm', 'b1.example.org', '20261125000001', url, `${url}build.log`],
    );
    assert.deepEqual(reimzul.jobs, [
      {
        ...{ srpm: 'hello-1.0-1.src.rpm', arch, target: 't1.x86_64', disttag, scratch: false },
        ...{ submitter: 'tests', treeline: `${run}/x86_64/hello-1.0-1/1` },
      },
    ]);
    assert.deepEqual(await readFile(s.at(run, 'incoming', srpm)), await readFile(source().file));
    assert.deepEqual((await readdir(rebuilt())).sort(), [
      ...['hello-1.0-1.tl1.src.rpm', 'hello-1.0-1.tl1.x86_64.rpm', 'hello-doc-1.0-1.tl1.noarch.rpm'],
      ...['result.json', 'tries.json'],
    ]);
    assert.deepEqual(await needJson(join(rebuilt(), 'result.json'), rebuiltSource), result);
    // Another attempt has nothing to do, and the run leaves nothing behind.
    assert.deepEqual(await rebuild(), result);
    assert.equal(reimzul.jobs.length, 1);
    assert.ok(await exists(news()));
    await runActivity(reimzulActivities(host).cleanNews, { stream: 'tiny', run, step: 'clean' });
    assert.ok(!(await exists(news())));
  });

  it('puts urgent jobs before the others', async () => {
    await begin();
    await reimzul.rest();
    for (const [urgent, priority] of [
      [false, '8192'],
      [true, '1024'],
    ] as const) {
      const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
      const running = environment
        .run(reimzulActivities(host).rebuildSource as (a: unknown) => Promise<unknown>, { ...args(), urgent })
        .catch((error: unknown) => error);
      const queue = await reimzul.client();
      const stats = await until(
        'the job',
        async () => (await queue.statsJob(urgent ? '2' : '1')) ?? undefined,
      );
      assert.deepEqual([stats.tube, stats.pri], ['x86_64', priority]);
      queue.close();
      environment.cancel();
      assert.ok((await running) instanceof CancelledFailure);
      await rm(rebuilt(), { recursive: true });
    }
  });

  it('submits a job again that a dying builder took', async () => {
    await begin();
    reimzul.behaviour = first(() => Promise.resolve());
    await isGood(await rebuild(), 2);
    assert.deepEqual(
      reimzul.jobs.map((job) => job.treeline),
      [1, 2].map((n) => `${run}/x86_64/hello-1.0-1/${n}`),
    );
    assert.match(await log(), /try 1 of 2 has ended: taken, and no news for 2 s/);
  });

  it('gives up after so many lost jobs, with what was seen', async () => {
    await begin({ lost: '1s' });
    reimzul.behaviour = () => Promise.resolve();
    await assert.rejects(rebuild(), failsWith('RebuildLost', /hello.* after 2 tries: taken, and no news/));
    assert.equal(reimzul.jobs.length, 2);
  });

  it('submits a job again whose builder dies in the build, after its deadline', async () => {
    await begin({ deadline: '3s' });
    reimzul.behaviour = first((hands) => hands.news('Building'));
    await isGood(await rebuild(), 2);
    assert.match(await log(), /not ready within 3 s/);
  });

  it('finds results of which the news was lost', async () => {
    await begin();
    reimzul.behaviour = async (hands) => {
      await hands.news('Building');
      await hands.results(rpms.good);
      await hands.createrepo();
    };
    await isGood(await rebuild(), 1);
    assert.equal(reimzul.jobs.length, 1);
  });

  it('is not led astray by duplicate, out-of-order, foreign, chained and garbage news', async () => {
    await begin();
    reimzul.behaviour = async (hands) => {
      for (const garbage of ['', '\0', '[]', '{"treeline":7}', '"x"', 'x'.repeat(60_000)])
        await hands.put('notify', garbage);
      const stranger = `run-0/x86_64/hello-1.0-1/1`;
      await hands.news('Failed', { treeline: undefined });
      await hands.news('Failed', { treeline: stranger });
      await hands.news('Failed', { treeline: '../../../../etc/x/1' });
      await hands.news('Failed', { target: 't2.x86_64' });
      await hands.news('Failed', { srpm: 'other-1.0-1.src.rpm' });
      // Chained to ours: same key, target and timestamp.
      await hands.news('Failed', { arch: 'i386' });
      // Long enough for it to go astray.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await hands.news('Success', { arch: 'noarch' });
      await hands.results(rpms.good);
      await hands.news('Success');
      await hands.news('Success');
      await hands.news('Building');
      await hands.createrepo();
    };
    await isGood(await rebuild(), 1);
    assert.match(await log(), /news of no job that is waited for: of hello-1\.0-1\.src\.rpm: Failed/);
    assert.match(await log(), /news of no job that is waited for: garbage\n/);
    assert.ok(!(await exists(s.at(run, 'state/news/run-0'))));
    const queue = await reimzul.client();
    assert.equal((await queue.statsTube('notify'))?.['current-jobs-ready'] ?? '0', '0');
    queue.close();
  });

  it('takes the success of an earlier try that comes late', async () => {
    await begin({ lost: '1s', tries: 3 });
    let late: Hands | undefined;
    reimzul.behaviour = async (hands) => {
      if (hands.number === 1) late = hands;
      else if (late) {
        await hands.news('Building');
        await late.results(rpms.good);
        await late.news('Success');
        await late.createrepo();
      }
    };
    const result = await rebuild();
    await isGood(result, 2);
    assert.equal(result.timestamp, '20261125000001');
  });

  it('asks again for a repo when the request was dropped', async () => {
    await begin();
    reimzul.behaviour = good;
    reimzul.requests.drop = 1;
    await isGood(await rebuild(), 1);
    assert.equal(reimzul.requests.seen, 2);
  });

  for (const shown of [true, false])
    it(`tells of a lock that was left behind${shown ? '' : ' and is hidden'}, and goes on when it is gone`, async () => {
      await begin();
      reimzul.behaviour = good;
      const lock = await s.write(`${run}/repo/t1.x86_64/.repolock`, '');
      if (!shown) reimzul.answers.set('.repolock', 403);
      const said = shown ? /t1\.x86_64\/\.repolock is there/ : /t1\.x86_64 is not made again/;
      await assert.rejects(rebuild(), failsWith('ResultsStuck', said));
      await rm(lock);
      await isGood(await rebuild(), 1);
      assert.equal(reimzul.jobs.length, 1);
    });

  it('tells that nobody makes repos', async () => {
    await begin({ lost: '1s' });
    const { jobs } = reimzul;
    reimzul.behaviour = async (hands) => {
      await hands.results(rpms.good);
      await hands.news('Success');
      void reimzul.rest();
    };
    await assert.rejects(rebuild(), failsWith('ReimzulAway', /nobody takes requests from createrepo/));
    assert.equal(jobs.length, 1);
    reimzul.work();
    await isGood(await rebuild(), 1);
  });

  const wrongs: Record<string, [(hands: Hands) => Promise<void>, RegExp]> = {
    'whose results did not arrive': [
      () => Promise.resolve(),
      /not in the repo’s metadata: hello\.x86_64, hello-doc/,
    ],
    'with a package missing': [
      (hands) => hands.results(rpms.good, /x86_64/).then(() => undefined),
      /not in the repo’s metadata: hello-doc\.noarch/,
    ],
    'with another version': [
      (hands) => hands.results(rpms.otherVersion).then(() => undefined),
      /hello\.x86_64 is 2:1\.1-1\.tl1; accepted was 2:1\.0-1\.el0/,
    ],
    'with another dist tag': [
      (hands) => hands.results(rpms.otherDist).then(() => undefined),
      /hello\.x86_64 is 2:1\.0-1\.el9; accepted was 2:1\.0-1\.el0/,
    ],
    'with a file of another checksum': [
      async (hands) => {
        await hands.results(rpms.good);
        const file = 'hello-1.0-1.tl1.x86_64.rpm';
        const bytes = await readFile(join(rpms.good, file));
        bytes.write('tampered', 500);
        reimzul.answers.set(`20261125000001/1.0-1.x86_64/${file}`, bytes);
      },
      /hello-1\.0-1\.tl1\.x86_64\.rpm has \d+ bytes with sha256:\w+; the repo says/,
    ],
    'with a file that is cut': [
      async (hands) => {
        await hands.results(rpms.good);
        reimzul.answers.set('20261125000001/1.0-1.x86_64/hello-1.0-1.tl1.x86_64.rpm', Buffer.from('cut'));
      },
      /has 3 bytes with/,
    ],
    'with a file that is listed, but gone': [
      async (hands) => {
        await hands.results(rpms.good);
        reimzul.answers.set('20261125000001/1.0-1.x86_64/hello-1.0-1.tl1.x86_64.rpm', 404);
      },
      /hello-1\.0-1\.tl1\.x86_64\.rpm is listed, but not there/,
    ],
    'of another source package that had its name in the incoming folder': [
      (hands) => hands.results(rpms.swapped).then(() => undefined),
      /was built from another source package than the accepted one: hello-1\.0\.spec is another/,
    ],
    'without the source package that it was built from': [
      (hands) => hands.results(rpms.good, /x86_64|noarch/).then(() => undefined),
      /hello-1\.0-1\.tl1\.src\.rpm, which it was built from, is not there/,
    ],
  };
  for (const [name, [behave, said]] of Object.entries(wrongs))
    it(`tries again after a success ${name}`, async () => {
      await begin();
      reimzul.behaviour = first(async (hands) => {
        await hands.news('Building');
        await behave(hands);
        await hands.news('Success');
        await hands.createrepo();
      });
      await isGood(await rebuild(), 2);
      assert.match(await log(), said);
    });

  it('takes no RPM for what only its name and the repo say of it', async () => {
    await begin({ tries: 1 });
    reimzul.behaviour = async (hands) => {
      const to = await hands.results(rpms.good);
      await swapMetadata(to);
      await hands.news('Success');
    };
    await assert.rejects(
      rebuild(),
      failsWith('RebuildWrong', /is other\.x86_64 2:1\.0-1\.tl1; the repo says hello\.x86_64/),
    );
  });

  /** Metadata that calls the packages of `other` ours, as a builder that is not honest could. */
  async function swapMetadata(to: string): Promise<void> {
    const top = join(to, '../../..');
    for (const name of await readdir(to)) if (name.endsWith('.rpm')) await rm(join(to, name));
    for (const name of await readdir(rpms.other)) await cp(join(rpms.other, name), join(to, name));
    await s.step.run([
      ...([
        'createrepo_c',
        '-q',
        '--compress-type=gz',
        '--no-database',
        '--simple-md-filenames',
        top,
      ] as const),
    ]);
    const primary = join(top, 'repodata/primary.xml.gz');
    await s.step.run(['gunzip', primary]);
    const xml = await readFile(primary.slice(0, -3), 'utf8');
    await writeFile(
      primary.slice(0, -3),
      xml.replaceAll('<name>other', '<name>hello').replaceAll('name="other', 'name="hello'),
    );
    await s.step.run(['modifyrepo_c', '--remove', 'primary', join(top, 'repodata')]);
    await s.step.run([
      'modifyrepo_c',
      '--no-compress',
      '--mdtype=primary',
      primary.slice(0, -3),
      join(top, 'repodata'),
    ]);
  }

  it('gives up after so many wrong results', async () => {
    await begin();
    reimzul.behaviour = async (hands) => {
      await hands.results(rpms.otherVersion);
      await hands.news('Success');
      await hands.createrepo();
    };
    await assert.rejects(
      rebuild(),
      failsWith('RebuildWrong', /after 2 tries: http.*hello\.x86_64 is 2:1\.1/),
    );
    assert.equal(reimzul.jobs.length, 2);
  });

  it('tells of a package that does not build, with its log', async () => {
    await begin();
    reimzul.behaviour = async (hands) => {
      await hands.news('Building');
      await hands.news('Failed');
    };
    const failed = failsWith(
      'RebuildFailed',
      /hello-1\.0-1\.src\.rpm does not build for x86_64 on b1\.example\.org: http:\S+\/hello\/20261125000001\/1\.0-1\.x86_64\/build\.log$/,
    );
    await assert.rejects(rebuild(), failed);
    assert.equal(reimzul.jobs.length, 1);
    // Another attempt asks nobody again.
    await assert.rejects(rebuild(), failed);
    assert.equal(reimzul.jobs.length, 1);
  });

  for (const binlog of [true, false])
    it(`outlives a beanstalkd that is killed, ${binlog ? 'with' : 'without'} its binlog`, async () => {
      await begin({}, { binlog });
      await reimzul.rest();
      const running = rebuild();
      await until('the job', async () =>
        (await log().catch(() => '')).includes('job 1 for') ? true : undefined,
      );
      await reimzul.restart();
      if (!binlog) {
        // Another's job has our job's id now.
        const queue = await reimzul.client();
        await queue.use('ppc');
        assert.equal(await queue.put('{"srpm":"x"}'), '1');
        queue.close();
      }
      reimzul.behaviour = good;
      reimzul.work();
      await isGood(await running, binlog ? 1 : 2);
      assert.equal(reimzul.jobs.length, 1);
    });

  it('fails when the queue stays away, and goes on with the same job when it is back', async () => {
    await begin({ lost: '1s', deadline: '5m' }, { binlog: true });
    await reimzul.rest();
    const { port } = reimzul.queue;
    const running = rebuild().catch((error: unknown) => error);
    await until('the job', async () =>
      (await log().catch(() => '')).includes('job 1 for') ? true : undefined,
    );
    await reimzul.queue.close('SIGKILL');
    failsWith('ReimzulAway', new RegExp(`127\\.0\\.0\\.1:${port}: connect ECONNREFUSED`))(await running);
    await reimzul.restart();
    reimzul.behaviour = good;
    reimzul.work();
    await isGood(await rebuild(), 1);
    assert.equal(reimzul.jobs.length, 1);
  });

  it('waits for a kernel’s packages of noarch, which another build makes', async () => {
    await begin({ lost: '1s' });
    reimzul.behaviour = async (hands) => {
      await hands.results(rpms.kernel, /x86_64|src/);
      await hands.news('Success');
      await hands.createrepo();
      await new Promise((resolve) => setTimeout(resolve, 2500));
      await hands.news('Building', { arch: 'noarch' });
      await hands.results(rpms.kernel, /noarch/, 'noarch');
      await hands.news('Success', { arch: 'noarch' });
      await hands.createrepo();
    };
    assert.ok(kernel);
    const result = await rebuild(kernel);
    assert.deepEqual(
      result.packages.map(({ file }) => file),
      ['kernel-1.0-1.tl1.x86_64.rpm', 'kernel-doc-1.0-1.tl1.noarch.rpm'],
    );
    assert.equal(result.tries, 1);
  });

  it('lets two wait at the same time, whoever gets whose news', async () => {
    await begin();
    const held: Hands[] = [];
    reimzul.behaviour = async (hands) => {
      await hands.news('Building');
      await hands.results(hands.job.srpm.startsWith('hello') ? rpms.good : rpms.other);
      held.push(hands);
      if (held.length < 2) return;
      for (const one of [...held].reverse()) {
        await one.news('Success');
        await one.createrepo();
      }
    };
    assert.ok(other);
    const [mine, others] = await Promise.all([rebuild(), rebuild(other)]);
    await isGood(mine, 1);
    assert.deepEqual(
      others.packages.map(({ name }) => name),
      ['other', 'other-doc'],
    );
  });

  it('does not submit twice when its worker was killed', async () => {
    await begin();
    await reimzul.rest();
    // A process of its own, killed while the job waits.
    const script = `
      import { reimzulActivities } from '${join(import.meta.dirname, '../../src/activities/reimzul.js')}';
      import { readSettings } from '${join(import.meta.dirname, '../../src/settings.js')}';
      import { Store } from '${join(import.meta.dirname, '../../src/store/store.js')}';
      import { runActivity } from '${join(import.meta.dirname, '../steps/activity.js')}';
      const state = ${JSON.stringify(host.settings.state)};
      const host = { settings: readSettings({ TREELINE_STATE: state }), store: new Store(state) };
      await runActivity(reimzulActivities(host).rebuildSource, ${JSON.stringify(args())});
    `;
    const child = execFile(process.execPath, ['--input-type=module', '--eval', script]);
    await until('the job', async () =>
      (await log().catch(() => '')).includes('job 1 for') ? true : undefined,
    );
    child.kill('SIGKILL');
    reimzul.behaviour = good;
    const running = rebuild();
    reimzul.work();
    await isGood(await running, 1);
    assert.equal(reimzul.jobs.length, 1);
  });

  it('submits again with the same key where it is not known whether it did', async () => {
    await begin();
    reimzul.behaviour = good;
    const key = `${run}/x86_64/hello-1.0-1/1`;
    await writeJson(join(rebuilt(), 'tries.json'), {
      tries: [{ key, begun: new Date().toISOString() }],
      refused: {},
    });
    await mkdir(join(news(), 'x86_64/hello-1.0-1/1'), { recursive: true });
    await isGood(await rebuild(), 1);
    assert.deepEqual(
      reimzul.jobs.map((job) => job.treeline),
      [key],
    );
  });

  it('ends when it is cancelled, and takes its job back', async () => {
    await begin();
    await reimzul.rest();
    const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    const running = environment
      .run(reimzulActivities(host).rebuildSource as (a: unknown) => Promise<unknown>, args())
      .catch((error: unknown) => error);
    const queue = await reimzul.client();
    await until('the job', () => queue.statsJob('1'));
    environment.cancel();
    assert.ok((await running) instanceof CancelledFailure);
    assert.equal(await queue.statsJob('1'), undefined);
    queue.close();
  });

  it('refuses another source package than the one that was accepted', async () => {
    await begin();
    const made = { ...source(), digest: `sha256:${'0'.repeat(64)}` };
    await assert.rejects(rebuild(made), failsWith('PackageChecksum', /hello-1\.0-1\.src\.rpm: sha256:/));
    assert.equal(reimzul.jobs.length, 0);
  });
});
