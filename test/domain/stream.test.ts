import assert from 'node:assert/strict';
import { refOf, streamSchema } from '../../src/domain/stream.js';

const minimal = {
  name: 'tiny',
  title: 'Tiny',
  treefile: 'treefile.yaml',
  ref: 'tiny/${arch}/standard',
  osname: 'tiny',
  releasever: '1',
  composer: 'dnf',
  repos: [{ id: 'base', baseurl: 'https://example.org/base', gpgKeys: ['key.asc'] }],
  signingKey: 'key.asc',
  publish: { buildlogs: { location: '/srv/buildlogs', url: 'https://example.org/buildlogs' } },
};
const buildlogs = (change: Record<string, unknown>) => ({
  publish: { buildlogs: { ...minimal.publish.buildlogs, ...change } },
});
const repo = (change: Record<string, unknown>) => ({ repos: [{ ...minimal.repos[0], ...change }] });
const schedule = (change: Record<string, unknown>) => ({ schedule: { cron: '30 2 * * *', ...change } });

/** Paths of the fields that are refused when the minimal stream is changed so. */
const refused = (change: Record<string, unknown>) => [
  ...new Set(
    streamSchema.safeParse({ ...minimal, ...change }).error?.issues.map((issue) => issue.path.join('.')) ??
      [],
  ),
];

function refuses(
  field: string,
  values: readonly unknown[],
  change: (value: unknown) => Record<string, unknown>,
) {
  it(`refuses a bad ${field}`, () => {
    for (const value of values) assert.deepEqual(refused(change(value)), [field], JSON.stringify(value));
  });
}

describe('the stream schema', () => {
  it('fills in defaults', () => {
    const stream = streamSchema.parse({ ...minimal, images: [{ kind: 'qcow2' }], ...schedule({}) });
    assert.deepEqual(stream.architectures, ['x86_64']);
    assert.deepEqual(stream.images, [{ kind: 'qcow2', size: 4 * 2 ** 30, options: {}, bootTest: true }]);
    assert.deepEqual(stream.bootTest, {
      timeout: 300,
      memory: 2 ** 30,
      cpus: 2,
      attempts: 2,
      mayFail: [],
      probe: 'console',
    });
    assert.deepEqual(stream.schedule, {
      cron: '30 2 * * *',
      timezone: 'UTC',
      catchUp: 6 * 3600,
      paused: false,
    });
    assert.deepEqual(stream.retention, { builds: 14, runs: 30 });
    assert.equal(stream.freeSpace, 3 * 2 ** 30);
    assert.equal(stream.repos[0]?.metadataSigned, false);
    assert.deepEqual([stream.notify, stream.description], [[], '']);
    assert.equal(streamSchema.parse(minimal).schedule, undefined);
    assert.deepEqual(streamSchema.parse({ ...minimal, notify: [{}] }).notify, [
      { on: ['published', 'failed'] },
    ]);
  });

  it('accepts every form of a location, cron and ref', () => {
    const locations = [
      '/srv/x',
      'rsync://host/module/path',
      'rsync://user@host:8730/module/',
      'ssh://host/path',
      'ssh://user@host.example:2222/srv/a',
      'ssh://u@[::1]:22/a',
    ];
    for (const location of locations) assert.deepEqual(refused(buildlogs({ location })), [], location);
    for (const cron of ['30 2 * * *', '*/15 0-6 1,15 jan-MAR Mon', '0 0 29 2 7', '5/10 23 31 12 0'])
      assert.deepEqual(refused(schedule({ cron })), [], cron);
    for (const ref of ['a', 'a/${arch}', 'os/7/${arch}/standard', 'a/b.c-d_e'])
      assert.deepEqual(refused({ ref }), [], ref);
  });

  const hostile = ['-x', '--option', 'a b', 'a\nb', 'a\tb', 'a\0b', '', ' a'];
  refuses('name', [...hostile, 'Abc', '1abc', 'a_b', '../a', 'a'.repeat(64)], (name) => ({ name }));
  refuses('osname', [...hostile, 'A'], (osname) => ({ osname }));
  refuses('treefile', hostile, (treefile) => ({ treefile }));
  refuses('signingKey', hostile, (signingKey) => ({ signingKey }));
  refuses('releasever', [...hostile, 7, '../7', '$x'], (releasever) => ({ releasever }));
  refuses(
    'ref',
    [...hostile, '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/.b', 'a/-b', 'a/${os}', 'a;b'],
    (ref) => ({ ref }),
  );
  refuses('title', ['', 'x'.repeat(81), 5], (title) => ({ title }));
  refuses('architectures', [[], 'x86_64'], (architectures) => ({ architectures }));
  refuses('architectures.0', [['arm'], ['']], (architectures) => ({ architectures }));
  refuses('composer', ['yum', '', null], (composer) => ({ composer }));
  refuses('repos', [[], {}], (repos) => ({ repos }));
  refuses('repos.0.id', [...hostile, '.a', 'a/b'], (id) => repo({ id }));
  refuses('repos.0.baseurl', [...hostile, 'ftp://a', '/srv', 'example.org'], (baseurl) => repo({ baseurl }));
  refuses('repos.0.gpgKeys', [[], 'key'], (gpgKeys) => repo({ gpgKeys }));
  refuses('repos.0.gpgKeys.0', hostile, (key) => repo({ gpgKeys: [key] }));
  refuses('publish.buildlogs.url', [...hostile, 'ftp://a/b', 'https://', 'http:///x'], (url) =>
    buildlogs({ url }),
  );
  const locations = [
    'srv/x',
    'https://a/b',
    'rsync://host',
    'ssh://host',
    'ssh:///a',
    'ssh://-oProxyCommand=x/a',
    'ssh://a@-x/b',
    'ssh://a:b:c/d',
    'rsync://-x/y',
  ];
  refuses('publish.buildlogs.location', [...hostile, ...locations], (location) => buildlogs({ location }));
  refuses('publish.buildlogs.identityFile', hostile, (identityFile) => buildlogs({ identityFile }));
  refuses(
    'schedule.cron',
    [
      '',
      '* * * *',
      '* * * * * *',
      '60 2 * * *',
      '30 24 * * *',
      '0 0 0 * *',
      '0 0 * 13 *',
      '0 0 * * 8',
      '5-1 * * * *',
      '*/0 * * * *',
      'a b c d e',
      '@daily',
      '0\n0 * * *',
      '1, * * * *',
    ],
    (cron) => schedule({ cron }),
  );
  refuses('schedule.timezone', ['Mars/Olympus', '', 'UTC+99'], (timezone) => schedule({ timezone }));
  refuses('schedule.catchUp', ['10', 600], (catchUp) => schedule({ catchUp }));
  refuses('bootTest.attempts', [0, 6, 1.5, '2'], (attempts) => ({ bootTest: { attempts } }));
  refuses('bootTest.mayFail.0', ['kdump', 'a b.service', '$(x).service'], (unit) => ({
    bootTest: { mayFail: [unit] },
  }));
  refuses('bootTest.cpus', [0, 65], (cpus) => ({ bootTest: { cpus } }));
  refuses('retention.builds', [1, 0, -1], (builds) => ({ retention: { builds } }));
  refuses('retention.runs', [1], (runs) => ({ retention: { runs } }));
  refuses('freeSpace', ['3GB', 0], (freeSpace) => ({ freeSpace }));
  refuses('notify.0.on.0', ['sometimes'], (on) => ({ notify: [{ on: [on] }] }));
  refuses('notify.0.webhook', ['file:///x', 'x'], (webhook) => ({ notify: [{ webhook }] }));

  it('refuses unknown fields at every level', () => {
    assert.deepEqual(refused({ tittle: 'x' }), ['']);
    assert.deepEqual(refused(buildlogs({ user: 'x' })), ['publish.buildlogs']);
    assert.deepEqual(refused(repo({ gpgcheck: false })), ['repos.0']);
  });

  it('puts the architecture into every place of the ref', () => {
    assert.equal(refOf({ ref: 'a/${arch}/b/${arch}' }, 'aarch64'), 'a/aarch64/b/aarch64');
  });
});
