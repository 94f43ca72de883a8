/** The command line as a person meets it: helpful errors, exit codes, output that can be read and parsed. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlannedStep } from '../../src/cli/dry-run.js';
import { packageRoot } from '../../src/settings.js';
import { TestInstance } from '../support/instance.js';

describe('treeline command', function () {
  let instance: TestInstance;

  before(async () => {
    instance = await TestInstance.create();
    await instance.declare('sample');
  });
  after(() => instance.close());

  it('says how to start a server where none is up', async () => {
    for (const args of [
      ['nightly', 'sample'],
      ['watch', 'sample'],
      ['cancel', 'sample'],
      ['status'],
      ['apply'],
    ]) {
      const { exitCode, stderr } = await instance.cli(...args);
      assert.equal(exitCode, 3, args.join(' '));
      assert.match(stderr, /no Temporal server answers at 127\.0\.0\.1:\d+\. Start one with `treeline up`/);
    }
  });

  it('refuses wrong usage with a suggestion', async () => {
    const unknown = await instance.cli('nigthly', 'sample');
    assert.equal(unknown.exitCode, 2);
    assert.match(unknown.stderr, /Did you mean nightly\?/);
    assert.equal((await instance.cli('nightly')).exitCode, 2);
    const roles = await instance.cli('worker', '--roles', 'compose,paint');
    assert.equal(roles.exitCode, 2);
    assert.match(
      roles.stderr,
      /no role paint; there are: control, compose, images, reimzul, signing, publish/,
    );
    assert.equal((await instance.cli('help')).exitCode, 0);
  });

  it('names streams and builds that are not there', async () => {
    const stream = await instance.cli('nightly', 'smaple');
    assert.equal(stream.exitCode, 2);
    assert.match(stream.stderr, /smaple: no such stream\. There are: sample\. Did you mean `sample`\?/);
    for (const args of [
      ['show', '20260101_01'],
      ['logs', 'sample/20260101_01'],
      ['diff', '20260101_01', '20260101_02'],
    ]) {
      const { exitCode, stderr } = await instance.cli(...args);
      assert.equal(exitCode, 4, args.join(' '));
      assert.match(stderr, /no such build\. `treeline builds STREAM` lists them/);
    }
  });

  it('asks which stream is meant when several have a build of that id', async () => {
    for (const stream of ['sample', 'other']) {
      await mkdir(instance.store().idsDir(stream), { recursive: true });
      await writeFile(join(instance.store().idsDir(stream), '20260102_01'), 'run\n');
    }
    const { exitCode, stderr } = await instance.cli('logs', '20260102_01');
    assert.equal(exitCode, 2);
    assert.match(stderr, /a build of several streams\. Write one of: \S+\/20260102_01, \S+\/20260102_01/);
  });

  it('prints every step’s commands of each shipped stream in a dry run', async () => {
    const shipped = { TREELINE_STREAMS: join(packageRoot, 'streams') };
    const composer = { sample: 'python3', projectatomic: 'rpm-ostree', 'atomic-host': 'rpm-ostree' };
    for (const [stream, program] of Object.entries(composer)) {
      const { exitCode, stdout, stderr } = await instance
        .with(shipped)
        .cli('nightly', stream, '--dry-run', '--json');
      assert.equal(exitCode, 0, stderr);
      const plan = JSON.parse(stdout) as PlannedStep[];
      const commands = (step: string) =>
        plan.find((planned) => planned.step === step)?.commands ?? assert.fail(step);
      assert.equal(commands('resolve')[0]?.[0], program);
      assert.ok(
        commands('commit')
          .flat()
          .some((argument) => argument.includes('<build>')),
      );
      for (const step of [
        'parent',
        'download',
        'check-content',
        'diff',
        'image-qcow2',
        'boot-qcow2',
        'sign-commit',
        'sign-images',
        'snapshot',
        'sign-summary',
        'push-repo',
        'switch',
        'verify',
        'metadata',
      ])
        assert.ok(commands(step).length > 0, step);
      // What Treeline does itself has none.
      for (const step of ['reserve', 'fixes', 'compare']) assert.deepEqual(commands(step), [], step);
      const text = await instance.with(shipped).cli('nightly', stream, '--dry-run');
      assert.match(text.stdout, /^push-repo {2}\(queue publish\) {2}Push objects\n {2}rsync /m);
    }
  });

  it('doctor says what is missing and how to get it, by role', async () => {
    const missing = instance.with({ TREELINE_PATH: '/nowhere' });
    const { exitCode, stdout, stderr } = await missing.cli('doctor', '--roles', 'images', '--json');
    assert.equal(exitCode, 1);
    assert.match(stderr, /missing: .*qemu-img/);
    const checks = JSON.parse(stdout) as { role: string; what: string; ok: boolean; detail: string }[];
    assert.ok(checks.every(({ role }) => role === 'images'));
    assert.match(checks.find(({ what }) => what === 'qemu-img')?.detail ?? '', /install qemu/);
    const here = await instance.with({ TREELINE_ACCELERATOR: 'tcg' }).cli('doctor', '--roles', 'images');
    assert.equal(here.exitCode, 0, here.stderr);
    assert.match(here.stdout, /virtualization +TCG, by TREELINE_ACCELERATOR/);
  });

  it('validates stream files and names each mistake with its line', async () => {
    await instance.declare('broken', { schedule: { cron: 'daily' } });
    const { exitCode, stdout, stderr } = await instance.cli('validate');
    assert.equal(exitCode, 2);
    assert.match(stdout, /sample: valid/);
    assert.match(stderr, /broken\/stream\.yaml:\d+: schedule\.cron: write five fields/);
  });
});
