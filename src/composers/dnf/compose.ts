/** From downloaded packages to a tree that ostree can commit. */
import { chmod, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, meaning } from '../../domain/failures.js';
import type { Lockfile } from '../../domain/lockfile.js';
import { packageRoot } from '../../settings.js';
import type { Argv, Step } from '../../steps/step.js';
import type { ComposeInput } from '../composer.js';
import { aroundCommand, insideCommand, runInside } from './inside.js';
import { toOstreeLayout } from './layout.js';
import { packagesDir } from './packages.js';
import { readTreefile, type Treefile } from './treefile.js';

export const treeDir = (input: ComposeInput) => join(input.work, 'tree');
/** Where rpm-ostree has it too: part of the commit, read-only. */
const rpmDb = 'usr/share/rpm';
/** Install times in the RPM database: no one's clock, so that the same packages give the same tree. */
const installTime = '1700000000';

/** See `Composer.compose`. A half-made tree of an earlier try is removed first; needs no network. */
export async function compose(step: Step, input: ComposeInput, lockfile: Lockfile): Promise<void> {
  const treefile = await readTreefile(input.treefile, input.arch);
  const tree = treeDir(input);
  await rm(tree, { recursive: true, force: true });
  await makeSkeleton(tree);
  await install(step, input, lockfile, treefile);
  await removePackaged(step, tree, treefile);
  if (treefile.units.length > 0)
    await runInside(step, tree, ['systemctl', 'enable', '--', ...treefile.units]).catch(
      meaning('ComposeFailed', '`units`'),
    );
  if (treefile.defaultTarget !== undefined)
    await runInside(step, tree, ['systemctl', 'set-default', '--', treefile.defaultTarget]).catch(
      meaning('ComposeFailed', '`default-target`'),
    );
  for (const { name, text } of treefile.postprocess) await postprocess(step, tree, name, text);
  for (const path of treefile.removeFiles) await removeInside(step, tree, [path]);
  await makeInitramfs(step, tree, treefile);
  await step.run(databaseCommand(tree));
  await toOstreeLayout(step, tree, { tmpIsDir: treefile.tmpIsDir });
}

/** What must be there before the first package: mount points and the links of the merged /usr. */
async function makeSkeleton(tree: string): Promise<void> {
  for (const folder of ['dev', 'proc', 'sys', 'run', 'tmp', rpmDb])
    await mkdir(join(tree, folder), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(tree, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(tree, name));
  }
}

/** Installs the downloaded packages, whose digests and signatures `download` verified against each repo's own keys. */
const installCommand = (input: ComposeInput, names: readonly string[], documentation: boolean): Argv =>
  aroundCommand(treeDir(input), [
    ...['rpm', '--install', '-v', '--root', treeDir(input), '--define', `_dbpath /${rpmDb}`, '--nosignature'],
    ...(documentation ? [] : ['--excludedocs']),
    '--',
    ...names.map((name) => join(packagesDir(input), `${name}.rpm`)),
  ]);

const dracutCommand = (release: string, more: readonly string[]): Argv => [
  ...(['dracut', '--quiet', '--reproducible', '--force'] as const),
  ...more,
  ...['--tmpdir', '/tmp', '--kver', release, `/usr/lib/modules/${release}/initramfs.img`],
];

const databaseCommand = (tree: string): Argv => [
  'python3',
  '-I',
  join(packageRoot, 'src/composers/dnf/rpmdb.py'),
  join(tree, rpmDb),
];

/** See `Composer.commands`. */
export function composeCommands(input: ComposeInput): readonly Argv[] {
  const tree = treeDir(input);
  return [
    installCommand(input, ['<packages>'], true),
    insideCommand(tree, ['<post-process scripts>']),
    insideCommand(tree, dracutCommand('<kernel>', ['<initramfs-args>'])),
    databaseCommand(tree),
  ];
}

async function install(
  step: Step,
  input: ComposeInput,
  lockfile: Lockfile,
  treefile: Treefile,
): Promise<void> {
  const names = Object.keys(lockfile.packages).sort();
  const total = names.length;
  let done = 0;
  const labels = new Set(Object.entries(lockfile.packages).map(([name, { evra }]) => `${name}-${evra}`));
  await step
    .run(installCommand(input, names, treefile.documentation), {
      env: { SOURCE_DATE_EPOCH: installTime, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      onLine: (line) => {
        if (labels.has(line.trim())) step.progress({ done: ++done, total, unit: 'packages' });
      },
    })
    .catch(meaning('ComposeFailed', 'the packages were not installed'));
}

async function removePackaged(step: Step, tree: string, treefile: Treefile): Promise<void> {
  for (const { name, patterns } of treefile.removeFromPackages) {
    const { stdout } = await step
      .run(['rpm', '--root', tree, '--define', `_dbpath /${rpmDb}`, '--query', '--list', '--', name], {
        capture: 'all',
      })
      .catch(meaning('ComposeFailed', `\`remove-from-packages\`: ${name}`));
    const paths = stdout
      .split('\n')
      .filter((path) => path.startsWith('/') && patterns.some((pattern) => pattern.test(path)));
    if (paths.length > 0) await removeInside(step, tree, paths);
  }
}

/** By the tree's own `rm`: a link in the tree can lead nowhere else. */
const removeInside = (step: Step, tree: string, paths: readonly string[]) =>
  runInside(step, tree, ['rm', '-rf', '--', ...paths.map((path) => join('/', path))]);

async function postprocess(step: Step, tree: string, name: string, text: string): Promise<void> {
  const script = join(tree, 'usr/.treeline-postprocess');
  await writeFile(script, text.startsWith('#!') ? text : `#!/usr/bin/bash\nset -e\n${text}`);
  await chmod(script, 0o700);
  step.note(`post-process: ${name}`);
  await runInside(step, tree, ['/usr/.treeline-postprocess']).catch(meaning('PostprocessFailed', name));
  await rm(script, { force: true });
}

/** dracut inside the tree, next to the kernel, where ostree takes both from. */
async function makeInitramfs(step: Step, tree: string, treefile: Treefile): Promise<void> {
  const releases = await readdir(join(tree, 'usr/lib/modules')).catch(() => []);
  const [release] = releases;
  if (release === undefined || releases.length > 1)
    throw new Failure(
      'ComposeFailed',
      `the tree must have one kernel in usr/lib/modules, not ${releases.length}: ${releases.join(', ')}`,
    );
  await runInside(step, tree, ['depmod', release]);
  await runInside(step, tree, dracutCommand(release, treefile.initramfsArgs), {
    env: { SOURCE_DATE_EPOCH: installTime },
  }).catch(meaning('ComposeFailed', 'the initramfs was not made'));
  await chmod(join(tree, 'usr/lib/modules', release, 'initramfs.img'), 0o600);
}
