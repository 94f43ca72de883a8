/**
 * The equivalence report: how a signed rebuild differs from the build that was accepted, and which of it nobody could expect. Pure:
 * packages and trees are read elsewhere.
 */
import { z } from 'zod';
import { parseEvra, sameEvra } from './dist-tag.js';
import type { Lockfile } from './lockfile.js';
import type { RebuildPackages } from './rebuild-packages.js';
import type { ReworkChanges } from './rework-changes.js';

export const difference = z.object({
  kind: z.enum(['package', 'file', 'script', 'dependency', 'tree']),
  /** Package name, or path in the tree. */
  subject: z.string(),
  /** What differs, for people. */
  what: z.string(),
  expected: z.boolean(),
});
export type Difference = z.infer<typeof difference>;

/** `equivalence.json` */
export const equivalence = z.object({
  stream: z.string(),
  architecture: z.string(),
  accepted: z.object({ build: z.string(), commit: z.string() }),
  rebuilt: z.object({ commit: z.string(), packages: z.int() }),
  /** How many there are; `differences` may have fewer. */
  counts: z.object({ expected: z.int(), unexpected: z.int() }),
  /** The unexpected ones first. */
  differences: z.array(difference),
});
export type Equivalence = z.infer<typeof equivalence>;

/** What an RPM has that can differ; as `headers.py` reads it. */
export interface PackageFacts {
  readonly name: string;
  readonly evra: string;
  readonly files: readonly {
    readonly path: string;
    readonly mode: number;
    readonly user: string;
    readonly group: string;
    readonly flags: number;
    readonly link: string;
    readonly caps: string;
    readonly digest: string;
  }[];
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, readonly string[]>>;
}

/** An entry that the two trees do not have alike; as `trees.py` reads it. */
export interface TreeDifference {
  readonly path: string;
  readonly old: TreeEntry | null;
  readonly new: TreeEntry | null;
}
export interface TreeEntry {
  readonly type: string;
  readonly mode: string;
  readonly owner: string;
  readonly xattrs: string;
  readonly content: string;
  readonly link: string;
}

const versionRelease = (evra: string) => {
  const parsed = parseEvra(evra);
  return parsed ? `${parsed.version}-${parsed.release}` : evra;
};

/** Text of the accepted package as it would be in the rebuilt one: with the new release where its version-release stood. */
export function renewer(from: string, to: string): (text: string) => string {
  const [old, fresh] = [versionRelease(from), versionRelease(to)];
  if (old === fresh) return (text) => text;
  const escaped = old.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const whole = new RegExp(`(?<![\\w.+~^-])${escaped}(?![\\w+~^])|(?<=-)${escaped}(?![\\w+~^])`, 'g');
  return (text) => text.replace(whole, () => fresh);
}

/** The package sets: which packages, which versions. */
export function comparePackages(accepted: Lockfile, rebuilt: RebuildPackages, disttag: string): Difference[] {
  const found: Difference[] = [];
  const add = (subject: string, what: string, expected = false) =>
    found.push({ kind: 'package', subject, what, expected });
  const names = new Set([...Object.keys(accepted.packages), ...Object.keys(rebuilt)]);
  for (const name of [...names].sort()) {
    const [old, fresh] = [accepted.packages[name], rebuilt[name]];
    if (!old) add(name, `added: ${fresh?.evra ?? ''}`);
    else if (!fresh) add(name, `removed: ${old.evra}`);
    // Also what a security release takes from its base, where it was rebuilt.
    else if (fresh.digest === old.digest && fresh.evra === old.evra) continue;
    else if (fresh.origin === 'accepted') {
      if (fresh.evra !== old.evra) add(name, `${old.evra} → ${fresh.evra}, although it was not rebuilt`);
      else if (fresh.digest !== old.digest) add(name, 'another file, although it was not rebuilt');
    } else
      add(
        name,
        fresh.evra === old.evra ? `rebuilt: ${fresh.evra}` : `rebuilt: ${old.evra} → ${fresh.evra}`,
        sameEvra(old.evra, fresh.evra, disttag),
      );
  }
  return found;
}

/** What a security release has other than its base: expected is what was planned, word for word. */
export function comparePlan(
  base: Lockfile,
  found: Readonly<Record<string, { readonly evra: string; readonly digest: string }>>,
  { pin, drop }: Pick<ReworkChanges, 'pin' | 'drop'>,
  disttag: string | undefined,
): Difference[] {
  const differences: Difference[] = [];
  const names = new Set([...Object.keys(base.packages), ...Object.keys(found), ...Object.keys(pin), ...drop]);
  for (const name of [...names].sort()) {
    const [old, fresh] = [base.packages[name], found[name]];
    const wanted = Object.hasOwn(pin, name) ? pin[name] : undefined;
    const asPlanned =
      wanted === undefined
        ? fresh === undefined && drop.includes(name)
        : fresh !== undefined &&
          (fresh.evra === wanted || (disttag !== undefined && sameEvra(wanted, fresh.evra, disttag)));
    const planned = wanted !== undefined || drop.includes(name);
    if (!planned && old?.evra === fresh?.evra && old?.digest === fresh?.digest) continue;
    const what = `${old?.evra ?? 'none'} → ${fresh?.evra ?? 'none'}`;
    const but = planned ? `planned was ${wanted ?? 'none'}` : 'which was not planned';
    differences.push({
      ...{ kind: 'package', subject: name, expected: asPlanned },
      what: asPlanned ? `${what}, as planned` : `${what}, ${but}`,
    });
  }
  return differences;
}

/** One rebuilt package: its files (but for their content), scripts and dependencies. */
export function comparePackage(old: PackageFacts, fresh: PackageFacts): Difference[] {
  const renew = renewer(old.evra, fresh.evra);
  return [
    ...compareFiles(old, fresh, renew),
    ...compareScripts(old, fresh, renew),
    ...compareDependencies(old, fresh, renew),
  ];
}

type Renew = (text: string) => string;
const octal = (mode: number) => mode.toString(8).padStart(6, '0');

function compareFiles(old: PackageFacts, fresh: PackageFacts, renew: Renew): Difference[] {
  const found: Difference[] = [];
  const add = (path: string, what: string, expected = false) =>
    found.push({ kind: 'file', subject: fresh.name, what: `${path}: ${what}`, expected });
  const left = new Map(fresh.files.map((file) => [file.path, file]));
  for (const file of old.files) {
    const path = left.has(file.path) ? file.path : renew(file.path);
    const other = left.get(path);
    left.delete(path);
    if (!other) {
      add(file.path, 'removed', isBuildId(file.path));
      continue;
    }
    if (path !== file.path) add(file.path, `is ${path}`, true);
    const changes = [
      file.mode === other.mode ? '' : `mode ${octal(file.mode)} → ${octal(other.mode)}`,
      file.user === other.user ? '' : `user ${file.user} → ${other.user}`,
      file.group === other.group ? '' : `group ${file.group} → ${other.group}`,
      file.flags === other.flags ? '' : `flags ${file.flags} → ${other.flags}`,
      file.caps === other.caps ? '' : `capabilities ${file.caps || 'none'} → ${other.caps || 'none'}`,
      file.link === other.link || renew(file.link) === other.link
        ? ''
        : `link to ${file.link} → ${other.link}`,
    ].filter(Boolean);
    if (changes.length > 0) add(path, changes.join(', '));
    else if (file.digest !== other.digest) add(path, 'content', true);
  }
  for (const path of left.keys()) add(path, 'added', isBuildId(path));
  return found;
}

/** Links by the hash of a program's content: other names for every build. */
const isBuildId = (path: string) => /^\/usr\/lib\/(debug\/)?\.build-id(\/|$)/.test(path);

function compareScripts(old: PackageFacts, fresh: PackageFacts, renew: Renew): Difference[] {
  const names = new Set([...Object.keys(old.scripts), ...Object.keys(fresh.scripts)]);
  return [...names].sort().flatMap((name): Difference[] => {
    const [a, b] = [old.scripts[name], fresh.scripts[name]];
    if (a === b) return [];
    const base = { kind: 'script', subject: fresh.name } as const;
    if (a === undefined) return [{ ...base, what: `%${name}: added`, expected: false }];
    if (b === undefined) return [{ ...base, what: `%${name}: removed`, expected: false }];
    const renewed = renew(a) === b;
    return [{ ...base, what: `%${name}: ${renewed ? 'release' : 'changed'}`, expected: renewed }];
  });
}

function compareDependencies(old: PackageFacts, fresh: PackageFacts, renew: Renew): Difference[] {
  const kinds = new Set([...Object.keys(old.dependencies), ...Object.keys(fresh.dependencies)]);
  return [...kinds].sort().flatMap((kind): Difference[] => {
    const [before, after] = [old.dependencies[kind] ?? [], fresh.dependencies[kind] ?? []];
    const wanted = new Set(before.flatMap((text) => [text, renew(text)]));
    const gone = before.filter((text) => !after.includes(text) && !after.includes(renew(text)));
    const come = after.filter((text) => !wanted.has(text));
    const lines = (texts: readonly string[], word: string): Difference[] =>
      texts.map((text) => ({
        kind: 'dependency',
        subject: fresh.name,
        what: `${kind} ${text}: ${word}`,
        // Features of the rpm that built it, not of the package.
        expected: text.startsWith('rpmlib('),
      }));
    return [...lines(gone, 'removed'), ...lines(come, 'added')];
  });
}

export interface TreeContext {
  /** Paths of the files of rebuilt packages, as the packages have them. */
  readonly rebuiltPaths: Iterable<string>;
  /** Of each rebuilt package: accepted and rebuilt `evra`. */
  readonly renewed: readonly (readonly [string, string])[];
  /** Paths of the files of packages that an approved rework or fix has pinned or dropped: all may differ. */
  readonly reworkedPaths?: Iterable<string>;
  /** `rebuild.expected` */
  readonly expected: readonly string[];
}

/**
 * Made by the compose from the content of packages, so with rebuilt packages they may have another content. Their mode, owner and
 * presence must be as before.
 */
const generated = [
  '/usr/share/rpm/*',
  '/usr/lib/sysimage/rpm*/*',
  '/usr/share/rpm-ostree/treefile.json',
  '/usr/lib/modules/*/initramfs.img',
  '/usr/lib/modules/*/initramfs-*.img',
  '/usr/lib/ostree-boot/initramfs-*',
  '/usr/lib/modules/*/modules.*',
  '/usr/etc/ld.so.cache',
  '/usr/lib/udev/hwdb.bin',
  '/usr/etc/udev/hwdb.bin',
  '/usr/lib/systemd/catalog/database',
  '/usr/lib/locale/locale-archive',
  '/usr/lib/fontconfig/cache/*',
  '/usr/share/mime/mime.cache',
  '/usr/lib64/gconv/gconv-modules.cache',
].map(globOf);

/** `*` stands for any characters, `/` too. */
function globOf(glob: string): RegExp {
  const parts = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

/** Where a package's path is in an ostree tree. */
const inTree = (path: string) =>
  path.replace(/^\/etc(?=\/|$)/, '/usr/etc').replace(/^\/(bin|sbin|lib|lib64)(?=\/|$)/, '/usr/$1');

const folderOf = (path: string) => path.slice(0, path.lastIndexOf('/'));
const foldersOf = (path: string): string[] => {
  const folder = folderOf(path);
  return folder === '' ? [] : [folder, ...foldersOf(folder)];
};

/** The two trees. */
export function compareTrees(
  entries: readonly TreeDifference[],
  { rebuiltPaths, renewed, reworkedPaths = [], expected }: TreeContext,
): Difference[] {
  const reworked = new Set([...reworkedPaths].map(inTree));
  // Folders that such files are in may come and go with them; what is generated beside them too.
  const around = new Set([...reworked].flatMap(foldersOf));
  const alongside = (path: string, { type }: TreeEntry) =>
    type === 'd'
      ? around.has(path)
      : reworked.has(folderOf(path)) && generated.some((glob) => glob.test(path));
  const owned = new Set([...rebuiltPaths].map(inTree));
  const allowed = expected.map(globOf);
  const renewers = renewed.map(([from, to]) => renewer(from, to));
  const added = new Map(entries.flatMap((entry) => (entry.old ? [] : [[entry.path, entry.new]])));
  const moved = new Set<string>();
  const found: Difference[] = [];
  const add = (path: string, what: string, fine: boolean) =>
    found.push({
      kind: 'tree',
      subject: path,
      what,
      expected: fine || reworked.has(path) || allowed.some((glob) => glob.test(path)),
    });
  const contentMayDiffer = (path: string) => owned.has(path) || generated.some((glob) => glob.test(path));

  for (const { path, old, new: fresh } of entries) {
    if (!old) continue;
    const to = fresh ? path : renewers.map((renew) => renew(path)).find((one) => added.has(one));
    const other = fresh ?? (to === undefined ? undefined : added.get(to));
    if (!other || to === undefined) {
      add(path, 'removed', (isBuildId(path) && owned.has(path)) || alongside(path, old));
      continue;
    }
    if (to !== path) moved.add(to);
    const changes = [
      old.type === other.type ? '' : `type ${old.type} → ${other.type}`,
      old.mode === other.mode ? '' : `mode ${old.mode} → ${other.mode}`,
      old.owner === other.owner ? '' : `owner ${old.owner} → ${other.owner}`,
      old.xattrs === other.xattrs ? '' : 'extended attributes',
      old.link === other.link || renewers.some((renew) => renew(old.link) === other.link)
        ? ''
        : `link to ${old.link} → ${other.link}`,
    ].filter(Boolean);
    if (changes.length > 0) add(to, changes.join(', '), false);
    else if (old.type !== '-' || old.content === other.content) add(to, `was ${path}`, true);
    else if (contentMayDiffer(to)) add(to, 'content', true);
    else add(to, 'content, of no rebuilt package', false);
  }
  for (const [path, entry] of added)
    if (!moved.has(path))
      add(path, 'added', (isBuildId(path) && owned.has(path)) || (entry !== null && alongside(path, entry)));
  return found;
}

/** A line for people. */
export const differenceLine = ({ kind, subject, what }: Difference) =>
  kind === 'tree'
    ? `tree: ${subject}: ${what}`
    : `${kind === 'package' ? '' : `${kind} of `}${subject}: ${what}`;
