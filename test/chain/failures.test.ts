/** What goes wrong on real nights, with the real tools: each run ends with its reason or goes on when the cause is mended. */
import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import { execa } from 'execa';
import { mkdir, mkdtemp, rm, writeFile, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exists } from '../../src/store/store.js';
import { nightlyId } from '../../src/workflows/chains/nightly-messages.js';
import { Gate } from '../support/gate.js';
import { TestInstance } from '../support/instance.js';
import { until } from '../support/ports.js';
import { startRsyncDaemon } from '../support/servers.js';

/** No images: these runs are about everything else. */
const plain = { images: [], freeSpace: '512MiB' };

describe('the chain on bad nights', function () {
  this.timeout('15m');
  let instance: TestInstance;
  let folder: string;
  let gate: Gate;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'treeline-failures-'));
    const state = join(folder, 'instance/state');
    gate = await Gate.make(join(folder, 'gate'), join(state, 'store/*/runs/*/logs'));
    const folders = { TREELINE_STATE: state, TREELINE_STREAMS: join(folder, 'instance/streams') };
    instance = await TestInstance.create({ ...folders, TREELINE_PATH: gate.path });
    await instance.withSmallSample();
    await instance.start();
  });
  after(async () => {
    await gate.open();
    await instance.close();
    await rm(folder, { recursive: true, force: true });
  });

  const sampleKey = '${state}/sample/RPM-GPG-KEY-sample.asc';
  const repo = (path: string, key = sampleKey) => ({
    repos: [{ id: 'sample', baseurl: `\${web}/${path}`, gpgKeys: [key], metadataSigned: false }],
  });

  async function failure(stream: string): Promise<{ type: string | null | undefined; message: string }> {
    const error: unknown = await instance.result(stream).then(
      () => assert.fail('the run did not fail'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof WorkflowFailedError, String(error));
    const cause = error.cause?.cause ?? error.cause;
    assert.ok(cause instanceof ApplicationFailure, 'not an ApplicationFailure');
    assert.deepEqual(await instance.leftovers(), []);
    assert.equal(
      await exists(join(instance.store().www(), 'buildlogs', stream, 'repo/summary')),
      false,
      'nothing is published',
    );
    return { type: cause.type, message: cause.message };
  }

  /** Waits until the run says that a step will be tried again. */
  const trouble = (stream: string, pattern: RegExp) =>
    until(`${stream} says ${String(pattern)}`, 120, async () =>
      pattern.test((await instance.progress(stream))?.trouble ?? ''),
    );

  it('names a package that does not exist, at once and without an id', async () => {
    await instance.declare('missing', plain);
    await instance.edit('missing', 'treefile.yaml', (text) =>
      text.replace(/^packages:.*$/m, (line) => `${line}\n  - no-such-package`),
    );
    const { exitCode, stderr } = await instance.cli('nightly', 'missing');
    assert.equal(exitCode, 1);
    assert.match(stderr, /PackageNotFound in step resolve: .*no-such-package/);
    assert.match(stderr, /Logs: `treeline logs missing resolve`/);
    assert.deepEqual(await instance.store().ids('missing'), []);
    assert.match((await instance.cli('logs', 'missing', 'resolve')).stdout, /no-such-package/);
  });

  it('refuses a package that is not signed with the repo’s key', async () => {
    const rpms = join(instance.store().www(), 'unsigned');
    await execa('cp', ['-aL', join(instance.settings.state, 'sample/rpms'), rpms]);
    const { stdout: files } = await execa('find', [rpms, '-maxdepth', '1', '-name', 'netbase-*.rpm']);
    for (const file of files.split('\n')) {
      await execa('cp', [file, `${file}.new`]);
      await execa('rpmsign', ['--delsign', `${file}.new`]);
      await execa('mv', [`${file}.new`, file]);
    }
    await rm(join(rpms, 'repodata'), { recursive: true, force: true });
    await execa('createrepo_c', ['--quiet', rpms]);
    await instance.declare('unsigned', { ...plain, ...repo('unsigned') });
    await instance.nightly('unsigned');
    const { type, message } = await failure('unsigned');
    assert.equal(type, 'PackageSignature');
    assert.match(message, /netbase/);
  });

  it('waits for a repo that is away, says so, and goes on when it is back', async () => {
    await instance.declare('away', plain);
    await instance.stopWeb();
    // The repo and the published site are both away; the latter is asked first.
    await instance.nightly('away');
    await trouble('away', /TargetUnreachable|RepoUnreachable/);
    await trouble('away', /resolve: RepoUnreachable/);
    const status = await instance.cli('status');
    assert.match(status.stdout, /away .*Unreachable/);
    await instance.startWeb();
    assert.equal((await instance.result('away')).outcome, 'published');
  });

  it('waits while the work folder is full, and goes on when there is space', async () => {
    await instance.declare('full', plain);
    const work = join(instance.settings.state, 'work');
    await mkdir(work, { recursive: true });
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'treeline-test', work]);
    try {
      await instance.nightly('full');
      await trouble('full', /compose: DiskFull/);
      await execa('mount', ['-o', 'remount,size=2g', work]);
      assert.equal((await instance.result('full')).outcome, 'published');
    } finally {
      await execa('umount', ['--lazy', work]);
    }
  });

  it('publishes to an rsync daemon that goes away in the middle, whole, when it is back', async () => {
    // What the daemon holds is what the web serves.
    const folder = join(instance.store().www(), 'away-logs');
    await mkdir(folder);
    const config = `[buildlogs]\npath = ${folder}\nread only = false\n`;
    let daemon = await startRsyncDaemon(instance.settings.state, config);
    const location = `rsync://127.0.0.1:${daemon.port}/buildlogs/remote`;
    await instance.declare('remote', {
      ...plain,
      publish: { buildlogs: { location, url: '${web}/away-logs/remote' } },
    });
    await gate.close({ step: 'commit', when: 'before', command: 'ostree' });
    await instance.nightly('remote');
    await gate.held(120);
    await daemon.close();
    await gate.open();
    await trouble('remote', /push-repo: TargetUnreachable/);
    daemon = await startRsyncDaemon(instance.settings.state, config, daemon.port);
    try {
      const { outcome, build } = await instance.result('remote');
      assert.equal(outcome, 'published');
      const base = `http://127.0.0.1:${instance.settings.webPort}/away-logs/remote`;
      const meta = await fetch(`${base}/builds/${build}/x86_64/meta.json`);
      assert.equal(meta.status, 200);
      assert.equal((await fetch(`${base}/index.html`)).status, 200);
    } finally {
      await daemon.close();
    }
  });

  it('returns readers to the former build when clients cannot pull the new one', async () => {
    // Readers look at a copy of the site to which a mirror has not brought the objects.
    const www = instance.store().www();
    const stale = join(www, 'stale');
    await instance.declare('stale', {
      ...plain,
      publish: { buildlogs: { location: '${state}/www/fresh', url: '${web}/stale' } },
    });
    await mkdir(join(stale, 'repo/objects'), { recursive: true });
    for (const name of ['config', 'refs', 'summary', 'summary.sig'])
      await symlink(join(www, 'fresh/repo', name), join(stale, 'repo', name));
    await instance.nightly('stale');
    const error = await instance.result('stale').catch((reason: unknown) => reason);
    assert.ok(error instanceof WorkflowFailedError);
    assert.equal((error.cause?.cause as ApplicationFailure).type, 'VerificationFailed');
    assert.equal(
      await exists(join(www, 'fresh/repo/summary')),
      false,
      'there was no former build: readers see none',
    );
    assert.equal(await exists(join(www, 'fresh/builds.json')), false);
    // The mirror is brought up to date: the next night publishes.
    await rm(stale, { recursive: true });
    await execa('ln', ['-s', join(www, 'fresh'), stale]);
    await instance.nightly('stale');
    assert.equal((await instance.result('stale')).outcome, 'published');
    const ids = await instance.store().ids('stale');
    assert.equal(ids.length, 2, 'the failed build keeps its id');
    await writeFile(join(www, 'fresh/repo/refs/heads/sample/x86_64/standard'), `${'0'.repeat(64)}\n`);
    await instance.nightly('stale', true);
    assert.equal((await failureOnly('stale')).type, 'PublishConflict');
  });

  async function failureOnly(stream: string) {
    const error = await instance.result(stream).catch((reason: unknown) => reason);
    assert.ok(error instanceof WorkflowFailedError);
    return error.cause?.cause as ApplicationFailure;
  }

  it('refuses a stream file with mistakes before anything runs', async () => {
    await instance.declare('wrong', { ...plain, releasver: '12' });
    const { exitCode, stderr } = await instance.cli('nightly', 'wrong');
    assert.equal(exitCode, 2);
    assert.match(stderr, /wrong\/stream\.yaml:\d+: releasver: unknown field\. Did you mean `releasever`\?/);
    const client = await instance.client();
    await assert.rejects(client.workflow.getHandle(nightlyId('wrong')).describe(), /not found/i);
  });
});
