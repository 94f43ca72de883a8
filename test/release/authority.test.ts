/** What the archive of statements allows, with real keys. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { Failure } from '../../src/domain/failures.js';
import { releaseSettings, type ReleaseSettings } from '../../src/domain/release-settings.js';
import type { ReworkChanges } from '../../src/domain/rework-changes.js';
import type { Question } from '../../src/domain/statement.js';
import { authority, readReports } from '../../src/release/authority.js';
import { Store } from '../../src/store/store.js';
import { People, statementOf, type Fields, type Person } from '../keys/people.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const build = '20261123_01';
const commits = { x86_64: 'ab'.repeat(32) };

describe('authority', function () {
  let s: Scratch;
  let people: People;
  let sig: Person[];
  let seconds = 0;
  before(async () => {
    s = await makeScratch('authority');
    people = await People.make(s);
    sig = [];
    for (const name of ['ann', 'bob', 'eve']) sig.push(await people.join(name));
  });
  after(() => s.remove());
  beforeEach(() => rm(s.at('store'), { recursive: true, force: true }));

  const settings = (change: object = {}, approvers = sig.slice(0, 2)): ReleaseSettings =>
    releaseSettings.parse({ approvers: approvers.map(({ name, key }) => ({ name, key })), ...change });
  /** Puts a signed statement into the archive; each is a second later than the one before. */
  async function says(name: string, change: Fields = {}, file?: string): Promise<void> {
    const time = new Date(Date.now() - 3_600_000 + 1000 * ++seconds).toISOString();
    const said = statementOf({ decision: 'approve', build, commits, time, ...change });
    await s.write(`store/tiny/statements/${file ?? said.nonce}.asc`, await people.sign(name, said));
  }
  const question: Question = { decision: 'promote', build, onto: null, commits };
  const ask = async (change: Partial<Question> = {}, release = settings()) =>
    (
      await authority(s.step, new Store(s.folder), 'tiny', release, { ...question, ...change }, s.at('work'))
    ).map(({ approver }) => approver);
  const refused = (asked: Promise<unknown>, message: RegExp) =>
    assert.rejects(
      asked,
      (error: unknown) =>
        error instanceof Failure && error.code === 'StatementRefused' && message.test(error.message),
    );

  it('is with enough distinct approvers, and with nobody else', async () => {
    await refused(ask(), /0 of 2 signed statements .* \(nobody\)/);
    await says('ann', { decision: 'promote' });
    await says('ann');
    await says('eve');
    await refused(ask(), /1 of 2 .*\(ann\)/);
    await says('bob');
    assert.deepEqual(await ask(), ['ann', 'bob']);
    assert.deepEqual(await ask({}, settings({}, sig)), ['ann', 'eve', 'bob']);
  });

  it('a proposer counts only where the stream says so', async () => {
    await says('ann', { decision: 'promote' });
    await says('bob');
    assert.deepEqual(await ask(), ['ann', 'bob']);
    await refused(ask({}, settings({ proposerCounts: false })), /1 of 2/);
  });

  it('is only about this build, these commits and this former release', async () => {
    await says('ann');
    await says('bob', { onto: '20261026_01' });
    await refused(ask(), /1 of 2/);
    await says('bob', { commits: { x86_64: 'cd'.repeat(32) } });
    await refused(ask(), /1 of 2/);
    await says('bob', { build: '20261122_01', reason: `not ${build}` });
    await says('bob', { stream: 'other' });
    await refused(ask(), /1 of 2/);
  });

  it('a later word on something else takes nothing away', async () => {
    await says('ann');
    await says('bob');
    await says('ann', { onto: '20261026_01' });
    await says('bob', { commits: { x86_64: 'cd'.repeat(32) } });
    assert.deepEqual(await ask(), ['ann', 'bob']);
  });

  it('ends with a withdrawal and with a veto, which lasts until its author withdraws it', async () => {
    await says('ann');
    await says('bob');
    await says('bob', { decision: 'withdraw' });
    await refused(ask(), /1 of 2/);
    await says('bob');
    await says('eve', { decision: 'reject' });
    assert.deepEqual(await ask(), ['ann', 'bob'], 'eve is no approver');
    await refused(ask({}, settings({}, sig)), /rejected by eve/);
    await says('eve', { decision: 'withdraw' });
    assert.deepEqual(await ask({}, settings({}, sig)), ['ann', 'bob']);
  });

  it('ends when an approver is removed, and with age', async () => {
    await says('ann');
    await says('bob');
    await refused(ask({}, settings({}, [sig[0]!, sig[2]!])), /1 of 2 .*\(ann\)/);
    await refused(ask({}, settings({ statementAge: '1m', proposalAge: '1m' })), /0 of 2/);
  });

  it('does not take a file for another statement than its name says', async () => {
    await says('ann');
    await says('bob', {}, 'f'.repeat(32));
    await refused(ask(), /1 of 2/);
  });

  it('of a rollback and of an announcement is by their own statements', async () => {
    for (const name of ['ann', 'bob']) await says(name);
    const back = { decision: 'rollback', onto: '20261026_01' } as const;
    await refused(ask(back), /0 of 1 signed statements for this rollback/);
    await says('bob', { decision: 'rollback', onto: '20260928_01' });
    await refused(ask(back), /0 of 1/);
    await says('bob', { decision: 'rollback', onto: '20261026_01' });
    assert.deepEqual(await ask(back), ['bob']);
    await refused(ask({ decision: 'announce' }), /0 of 1/);
    await says('ann', { decision: 'announce' });
    assert.deepEqual(await ask({ decision: 'announce' }), ['ann']);
  });

  it('waits for passing test reports where the stream asks for them', async () => {
    const [ann, bob, tom] = sig as [Person, Person, Person];
    const testers = [{ name: 'eve', key: tom.key }];
    const settled = settings({ testers, approvals: { reports: 2 } }, [ann, bob]);
    const store = new Store(s.folder);
    const reports = () =>
      readReports(s.step, store, 'tiny', settled, { build, commits }, s.at('work')).then((all) =>
        all.map(({ by, result, note }) => [by, result, note]),
      );
    for (const name of ['ann', 'bob']) await says(name);
    assert.deepEqual(await ask({}, settings({ testers })), ['ann', 'bob'], 'none are asked for');
    await refused(ask({}, settled), /0 of 2 passing test reports on 20261123_01 \(nobody\)/);
    const report = { decision: 'report', result: 'pass' };
    await says('eve', report);
    await says('eve', { ...report, note: 'once more' });
    await says('bob', { ...report, commits: { x86_64: 'cd'.repeat(32) } });
    await says('bob', { ...report, build: '20261122_01', note: build });
    await refused(ask({}, settled), /1 of 2 passing test reports on 20261123_01 \(eve\)/);
    await says('bob', { ...report, result: 'fail', note: 'no network' });
    assert.deepEqual(await reports(), [
      ['eve', 'pass', 'once more'],
      ['bob', 'fail', 'no network'],
    ]);
    await refused(ask({}, settled), /1 of 2/);
    await says('bob', report);
    assert.deepEqual(await ask({}, settled), ['ann', 'bob']);
    // Testers report, and nothing else.
    await says('ann', { decision: 'withdraw' });
    await says('eve');
    await refused(ask({}, settled), /1 of 2 signed statements/);
    await says('ann');
    assert.deepEqual(await ask({}, settled), ['ann', 'bob']);
    // A tester who was removed counts no more.
    await refused(ask({}, settings({ approvals: { reports: 2 } }, [ann, bob])), /1 of 2 passing/);
    // The rebuild is begun without; its signed build is tested.
    assert.deepEqual(await ask({}, { ...settled, mode: 'signed-rebuild' }), ['ann', 'bob']);
    const release = { decision: 'release', attempt: 1, signed: '20261124_02', commits } as const;
    for (const name of ['ann', 'bob']) await says(name, release);
    await refused(ask(release, settled), /0 of 2 passing test reports on 20261124_02/);
    for (const name of ['ann', 'eve']) await says(name, { ...report, build: '20261124_02' });
    assert.deepEqual(await ask(release, settled), ['ann', 'bob']);
  });

  describe('over a signed rebuild', () => {
    const signed = '20261124_02';
    const made = { x86_64: '12'.repeat(32) };
    const changes: ReworkChanges = {
      pin: { a: '1-1.noarch', b: '2-1.noarch' },
      drop: ['x', 'y'],
      files: 'accepted',
    };
    const release = { decision: 'release', attempt: 2, signed, commits: made } as const;

    it('is with enough approvers who name attempt, build, commits and former release', async () => {
      await says('ann', release);
      await refused(ask(release), /1 of 2 signed statements for this release .*\(ann\)/);
      for (const other of [
        { attempt: 1 },
        { attempt: undefined },
        { signed: '20261124_03' },
        { signed: undefined },
        { commits },
        { commits: { ...made, aarch64: 'ab'.repeat(32) } },
        { commits: {} },
        { onto: '20261026_01' },
        { stream: 'other' },
        { decision: 'accept' },
        { decision: 'approve' },
      ] as const) {
        await says('bob', { ...release, ...other });
        await refused(ask(release), /1 of 2/);
      }
      await says('eve', release);
      await says('bob', release);
      assert.deepEqual(await ask(release), ['ann', 'bob']);
      await refused(ask({ ...release, onto: '20261025_01' }), /0 of 2/);
      await refused(ask({ ...release, commits: {} }), /0 of 2/);
      await refused(ask({ ...release, signed: undefined }), /0 of 2/);
      await refused(ask({ ...release, attempt: undefined }), /0 of 2/);
      assert.deepEqual(await ask(release, settings({}, [sig[0]!, sig[2]!])), ['ann', 'eve']);
      await refused(ask(release, settings({ approvals: { release: 3 } }, sig.slice(0, 2))), /2 of 3/);
    });

    it('is each approver’s last word on the attempt', async () => {
      for (const name of ['ann', 'bob']) await says(name, release);
      await says('bob', { decision: 'redo', attempt: 1, reuse: true });
      assert.deepEqual(await ask(release), ['ann', 'bob'], 'another attempt is another matter');
      await says('bob', { decision: 'redo', attempt: 2, reuse: true });
      await refused(ask(release), /1 of 2/);
      assert.deepEqual(await ask({ decision: 'redo', attempt: 2, reuse: true }), ['bob']);
      await says('bob', release);
      await refused(ask({ decision: 'redo', attempt: 2, reuse: true }), /0 of 1/);
      await says('bob', { decision: 'accept', attempt: 2, commits: made });
      assert.deepEqual(await ask(release), ['ann', 'bob']);
      await says('ann', { decision: 'withdraw', attempt: 1 });
      assert.deepEqual(await ask(release), ['ann', 'bob']);
      await says('ann', { decision: 'withdraw', attempt: 2 });
      await refused(ask(release), /1 of 2/);
      await says('ann', release);
      await says('ann', { decision: 'withdraw' });
      await refused(ask(release), /1 of 2/);
    });

    it('ends with a veto', async () => {
      for (const name of ['ann', 'bob']) await says(name, release);
      await says('eve', { decision: 'reject' });
      await refused(ask(release, settings({}, sig)), /rejected by eve/);
    });

    it('accepts only this tree, redoes and reworks only with these inputs', async () => {
      const accept = { decision: 'accept', attempt: 1, commits: made } as const;
      await says('ann', { ...accept, commits });
      await refused(ask(accept), /0 of 2/);
      await says('bob', accept);
      await refused(ask(accept), /1 of 2/);
      assert.deepEqual(await ask(accept, settings({ approvals: { accept: 1 } })), ['bob']);
      await says('ann', accept);
      assert.deepEqual(await ask(accept), ['bob', 'ann']);
      await refused(ask({ ...accept, commits: undefined }), /0 of 2/);

      const rework = { decision: 'rework', attempt: 1, reuse: false, changes } as const;
      for (const other of [
        { reuse: true },
        { changes: { ...changes, drop: ['x'] } },
        { changes: undefined },
      ]) {
        await says('ann', { ...rework, ...other });
        await refused(ask(rework), /0 of 1/);
      }
      await says('ann', {
        ...rework,
        changes: { ...changes, pin: { b: '2-1.noarch', a: '1-1.noarch' }, drop: ['y', 'x'] },
      });
      assert.deepEqual(await ask(rework), ['ann'], 'in whatever order');
      await says('ann', { ...rework, changes: { ...changes, files: 'current' } });
      await refused(ask(rework), /0 of 1/);

      const redo = { decision: 'redo', attempt: 2, reuse: true } as const;
      await says('bob', { ...redo, changes });
      await refused(ask(redo), /0 of 1/);
      assert.deepEqual(await ask({ ...redo, changes }), ['bob']);
      await refused(ask({ decision: 'abandon', attempt: 2 }), /0 of 1/);
    });

    it('does not grow old once it has begun', async () => {
      const young = settings({ statementAge: '1m', proposalAge: '1m' });
      for (const name of ['ann', 'bob']) await says(name);
      await refused(ask({}, young), /0 of 2/);
      assert.deepEqual(await ask({ begun: true }, young), ['ann', 'bob']);
      for (const name of ['ann', 'bob']) await says(name, release);
      assert.deepEqual(await ask(release, young), ['ann', 'bob']);
      await says('bob', { decision: 'withdraw', attempt: 2 });
      assert.deepEqual(
        await ask({ begun: true }, young),
        ['ann', 'bob'],
        'it is the word on the attempt that is withdrawn',
      );
      await says('bob', { decision: 'withdraw' });
      await refused(ask({ begun: true }, young), /1 of 2/);
    });
  });
});
