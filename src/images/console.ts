/** Reads a guest's serial console: has it booted, and into which commit? */

export type Verdict =
  | { readonly state: 'booted' }
  /** `missing` says what has not been seen yet. */
  | { readonly state: 'waiting'; readonly missing: string }
  | { readonly state: 'failed'; readonly reason: string };

/** What a console shows when nothing good can follow. */
const ends: readonly (readonly [RegExp, string])[] = [
  [/Kernel panic - not syncing: ?(.*)/, 'kernel panic'],
  [/VFS: Unable to mount root fs/, 'the kernel found no root file system'],
  [
    /Entering emergency mode|You are in emergency mode|Cannot open access to console, the root account is locked/,
    'emergency mode',
  ],
  [/You are in rescue mode/, 'rescue mode'],
  [/ostree-prepare-root: (?:error|couldn't|failed).*/i, 'ostree found no deployment'],
  [
    /No bootable device|Boot failed: not a bootable disk|Missing operating system|No DEFAULT or UI configuration/,
    'no boot loader',
  ],
];

/** The line by which a guest says what it booted; the tree or the boot test's cloud-init seed prints it. */
export const bootedLine = 'treeline: booted commit';

/** Judges the console's text so far: booted means a login prompt and the line with the expected commit. */
export function judge(console: string, commit: string): Verdict {
  const text = plain(console);
  for (const [pattern, reason] of ends) {
    const found = pattern.exec(text);
    if (found) return { state: 'failed', reason: found[1] ? `${reason}: ${found[1].trim()}` : reason };
  }
  const booted = new RegExp(`${bootedLine} ([0-9a-f]{64})\\b`).exec(text)?.[1];
  if (booted !== undefined && booted !== commit) return { state: 'failed', reason: `wrong commit ${booted}` };
  const missing = [
    ...(/\blogin: /.test(text) ? [] : ['no login prompt']),
    ...(booted === undefined ? [`no line \`${bootedLine} …\``] : []),
  ];
  return missing.length === 0 ? { state: 'booted' } : { state: 'waiting', missing: missing.join(' and ') };
}

/** The last lines with something on them. */
export const lastLines = (console: string, count = 20): string[] =>
  plain(console)
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .map((line) => line.slice(0, 300));

/** Without colours, cursor movements and carriage returns. */
const plain = (console: string) =>
  console
    .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_])|[\x00-\x08\x0b-\x1f]/g, (match) =>
      match === '\r' ? '\n' : '',
    )
    .replace(/\n{2,}/g, '\n');
