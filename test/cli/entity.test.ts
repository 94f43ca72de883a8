/** What the command line sends to the stream workflow, on a real server. */
import assert from 'node:assert/strict';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { execa } from 'execa';
import { join } from 'node:path';
import type { StreamView } from '../../src/domain/promotion.js';
import { statement } from '../../src/domain/statement.js';
import { findBuild } from '../../src/cli/builds.js';
import { readSigned } from '../../src/cli/statement.js';
import { packageRoot } from '../../src/settings.js';
import { writeJson } from '../../src/store/store.js';
import type { Answer } from '../../src/workflows/stream-messages.js';
import { People } from '../keys/people.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { TestInstance } from '../support/instance.js';
import { runHere } from './here.js';
import { commits, storeBuilds } from './stored.js';
import type { Request } from './stub-stream.js';

const build = '20261123_01';
/** A build whose second attempt at a signed rebuild waits for a decision, and what that has made. */
const [accepted, signedBuild] = ['20261121_01', '20261123_09'] as const;

describe('decisions from the command line', function () {
  this.timeout('3m');
  let s: Scratch;
  let people: People;
  let instance: TestInstance;
  let connection: NativeConnection;
  let worker: Worker;
  let ended: Promise<void>;
  before(async () => {
    s = await makeScratch('cli-entity');
    people = await People.make(s);
    await people.join('ann');
    instance = await TestInstance.create();
    await instance.declare('sample');
    await storeBuilds(instance.store(), 'sample', [build, '20261122_01', accepted]);
    await storeBuilds(instance.store(), 'sample.signed', [signedBuild]);
    const { run: signedRun } = await findBuild(instance.store(), `sample.signed/${signedBuild}`);
    await writeJson(join(instance.store().archDir(signedRun, 'x86_64'), 'build', 'equivalence.json'), {
      ...{ stream: 'sample.signed', architecture: 'x86_64', counts: { expected: 2, unexpected: 1 } },
      ...{
        accepted: { build: signedBuild, commit: 'a' },
        rebuilt: { commit: 'b', packages: 2 },
        differences: [],
      },
    });
    await instance.startServer();
    connection = await NativeConnection.connect({ address: instance.settings.temporalAddress });
    const options: WorkerOptions = {
      ...{ connection, namespace: 'default', taskQueue: 'control' },
      workflowsPath: join(packageRoot, 'dist/test/cli/stub-stream.js'),
    };
    worker = await Worker.create(options);
    ended = worker.run();
  });
  after(async () => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await ended;
    await connection.close();
    await instance.close();
    await execa('gpgconf', ['--homedir', people.home, '--kill', 'gpg-agent']);
    await s.remove();
  });

  const ann = () => ['--key', 'ann@example.org', '--gnupg-home', people.home, '--yes'];
  const run = (...args: string[]) => runHere(instance.settings, ...args);
  /** The stub's answer: how many requests it took, the update, and the request. */
  const taken = async (...args: string[]) => {
    const { message } = JSON.parse(await run(...args, '--json')) as Answer;
    const [, count, update, request = ''] = /^(\d+) (\w+) (.*)$/s.exec(message) ?? assert.fail(message);
    return { count: Number(count), update, request: JSON.parse(request) as Request };
  };
  const signed = async (...args: string[]) => {
    const { update, request } = await taken(...args, ...ann());
    const said = readSigned(request.statement ?? assert.fail(), 'it');
    return { update, said, build: request.build };
  };

  it('say that nothing is there before the first', async () => {
    const { exitCode, stderr } = await instance.cli('promotions', 'sample');
    assert.equal(exitCode, 4);
    assert.match(
      stderr,
      /sample: nothing was proposed or released yet\. `treeline promote sample BUILD` proposes/,
    );
  });

  it('a proposal starts the workflow and needs no key', async () => {
    const { update, request } = await taken('promote', 'sample', build, '--propose');
    assert.deepEqual([update, request], ['promote', { build }]);
  });

  it('promote shows what would be released, signs and sends', async () => {
    const shown = await run('promote', 'sample', build, ...ann(), '--reason', 'good');
    assert.match(shown, /^sample 20261123_01: replaces the release 20261122_01\n/);
    assert.match(shown, /x86_64 {2}commit (ab){32} {2}made 2026-11-23/);
    assert.match(shown, /qcow2 +a\.qcow2 +1\.0 GiB +passed/);
    assert.match(
      shown,
      /1 packages? differs? from 20261122_01:\n.*\nnetbase +changed +1-1\.noarch +2-1\.noarch/,
    );
    assert.match(shown, /\d+ promote \{"build":"20261123_01","statement":"-----BEGIN PGP SIGNED MESSAGE/);
    const { said, update, build: sent } = await signed('promote', 'sample', build);
    assert.deepEqual([update, sent, said.decision, said.onto], ['promote', build, 'promote', '20261122_01']);
    assert.deepEqual(said.commits, commits);
  });

  it('the other decisions are signed and sent likewise', async () => {
    for (const decision of ['approve', 'reject', 'withdraw']) {
      const { update, said } = await signed(decision, 'sample', build);
      assert.deepEqual([update, said.decision, said.build], ['decide', decision, build]);
    }
    const back = await signed('rollback', 'sample');
    assert.deepEqual(
      [back.update, back.said.build, back.said.onto],
      ['decide', '20261122_01', '20261101_01'],
    );
    // Commits of a release are those that the stream knows, whatever became of the build.
    assert.deepEqual(back.said.commits, { x86_64: 'cd'.repeat(32) });
    const go = await signed('announce', 'sample', '20261101_01', '--go');
    assert.deepEqual(
      [go.said.decision, go.said.build, go.said.onto],
      ['announce', '20261101_01', '20261122_01'],
    );
  });

  it('a decision about a signed rebuild names its last attempt, and what is made of it', async () => {
    const about = async (decision: string, ...args: string[]) => {
      const { update, said } = await signed('decide', 'sample', accepted, decision, ...args);
      assert.deepEqual([update, said.build, said.attempt, said.onto], ['decide', accepted, 2, '20261122_01']);
      assert.equal(said.decision, decision);
      return { signed: said.signed, reuse: said.reuse, changes: said.changes, commits: said.commits };
    };
    const changes = { pin: { netbase: '2-1.noarch' }, drop: ['vim'], files: 'current' };
    const nothing = { signed: undefined, reuse: undefined, changes: undefined, commits };
    assert.deepEqual(await about('release'), { ...nothing, signed: signedBuild });
    assert.deepEqual(await about('redo'), { ...nothing, reuse: true, changes });
    assert.deepEqual(await about('redo', '--no-reuse'), { ...nothing, reuse: false, changes });
    assert.deepEqual(await about('rework', '--drop', 'a', '--drop', 'b', '--pin', 'c=1:2-3.noarch'), {
      ...{ ...nothing, reuse: true },
      changes: { pin: { c: '1:2-3.noarch' }, drop: ['a', 'b'], files: 'accepted' },
    });
    await about('abandon', '--reason', 'no');
    const { said } = await signed('withdraw', 'sample', accepted);
    assert.deepEqual([said.decision, said.attempt], ['withdraw', 2]);
    assert.equal((await signed('withdraw', 'sample', accepted, '--all')).said.attempt, undefined);
  });

  it('a decision about a signed rebuild shows what comes of it', async () => {
    const shown = (...args: string[]) => run('decide', 'sample', ...args, ...ann());
    const release = await shown(signedBuild, 'release');
    assert.match(release, /^sample 20261121_01, attempt 2 \(testing\)\n20261123_09 is released: it replaces/);
    assert.match(release, /qcow2 +a\.qcow2 +1\.0 GiB +passed/);
    assert.match(release, /2 expected differences from the accepted build\n1 unexpected difference from/);
    assert.match(release, /netbase +changed +1-1\.noarch +2-1\.noarch/);
    assert.match(await shown(accepted, 'redo'), /attempt 3 begins with the same inputs; signed packages/);
    const rework = await shown(
      accepted,
      'rework',
      '--pin',
      'netbase=7-1.noarch',
      '--drop',
      'base',
      '--drop',
      'vim',
    );
    assert.match(rework, /x86_64: 2 of 2 packages are changed by name:\n/);
    assert.match(rework, /base +removed +1-1\.noarch/);
    assert.match(rework, /netbase +changed +1-1\.noarch +7-1\.noarch/);
    assert.match(rework, /vim is not in the accepted build/);
    assert.match(await shown(accepted, 'abandon', '--reason', 'no'), /20261123_09: removed from the testing/);
  });

  it('a decision that cannot be made is not signed', async () => {
    const no = (message: RegExp, ...args: string[]) =>
      assert.rejects(run('decide', 'sample', ...args, ...ann()), message);
    await no(/no signed rebuild of it is open/, build, 'release');
    await no(/attempt 2 has no differences to accept/, accepted, 'accept');
    await no(/say what to change: --pin/, accepted, 'rework');
    await no(/are for rework/, accepted, 'redo', '--drop', 'vim');
    await no(/--pin vim: write NAME=EVRA/, accepted, 'rework', '--pin', 'vim');
    await no(/changes\.pin\.vim: write \[epoch:\]/, accepted, 'rework', '--pin', 'vim=a b');
    await no(/say why: --reason/, accepted, 'abandon');
  });

  it('a build is named by its id, whichever line of its stream it is of', async () => {
    for (const [id, line] of [
      [accepted, 'sample'],
      [signedBuild, 'sample.signed'],
    ] as const)
      for (const name of [id, `sample/${id}`, `${line}/${id}`])
        assert.equal((await findBuild(instance.store(), name)).run.stream, line, name);
  });

  it('retry and what became of a mail need no signature', async () => {
    assert.deepEqual((await taken('retry', 'sample', build)).request, { build });
    assert.deepEqual((await taken('announce', 'sample', build, '--sent')).request, { build, mail: 'sent' });
    assert.deepEqual((await taken('announce', 'sample', build, '--again')).request, { build, mail: 'again' });
  });

  it('a statement that was signed elsewhere is routed by what it says; sent twice it is one request', async () => {
    const printed = await run('approve', 'sample', build, '--print');
    const file = await s.write('approve.asc', await people.sign('ann', statement.parse(JSON.parse(printed))));
    const first = await taken('submit', file);
    assert.equal(first.update, 'decide');
    assert.deepEqual(await taken('submit', file), first);
    const promote = await people.sign('ann', (await run('promote', 'sample', build, '--print')).trim());
    const piped = await execa(join(packageRoot, 'bin/treeline'), ['submit', '-'], {
      env: instance.env,
      input: promote,
    });
    assert.match(piped.stdout, new RegExp(`^${first.count + 1} promote \\{"build":"${build}"`));
  });

  it('a refusal has code, reason and remedy', async () => {
    const { exitCode, stderr } = await instance.cli(
      'approve',
      'sample',
      build,
      ...ann(),
      '--reason',
      'refuse me',
    );
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /sample: StatementRefused: the statement was altered\nThe message says why; make and sign/,
    );
  });

  it('nothing is signed without a yes or a key', async () => {
    const unasked = await instance.cli('approve', 'sample', build);
    assert.equal(unasked.exitCode, 2);
    assert.match(unasked.stderr, /nobody to ask here: confirm with `--yes`/);
    const keyless = await instance.cli('approve', 'sample', build, ...ann(), '--key', 'eve@example.org');
    assert.equal(keyless.exitCode, 1);
    assert.match(
      keyless.stderr,
      /no private key `eve@example\.org` in your GnuPG home\. Name one with `--key`/,
    );
  });

  it('promotions shows who is waited for, vetoes and the last decisions', async () => {
    const text = await run('promotions', 'sample');
    assert.match(text, /^sample: released 20261122_01\n/);
    assert.match(text, /20261123_01 +proposed +1 of 2 +Bob +2026-12-21 10:00 +soaks/);
    assert.match(text, /Signed rebuilds of 20261121_01\n/);
    assert.match(text, /1 +promotion +failed +2026-11-23 10:00 +2026-11-23 10:00 +SourceMissing: vim/);
    assert.match(
      text,
      /2 +rework: all anew, netbase=2-1\.noarch, without vim, current files +testing +20261123_09/,
    );
    assert.match(text, /release +1 of 2 +Alice +2026-11-23 10:00 +boots\n\s*still asked: Bob/);
    assert.match(text, /veto against 20261119_01 by Bob/);
    assert.match(text, /20261119_01 +promote +Alice +refused: is too old/);
    assert.equal(text.match(/ promote /g)?.length, 10);
    assert.equal(text.includes('expired'), false);
    const view = JSON.parse(await run('promotions', 'sample', '--json')) as StreamView;
    assert.equal(view.history.length, 12);
  });

  it('say so where no worker answers', async () => {
    worker.shutdown();
    await ended;
    await assert.rejects(
      run('promotions', 'sample'),
      /sample: no worker answers\. Start one with `treeline up`/,
    );
    // The current release is then known from the build store alone: none.
    const said = statement.parse(JSON.parse(await run('promote', 'sample', build, '--print')));
    assert.equal(said.onto, null);
  });
});
