import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tryAccelerator } from '../../src/images/kvm-probe.js';
import { chooseAccelerator, markKvmUnusable, virtualizationOf } from '../../src/images/virtualization.js';
import { readSettings, systemPath } from '../../src/settings.js';
import { createStep } from '../../src/steps/run.js';
import { makeHalfKvm, type HalfKvm } from '../support/half-kvm.js';

describe('accelerator', () => {
  let folder: string;
  let half: HalfKvm;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'treeline-kvm-test-'));
    half = await makeHalfKvm(join(folder, 'half'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const step = (path = half.path) =>
    createStep({
      signal: new AbortController().signal,
      log: createWriteStream(join(folder, 'log.txt'), { flags: 'a' }),
      path,
      home: folder,
    });
  const virtualization = (wanted: 'auto' | 'kvm' | 'tcg' = 'auto') => ({
    wanted,
    record: join(folder, 'kvm/host.json'),
    cpuinfo: half.cpuinfo,
  });
  const choose = () => chooseAccelerator(step(), virtualization());

  it('is KVM where it passes the probe, which is made once', async () => {
    assert.deepEqual(await choose(), { accelerator: 'kvm' });
    assert.deepEqual(await choose(), { accelerator: 'kvm' });
    assert.deepEqual(await half.guests(), ['kvm probe']);
  });

  it('is the one that is set', async () => {
    assert.equal(virtualizationOf(readSettings({ TREELINE_ACCELERATOR: 'tcg' })).wanted, 'tcg');
    for (const wanted of ['kvm', 'tcg'] as const)
      assert.deepEqual(await chooseAccelerator(step(), virtualization(wanted)), { accelerator: wanted });
    assert.deepEqual(await half.guests(), []);
    assert.throws(
      () => readSettings({ TREELINE_ACCELERATOR: 'xen' }),
      /TREELINE_ACCELERATOR=xen: write auto, kvm, tcg/,
    );
  });

  it('is TCG, without a probe, where the processor has no virtualization', async () => {
    await writeFile(half.cpuinfo, 'processor\t: 0\nflags\t\t: fpu vme ssse3 hypervisor\n');
    assert.deepEqual(await choose(), { accelerator: 'tcg', why: 'the processor shows neither vmx nor svm' });
    assert.deepEqual(await half.guests(), []);
  });

  for (const [name, change] of Object.entries({
    'another boot of the host': { with: { boot: 'another' } },
    'another kernel': { with: { kernel: '2.6.32' } },
    'another QEMU': { with: { qemu: 'QEMU emulator version 1.5.3' } },
    'a day': { found: new Date(Date.now() - 25 * 3600 * 1000).toISOString() },
  }))
    it(`is not KVM where it failed, until ${name}`, async () => {
      const { record } = virtualization();
      await markKvmUnusable(step(), virtualization(), 'it stopped a guest');
      assert.deepEqual(await choose(), { accelerator: 'tcg', why: 'it stopped a guest' });
      const known = JSON.parse(await readFile(record, 'utf8')) as { with: object };
      const changed = {
        ...known,
        ...change,
        with: { ...known.with, ...('with' in change ? change.with : {}) },
      };
      await writeFile(record, JSON.stringify(changed));
      assert.deepEqual(await choose(), { accelerator: 'kvm' });
    });

  it('is found out again where the record is damaged', async () => {
    await choose();
    await writeFile(virtualization().record, '{"usable":');
    assert.deepEqual(await choose(), { accelerator: 'kvm' });
    assert.deepEqual(await half.guests(), ['kvm probe', 'kvm probe']);
  });

  it('passes a probe that the real QEMU runs to its end in 64 bits, and fails with its words', async () => {
    assert.equal(await tryAccelerator(step(systemPath), 'tcg'), undefined);
    const qemu = join(folder, 'half/qemu-system-x86_64');
    await writeFile(qemu, `#!/bin/sh\necho 'KVM internal error. Suberror: 1' >&2\nexit 1\n`);
    await chmod(qemu, 0o755);
    assert.equal(await tryAccelerator(step(), 'kvm'), 'KVM internal error. Suberror: 1');
    await writeFile(qemu, '#!/bin/sh\nexit 7\n');
    assert.equal(await tryAccelerator(step(), 'kvm'), 'a guest of one sector ended with exit code 7');
  });
});
