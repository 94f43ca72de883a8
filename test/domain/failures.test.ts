import assert from 'node:assert/strict';
import { Failure, failureKinds, type FailureCode, type FailureKind } from '../../src/domain/failures.js';

const table: [string, FailureKind][] = Object.entries(failureKinds);

describe('failures', () => {
  for (const [code, kind] of table)
    it(`${code} says what happened and what to do, as sentences of its own`, () => {
      assert.match(kind.meaning, /^[A-Z].{10,}\.$/s);
      assert.match(kind.remedy, /^[A-Z].{10,}\.$/s);
      const same = table.filter(([, other]) => other.meaning === kind.meaning).map(([name]) => name);
      assert.deepEqual(same, [code]);
      // A retryable one goes on by itself; "start again" would be the wrong advice.
      if (kind.retryable) assert.doesNotMatch(kind.remedy, /start (it |the nightly )?again/);
      assert.equal(kind.meaning.includes('  ') || kind.remedy.includes('  '), false);
    });

  it('every family has a failure', () => {
    assert.deepEqual([...new Set(table.map(([, kind]) => kind.family))].sort(), [
      'compose',
      'decision',
      'image',
      'input',
      'machine',
      'package',
      'publish',
      'rebuild',
      'signing',
      'test',
    ]);
  });

  it('what a signature or a test said is never tried again, what a network or a disk did is', () => {
    const retryable = (codes: FailureCode[]) => codes.map((code) => failureKinds[code].retryable);
    assert.ok(
      !retryable([
        'PackageSignature',
        'ParentInvalid',
        'BootTestFailed',
        'VerificationFailed',
        'PublishConflict',
      ]).includes(true),
    );
    assert.ok(!retryable(['RepoUnreachable', 'TargetUnreachable', 'DiskFull', 'Busy']).includes(false));
  });

  it('a failure carries code, message and tail', () => {
    const failure = new Failure('Busy', 'held by 12', ['last line']);
    assert.ok(failure instanceof Error);
    assert.deepEqual(
      [failure.name, failure.code, failure.message, failure.tail],
      ['Failure', 'Busy', 'held by 12', ['last line']],
    );
    assert.deepEqual(new Failure('Busy', '').tail, []);
  });
});
