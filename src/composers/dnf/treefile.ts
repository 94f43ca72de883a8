/**
 * The subset of rpm-ostree's treefile that the dnf composer does. A key that it does not know is refused, never
 * ignored: a tree that silently lacks something is worse than none.
 */
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Architecture } from '../../domain/names.js';
import { readFileText } from '../../steps/read-file.js';
import { addIssue, suggestion } from '../../streams/mistakes.js';
import { includesIn, readParts, type Part, type Parser } from '../treefile.js';
import { treefileKeys } from '../rpm-ostree/treefile.js';

const names = z.array(z.string()).default([]);
/** An entry may hold several names; one in single quotes is one with its spaces, such as `'podman >= 4.1'`: rpm-ostree's rules. */
const packages = z
  .array(
    z
      .string()
      .refine((entry) => entry.split("'").length % 2 === 1, { error: 'a single quote is not closed' }),
  )
  .default([])
  .transform((entries) =>
    entries.flatMap((entry) =>
      entry
        .split("'")
        .flatMap((part, place) => (place % 2 === 1 ? [part] : part.split(/\s+/).filter(Boolean))),
    ),
  );

const accountNumber = z.int().min(0).max(4_294_967_294);
const noCheck = z.strictObject({ type: z.enum(['none', 'previous']) });
const fileCheck = z.strictObject({ type: z.literal('file'), filename: z.string() });
/** A user's entry: its number and that of its group; one number is both. */
const userEntry = z.union([accountNumber, z.array(accountNumber).min(1).max(2)]);
const userCheck = z.union([
  noCheck,
  fileCheck,
  z.strictObject({ type: z.literal('data'), entries: z.record(z.string(), userEntry) }),
]);
const groupCheck = z.union([
  noCheck,
  fileCheck,
  z.strictObject({ type: z.literal('data'), entries: z.record(z.string(), accountNumber) }),
]);

/** rpm-ostree's place for what other programs keep in a treefile. */
const metadata = z.looseObject({
  treeline: z
    .strictObject({
      'failing-scriptlets': z
        .array(
          z.string().regex(/^[^\s%]+ %[a-z]+$/, {
            error: 'write the name of the package and the scriptlet, such as `foo %post`',
          }),
        )
        .default([]),
    })
    .optional(),
});

const fileSchema = z.strictObject({
  include: z.union([z.string(), z.array(z.string())]).optional(),
  packages,
  'packages-x86_64': packages,
  'packages-aarch64': packages,
  'exclude-packages': names,
  repos: names,
  recommends: z.boolean().optional(),
  documentation: z.boolean().optional(),
  'initramfs-args': names,
  units: names,
  'default-target': z.string().optional(),
  postprocess: names,
  'postprocess-script': z.string().optional(),
  'remove-files': names,
  'remove-from-packages': z
    .array(
      z.tuple(
        [z.string(), z.string().refine(isPattern, { error: 'is not a regular expression' })],
        z.string().refine(isPattern, { error: 'is not a regular expression' }),
      ),
    )
    .default([]),
  'tmp-is-dir': z.boolean().optional(),
  'preserve-passwd': z.boolean().optional(),
  'check-passwd': userCheck.optional(),
  'check-groups': groupCheck.optional(),
  'ignore-removed-users': names,
  'ignore-removed-groups': names,
  metadata: metadata.optional(),
  // What this composer does anyway, or leaves to the stream file; here so that one file serves both composers.
  ref: z.string().optional(),
  osname: z.string().optional(),
  releasever: z.union([z.string(), z.number()]).optional(),
  comment: z.string().optional(),
  'automatic-version-prefix': z.string().optional(),
  selinux: z.literal(false).optional(),
  'boot-location': z.literal('modules').optional(),
  'machineid-compat': z.literal(true).optional(),
  rpmdb: z.enum(['host', 'sqlite']).optional(),
});
type TreefileFile = z.infer<typeof fileSchema>;

/** What the numbers of users (`uid:gid`) or groups (`gid`) are compared with. */
export type AccountCheck =
  | { readonly type: 'none' | 'previous' }
  | { readonly type: 'file'; readonly text: string }
  | { readonly type: 'data'; readonly numbers: ReadonlyMap<string, string> };

export interface Treefile {
  /** Ids of the repos, or none if the treefile leaves them to the stream. */
  readonly repos: readonly string[];
  /** What dnf takes as such, for this architecture. */
  readonly packages: readonly string[];
  readonly excludePackages: readonly string[];
  /** Are packages installed that are only recommended? */
  readonly recommends: boolean;
  readonly documentation: boolean;
  readonly initramfsArgs: readonly string[];
  readonly units: readonly string[];
  readonly defaultTarget: string | undefined;
  /** Scripts in the order in which they run: inline text of included files first. */
  readonly postprocess: readonly { readonly name: string; readonly text: string }[];
  /** Paths below the root. */
  readonly removeFiles: readonly string[];
  /** Per package: patterns of paths that are removed from the tree. */
  readonly removeFromPackages: readonly { readonly name: string; readonly patterns: readonly RegExp[] }[];
  /** Is /tmp a folder of the tree (true) or a link to `sysroot/tmp`? */
  readonly tmpIsDir: boolean;
  /** Are accounts of the parent commit, or of the files to check against, put into the tree before the first package? */
  readonly preservePasswd: boolean;
  readonly checkPasswd: AccountCheck;
  readonly checkGroups: AccountCheck;
  /** Names of accounts that may be missing; `*` for all. */
  readonly ignoreRemovedUsers: readonly string[];
  readonly ignoreRemovedGroups: readonly string[];
  /** Scriptlets that may fail: `<package name> %<scriptlet>`. */
  readonly failingScriptlets: readonly string[];
}

/** The files of a treefile. Fails with `TreefileUnsupported` (what this composer cannot do) and `StreamInvalid`. */
export const readTreefileParts = (path: string): Promise<readonly Part<TreefileFile>[]> =>
  readParts(path, treefileParser);

/**
 * Reads a treefile with its includes (an including file's scalars win, lists are joined).
 * Fails with `TreefileUnsupported` (unknown key, or a value that this composer cannot do) and `StreamInvalid`
 * (not readable, not YAML, a value of the wrong type); the message names file, line and key.
 */
export async function readTreefile(path: string, arch: Architecture): Promise<Treefile> {
  const files = await readTreefileParts(path);
  const last = <K extends keyof TreefileFile>(key: K) =>
    files.map(({ content }) => content[key]).findLast((value) => value !== undefined);
  const joined = <T>(pick: (content: TreefileFile) => readonly T[]) =>
    files.flatMap(({ content }) => pick(content));
  const scripts = await Promise.all(files.map(({ path, content }) => scriptsOf(path, content)));
  return {
    repos: [...new Set(joined((content) => content.repos))],
    packages: [...new Set(joined((content) => [...content.packages, ...content[`packages-${arch}`]]))],
    excludePackages: joined((content) => content['exclude-packages']),
    recommends: last('recommends') ?? true,
    documentation: last('documentation') ?? true,
    initramfsArgs: joined((content) => content['initramfs-args']),
    units: joined((content) => content.units),
    defaultTarget: last('default-target'),
    postprocess: scripts.flat(),
    removeFiles: joined((content) => content['remove-files']),
    removeFromPackages: joined((content) => content['remove-from-packages']).map(([name, ...patterns]) => ({
      name,
      patterns: patterns.map((pattern) => new RegExp(pattern, 'u')),
    })),
    tmpIsDir: last('tmp-is-dir') ?? false,
    preservePasswd: last('preserve-passwd') ?? true,
    checkPasswd: await accountCheck(files, 'check-passwd'),
    checkGroups: await accountCheck(files, 'check-groups'),
    ignoreRemovedUsers: joined((content) => content['ignore-removed-users']),
    ignoreRemovedGroups: joined((content) => content['ignore-removed-groups']),
    failingScriptlets: joined((content) => content.metadata?.treeline?.['failing-scriptlets'] ?? []),
  };
}

export const treefileParser: Parser<TreefileFile> = {
  includesOnce: false,
  includes: (value) => includesIn(value.include, ['include']),
  files: (content) => [
    ...(content['postprocess-script'] === undefined
      ? []
      : [[content['postprocess-script'], ['postprocess-script'], readFileText] as const]),
    ...(['check-passwd', 'check-groups'] as const).flatMap((key) => {
      const check = content[key];
      return check?.type === 'file' ? [[check.filename, [key, 'filename'], readFileText] as const] : [];
    }),
  ],
  parse(value, add, unsupported) {
    // Old treefiles write `default_target` and `automatic_version_prefix`.
    const spelling = new Map(
      Object.keys(value).map((key) => [key.startsWith('packages-') ? key : key.replaceAll('_', '-'), key]),
    );
    const renamed = Object.fromEntries([...spelling].map(([key, written]) => [key, value[written]]));
    const parsed = fileSchema.safeParse(renamed, { reportInput: true });
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues)
      if (issue.code === 'unrecognized_keys')
        for (const key of issue.keys)
          if (treefileKeys.has(key) || key.startsWith('packages-'))
            unsupported([spelling.get(key) ?? key], `the dnf composer does not do this: ${otherwise}`);
          else
            add(
              [spelling.get(key) ?? key],
              `no treefile has such a key.${suggestion(key, Object.keys(fileSchema.shape))}`,
            );
      else {
        const [key, ...rest] = issue.path;
        const path = [spelling.get(String(key)) ?? String(key), ...rest];
        if (issue.code === 'invalid_value' && rest.length === 0)
          unsupported(path, `the dnf composer cannot do this value (${issue.message}): ${otherwise}`);
        else addIssue(fileSchema, { ...issue, path }, add);
      }
    return undefined;
  },
};
const otherwise = 'remove it, or choose `composer: rpm-ostree`';

async function scriptsOf(path: string, content: TreefileFile): Promise<Treefile['postprocess']> {
  const inline = content.postprocess.map((text, index) => ({ name: `postprocess[${index}]`, text }));
  const name = content['postprocess-script'];
  return name === undefined
    ? inline
    : [...inline, { name, text: await readFileText(join(dirname(path), name)) }];
}

/** The check of the last file that has one; without one the parent commit's accounts are compared, as rpm-ostree does. */
async function accountCheck(
  files: readonly Part<TreefileFile>[],
  key: 'check-passwd' | 'check-groups',
): Promise<AccountCheck> {
  const declared = files.findLast(({ content }) => content[key] !== undefined);
  const check = declared?.content[key];
  if (!declared || !check) return { type: 'previous' };
  if (check.type === 'file')
    return { type: 'file', text: await readFileText(join(dirname(declared.path), check.filename)) };
  if (check.type !== 'data') return { type: check.type };
  const numbers = Object.entries<number | number[]>(check.entries).map(([name, entry]) => {
    const [uid = 0, gid = uid] = typeof entry === 'number' ? [entry] : entry;
    return [name, key === 'check-passwd' ? `${uid}:${gid}` : `${uid}`] as const;
  });
  return { type: 'data', numbers: new Map(numbers) };
}

function isPattern(pattern: string): boolean {
  try {
    new RegExp(pattern, 'u');
    return true;
  } catch {
    return false;
  }
}
