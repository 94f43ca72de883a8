import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bootTest } from '../../src/images/boot.js';
import { judge, lastLines } from '../../src/images/console.js';
import { MiB } from '../../src/images/disk.js';
import { makeTiny } from './tiny.js';

const recorded = (name: string) =>
  readFileSync(new URL(`../../../test/recorded/console/${name}.log`, import.meta.url), 'utf8');

describe('console verdict', () => {
  const booted = recorded('booted');
  const commit = /booted commit ([0-9a-f]{64})/.exec(booted)?.[1] ?? '';

  it('booted: login prompt and the expected commit', () =>
    assert.deepEqual(judge(booted, commit), { state: 'booted' }));

  it('another commit is wrong, and named', () =>
    assert.deepEqual(judge(booted, 'b'.repeat(64)), { state: 'failed', reason: `wrong commit ${commit}` }));

  it('waits for both, and says what is missing', () => {
    const waiting = (missing: string) => ({ state: 'waiting', missing });
    assert.deepEqual(judge('', commit), waiting('no login prompt and no line `treeline: booted commit …`'));
    assert.deepEqual(judge('host login: ', commit), waiting('no line `treeline: booted commit …`'));
    assert.deepEqual(judge(`treeline: booted commit ${commit}\n`, commit), waiting('no login prompt'));
    assert.equal(
      judge(`host login: treeline: booted commit ${commit.slice(0, 40)}`, commit).state,
      'waiting',
    );
  });

  const failures: Record<string, RegExp> = {
    panic: /^kernel panic: VFS: Unable to mount root fs on unknown-block/,
    emergency: /^emergency mode$/,
    rescue: /^rescue mode$/,
  };
  for (const [name, reason] of Object.entries(failures))
    it(`failed: ${name}`, () => {
      const verdict = judge(recorded(name), commit);
      assert.ok(verdict.state === 'failed');
      assert.match(verdict.reason, reason);
    });

  it('last lines carry no terminal sequences', () => {
    const lines = lastLines(recorded('emergency'));
    assert.equal(lines.length, 20);
    assert.doesNotMatch(lines.join('\n'), /[\x00-\x09\x0b-\x1f]/);
  });
});

describe('bootTest', function () {
  this.timeout(60_000);

  it('fails on a disk without a boot loader, whatever an older console log says', async () => {
    const tiny = await makeTiny();
    const { step, input, folder } = tiny;
    const [disk, console] = [join(folder, 'empty.raw'), join(folder, 'console.log')];
    await step.run(['truncate', '--size=8M', disk]);
    await writeFile(console, `host login: treeline: booted commit ${input.commit}\n`);
    const test = bootTest(step, {
      disk,
      format: 'raw',
      arch: 'x86_64',
      commit: input.commit,
      timeoutSeconds: 40,
      memoryMiB: 128,
      cpus: 1,
      console,
      probe: 'console',
      work: input.work,
    });
    await assert.rejects(test, (error: Error & { code?: string; tail?: string[] }) => {
      assert.equal(error.code, 'BootTestFailed');
      assert.match(error.message, /^no boot loader, after \d+ s under (TCG|KVM)$/);
      assert.match(error.tail?.join('\n') ?? '', /No bootable device/);
      return true;
    });
    assert.equal((await step.run(['stat', '--format=%s', disk])).stdout.trim(), `${8 * MiB}`);
    await tiny.remove();
  });
});
