/** Jobs and news: what may go into reimzul's shell commands, and what may come out of its queue. */
import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { Beanstalk } from '../../src/reimzul/beanstalk.js';
import { buildArchitecture, keyOf, parseNews, reimzulJob, tubeOf } from '../../src/reimzul/job.js';
import { NewsJournal, removeNews } from '../../src/reimzul/news.js';
import { exists } from '../../src/store/store.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { startBeanstalkd } from '../support/servers.js';

const job = {
  ...{ srpm: 'bash-4.2-1.el7.src.rpm', arch: 'x86_64', target: 'c7.1708.u.x86_64', disttag: '.el7_4' },
  ...{ scratch: false, submitter: 'treeline', treeline: 'r-1/x86_64/bash-4.2-1.el7/1' },
};

describe('a job', () => {
  it('goes to the queue of its architecture', () => {
    const tubes = Object.fromEntries(buildArchitecture.options.map((arch) => [arch, tubeOf(arch)]));
    assert.deepEqual(tubes, {
      ...{ x86_64: 'x86_64', noarch: 'noarch', aarch64: 'aarch64' },
      ...{ ppc64: 'ppc64', ppc64le: 'ppc64le', ppc: 'ppc' },
      ...{ armhfp: 'armv7l', i386: 'i386', i686: 'i386' },
    });
  });

  it('has nothing that a shell, a path or a URL takes for something else', () => {
    assert.deepEqual(reimzulJob.parse(job), job);
    assert.ok(reimzulJob.safeParse({ ...job, srpm: 'c++-lib-1.0~rc1^git+2-1.el7.src.rpm' }).success);
    const bad = [
      ...[
        '; rm -rf /',
        '$(id)',
        '`id`',
        '| id',
        '> x',
        '< x',
        '&',
        '*',
        '?',
        '[a]',
        '{a,b}',
        "'",
        '"',
        '\\',
        '#',
        '!',
      ],
      ...[' ', '\n', '\t', '\0', '/', '%2f', 'ü', '(', ')', '=', ':', '..'],
    ];
    for (const text of bad) {
      for (const [field, value] of [
        ['srpm', `bash${text}-4.2-1.el7.src.rpm`],
        ['target', `c7${text}.x86_64`],
        ['disttag', `.el7${text}`],
        ['submitter', `tree${text}line`],
        ['treeline', `r${text}/x86_64/bash/1`],
      ] as const) {
        // What a field's own form has.
        if (field === 'disttag' && text === '..') continue;
        assert.ok(
          !reimzulJob.safeParse({ ...job, [field]: value }).success,
          `${field}: ${JSON.stringify(value)}`,
        );
      }
    }
    for (const change of [
      ...[{ srpm: '-a-1-1.src.rpm' }, { srpm: 'bash.rpm' }, { srpm: `${'a'.repeat(300)}-1-1.src.rpm` }],
      ...[{ arch: 'sparc' }, { arch: 'i386' }, { target: 'c7' }, { disttag: 'el7' }, { scratch: 'no' }],
    ])
      assert.ok(!reimzulJob.safeParse({ ...job, ...change }).success, JSON.stringify(change));
  });

  it('has a key that says whose it is', () => {
    const key = { run: 'r-1', arch: 'x86_64', srpm: job.srpm, attempt: 1 } as const;
    assert.equal(keyOf(key), job.treeline);
    assert.throws(() => keyOf({ ...key, run: '../x' }));
    assert.throws(() => keyOf({ ...key, srpm: 'x/../y-1-1.src.rpm' }));
  });
});

describe('news', () => {
  const added = {
    pkgname: 'bash',
    evr: '4.2-1.el7',
    timestamp: '20261125000000',
    builder_fqdn: 'b1.example.org',
  };
  const parse = (data: unknown) => parseNews(Buffer.from(JSON.stringify(data)));

  it('keeps what can be used, and drops what is unfit for a URL', () => {
    const { srpm, arch, target, treeline } = job;
    const known = { status: 'Success', srpm, arch, target, treeline };
    assert.deepEqual(parse({ ...job, status: 'Success', ...added, more: 1 }), { ...known, ...added });
    const bad = { pkgname: '../x', evr: '1/2', timestamp: 'now', builder_fqdn: 'a b' };
    const unfit = parse({ ...job, status: 'Success', ...bad });
    assert.deepEqual(JSON.parse(JSON.stringify(unfit)), known);
  });

  it('that is not ours is said to be so in a few words', () => {
    const foreign = (data: unknown) => (parse(data) as { foreign?: string }).foreign;
    assert.equal((parseNews(Buffer.from('\xff{')) as { foreign: string }).foreign, 'garbage');
    assert.equal(foreign([job]), 'garbage');
    assert.equal(foreign(null), 'garbage');
    const { treeline: _, ...others } = job;
    assert.equal(foreign({ ...others, status: 'Building' }), 'of bash-4.2-1.el7.src.rpm: Building');
    assert.equal(
      foreign({ ...job, treeline: '../../x', status: 'Failed' }),
      'garbage about bash-4.2-1.el7.src.rpm: Failed',
    );
    assert.equal(foreign({ ...job, status: '\x1b[2J' }), 'garbage');
  });

  describe('in the journal', () => {
    let s: Scratch;
    before(async () => {
      s = await makeScratch('news');
    });
    after(() => s.remove());

    it('is on the disk before it leaves the queue, and once however often it comes', async () => {
      const server = await startBeanstalkd();
      const queue = await Beanstalk.connect(`127.0.0.1:${server.port}`, new AbortController().signal);
      const journal = new NewsJournal(s.at('state'));
      await queue.use('notify');
      await queue.watch('notify');
      await queue.ignore('default');
      const put = (change: object) =>
        queue.put(JSON.stringify({ ...job, status: 'Building', ...added, ...change }));
      const noted: string[] = [];
      // Nobody waits for it: it is dropped, and makes no folder.
      await put({});
      await journal.pump(queue, 0, (line) => noted.push(line));
      assert.ok(!(await exists(s.at('state/news'))));
      await journal.open(job.treeline);
      const id = await put({});
      // Its reader died between the journal and the queue.
      assert.equal(await journal.keep((await queue.reserve(0))?.body ?? Buffer.alloc(0)), undefined);
      await queue.release(id);
      await put({});
      await put({ status: 'Success' });
      await journal.pump(queue, 0, (line) => noted.push(line));
      assert.deepEqual((await journal.read(job.treeline)).map(({ status }) => status).sort(), [
        'Building',
        'Success',
      ]);
      assert.deepEqual(noted, [
        'news of no job that is waited for: of r-1/x86_64/bash-4.2-1.el7/1: x86_64 Building',
      ]);
      assert.equal((await queue.statsTube('notify'))?.['current-jobs-ready'], '0');
      await removeNews(s.at('state'), 'r-1');
      await put({ status: 'Failed' });
      await journal.pump(queue, 0, () => undefined);
      assert.deepEqual(await readdir(s.at('state/news')), []);
      queue.close();
      await server.close();
    });

    it('that was damaged on the disk stops nothing', async () => {
      const journal = new NewsJournal(s.at('damaged'));
      await mkdir(s.at('damaged/news', job.treeline), { recursive: true });
      await s.write(`damaged/news/${job.treeline}/Success-1.json`, '{"srpm"');
      assert.deepEqual(await journal.read(job.treeline), []);
    });

    it('is bounded', async () => {
      const journal = new NewsJournal(s.at('bounded'));
      await journal.open(job.treeline);
      const news = (n: number) => Buffer.from(JSON.stringify({ ...job, status: 'Building', n }));
      for (let n = 0; n < 100; n++) assert.equal(await journal.keep(news(n)), undefined);
      assert.match((await journal.keep(news(100))) ?? '', /one of too many/);
    });
  });
});
