/** The local builder as a process, with real beanstalkd, rpmbuild and sandbox. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mockConfig } from '../../src/reimzul/builder/mock.js';
import { systemPath } from '../../src/settings.js';
import { exists } from '../../src/store/store.js';
import { makeScratch } from '../steps/scratch.js';
import { until } from '../support/ports.js';
import { LocalBuilder, processesWith, sample, type News } from './local-builder.js';

describe('the local builder', function () {
  let builder: LocalBuilder;

  before(async () => {
    builder = await LocalBuilder.create();
    await builder.start(
      ...['--with-beanstalkd', '--memory', '1GiB', '--processes', '64', '--file-size', '8MiB'],
    );
  });
  after(() => builder.close());

  const query = async (format: string, file: string) =>
    (
      await builder.scratch.step.run([
        ...(['rpm', '-qp', '--nosignature', '--dbpath', builder.scratch.at('db')] as const),
        ...['--queryformat', format, file],
      ])
    ).stdout;
  const log = (news: News, name = 'build.log') => readFile(join(builder.results(news), name), 'utf8');

  for (const [name, arch] of [
    ['treeline-sample-tools', 'x86_64'],
    ['netbase', 'noarch'],
  ] as const)
    it(`rebuilds the sample's ${name} with a dist tag: the same files, and all that reimzul's results have`, async () => {
      const srpm = await builder.sampleSource(name);
      const [building, ended, ...others] = await builder.build(srpm, arch, {
        treeline: `run/x86_64/${name}/1`,
      });
      assert.ok(building && ended);
      assert.deepEqual(others, []);
      const { status, builder_fqdn, timestamp, ...same } = ended;
      assert.equal(status, 'Success', builder.output);
      assert.deepEqual(building, { ...ended, status: 'Building' });
      const [, evr] = /-(\d[^-]*-[^-]*)\.src\.rpm$/.exec(srpm) ?? [];
      assert.deepEqual(same, {
        ...{ srpm, arch, target: `tl1.${arch}`, disttag: '.tl1', scratch: false, submitter: 'test' },
        ...{ treeline: `run/x86_64/${name}/1`, evr, pkgname: name },
      });
      assert.match(String(timestamp), /^\d{14}$/);
      assert.match(String(builder_fqdn), /^[A-Za-z0-9.-]+$/);
      const rpm = `${name}-${evr}.tl1.${arch}.rpm`;
      assert.deepEqual(await readdir(builder.results(ended)), [
        ...['build.log', rpm, `${name}-${evr}.tl1.src.rpm`, 'root.log', 'stderr', 'stdout'].sort(),
      ]);
      const files =
        '[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEFLAGS} %{FILEDIGESTS} %{FILEMTIMES}\n]';
      const accepted = (await readdir(join(sample, 'rpms'))).find(
        (one) => one === `${name}-${evr}.${arch}.rpm`,
      );
      assert.ok(accepted);
      assert.equal(
        await query(files, join(builder.results(ended), rpm)),
        await query(files, join(sample, 'rpms', accepted)),
      );
      // The repo lists it, and a copy waits for its signature.
      await builder.says(`createrepo of tl1.${arch}: done`);
      const repomd = await readFile(builder.repo(`tl1.${arch}/repodata/repomd.xml`), 'utf8');
      const [, primary = ''] = /href="(repodata\/[^"]*primary\.xml\.gz)"/.exec(repomd) ?? [];
      const { stdout } = await builder.scratch.step.run(['zcat', builder.repo(`tl1.${arch}`, primary)]);
      assert.ok(stdout.includes(`/${String(timestamp)}/${evr}.${arch}/${rpm}"`), stdout);
      const waiting = builder.repo('..', 'tosign', `tl1.${arch}`, rpm);
      await until('a copy waits for its signature', 10, () => exists(waiting));
    });

  it('gives the same bytes again', async () => {
    const srpm = await builder.sampleSource('treeline-sample-tools');
    const digests = [];
    for (let i = 0; i < 2; i++) {
      const ended = (await builder.build(srpm, 'x86_64')).at(-1)!;
      const rpm = (await readdir(builder.results(ended))).find((one) => one.endsWith('x86_64.rpm'));
      digests.push(
        (await builder.scratch.step.run(['sha256sum', join(builder.results(ended), rpm!)])).stdout.slice(
          0,
          64,
        ),
      );
    }
    assert.equal(digests[0], digests[1]);
  });

  it('tells of a build that fails, with its log and without packages', async () => {
    const ended = (await builder.build(await builder.source('broken', 'echo this will not do; exit 3'))).at(
      -1,
    )!;
    assert.equal(ended.status, 'Failed');
    assert.match(await log(ended), /^this will not do$/m);
    assert.deepEqual((await readdir(builder.results(ended))).sort(), [
      'build.log',
      'root.log',
      'stderr',
      'stdout',
    ]);
  });

  it('tells of a source package that is not there, or is none', async () => {
    await writeFile(builder.incoming('garbage-1-1.src.rpm'), 'garbage');
    for (const [srpm, why] of [
      ['missing-1-1.src.rpm', /HTTP status 404/],
      ['garbage-1-1.src.rpm', /garbage-1-1\.src\.rpm is not a source package/],
    ] as const) {
      const ended = (await builder.build(srpm)).at(-1)!;
      assert.equal(ended.status, 'Failed');
      assert.match(await log(ended, 'stderr'), why);
    }
  });

  it('builds without network, as nobody, and with nothing of the machine but a read-only /usr', async () => {
    const script = [
      'echo "user $(id -u) $(id -G)"',
      `python3 -c 'import socket; print("devices", socket.if_nameindex())'`,
      `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${new URL(builder.web.url).port}' && echo CONNECTED || echo refused`,
      'touch /usr/share/mine && echo WRITTEN || echo read-only',
      `ls -d ${builder.scratch.folder} /root /home ${process.cwd()} 2>&1 | grep -vc "No such file" || true`,
      'echo "processes $(ls /proc | grep -c "^[0-9]")"',
      'echo "environment $(env | grep -c TREELINE)"',
      'grep -E "^(CapEff|CapPrm|CapBnd|NoNewPrivs)" /proc/self/status',
    ].join('\n');
    const ended = (await builder.build(await builder.source('curious', script))).at(-1)!;
    const text = await log(ended);
    assert.equal(ended.status, 'Success', text);
    assert.match(text, /^user 65530 65530$/m);
    assert.match(text, /^devices \[\(1, 'lo'\)\]$/m);
    assert.doesNotMatch(text, /^(CONNECTED|WRITTEN)$/m);
    assert.match(text, /^refused$/m);
    assert.match(text, /^read-only$/m);
    assert.match(text, /^0$/m);
    assert.ok(Number(/^processes (\d+)$/m.exec(text)?.[1]) < 12, text);
    assert.match(text, /^environment 0$/m);
    for (const set of ['CapEff', 'CapPrm', 'CapBnd']) assert.match(text, new RegExp(`^${set}:\\s+0+$`, 'm'));
    assert.match(text, /^NoNewPrivs:\s+1$/m);
    // And it could have: the same connection works from here.
    assert.equal((await fetch(`${builder.web.url}/reimzul/incoming/curious-1-1.src.rpm`)).status, 200);
  });

  const limits = {
    memory: ['python3 -c "x = bytearray(3 << 29)" && echo TAKEN', /MemoryError/],
    file: ['head -c 20M /dev/zero > big && echo TAKEN', /File size limit exceeded|File too large/],
    process: [
      'for i in $(seq 200); do sleep 5 & done && echo TAKEN',
      /Cannot fork|Resource temporarily unavailable/,
    ],
  } as const;
  for (const [name, [script, why]] of Object.entries(limits))
    it(`keeps a build to its ${name} limit`, async () => {
      const ended = (await builder.build(await builder.source(`greedy-${name}`, script))).at(-1)!;
      const text = await log(ended);
      assert.equal(ended.status, 'Failed', text);
      assert.match(text, why);
      assert.doesNotMatch(text, /^TAKEN$/m);
    });

  it('ends a build that takes too long, with all that it started', async () => {
    // A machine of another kind, whose builder has less patience; what is noarch builds anywhere.
    const hasty = await builder.start('--arch', 'aarch64', '--time', '5s', '--no-createrepo');
    const srpm = await builder.source(
      'slow',
      'echo it begins; setsid sleep 61803398 & trap "" TERM; sleep 61803398',
    );
    const ended = (await builder.build(srpm, 'aarch64')).at(-1)!;
    assert.equal(ended.status, 'Failed');
    assert.match(await log(ended, 'stderr'), /longer than 5 s/);
    assert.match(await log(ended), /^it begins$/m);
    assert.deepEqual(await processesWith('61803398'), []);
    hasty.kill('SIGTERM');
    assert.deepEqual(await once(hasty, 'exit'), [0, null]);
  });

  it('drops what is no job, and goes on', async () => {
    const marker = builder.scratch.at('marker');
    const good = {
      srpm: 'a-1-1.src.rpm',
      arch: 'x86_64',
      target: 'tl1.x86_64',
      disttag: '.tl1',
      scratch: false,
    };
    const bad = [
      { ...good, srpm: `a-1-1.src.rpm; touch ${marker}` },
      { ...good, srpm: '../../../a-1-1.src.rpm' },
      { ...good, disttag: `.tl1 $(touch ${marker})` },
      { ...good, target: `..x86_64` },
      { ...good, arch: 'aarch64', target: 'tl1.aarch64' },
      [],
    ];
    for (const job of [...bad, 'garbage']) await builder.put('x86_64', job);
    const ended = (await builder.build(await builder.source('after', 'true'), 'x86_64')).at(-1)!;
    assert.equal(ended.status, 'Success');
    assert.equal(builder.output.match(/dropped: malformed/g)?.length, 5);
    assert.match(builder.output, /dropped: for aarch64: not of this machine/);
    assert.match(builder.output, /dropped: Unexpected token/);
    assert.equal(await exists(marker), false);
    assert.deepEqual((await readdir(builder.repo('tl1.x86_64'))).includes('a'), false);
  });

  it('drops a createrepo request while there is a lock, whoever left it', async () => {
    const lock = builder.repo('tl2.noarch/.repolock');
    await mkdir(builder.repo('tl2.noarch'));
    await writeFile(lock, '');
    await builder.put('createrepo', { target: 'tl2.noarch' });
    await builder.says('createrepo of tl2.noarch: dropped');
    assert.deepEqual(await readdir(builder.repo('tl2.noarch')), ['.repolock']);
    await rm(lock);
    await builder.put('createrepo', { target: 'tl2.noarch', other: 'keys' });
    await builder.says('createrepo of tl2.noarch: done');
    assert.deepEqual((await readdir(builder.repo('tl2.noarch'))).sort(), ['generation-1', 'repodata']);
  });

  it('chains an i386 build with the same timestamp and target, where it is asked to', async () => {
    const chaining = await LocalBuilder.create();
    try {
      await chaining.start('--with-beanstalkd', '--chain');
      const srpm = await chaining.source('both', 'true');
      const first = (await chaining.build(srpm, 'x86_64')).at(-1)!;
      const second = await chaining.with(async (to) => {
        await to.watch('notify');
        const news: News[] = [];
        for (let i = 0; i < 2; i++) {
          const job = await to.reserve(30);
          news.push(JSON.parse(job!.body.toString()) as News);
          await to.delete(job!.id);
        }
        return news;
      });
      assert.deepEqual(second, [
        { ...first, arch: 'i386', status: 'Building' },
        { ...first, arch: 'i386', status: 'Success' },
      ]);
      assert.ok(await exists(join(chaining.results(second[1]!), 'both-1-1.tl1.noarch.rpm')));
    } finally {
      await chaining.close();
    }
  });

  it('leaves the build to mock where there is one, with the configuration of the target', async () => {
    const tools = await makeScratch('mock');
    // What mock does for reimzul, but for the chroot.
    await tools.write(
      'bin/mock',
      `#!/bin/bash -e
[ "$1 $3 $5 $7 $8" = "--root --resultdir --define --cleanup-after --rebuild" ]
grep -q "target_arch = noarch" "$2"
echo "INFO: $*"
define() { printf -- "--define=%s %s" "$@"; }
rpmbuild --rebuild --define "$6" "$(define _topdir "$4/top")" "$(define _rpmdir "$4")" "$(define _rpmfilename %%{NAME}.rpm)" "$9" &> "$4/build.log"
echo ready > "$4/root.log"
rm -r "$4/top"
`,
    );
    await tools.write('etc/tl1.noarch.cfg', 'target_arch = noarch\n');
    const mocking = await LocalBuilder.create({ TREELINE_PATH: `${tools.at('bin')}:${systemPath}` });
    try {
      await mocking.start('--with-beanstalkd', '--mock-configs', tools.at('etc'));
      const ended = (await mocking.build(await mocking.source('mocked', 'echo by mock'))).at(-1)!;
      const results = mocking.results(ended);
      assert.equal(ended.status, 'Success', mocking.output);
      assert.deepEqual((await readdir(results)).sort(), [
        ...['build.log', 'mock.cfg', 'mock.log', 'mocked.rpm', 'root.log', 'stderr', 'stdout'],
      ]);
      assert.equal(await query('%{RELEASE}', join(results, 'mocked.rpm')), '1.tl1');
      assert.match(await readFile(join(results, 'build.log'), 'utf8'), /^by mock$/m);
      assert.match(await readFile(join(results, 'stdout'), 'utf8'), /^INFO: --root /);
      // A target without a configuration: nothing is built on the machine itself instead.
      await rm(tools.at('etc/tl1.noarch.cfg'));
      const failed = (await mocking.build('mocked-1-1.src.rpm')).at(-1)!;
      assert.equal(failed.status, 'Failed');
      assert.match(
        await readFile(join(mocking.results(failed), 'stderr'), 'utf8'),
        /no configuration .*tl1\.noarch\.cfg/,
      );
    } finally {
      await mocking.close();
      await tools.remove();
    }
  });

  it('asks mock for the configuration of a chained build by the name that reimzul gives it', () => {
    assert.equal(mockConfig('c7.1708.u.x86_64', 'x86_64'), 'c7.1708.u.x86_64.cfg');
    assert.equal(mockConfig('c7.1708.u.x86_64', 'i386'), 'c7.1708.u.i386.cfg');
    assert.equal(mockConfig('c7.1708.u.x86_64', 'noarch'), 'c7.1708.u.noarch.cfg');
    assert.equal(mockConfig('c7.1708.u.ppc64', 'ppc'), 'c7.1708.u.ppc.cfg');
    assert.equal(mockConfig('c7.1708.u.aarch64', 'aarch64'), 'c7.1708.u.aarch64.cfg');
  });

  it('killed in the middle of a build, leaves nothing behind but the queue', async () => {
    const dying = await LocalBuilder.create();
    try {
      const child = await dying.start('--with-beanstalkd');
      const srpm = await dying.source('endless', 'setsid sleep 27182818 & sleep 27182818');
      const job = { srpm, arch: 'noarch', target: 'tl1.noarch', disttag: '.tl1', scratch: false };
      await dying.put('kept', 'a job');
      await dying.put('noarch', job);
      await until('the build runs', 30, async () => (await processesWith('sleep 27182818')).length >= 2);
      child.kill('SIGKILL');
      await until('all is gone', 10, async () => (await processesWith('27182818')).length === 0);
      await until(
        'beanstalkd is gone',
        10,
        async () => (await processesWith(`${dying.port} -b`)).length === 0,
      );
      await dying.start('--with-beanstalkd');
      // At most once: the job is gone; what nobody has taken is still there, and so is the news of its start.
      await dying.with(async (to) => {
        assert.equal((await to.statsTube('noarch'))?.['current-jobs-ready'], '0');
        assert.equal((await to.statsTube('kept'))?.['current-jobs-ready'], '1');
        await to.watch('notify');
        const news = JSON.parse((await to.reserve(0))!.body.toString()) as News;
        assert.equal(news.status, 'Building');
      });
      assert.equal((await readdir(dying.scratch.at('state/reimzul/work'))).length, 1);
      assert.equal((await readdir(dying.repo('.new'))).length, 1);
    } finally {
      await dying.close();
    }
  });
});
