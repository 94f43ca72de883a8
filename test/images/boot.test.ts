import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemPath, type Settings } from '../../src/settings.js';
import { bootTest, type BootOptions } from '../../src/images/boot.js';
import { createStep } from '../../src/steps/run.js';
import { makeHalfKvm, systemQemu, type HalfKvm } from '../support/half-kvm.js';
import { writeGuest, type Guest } from './sector.js';

const commit = 'a9'.repeat(32);
const booted = `treeline: booted commit ${commit}\r\n\r\nhost login: `;
const stopped = 'KVM stopped the guest: KVM internal error. Suberror: 1';

describe('boot test', function () {
  let folder: string;
  let half: HalfKvm;
  let told: string[];
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'treeline-boot-'))));
  after(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    told = [];
    await rm(folder, { recursive: true, force: true });
    half = await makeHalfKvm(join(folder, 'half'));
  });

  const stepOf = (path: string) =>
    createStep({
      signal: new AbortController().signal,
      log: createWriteStream(join(folder, 'log.txt'), { flags: 'a' }),
      path,
      home: folder,
      onStatus: (status) => status !== undefined && told.push(status),
    });

  /** Boots a guest of one sector. */
  async function boot(
    guest: Guest | undefined,
    {
      wanted = 'tcg',
      path = systemPath,
      test = {},
      format = 'raw',
    }: {
      wanted?: Settings['accelerator'];
      path?: string;
      test?: Partial<BootOptions['test']>;
      format?: BootOptions['format'];
    } = {},
  ) {
    const [disk, work] = [join(folder, 'guest.img'), join(folder, 'work')];
    await mkdir(work, { recursive: true });
    if (guest) await writeGuest(disk, guest);
    else await writeFile(disk, Buffer.alloc(1024));
    return bootTest(stepOf(path), {
      ...{ disk, format, work, commit, arch: 'x86_64', console: join(folder, 'console.log') },
      test: {
        ...{ timeout: 300, memory: 128 * 2 ** 20, cpus: 1, attempts: 1, mayFail: [], probe: 'console' },
        ...test,
      },
      virtualization: { wanted, record: join(folder, 'kvm.json'), cpuinfo: half.cpuinfo },
    });
  }
  const consoleLog = () => readFile(join(folder, 'console.log'), 'utf8');

  it('passes with a login prompt and the commit, whatever an older console log says', async () => {
    await writeFile(join(folder, 'console.log'), `host login: treeline: booted commit ${'b'.repeat(64)}\n`);
    const { seconds, ...result } = await boot({ says: booted });
    assert.deepEqual(result, { passed: true, commit, accelerator: 'tcg' });
    assert.ok(seconds > 0 && seconds < 60, `${seconds}`);
    assert.match(told.at(-1) ?? '', /^TCG: host login:/);
  });

  it('goes on under TCG where KVM stops the guest, and does not try KVM on this host again', async () => {
    const guest = { says: booted, waitSeconds: 3 };
    const first = await boot(guest, { wanted: 'auto', path: half.path });
    assert.deepEqual(
      { ...first, seconds: 0 },
      { passed: true, commit, seconds: 0, accelerator: 'tcg', remarks: [stopped] },
    );
    assert.deepEqual(await half.guests(), ['kvm probe', 'kvm', 'tcg']);
    assert.match(
      await consoleLog(),
      /\ntreeline: KVM stopped the guest: .*; started again under TCG\n[^]*login: /,
    );

    const second = await boot(guest, { wanted: 'auto', path: half.path });
    assert.deepEqual(second.remarks, ['no KVM: it stopped a guest: KVM internal error. Suberror: 1']);
    assert.deepEqual(await half.guests(), ['kvm probe', 'kvm', 'tcg', 'tcg']);
  });

  describe('that stands still under KVM', () => {
    /** A QEMU whose KVM does not go on, and says nothing. */
    const still = () =>
      makeHalfKvm(
        join(folder, 'still'),
        `case " $* " in *isa-debug-exit*) ;; *" -accel kvm "*)
for a do shift; case $a in kvm) a=tcg;; host) a=max;; esac; set -- "$@" "$a"; done; exec ${systemQemu} "$@" -S;; esac`,
      );
    const test = { timeout: 10 };

    it('is booted under TCG, and KVM is not tried again', async () => {
      const { path } = await still();
      const { passed, remarks, accelerator } = await boot({ says: booted }, { wanted: 'auto', path, test });
      assert.deepEqual([passed, accelerator], [true, 'tcg']);
      assert.match(
        remarks?.join('\n') ?? '',
        /^not booted under KVM: the guest stands still, running: no login prompt and no line .*, after \d+ s$/,
      );
      const second = await boot({ says: booted }, { wanted: 'auto', path, test });
      assert.match(
        second.remarks?.join('\n') ?? '',
        /^no KVM: it did not boot a guest: the guest stands still/,
      );
    });

    it('and under TCG fails, with no word against KVM', async () => {
      const { path } = await still();
      const hangs = { says: 'Loading ...' };
      const { passed, reason, accelerator } = await boot(hangs, {
        wanted: 'auto',
        path,
        test: { timeout: 3 },
      });
      assert.deepEqual([passed, accelerator], [false, 'tcg']);
      assert.match(reason ?? '', /^no login prompt and no line .*, after \d+ s under TCG$/);
      assert.equal(
        (JSON.parse(await readFile(join(folder, 'kvm.json'), 'utf8')) as { usable: boolean }).usable,
        true,
      );
    });

    it('fails where KVM is forced', async () => {
      const { path } = await still();
      const { passed, reason } = await boot({ says: booted }, { wanted: 'kvm', path, test });
      assert.equal(passed, false);
      assert.match(reason ?? '', /^the guest stands still, running: no login prompt .* under KVM$/);
    });
  });

  describe('that stands still under TCG', () => {
    /** A QEMU that does not start guests of two processors. */
    const still = () =>
      makeHalfKvm(join(folder, 'still'), `case " $* " in *" -smp 2 "*) exec ${systemQemu} "$@" -S;; esac`);

    it('is booted with one processor', async () => {
      const { path } = await still();
      const test = { timeout: 10, cpus: 2 };
      const { passed, remarks } = await boot({ says: booted }, { path, test });
      assert.equal(passed, true);
      const stood =
        /^not booted under TCG: the guest stands still, \w+ and \w+: no login prompt and no line .*, after \d+ s$/;
      assert.match(remarks?.join('\n') ?? '', stood);
      assert.match(await consoleLog(), /; started again under TCG with one processor\n[^]*login: /);
    });

    it('is not taken for one after its login prompt, where its time is that of the probe', async () => {
      const { path } = await still();
      const says = 'host login: ';
      const { passed, reason, remarks } = await boot({ says }, { path, test: { timeout: 3, cpus: 1 } });
      assert.deepEqual([passed, remarks], [false, undefined]);
      assert.match(reason ?? '', /^no line `treeline: booted commit …`, after \d+ s under TCG$/);
    });

    it('is given all its time then', async () => {
      const { path } = await still();
      const test = { timeout: 3, cpus: 2 };
      const { passed, reason, seconds } = await boot({ says: 'Loading ...' }, { path, test });
      assert.equal(passed, false);
      assert.match(reason ?? '', /^no login prompt and no line .*, after \d+ s under TCG$/);
      assert.ok(seconds >= 9, `${seconds} s`);
    });
  });

  it('uses nothing but KVM where it is forced, and says what KVM did', async () => {
    const result = await boot({ says: booted, waitSeconds: 3 }, { wanted: 'kvm', path: half.path });
    assert.equal(result.passed, false);
    assert.equal(result.accelerator, 'kvm');
    assert.match(
      result.reason ?? '',
      /^KVM stopped the guest: KVM internal error\. Suberror: 1, after \d+ s under KVM$/,
    );
    assert.deepEqual(await half.guests(), ['kvm']);
  });

  it('never tries KVM where TCG is forced', async () => {
    assert.equal((await boot({ says: booted }, { wanted: 'tcg', path: half.path })).passed, true);
    assert.deepEqual(await half.guests(), ['tcg']);
  });

  it('goes on under TCG where KVM passed the probe and cannot be used', async () => {
    const denied = 'qemu-system-x86_64: Could not access KVM kernel module: Permission denied';
    const before = `case "$*" in *isa-debug-exit*) ;; *"-accel kvm"*) echo '${denied}' >&2; exit 1;; esac`;
    const refusing = await makeHalfKvm(join(folder, 'refusing'), before);
    const { passed, remarks } = await boot({ says: booted }, { wanted: 'auto', path: refusing.path });
    assert.deepEqual([passed, remarks], [true, [`KVM stopped the guest: ${denied}`]]);
  });

  it('does not take a processor without virtualization for one that has it', async () => {
    await writeFile(half.cpuinfo, 'processor\t: 0\nflags\t\t: fpu vme ssse3 hypervisor\n');
    const { passed, remarks } = await boot({ says: booted }, { wanted: 'auto', path: half.path });
    assert.deepEqual([passed, remarks], [true, ['no KVM: the processor shows neither vmx nor svm']]);
    assert.deepEqual(await half.guests(), ['tcg']);
  });

  describe('a fault of the virtual machine', () => {
    const fault = `[ 1.5] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug\r\n`;
    const remark =
      "fault of the virtual machine, not of the image: kernel panic: IO-APIC + timer doesn't work!  Boot with apic=debug";
    /** A QEMU that gives so many guests a disk on which the kernel panics. */
    const faulty = async (times: number) => {
      const panics = join(folder, 'panic.img');
      await writeGuest(panics, { says: fault });
      const before = `case "$*" in *boot-overlay*) echo >> ${folder}/starts
if [ "$(wc -l < ${folder}/starts)" -le ${times} ]; then
  qemu-img create -q -f qcow2 -F raw -b ${panics} ${folder}/work/boot-overlay.qcow2
fi;; esac`;
      return makeHalfKvm(join(folder, 'faulty'), before);
    };

    it('is no failure of the image: the guest is started again', async () => {
      const { path } = await faulty(2);
      const { passed, remarks } = await boot({ says: booted }, { path });
      assert.deepEqual([passed, remarks], [true, [remark, remark]]);
    });

    it('is one when it comes for the third time', async () => {
      const { path } = await faulty(3);
      const { passed, remarks, reason, lines } = await boot({ says: booted }, { path });
      assert.deepEqual([passed, remarks], [false, [remark, remark]]);
      assert.match(reason ?? '', /^kernel panic: IO-APIC \+ timer doesn't work!.*, after \d+ s under TCG$/);
      assert.match(lines?.join('\n') ?? '', /IO-APIC/);
    });
  });

  describe('ends soon', () => {
    const failures: Record<string, { guest?: Guest; test?: Partial<BootOptions['test']>; reason: RegExp }> = {
      'without a boot loader': { reason: /^no boot loader, after/ },
      'when the guest reboots': {
        guest: { says: 'hello', then: 'reboot' },
        reason: /^the guest rebooted: no login prompt and no line `treeline: booted commit …`, after/,
      },
      'when the kernel tells only QEMU that it panics': {
        guest: { says: 'hello', then: 'panic' },
        reason: /^kernel panic: no login prompt and no line/,
      },
      'in GRUB rescue': {
        guest: { says: 'error: unknown filesystem.\r\nEntering rescue mode...\r\ngrub rescue> ' },
        reason: /^GRUB rescue, after/,
      },
      'with a unit that failed, although it has booted': {
        guest: {
          says: `[FAILED] Failed to start kdump.service - Crash recovery.\r\nSee 'systemctl status kdump.service' for details.\r\n${booted}`,
        },
        reason: /^failed units: kdump\.service, after/,
      },
    };
    for (const [name, { guest, reason }] of Object.entries(failures))
      it(name, async () => {
        const result = await boot(guest);
        assert.equal(result.passed, false);
        assert.match(result.reason ?? '', reason);
        assert.ok(result.seconds < 60, `${result.seconds} s of 300`);
        assert.ok((await consoleLog()).endsWith(`\ntreeline: ${result.reason ?? ''}\n`));
      });

    it('but for units that may fail, which are named', async () => {
      const says = `[FAILED] Failed to start kdump.service - Crash.\r\nSee 'systemctl status kdump.service' for details.\r\n${booted}`;
      const { passed, remarks } = await boot({ says }, { test: { mayFail: ['kdump.service'] } });
      assert.deepEqual([passed, remarks], [true, ['failed, as they may: kdump.service']]);
    });

    it('when QEMU dies, with its words', async () => {
      const before = `case "$*" in *boot-overlay*) echo 'no boot tonight' >&2; exit 1;; esac`;
      const { path } = await makeHalfKvm(join(folder, 'dying'), before);
      const { reason } = await boot({ says: booted }, { path });
      assert.match(
        reason ?? '',
        /^QEMU died: qemu-system-x86_64 ended with exit code 1: no boot tonight: no login/,
      );
    });

    it('when it has taken too long, in seconds that count as much as the machine is slow', async () => {
      const { reason, seconds } = await boot({ says: 'Loading ...' }, { test: { timeout: 1 } });
      assert.match(reason ?? '', /^no login prompt and no line `treeline: booted commit …`, after/);
      assert.ok(seconds >= 3 && seconds < 20, `${seconds} s`);
    });
  });

  it('has no verdict where the disk is full', async () => {
    const full = [
      ...['driver=qcow2,if=virtio,file.driver=blkdebug,file.image.driver=file'],
      `file.image.filename=${folder}/work/boot-overlay.qcow2`,
      'file.inject-error.0.event=write_aio,file.inject-error.0.errno=28',
    ].join(',');
    const before = `for a do shift; case "$a" in file=*boot-overlay*) a=${full};; esac; set -- "$@" "$a"; done`;
    const { path } = await makeHalfKvm(join(folder, 'full'), before);
    await assert.rejects(boot({ says: 'hello', then: 'write' }, { path }), { code: 'DiskFull' });
  });
});
