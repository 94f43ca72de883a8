/** A commit that is as small as can be deployed, and a scratch folder with a step to work on it. */
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MiB } from '../../src/images/disk.js';
import type { ImageInput } from '../../src/images/kind.js';
import { systemPath } from '../../src/settings.js';
import { createStep } from '../../src/steps/run.js';
import type { Progress, Step } from '../../src/steps/step.js';

export interface Tiny {
  readonly folder: string;
  readonly step: Step;
  readonly seen: readonly Progress[];
  readonly input: ImageInput;
  remove(): Promise<void>;
}

const texts: Readonly<Record<string, string>> = {
  'usr/lib/modules/6.1.0/vmlinuz': 'kernel',
  'usr/lib/modules/6.1.0/initramfs.img': 'initramfs',
  'usr/lib/os-release': 'NAME=Tiny\nID=tiny\nPRETTY_NAME="Tiny"\n',
  'usr/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000::/var/home/admin:/bin/bash',
  'usr/etc/group': 'root:x:0:\n',
  'usr/etc/shadow': 'root:*:19000::::::\n',
  'usr/bin/sudo': '',
};

/** Makes the commit, with `ballast` bytes of content that does not compress. */
export async function makeTiny({ ballast = 0, sudo = true, title = 'Tiny' } = {}): Promise<Tiny> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-images-'));
  const seen: Progress[] = [];
  const step = createStep({
    signal: new AbortController().signal,
    log: createWriteStream(join(folder, 'log.txt')),
    path: systemPath,
    home: folder,
    onProgress: (progress) => seen.push(progress),
  });
  const [tree, repo, work, out] = ['tree', 'repo', 'work', 'out'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const [path, text] of Object.entries(texts)) {
    if (path.endsWith('/sudo') && !sudo) continue;
    await mkdir(join(tree, path, '..'), { recursive: true });
    await writeFile(join(tree, path), text.replace('"Tiny"', `"${title}"`));
  }
  await Promise.all(
    ['boot', 'sysroot', 'var', work, out].map((name) => mkdir(join(name.startsWith('/') ? '' : tree, name))),
  );
  await symlink('sysroot/ostree', join(tree, 'ostree'));
  await step.run([
    'dd',
    'if=/dev/urandom',
    `of=${join(tree, 'usr/ballast')}`,
    'bs=1M',
    `count=${ballast / MiB}`,
  ]);
  await step.run(['ostree', 'init', `--repo=${repo}`, '--mode=archive']);
  const commit = [
    'ostree',
    'commit',
    `--repo=${repo}`,
    '--branch=os/tiny',
    '--bootable',
    `--tree=dir=${tree}`,
  ] as const;
  const { stdout } = await step.run(commit);
  const input: ImageInput = {
    arch: 'x86_64',
    repo,
    commit: stdout.trim(),
    ref: 'os/tiny',
    remote: 'tiny',
    osname: 'tiny',
    size: 192 * MiB,
    name: 'tiny-20261123_01.x86_64',
    work,
    out,
  };
  return { folder, step, seen, input, remove: () => rm(folder, { recursive: true, force: true }) };
}
