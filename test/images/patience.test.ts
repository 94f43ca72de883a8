import assert from 'node:assert/strict';
import { Patience, slowness } from '../../src/images/patience.js';

describe('patience', () => {
  const table = [
    ['kvm', 0, 2, 1],
    ['kvm', 2, 2, 1],
    ['kvm', 6, 2, 3],
    ['kvm', 99, 2, 4],
    ['tcg', 0, 2, 3],
    ['tcg', 6, 4, 4.5],
    ['tcg', 99, 2, 12],
    ['tcg', 1, 0, 3],
  ] as const;
  for (const [accelerator, load, cores, times] of table)
    it(`${accelerator}, load ${load} on ${cores} cores: ${times} times slower`, () =>
      assert.equal(slowness({ accelerator, load, cores }), times));

  it('counts what seconds are worth while the load changes', () => {
    const patience = new Patience();
    patience.pass(30, { accelerator: 'tcg', load: 1, cores: 2 });
    assert.deepEqual([patience.passed, patience.worth], [30, 10]);
    patience.pass(60, { accelerator: 'tcg', load: 4, cores: 2 });
    assert.deepEqual([patience.passed, patience.worth], [90, 20]);
    assert.deepEqual([patience.isOver(20), patience.isOver(21)], [true, false]);
  });

  it('ends after an hour, however slow the machine is, or after the limit where that is longer', () => {
    const patience = new Patience();
    patience.pass(3600, { accelerator: 'tcg', load: 99, cores: 2 });
    assert.equal(patience.worth, 300);
    assert.deepEqual([patience.isOver(600), patience.isOver(3601)], [true, false]);
  });
});
