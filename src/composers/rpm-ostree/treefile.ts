/** rpm-ostree's treefile, as far as it can be checked before rpm-ostree reads it: the keys that versions up to 2026 know, and the types of their values. */
import { z } from 'zod';
import { Failure } from '../../domain/failures.js';
import type { Architecture } from '../../domain/names.js';
import { readFileBytes } from '../../steps/read-file.js';
import { addIssue } from '../../streams/mistakes.js';
import { readYaml } from '../../streams/yaml.js';
import { includesIn, isMap, type Parser } from '../treefile.js';

const text = z.string().optional();
const flag = z.boolean().optional();
const texts = z.array(z.string()).optional();
const map = z.record(z.string(), z.unknown()).optional();
const include = z.union([z.string(), z.array(z.string())], { error: 'write a file name, or a list of them' });
const quoted = z
  .array(
    z
      .string()
      .refine((entry) => entry.split("'").length % 2 === 1, { error: 'a single quote is not closed' }),
  )
  .optional();
const check = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('none') }),
    z.object({ type: z.literal('previous') }),
    z.object({ type: z.literal('file'), filename: z.string() }),
    z.object({ type: z.literal('data'), entries: z.record(z.string(), z.unknown()) }),
  ])
  .optional();

const treefile = z.strictObject({
  edition: z.enum(['2014', '2024']).optional(),
  ref: text,
  metadata: map,
  basearch: text,
  variables: map,
  repovars: map,
  rojig: map,
  repos: texts,
  'lockfile-repos': texts,
  selinux: flag,
  'ignore-devices': flag,
  'selinux-label-version': z.int().optional(),
  sysusers: z.unknown().optional(),
  ima: flag,
  'gpg-key': text,
  include: include.optional(),
  'arch-include': z.record(z.string(), z.union([include, z.record(z.string(), z.unknown())])).optional(),
  'conditional-include': z
    .array(z.object({ if: include, include: z.union([include, z.record(z.string(), z.unknown())]) }))
    .optional(),
  packages: quoted,
  'bootstrap-packages': quoted,
  'repo-packages': z.array(z.strictObject({ repo: z.string(), packages: z.array(z.string()) })).optional(),
  modules: map,
  'exclude-packages': texts,
  'platform-module': text,
  'ostree-layers': texts,
  'ostree-override-layers': texts,
  container: flag,
  recommends: flag,
  documentation: flag,
  'install-langs': texts,
  'initramfs-args': texts,
  'no-initramfs': flag,
  cliwrap: flag,
  'cliwrap-binaries': texts,
  'readonly-executables': flag,
  'boot-location': z.enum(['new', 'modules', 'kernel-install']).optional(),
  'tmp-is-dir': flag,
  'opt-usrlocal': z.enum(['var', 'root', 'state-overlay', 'stateoverlay']).optional(),
  'opt-usrlocal-overlays': flag,
  units: texts,
  'default-target': text,
  'machineid-compat': flag,
  releasever: z.union([z.string(), z.int()], { error: 'write text or a whole number' }).optional(),
  'automatic-version-prefix': text,
  'automatic-version-suffix': z.string().length(1, { error: 'write one character' }).optional(),
  'mutate-os-release': text,
  'etc-group-members': texts,
  'preserve-passwd': flag,
  'check-passwd': check,
  'check-groups': check,
  'ignore-removed-users': texts,
  'ignore-removed-groups': texts,
  'postprocess-script': text,
  postprocess: texts,
  'add-files': z.array(z.tuple([z.string(), z.string()])).optional(),
  'remove-files': texts,
  'remove-from-packages': z.array(z.array(z.string()).min(2)).optional(),
  'add-commit-metadata': map,
  'repo-metadata': z.unknown().optional(),
  'advisories-metadata': z.unknown().optional(),
  rpmdb: z.enum(['target', 'host', 'bdb', 'sqlite', 'ndb']).optional(),
  'rpmdb-normalize': flag,
  'container-cmd': texts,
});
export type RpmOstreeTreefile = z.infer<typeof treefile>;

export const treefileKeys: ReadonlySet<string> = new Set(Object.keys(treefile.shape));

/** Keys of old treefiles. */
const oldKeys = [
  'gpg_key',
  'boot_location',
  'default_target',
  'automatic_version_prefix',
  'bootstrap_packages',
];

export const treefileParser = (arch: Architecture): Parser<RpmOstreeTreefile> => ({
  includesOnce: true,
  parse(value, add, _, file) {
    const known: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      if (key.startsWith('packages-')) {
        const packages = quoted.safeParse(item, { reportInput: true });
        for (const issue of packages.error?.issues ?? [])
          addIssue(quoted, { ...issue, path: [key, ...issue.path] }, add);
      } else known[oldKeys.includes(key) ? key.replaceAll('_', '-') : key] = item;
    }
    const parsed = treefile.safeParse(known, { reportInput: true });
    for (const issue of parsed.error?.issues ?? [])
      // rpm-ostree ignores unknown keys of JSON: people write comments as such.
      if (issue.code !== 'unrecognized_keys' || /\.ya?ml$/.test(file)) addIssue(treefile, issue, add);
    const { data } = parsed;
    if (data?.['gpg-key'] !== undefined) add(['gpg-key'], 'remove it: only the signing role signs');
    return data;
  },
  includes(value) {
    const byArch = value['arch-include'];
    return [
      ...includesIn(value.include, ['include']),
      ...(isMap(byArch) ? includesIn(byArch[arch], ['arch-include', arch]) : []),
    ];
  },
  files: (content) => [
    ...(content['postprocess-script'] === undefined
      ? []
      : [[content['postprocess-script'], ['postprocess-script'], checkScript] as const]),
    ...(content['add-files'] ?? []).map(
      ([name], place) =>
        [name, ['add-files', place], (file: string) => readFileBytes(file, 64 * 2 ** 20)] as const,
    ),
    ...(['check-passwd', 'check-groups'] as const).flatMap((key) => {
      const one = content[key];
      return one?.type === 'file'
        ? [[one.filename, [key, 'filename'], (file: string) => readFileBytes(file)] as const]
        : [];
    }),
    // Which of them count is known when rpm-ostree has read all variables.
    ...(content['conditional-include'] ?? []).flatMap(({ include }, place) =>
      includesIn(include, ['conditional-include', place, 'include']).map(
        (named) => [...named, readYaml] as const,
      ),
    ),
  ],
});

/** rpm-ostree runs the file itself: the kernel must know how. */
async function checkScript(file: string): Promise<void> {
  const start = (await readFileBytes(file, 16 * 2 ** 20)).subarray(0, 256).toString('latin1');
  const [first = ''] = start.split('\n');
  if (first.startsWith('#!') && first.endsWith('\r'))
    throw new Failure(
      'StreamInvalid',
      `${file}:1: the line ends with CR LF, which the kernel takes for a part of the program's name`,
    );
  if (!first.startsWith('#!') && !start.startsWith('\x7fELF'))
    throw new Failure(
      'StreamInvalid',
      `${file}:1: begin the script with \`#!\` and its program, such as \`#!/usr/bin/bash\``,
    );
}
