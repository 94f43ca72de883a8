/** Reads a guest's serial console: has it booted, and into which commit? */

export type Verdict =
  /** `failedUnits`: as systemd calls them. */
  | { readonly state: 'booted'; readonly failedUnits: readonly string[] }
  /** `missing` says what has not been seen yet. */
  | { readonly state: 'waiting'; readonly missing: string; readonly login: boolean }
  /** `emulator`: the fault is that of the virtual machine, not of the image. */
  | { readonly state: 'failed'; readonly reason: string; readonly emulator: boolean };

/** What a console shows when nothing good can follow. The kernel's words stand before what its panic leads to. */
const ends: readonly (readonly [RegExp, string])[] = [
  [/Kernel panic - not syncing: ?(.*)/, 'kernel panic'],
  [/VFS: Unable to mount root fs/, 'the kernel found no root file system'],
  [/ostree-prepare-root: (?:error|couldn't|failed).*/i, 'ostree found no deployment'],
  [
    /Entering emergency mode|You are in emergency mode|Cannot open access to console, the root account is locked/,
    'emergency mode',
  ],
  [/You are in rescue mode/, 'rescue mode'],
  [/(?:Give root password|Press Enter) for (?:system )?maintenance/, 'a shell for maintenance'],
  [/^(?:dracut|initqueue|pre-mount|mount|pre-pivot|switch_root):[^\s#]*# ?$/m, 'a shell of the initramfs'],
  [/^\(initramfs\) ?/m, 'a shell of the initramfs'],
  [/systemd\[1\]: (?:Freezing execution|Failed to .* Freezing\b).*/, 'systemd froze'],
  [/^grub rescue> ?/m, 'GRUB rescue'],
  [/Minimal BASH-like line editing is supported/, 'GRUB has no menu'],
  [/error: you need to load the kernel first/, 'GRUB found no kernel'],
  [/Could not find kernel image: ?(.*)|No DEFAULT or UI configuration/, 'the boot loader found no kernel'],
  [
    /No bootable device|No bootable option or device was found|Boot failed: not a bootable disk|Missing operating system/,
    'no boot loader',
  ],
  [/^(?:.*UEFI Interactive Shell.*|Shell> ?)$/m, 'no boot loader: the firmware started its shell'],
];

/** A virtual machine's own fault, met under load: its timer ticks too late for the kernel's test. */
const emulatorFault = /Kernel panic - not syncing: IO-APIC \+ timer doesn't work!/;

/** The line by which a guest says what it booted; the tree or the boot test's cloud-init seed prints it. */
export const bootedLine = 'treeline: booted commit';

/** Judges the console's text so far: booted means a login prompt and the line with the expected commit. */
export function judge(console: string, commit: string): Verdict {
  const text = plain(console);
  for (const [pattern, what] of ends) {
    const found = pattern.exec(text);
    if (!found) continue;
    const more = found[1]?.trim() || causeOf(text.slice(0, found.index));
    return {
      state: 'failed',
      reason: more ? `${what}: ${more}` : what,
      emulator: emulatorFault.test(text),
    };
  }
  const booted = new RegExp(`${bootedLine} ([0-9a-f]{64})\\b`).exec(text)?.[1];
  if (booted !== undefined && booted !== commit)
    return { state: 'failed', reason: `wrong commit ${booted}`, emulator: false };
  const login = /\blogin: /.test(text);
  if (login && booted !== undefined) return { state: 'booted', failedUnits: failedUnits(text) };
  const missing = [
    ...(login ? [] : ['no login prompt']),
    ...(booted === undefined ? [`no line \`${bootedLine} …\``] : []),
  ].join(' and ');
  const failed = failedUnits(text);
  return {
    state: 'waiting',
    login,
    missing: failed.length === 0 ? missing : `${missing}; failed units: ${failed.join(', ')}`,
  };
}

/** What systemd said first of what led here. */
function causeOf(text: string): string | undefined {
  const line =
    /\[(?:FAILED| TIME )\] (.*)/.exec(text)?.[1] ??
    /^(?:Warning: |ALERT! +)(.* does not exist)/m.exec(text)?.[1];
  return line?.trim().slice(0, 200);
}

/**
 * The units that systemd reported as failed and did not start later on. The console shortens long lines in their middle; where
 * systemd adds `See 'systemctl status …'`, the unit's whole name is known.
 */
export function failedUnits(console: string): string[] {
  const lines = plain(console).split('\n');
  const units = lines.flatMap((line, index) => {
    const what = /\[FAILED\] Failed (?:to )?\S+ (?:on |up )?(.*)/.exec(line)?.[1]?.trim();
    if (what === undefined) return [];
    const later = lines.slice(index + 1);
    const head = headOf(what);
    const started = later.some((text) => {
      const subject = /\[ {2}OK {2}\] (?:Started|Finished|Mounted|Reached target|Listening on) (.*)/.exec(
        text,
      )?.[1];
      return subject !== undefined && sameStart(headOf(subject), head);
    });
    if (started) return [];
    const named = later
      .slice(0, 4)
      .map((text) => /^See 'systemctl status (\S+)' for details/.exec(text)?.[1])
      .find((name) => name !== undefined && sameStart(name, head));
    return [named ?? what];
  });
  return [...new Set(units)];
}

/** `systemd-udevd.serv…nager for Device Events`, `kdump.service - Crash recovery`: the part that begins with the unit's name. */
const headOf = (subject: string) => subject.split(/…| - /)[0]?.trim() ?? '';

const sameStart = (a: string, b: string) => a.startsWith(b) || b.startsWith(a);

/** What systemd reported as failed, timed out or not started, then the last lines. */
export function tellingLines(console: string): string[] {
  const last = lastLines(console);
  const trouble = linesOf(console).filter((line) => /\[(?:FAILED| TIME |DEPEND)\]/.test(line));
  return [...trouble.filter((line) => !last.includes(line)).slice(0, 20), ...last];
}

/** The last lines with something on them. */
export const lastLines = (console: string, count = 20): string[] => linesOf(console).slice(-count);

const linesOf = (console: string) =>
  plain(console)
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.slice(0, 300));

/** Without colours (also those that systemd cut in the middle of a line), cursor movements and carriage returns. */
const plain = (console: string) =>
  console
    .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]?|\][^\x07]*\x07|[@-Z\\-_])|[\x00-\x08\x0b-\x1f]/g, (match) =>
      match === '\r' ? '\n' : '',
    )
    .replace(/\n{2,}/g, '\n');
