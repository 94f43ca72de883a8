/** A part that ends is started again, a few times: real processes. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { keep, InstanceError, type Part } from '../../src/keep.js';
import { until } from '../support/ports.js';

describe('keeping a part', () => {
  const children: ChildProcess[] = [];
  const said: string[] = [];
  beforeEach(() => {
    children.length = 0;
    said.length = 0;
  });

  const start = (seconds: string) => (): Promise<Part> => {
    const child = spawn('sleep', [seconds]);
    children.push(child);
    const ended = once(child, 'exit').then(([code, signal]) => new Error(String(signal ?? code)));
    const close = async () => {
      child.kill();
      await ended;
    };
    return Promise.resolve({ ended, close });
  };
  const patience = { starts: 3, windowMs: 60_000, delayMs: 10 };
  const say = (line: string) => void said.push(line);

  it('starts it again after it was killed, and no more once it is closed', async () => {
    const kept = await keep('sleeper', start('60'), say, patience);
    children[0]?.kill('SIGKILL');
    await until('a second one', 10, () => children.length === 2 && said.includes('the sleeper is up again'));
    assert.deepEqual(said, [
      'the sleeper has ended: SIGKILL',
      'starting the sleeper again in 0.01 s (1 of 3)',
      'the sleeper is up again',
    ]);
    await kept.close();
    assert.equal(children[1]?.signalCode, 'SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(children.length, 2);
  });

  it('gives up one that does not stay up, and says what it ended with', async () => {
    const kept = await keep('sleeper', start('no number'), say, patience);
    await assert.rejects(kept.failed, (error: unknown) => {
      assert.ok(error instanceof InstanceError);
      assert.equal(error.message, 'given up after 3 new starts: the sleeper has ended: 1');
      return true;
    });
    assert.equal(children.length, 4);
    assert.deepEqual(
      said.filter((line) => line.startsWith('starting')).map((line) => / in (\S+ s)/.exec(line)?.[1]),
      ['0.01 s', '0.02 s', '0.04 s'],
    );
    await kept.close();
  });

  it('counts only what has ended lately', async () => {
    const kept = await keep('sleeper', start('0.02'), say, { ...patience, windowMs: 1 });
    await until('more starts than are allowed at a time', 20, () => children.length > 6);
    await kept.close();
  });
});
