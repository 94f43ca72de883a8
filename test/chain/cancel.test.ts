/** Cancellation in each phase of a real run: all that the step started has ended, nothing is left, nothing is published. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { exists } from '../../src/store/store.js';
import { TestInstance } from '../support/instance.js';

describe('cancelling a nightly', function () {
  this.timeout('10m');
  let instance: TestInstance;

  before(async () => {
    instance = await TestInstance.create();
    await instance.withSample();
    await instance.declare('sample');
    await instance.start();
  });
  after(() => instance.close());

  async function cancelDuring(step: string): Promise<void> {
    await instance.stepRunning('sample', step, 300);
    const { exitCode, stdout, stderr } = await instance.cli('cancel', 'sample');
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /cancelled/);
    const [run] = JSON.parse((await instance.cli('builds', 'sample', '--runs', '--json')).stdout) as {
      outcome: string;
      steps: { id: string; state: string }[];
    }[];
    assert.equal(run?.outcome, 'cancelled');
    // In its middle: what has begun is not waited for.
    assert.equal(run.steps.find(({ id }) => id === step)?.state, 'cancelled');
    assert.deepEqual(await instance.leftovers(), []);
    assert.equal(await exists(join(instance.store().www(), 'buildlogs/sample/repo/summary')), false);
  }

  for (const step of ['compose', 'boot-qcow2'])
    it(`during ${step}`, async () => {
      await instance.nightly('sample');
      await cancelDuring(step);
    });

  it('during image-vagrant-libvirt; Ctrl-C on watch before that detaches and says so, and the run goes on', async () => {
    await instance.nightly('sample');
    await instance.stepRunning('sample', 'compose', 60);
    const { exitCode, stderr } = await instance.interrupted('watch', 'sample');
    assert.equal(exitCode, 130);
    assert.match(stderr, /detached: the nightly of sample goes on/);
    await cancelDuring('image-vagrant-libvirt');
    assert.equal((await instance.cli('cancel', 'sample')).exitCode, 4, 'nothing is running any more');
  });
});
