/** From downloaded packages to a tree that ostree can commit. */
import { chmod, lstat, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, meaning } from '../../domain/failures.js';
import type { Lockfile } from '../../domain/lockfile.js';
import { portions } from '../../steps/portions.js';
import { inRoot } from '../../steps/in-root.js';
import type { Argv, Step } from '../../steps/step.js';
import type { ComposeInput, Composed } from '../composer.js';
import { accountsOf, checkAccounts, keptAccounts } from './accounts.js';
import { databaseCommand, queryCommand, rpmDb } from './database.js';
import { insideCommand, runInside } from './inside.js';
import { installCommand, installPackages } from './install.js';
import { resetMachine, toOstreeLayout } from './layout.js';
import { packagesDir } from './packages.js';
import { Stages } from './stages.js';
import { readTreefile, type Treefile } from './treefile.js';

export const treeDir = (input: ComposeInput) => join(input.work, 'tree');
/** Install times in the RPM database: no one's clock, so that the same packages give the same tree. */
const installTime = '1700000000';

/** See `Composer.compose`. A half-made tree of an earlier try is removed first; needs no network. */
export async function compose(
  step: Step,
  input: ComposeInput,
  lockfile: Lockfile,
  parent: string | undefined,
): Promise<Composed> {
  const treefile = await readTreefile(input.treefile, input.arch);
  const before = parent === undefined ? {} : await accountsOf(step, input.repo, parent);
  const tree = treeDir(input);
  await rm(tree, { recursive: true, force: true });
  await makeSkeleton(tree);
  const byScriptlets = await installPackages(step, {
    tree,
    database: rpmDb,
    folder: packagesDir(input),
    packages: Object.keys(lockfile.packages)
      .sort()
      .map((name) => `${name}.rpm`),
    documentation: treefile.documentation,
    accounts: keptAccounts(treefile, before),
    mayFail: treefile.failingScriptlets,
    time: installTime,
  });
  const stages = await Stages.begin(step, tree, join(input.work, 'tree-state.json'));
  stages.changedBy('scriptlet', byScriptlets);
  await removePackaged(step, tree, treefile);
  await stages.ended('remove-from-packages');
  await enableUnits(step, tree, treefile);
  await stages.ended('units');
  for (const { name, text } of treefile.postprocess)
    await postprocess(step, tree, name, text, join(input.work, 'postprocess'));
  await stages.ended('postprocess');
  await removeInside(step, tree, treefile.removeFiles);
  await stages.ended('remove-files');
  await checkAccounts(tree, treefile, before);
  await makeInitramfs(step, tree, treefile);
  await resetMachine(tree);
  await stages.ended('composer');
  await toOstreeLayout(step, tree, { tmpIsDir: treefile.tmpIsDir });
  await step.run(databaseCommand(tree));
  const { removed, changed } = stages;
  const { documentation } = treefile;
  return { documentation, languages: false, removed, changed, mayRemove: [], presumed: null };
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

const dracutCommand = (release: string, more: readonly string[]): Argv => [
  ...(['dracut', '--quiet', '--reproducible', '--force'] as const),
  ...more,
  ...['--tmpdir', '/tmp', '--kver', release, `/usr/lib/modules/${release}/initramfs.img`],
];

/** See `Composer.commands`. */
export function composeCommands(input: ComposeInput): readonly Argv[] {
  const tree = treeDir(input);
  return [
    installCommand(tree, packagesDir(input)),
    insideCommand(tree, ['<post-process scripts>']),
    insideCommand(tree, dracutCommand('<kernel>', ['<initramfs-args>'])),
    databaseCommand(tree),
  ];
}

async function removePackaged(step: Step, tree: string, treefile: Treefile): Promise<void> {
  for (const { name, patterns } of treefile.removeFromPackages) {
    const { stdout } = await step
      .run(queryCommand(tree, '--list', '--', name), { capture: 'all' })
      .catch(meaning('ComposeFailed', `\`remove-from-packages\`: ${name}`));
    const paths = stdout
      .split('\n')
      .filter((path) => path.startsWith('/') && patterns.some((pattern) => pattern.test(path)));
    await removeInside(step, tree, paths);
  }
}

/** By the tree's own `rm`: a link in the tree can lead nowhere else. */
async function removeInside(step: Step, tree: string, paths: readonly string[]): Promise<void> {
  for (const some of portions(paths.map((path) => join('/', path))))
    await runInside(step, tree, ['rm', '-rf', '--', ...some]);
}

async function enableUnits(step: Step, tree: string, { units, defaultTarget }: Treefile): Promise<void> {
  if (units.length > 0)
    await runInside(step, tree, ['systemctl', 'enable', '--', ...units]).catch(
      meaning('ComposeFailed', '`units`'),
    );
  if (defaultTarget !== undefined)
    await runInside(step, tree, ['systemctl', 'set-default', '--', defaultTarget]).catch(
      meaning('ComposeFailed', '`default-target`'),
    );
}

/** `file`: where the script is kept meanwhile. */
async function postprocess(
  step: Step,
  tree: string,
  name: string,
  text: string,
  file: string,
): Promise<void> {
  await writeFile(file, text.startsWith('#!') ? text : `#!/usr/bin/bash\nset -e\n${text}`);
  await chmod(file, 0o700);
  step.note(`post-process: ${name}`);
  const inside = '/run/treeline-postprocess';
  await runInside(step, tree, [inside], { files: { [inside]: file } }).catch(
    meaning('PostprocessFailed', name),
  );
}

/** A folder without a `vmlinuz` has modules for another kernel. */
async function kernelsOf(tree: string): Promise<string[]> {
  const modules = await inRoot(tree, 'usr/lib/modules', { follow: true });
  const kernels: string[] = [];
  for (const release of (await readdir(modules).catch(() => [])).sort())
    if (await lstat(await inRoot(tree, `usr/lib/modules/${release}/vmlinuz`)).catch(() => undefined))
      kernels.push(release);
  return kernels;
}

/** dracut inside the tree, next to the kernel, where ostree takes both from. */
async function makeInitramfs(step: Step, tree: string, treefile: Treefile): Promise<void> {
  const kernels = await kernelsOf(tree);
  const [release] = kernels;
  if (release === undefined || kernels.length > 1)
    throw new Failure(
      'ComposeFailed',
      `the tree must have one kernel (usr/lib/modules/<release>/vmlinuz), not ${kernels.length}${kernels.length > 0 ? `: ${kernels.join(', ')}` : ''}`,
    );
  await runInside(step, tree, ['depmod', release]);
  await runInside(step, tree, dracutCommand(release, treefile.initramfsArgs), {
    // Device nodes cannot be made there; the kernel mounts its own.
    env: { SOURCE_DATE_EPOCH: installTime, DRACUT_NO_MKNOD: '1' },
  }).catch(meaning('ComposeFailed', 'the initramfs was not made'));
  await chmod(await inRoot(tree, `usr/lib/modules/${release}/initramfs.img`, { follow: true }), 0o600);
}
