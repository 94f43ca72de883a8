import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { failedUnits, judge, lastLines, tellingLines } from '../../src/images/console.js';

const recorded = (name: string) =>
  readFileSync(new URL(`../../../test/recorded/console/${name}.log`, import.meta.url), 'utf8');

describe('console verdict', () => {
  const booted = recorded('booted');
  const commit = /booted commit ([0-9a-f]{64})/.exec(booted)?.[1] ?? '';

  it('booted: login prompt and the expected commit', () =>
    assert.deepEqual(judge(booted, commit), { state: 'booted', failedUnits: [] }));

  it('another commit is wrong, and named', () =>
    assert.deepEqual(judge(booted, 'b'.repeat(64)), {
      state: 'failed',
      reason: `wrong commit ${commit}`,
      emulator: false,
    }));

  it('waits for both, and says what is missing', () => {
    const waiting = (missing: string, login: boolean) => ({ state: 'waiting', missing, login });
    assert.deepEqual(
      judge('', commit),
      waiting('no login prompt and no line `treeline: booted commit …`', false),
    );
    assert.deepEqual(judge('host login: ', commit), waiting('no line `treeline: booted commit …`', true));
    assert.deepEqual(judge(`treeline: booted commit ${commit}\n`, commit), waiting('no login prompt', false));
    assert.equal(
      judge(`host login: treeline: booted commit ${commit.slice(0, 40)}`, commit).state,
      'waiting',
    );
  });

  /** What guests print, and what is said of it. */
  const failures: readonly (readonly [string, string, string])[] = [
    ['a panic', recorded('panic'), 'kernel panic: VFS: Unable to mount root fs on unknown-block(0,0)'],
    [
      'the emergency mode of the initramfs',
      recorded('emergency'),
      'emergency mode: Timed out waiting for device …ice - /dev/disk/by-label/nope.',
    ],
    ['rescue mode', recorded('rescue'), 'rescue mode'],
    [
      'emergency mode with a locked root account',
      "[FAILED] Failed to mount boot.mount - /boot.\r\nSee 'systemctl status boot.mount' for details.\r\nCannot open access to console, the root account is locked.\r\nSee sulogin(8) man page for more details.\r\n",
      'emergency mode: Failed to mount boot.mount - /boot.',
    ],
    [
      'a password for maintenance',
      'Give root password for maintenance\r\n(or press Control-D to continue): ',
      'a shell for maintenance',
    ],
    [
      "dracut's shell",
      'Warning: /dev/disk/by-label/root does not exist\r\n\r\nGenerating "/run/initramfs/rdsosreport.txt"\r\n\r\ndracut:/# ',
      'a shell of the initramfs: /dev/disk/by-label/root does not exist',
    ],
    [
      "initramfs-tools' shell",
      'ALERT!  LABEL=root does not exist.  Dropping to a shell!\r\n\r\n(initramfs) ',
      'a shell of the initramfs: LABEL=root does not exist',
    ],
    ['systemd that froze', 'systemd[1]: Failed to load SELinux policy. Freezing.\r\n', 'systemd froze'],
    [
      'ostree without a deployment',
      'ostree-prepare-root: error: stat(ostree): No such file or directory\r\n',
      'ostree found no deployment',
    ],
    ['GRUB rescue', 'error: no such partition.\r\nEntering rescue mode...\r\ngrub rescue> ', 'GRUB rescue'],
    [
      'GRUB without a menu',
      'GNU GRUB  version 2.06\r\n\r\n   Minimal BASH-like line editing is supported. For the first word, TAB\r\n\r\ngrub> ',
      'GRUB has no menu',
    ],
    [
      'GRUB without a kernel',
      "error: file `/boot/ostree/vmlinuz' not found.\r\nerror: you need to load the kernel first.\r\n\r\nPress any key to continue...",
      'GRUB found no kernel',
    ],
    [
      'extlinux without a kernel',
      'Could not find kernel image: /ostree/vmlinuz\r\nboot: ',
      'the boot loader found no kernel: /ostree/vmlinuz',
    ],
    ['a BIOS that finds nothing', 'Booting from Hard Disk...\r\nNo bootable device.\r\n', 'no boot loader'],
    [
      'UEFI that finds nothing',
      'BdsDxe: failed to load Boot0001 "UEFI Misc Device": Not Found\r\nBdsDxe: No bootable option or device was found.\r\n',
      'no boot loader',
    ],
    [
      "the firmware's shell",
      'UEFI Interactive Shell v2.2\r\nEDK II\r\nShell> ',
      'no boot loader: the firmware started its shell',
    ],
  ];
  for (const [name, text, reason] of failures)
    it(`failed: ${name}`, () => {
      const verdict = judge(text, commit);
      assert.ok(verdict.state === 'failed', verdict.state);
      assert.deepEqual([verdict.reason, verdict.emulator], [reason, false]);
    });

  it('no early part of a good boot is a failure', () => {
    for (let end = 0; end < booted.length; end += 40)
      assert.notEqual(judge(booted.slice(0, end), commit).state, 'failed', `after ${end} characters`);
  });

  it("a panic of the virtual machine's timer is the emulator's fault", () => {
    const panic = "Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug";
    assert.deepEqual(judge(`[ 1.2] ..TIMER: vector=0x30\r\n[ 1.5] ${panic}\r\n`, commit), {
      state: 'failed',
      reason: "kernel panic: IO-APIC + timer doesn't work!  Boot with apic=debug",
      emulator: true,
    });
  });

  it('last lines carry no terminal sequences', () => {
    const lines = lastLines(recorded('emergency'));
    assert.equal(lines.length, 20);
    assert.doesNotMatch(lines.join('\n'), /[\x00-\x09\x0b-\x1f]/);
  });
});

describe('failed units', () => {
  const red = (text: string) => `[\x1b[0;1;31mFAILED\x1b[0m] ${text}\r\n`;
  const green = (text: string) => `[\x1b[0;32m  OK  \x1b[0m] ${text}\r\n`;
  const see = (unit: string) => `See 'systemctl status ${unit}' for details.\r\n`;

  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['none', recorded('booted'), []],
    [
      'by their whole names',
      red('Failed to start \x1b[0;1;39msystemd-remoun…t Root and Kernel File Systems.') +
        see('systemd-remount-fs.service'),
      ['systemd-remount-fs.service'],
    ],
    [
      'with lines of other units between',
      red('Failed to start a.service - A.') + green('Started b.service - B.') + see('a.service'),
      ['a.service'],
    ],
    [
      'several, each once',
      red('Failed to mount boot.mount - /boot.') + see('boot.mount') + red('Failed to start k.service - K.') + see('k.service') + red('Failed to start k.service - K.') + see('k.service'),
      ['boot.mount', 'k.service'],
    ],
    [
      'but not those that were started later',
      red('Failed to start late.service - Late.') + see('late.service') + green('Started late.service - Late.'),
      [],
    ],
    [
      'a unit is not started because another one of its family is',
      red('Failed to start net-wait.service - W.') + see('net-wait.service') + green('Started net.service - N.'),
      ['net-wait.service'],
    ],
    [
      'as described, by a systemd that does not name them',
      red('Failed to start Crash recovery kernel arming.'),
      ['Crash recovery kernel arming.'],
    ],
  ]; // prettier-ignore
  for (const [name, text, units] of cases) it(name, () => assert.deepEqual(failedUnits(text), units));

  it('are in what is said of a boot that does not go on', () => {
    const verdict = judge(red('Failed to start a.service - A.') + see('a.service'), 'a'.repeat(64));
    assert.ok(verdict.state === 'waiting');
    assert.match(verdict.missing, /^no login prompt and .*; failed units: a\.service$/);
  });

  it('stand before the last lines, where they are not among them', () => {
    const lines = tellingLines(red('Failed to start a.service - A.') + 'more\r\n'.repeat(30));
    assert.deepEqual(lines, ['[FAILED] Failed to start a.service - A.', ...Array<string>(20).fill('more')]);
  });
});
