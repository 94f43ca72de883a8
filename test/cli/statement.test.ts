/** Decisions from the command line, up to the point where a server is needed. */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseRollback } from '../../src/cli/commands/decide.js';
import { refusalOf } from '../../src/cli/entity.js';
import { CliError } from '../../src/cli/output.js';
import { changedPackages } from '../../src/cli/preview.js';
import { knownReleases, type Known } from '../../src/cli/releases.js';
import { makeStatement, readSigned, signStatement, updateIdOf } from '../../src/cli/statement.js';
import type { ReleaseIndex } from '../../src/domain/release.js';
import { statement, type Statement } from '../../src/domain/statement.js';
import { verifyStatement } from '../../src/keys/statement.js';
import { writeJson } from '../../src/store/store.js';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { People, type Person } from '../keys/people.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { TestInstance } from '../support/instance.js';
import { runHere } from './here.js';
import { commits, packagesOf, storeBuilds } from './stored.js';

const build = '20261123_01';
const facts = { stream: 'sample', decision: 'promote', build, commits, onto: null } as const;
const cliError = (message: RegExp, exitCode?: number) => (error: unknown) => {
  assert.ok(error instanceof CliError, String(error));
  assert.match(error.message, message);
  if (exitCode !== undefined) assert.equal(error.exitCode, exitCode);
  return true;
};

describe('statements of the command line', function () {
  let s: Scratch;
  let people: People;
  let ann: Person;
  before(async () => {
    s = await makeScratch('cli-statements');
    people = await People.make(s);
    ann = await people.join('ann');
  });
  after(async () => {
    // The user's agent outlives gpg.
    await execa('gpgconf', ['--homedir', people.home, '--kill', 'gpg-agent']);
    await s.remove();
  });

  it('have a time and a nonce of their own, and fit', () => {
    const now = new Date('2026-11-23T10:00:00Z');
    const [one, two] = [makeStatement(facts, now), makeStatement({ ...facts, reason: 'good' }, now)];
    assert.equal(one.time, '2026-11-23T10:00:00.000Z');
    assert.notEqual(one.nonce, two.nonce);
    assert.deepEqual(statement.parse(two), two);
    const long = { ...facts, reason: 'x'.repeat(501) };
    assert.throws(() => makeStatement(long), cliError(/^reason: /, 2));
    assert.throws(
      () => makeStatement({ ...facts, build: 'latest' }),
      cliError(/^build: write a build id/, 2),
    );
  });

  it('are signed by gpg so that the worker believes them', async () => {
    const said = makeStatement({ ...facts, reason: 'gut geprüft' });
    for (const key of [undefined, ann.fingerprint, 'ann@example.org']) {
      const text = await signStatement(said, { key, home: people.home });
      const verified = await verifyStatement(s.step, text, {
        ...{ stream: 'sample', approvers: [ann], maxAge: 60, now: new Date(), work: s.at('work') },
      });
      assert.deepEqual(verified, { statement: said, approver: 'ann', fingerprint: ann.fingerprint });
      assert.deepEqual(readSigned(text, 'it'), said);
      assert.match(updateIdOf(text), /^[0-9a-f]{64}$/);
    }
  });

  it('say what to do where there is no key, or no way to ask for its passphrase', async () => {
    const said = makeStatement(facts);
    await assert.rejects(
      signStatement(said, { key: 'nobody@example.org', home: people.home }),
      cliError(/no private key `nobody@example\.org` in your GnuPG home\. Name one with `--key`/, 1),
    );
    const empty = s.at('empty');
    await mkdir(empty, { mode: 0o700 });
    await assert.rejects(signStatement(said, { home: empty }), cliError(/no private key to sign with/, 1));
  });

  it('that were signed elsewhere are read only to know where they go', async () => {
    const said = makeStatement({ ...facts, decision: 'approve' });
    const text = await people.sign('ann', said);
    assert.equal(readSigned(text.replaceAll('\n', '\r\n'), 'f').decision, 'approve');
    assert.throws(
      () => readSigned(JSON.stringify(said), 'f.json'),
      cliError(/^f\.json: not clear-signed/, 2),
    );
    const other = await people.sign('ann', '{"hello":1}');
    assert.throws(() => readSigned(other, '-'), cliError(/^-: what is signed is no statement/, 2));
    assert.throws(() => readSigned(text.replace('{', ''), '-'), cliError(/is no statement/, 2));
  });
});

describe('a refused update', () => {
  const failure = ApplicationFailure.nonRetryable('the statement was altered', 'StatementRefused');
  it('is told with code, reason and remedy, also from within an activity', () => {
    const inActivity = new ActivityFailure(
      'failed',
      'takeStatement',
      'take',
      'NON_RETRYABLE_FAILURE',
      '',
      failure,
    );
    for (const cause of [failure, inActivity])
      assert.ok(
        cliError(
          /^sample: StatementRefused: the statement was altered\nThe message says why; make and sign a new one/,
          1,
        )(refusalOf(new WorkflowUpdateFailedError('no', cause), 'sample')),
      );
  });
  it('of an unknown kind is told without one; other errors stay', () => {
    const odd = new WorkflowUpdateFailedError(
      'no',
      ApplicationFailure.nonRetryable('odd\u001b[31m', 'toString'),
    );
    assert.ok(cliError(/^sample: toString: odd\[31m$/)(refusalOf(odd, 'sample')));
    const error = new Error('other');
    assert.equal(refusalOf(error, 'sample'), error);
  });
});

describe('a rollback', () => {
  const release = (id: string, to?: string) => ({
    ...{ build: id, at: '2026-11-23T00:00:00Z', commits },
    ...(to === undefined ? {} : { rolledBack: { at: '2026-11-24T00:00:00Z', to } }),
  });
  const known = (current: string | null, ...released: Known['released']): Known => ({
    ...{ current, released, promotions: [] },
  });
  const [a, b, c, d] = ['20261101_01', '20261102_01', '20261103_01', '20261104_01'] as const;

  it('goes to the release before, or to one that is named', () => {
    const three = known(c, release(c), release(b), release(a));
    assert.deepEqual(chooseRollback('s', three), { build: c, onto: b });
    assert.deepEqual(chooseRollback('s', three, a), { build: c, onto: a });
    // What was skipped by an earlier rollback is not returned to.
    const after = known(d, release(d), release(c, a), release(b), release(a));
    assert.deepEqual(chooseRollback('s', after), { build: d, onto: a });
    assert.deepEqual(chooseRollback('s', known(b, release(c, b), release(b), release(a))), {
      build: b,
      onto: a,
    });
  });

  it('needs somewhere to go', () => {
    assert.throws(() => chooseRollback('s', known(null)), cliError(/^s: nothing is released/, 4));
    assert.throws(() => chooseRollback('s', known(a, release(a))), cliError(/is the first release/, 4));
    assert.throws(
      () => chooseRollback('s', known(a, release(a)), b),
      cliError(/20261102_01: not a former release/, 4),
    );
    assert.throws(() => chooseRollback('s', known(a, release(a)), a), cliError(/not a former release/, 4));
  });
});

describe('treeline promote', function () {
  let instance: TestInstance;
  before(async () => {
    instance = await TestInstance.create();
    await instance.declare('sample');
    await instance.declare('unreleased', { release: undefined });
    await storeBuilds(instance.store(), 'sample', [build, '20261122_01']);
  });
  after(() => instance.close());

  const index = (...versions: string[]): ReleaseIndex => ({
    stream: 'sample',
    metadata: { 'last-modified': '2026-11-22T12:00:00Z' },
    releases: versions.map((version) => ({
      ...{ version, metadata: 'http://r/release.json' },
      commits: [{ architecture: 'x86_64', checksum: commits.x86_64 }],
      treeline: {
        ...{
          released: '2026-11-22T12:00:00Z',
          ref: 'sample/x86_64/release',
          page: 'http://r/',
          former: null,
        },
        approvers: ['Alice', 'Bob'],
      },
    })),
  });
  const indexFile = () => join(instance.store().releasePublished('sample'), 'releases.json');
  const run = (...args: string[]) => runHere(instance.settings, ...args);
  const printed = async (...args: string[]) => statement.parse(JSON.parse(await run(...args, '--print')));

  it('--print prints the statement without a server, onto the release that is there', async () => {
    const first: Statement = await printed('promote', 'sample', build, '--reason', 'good');
    const { time, nonce, ...rest } = first;
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000 && nonce.length === 32);
    assert.deepEqual(rest, { 'treeline-statement': 1, ...facts, reason: 'good' });
    await writeJson(indexFile(), index('20261121_01', '20261122_01'));
    assert.equal((await printed('approve', 'sample', build)).onto, '20261122_01');
    const { build: from, onto } = await printed('rollback', 'sample');
    assert.deepEqual([from, onto], ['20261122_01', '20261121_01']);
    assert.equal((await printed('announce', 'sample', '20261121_01', '--go')).decision, 'announce');
  });

  it('lists the releases, newest first', async () => {
    await writeJson(indexFile(), index('20261121_01', '20261122_01'));
    assert.match(
      await run('releases', 'sample'),
      /RELEASE.*\n20261122_01 +2026-11-22 12:00 +x86_64 abababababab +Alice, Bob +current *\n20261121_01/,
    );
    const json: unknown = JSON.parse(await run('releases', 'sample', '--json'));
    assert.deepEqual(json, JSON.parse(await readFile(indexFile(), 'utf8')));
    assert.equal((await knownReleases(instance.store(), 'sample', undefined)).current, '20261122_01');
    assert.match(await run('releases', 'unreleased'), /unreleased: nothing was released yet/);
  });

  it('says which packages differ', () => {
    const metadata = { generated: '', rpmmd_repos: {} };
    const now = { metadata, packages: packagesOf(build) };
    const { base, ...others } = packagesOf('20261122_01');
    assert.deepEqual(changedPackages({ metadata, packages: others }, now), [
      { name: 'base', change: 'added', from: '', to: base.evra },
      { name: 'netbase', change: 'changed', from: '1-1.noarch', to: '2-1.noarch' },
    ]);
    assert.deepEqual(changedPackages(now, { metadata, packages: { base } }), [
      { name: 'netbase', change: 'removed', from: '2-1.noarch', to: '' },
    ]);
    assert.deepEqual(changedPackages(now, now), []);
  });

  it('names what is wrong before anything is signed', async () => {
    const away = await instance.cli('promote', 'sample', build, '--yes');
    assert.equal(away.exitCode, 3, away.stderr);
    assert.match(away.stderr, /no Temporal server answers/);
    const fails = (message: RegExp, ...args: string[]) =>
      assert.rejects(run(...args), message, args.join(' '));
    await fails(/no Temporal server answers/, 'promote', 'sample', build, '--propose');
    await fails(/no Temporal server answers/, 'promotions', 'sample');
    await fails(/no such build/, 'promote', 'sample', '20261120_01', '--print');
    await fails(/no such stream\. There are:/, 'approve', 'smaple', build);
    await fails(/unreleased: the stream has no `release`/, 'promote', 'unreleased', build);
    await fails(/give one of --preview, --go, --sent and --again/, 'announce', 'sample', build);
    await fails(/\/none: cannot be read/, 'submit', '/none');
  });
});
