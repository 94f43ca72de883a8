/** What the command line sends to the stream workflow, on a real server. */
import assert from 'node:assert/strict';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { execa } from 'execa';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { StreamView } from '../../src/domain/promotion.js';
import { statement, type Statement } from '../../src/domain/statement.js';
import { findBuild } from '../../src/cli/builds.js';
import { readSigned } from '../../src/cli/statement.js';
import { packageRoot } from '../../src/settings.js';
import { connectionOptions } from '../../src/temporal/connect.js';
import { writeJson } from '../../src/store/store.js';
import type { Answer } from '../../src/workflows/decisions/stream-messages.js';
import { People, statementOf, type Fields } from '../keys/people.js';
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
    connection = await NativeConnection.connect(await connectionOptions(instance.settings));
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
    const said: Statement & Fields = readSigned(request.statement ?? assert.fail(), 'it');
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

  it('a test report names the build, its commits, and what the test has come to', async () => {
    const report = (...args: string[]) => signed('report', 'sample', ...args);
    const { update, said } = await report(build, 'fail', '--note', 'no network');
    assert.deepEqual(
      [update, said.decision, said.build, said.commits, said.result, said.note],
      ['decide', 'report', build, commits, 'fail', 'no network'],
    );
    assert.deepEqual((await report(signedBuild, 'pass')).said.build, signedBuild);
    await assert.rejects(report(build, 'fail'), /a failing report says what failed: --note/);
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
    await no(/there is nothing to drop/, accepted, 'rework', '--drop', 'nonsense');
    await no(/--accepted-inputs stands alone/, accepted, 'rework', '--accepted-inputs', '--drop', 'vim');
    const { said } = await signed('decide', 'sample', accepted, 'rework', '--accepted-inputs');
    assert.deepEqual(said.changes, { pin: {}, drop: [], files: 'accepted' });
  });

  it('a build is named by its id, whichever line of its stream it is of', async () => {
    for (const [id, line] of [
      [accepted, 'sample'],
      [signedBuild, 'sample.signed'],
    ] as const)
      for (const name of [id, `sample/${id}`, `${line}/${id}`])
        assert.equal((await findBuild(instance.store(), name)).run.stream, line, name);
  });

  it('shows test reports before anybody signs, and marks those that failed', async () => {
    const [tess, joe] = [await people.join('tess'), await people.join('joe')];
    const key = s.at('ann.asc');
    let before = '';
    await instance.edit('sample', 'stream.yaml', (text) => {
      before = text;
      const declared = parse(text) as { release: object };
      const approvals = { promote: 1, release: 1, reports: 2 };
      const testers = [tess, joe].map((one) => ({ name: one.name, key: one.key }));
      const release = { ...declared.release, approvers: [{ name: 'Ann', key }], testers, approvals };
      return stringify({ ...declared, release });
    });
    const reports = async (by: string, change: Fields) => {
      const said = statementOf({ stream: 'sample', decision: 'report', build, commits, ...change });
      const folder = instance.store().statements('sample');
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, `${said.nonce}.asc`), await people.sign(by, said));
    };
    await reports('joe', { result: 'pass', note: 'boots' });
    await reports('tess', { result: 'fail', note: 'no network' });
    await reports('tess', { result: 'pass', build: '20261122_01' });
    for (const command of ['promote', 'approve']) {
      const shown = await run(command, 'sample', build, ...ann());
      assert.match(shown, /^test report on 20261123_01: pass by joe, .*: boots$/m);
      assert.match(shown, /^this build failed a test: .* fail by tess, .*: no network$/m);
      assert.match(shown, /^1 of 2 passing test reports/m);
    }
    // Nobody types a passphrase in vain.
    await assert.rejects(
      run('approve', 'sample', build, '--key', 'joe@example.org', ...ann().slice(2)),
      /`joe@example\.org` is not the key of an approver of sample \(Ann\): name yours with/,
    );
    const { said } = await signed('report', 'sample', build, 'pass');
    assert.equal(said.decision, 'report');
    await instance.edit('sample', 'stream.yaml', () => before);
    await rm(instance.store().statements('sample'), { recursive: true });
  });

  it('a statement names the fixes that the build lacks, and approve says which', async () => {
    const shown = await run('approve', 'sample', build, ...ann());
    assert.match(shown, /it lacks fixes that readers have: --unfixed 20261120-1\n/);
    const one = await run('approve', 'sample', build, ...ann(), '--unfixed', '20261120-1');
    assert.doesNotMatch(one, /it lacks fixes/);
    const unfixed = ['20261120-1', '20261120-2'];
    const options = unfixed.flatMap((id) => ['--unfixed', id]);
    for (const command of [
      ['promote', 'sample', build],
      ['approve', 'sample', build],
      ['decide', 'sample', accepted, 'release'],
    ])
      assert.deepEqual((await signed(...command, ...options)).said.unfixed, unfixed, command[0]);
    assert.equal((await signed('promote', 'sample', build)).said.unfixed, undefined);
    await assert.rejects(
      run('decide', 'sample', accepted, 'redo', ...options, ...ann()),
      /--unfixed is for release/,
    );
    await assert.rejects(run('approve', 'sample', build, ...ann(), '--unfixed', 'x'), /unfixed\.0: /);
  });

  const security = (...args: string[]) => ['security', 'sample', ...args];

  it('a release is asked for on the current one; source RPMs are in the store before it is sent', async () => {
    const lead = Buffer.alloc(200);
    lead.write('edabeedb', 'hex');
    lead.writeUInt16BE(1, 6);
    const file = s.at('netbase-7-1.src.rpm');
    await writeFile(file, lead);
    const asked = [
      '--advisory',
      'T-1',
      '--advisory',
      'T-2',
      '--package',
      'netbase-1:2-1.noarch',
      '--srpm',
      file,
      '--embargo',
    ];
    const { update, said } = await signed(...security(...asked, '--reason', 'now'));
    assert.deepEqual(
      [update, said.decision, said.build, said.onto],
      ['decide', 'fix', '20261122_01', '20261122_01'],
    );
    assert.deepEqual(said.fix, {
      advisories: ['T-1', 'T-2'],
      packages: ['netbase-1:2-1.noarch'],
      embargo: true,
    });
    assert.deepEqual(said.commits, { x86_64: 'cd'.repeat(32) });
    const digest = createHash('sha256').update(lead).digest('hex');
    assert.deepEqual(said.srpms, { 'netbase-7-1.src.rpm': digest });
    const kept = join(instance.store().streamDir('sample'), 'security/srpms', digest);
    assert.deepEqual(await readdir(kept), ['netbase-7-1.src.rpm']);
    assert.deepEqual(await readFile(join(kept, 'netbase-7-1.src.rpm')), lead);
    assert.match(
      await run(...security('--advisory', 'T-1', ...ann())),
      /sample: a security release on 20261122_01\n {2}T-1\n/,
    );
  });

  it('what is no source RPM, no advisory or no package is not asked for', async () => {
    const no = (message: RegExp, ...args: string[]) =>
      assert.rejects(run(...security(...args, ...ann())), message);
    await no(/--srpm \/no: name it/, '--srpm', '/no');
    await no(/cannot be read/, '--srpm', s.at('gone-1-1.src.rpm'));
    await no(/is no source RPM/, '--srpm', await s.write('text-1-1.src.rpm', 'text'));
    await no(/fix\.advisories\.0: an advisory id/, '--advisory', '<b>');
    await no(/fix\.packages\.0: write name-/, '--package', 'a b');
    await no(/--embargo goes with/, '--embargo');
    await no(/one at a time/, '--approve', '20261123-2', '--retry', '20261123-2');
    await assert.rejects(run('security', '--approve', '20261123-2'), /name the stream/);
  });

  it('an approval shows the plan and its tests, and is of that plan', async () => {
    const shown = await run(...security('--approve', '20261123-2', ...ann()));
    assert.match(shown, /^sample, security case 20261123-2 \(waiting, under embargo\)\n/);
    assert.match(shown, /T-2026:1 +critical +bash:\[31m bad news\n/);
    assert.match(shown, /CVE-2026-1\n/);
    assert.match(
      shown,
      /netbase +1-1\.noarch +2-1\.noarch +the fix +\nbase +none +1-1\.noarch +needed by it/,
    );
    assert.match(shown, /20261123_01, x86_64 {2}commit (ba){32}\nIMAGE.*\nqcow2 +a\.qcow2 +1\.0 GiB +passed/);
    const { said } = await signed(...security('--approve', '20261123-2'));
    assert.deepEqual(
      [said.decision, said.case, said.build, said.onto],
      ['approve-fix', '20261123-2', '20261122_01', '20261122_01'],
    );
    assert.deepEqual(said.commits, { x86_64: 'cd'.repeat(32) });
    assert.deepEqual(said.changes, { pin: { netbase: '2-1.noarch' }, drop: [], files: 'accepted' });
    assert.deepEqual(said.srpms, { 'netbase-2-1.src.rpm': '5'.repeat(64) });
  });

  it('the other words name the case', async () => {
    const accept = await signed(...security('--accept', '20261123-1'));
    assert.deepEqual(
      [accept.said.decision, accept.said.commits],
      ['accept-fix', { x86_64: 'ba'.repeat(32) }],
    );
    const dismiss = await signed(...security('--dismiss', '20261123-3', '--reason', 'no'));
    assert.deepEqual(
      [dismiss.said.decision, dismiss.said.case, dismiss.said.build],
      ['dismiss-fix', '20261123-3', '20261122_01'],
    );
    const withdraw = await signed(...security('--withdraw', '20261123-2'));
    assert.deepEqual(
      [withdraw.said.decision, withdraw.said.case, withdraw.said.attempt],
      ['withdraw', '20261123-2', undefined],
    );
    assert.deepEqual((await taken(...security('--retry', '20261123-2'))).request, { build: '20261123-2' });
  });

  it('what cannot be said of a case is not signed', async () => {
    const no = (message: RegExp, ...args: string[]) =>
      assert.rejects(run(...security(...args, ...ann())), message);
    await no(/no security case 20261123-22\. Did you mean `20261123-2`\?/, '--approve', '20261123-22');
    await no(/has no plan yet that could be approved: it is joining/, '--approve', '20261123-3');
    await no(
      /^CliError: sample 20261123-2: is waiting; there are no differences to accept/,
      '--accept',
      '20261123-2',
    );
    await no(/say why: --reason/, '--dismiss', '20261123-2');
  });

  it('the table has cases and what was not acted on, of one stream or of all', async () => {
    const unlooked = await run('security', 'sample');
    assert.match(unlooked, /^sample: released 20261122_01\n/);
    assert.match(
      unlooked,
      /20261123-2 \(embargo\) +waiting +critical +T-2026:1 +netbase, base +20261122_01 +0 of 1 +Alice/,
    );
    assert.match(unlooked, /20261120-1 +released .* 2026-11-23 11:30 +2 h 30 min/);
    assert.match(unlooked, /advisories not checked yet/);
    const considered = [
      {
        id: 'T-9',
        title: 't',
        severity: 'low',
        cves: [],
        source: 'sample',
        verdict: 'below',
        reason: 'low is\u001b below',
        affected: [{ name: 'jq', state: 'lacks', released: '1-1', fixed: '2-1' }],
      },
      {
        id: 'T-8',
        title: 't',
        severity: 'critical',
        cves: [],
        source: 'sample',
        verdict: 'acted',
        reason: 'a case',
        affected: [],
      },
    ];
    const watch = {
      looked: '2026-11-23T10:00:00Z',
      release: '20261122_01',
      considered,
      failed: ['osv.json: AdvisoryInvalid: no JSON'],
    };
    await writeJson(join(instance.store().streamDir('sample'), 'security/watch.json'), watch);
    const shown = await run('security', 'sample');
    assert.match(
      shown,
      /Advisories \(looked 2026-11-23 10:00 UTC at 20261122_01\): 2 considered, 1 acted on/,
    );
    assert.match(shown, /T-9 +low +too slight +low is below +jq 1-1, fixed in 2-1/);
    assert.doesNotMatch(shown, /T-8/);
    assert.match(shown, /could not be read: osv\.json: AdvisoryInvalid: no JSON/);
    const all = await run('security');
    assert.match(all, /^STREAM +CASE/);
    assert.match(all, /sample +20261123-2 \(embargo\)/);
    assert.match(all, /could not be read: sample: osv\.json/);
    const [data] = JSON.parse(await run('security', '--json')) as {
      cases: { id: string; timeToFix: object }[];
      failed: string[];
    }[];
    assert.deepEqual(data?.cases[3]?.timeToFix, {
      detect: 3600,
      build: 0,
      approve: 0,
      release: 5400,
      total: 9000,
    });
    assert.deepEqual(JSON.parse(await run('security', 'sample', '--json')), data);
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
    assert.match(unasked.stderr, /not interactive: confirm with `--yes`/);
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
      /2 +rework: all rebuilt, netbase=2-1\.noarch, without vim, current files +testing +20261123_09/,
    );
    assert.match(text, /release +1 of 2 +Alice +2026-11-23 10:00 +boots\n\s*awaiting: Bob/);
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
