/** Makes the content of an RPM: a folder of files and the spec that describes them. */
import { createHash } from 'node:crypto';
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packageRoot } from '../settings.js';
import type { Step } from '../steps/step.js';
import { evrOfDebian, parseControl, relations } from './deb.js';
import * as manifest from './manifest.js';
import type { Spec, SpecFile } from './spec.js';

export interface Staged {
  readonly spec: Spec;
  /** The buildroot. */
  readonly root: string;
}

/** Where the sample's own files are in the checkout. */
export const ownFiles = join(packageRoot, 'src/sample/packages');

/** Sources that an RPM is made from: a .deb, one of the sample's own packages, or one that is compiled (`srpm.ts`). */
export type Source = FileSource | { readonly kind: 'compiled'; readonly name: string };
type FileSource =
  | { readonly kind: 'deb'; readonly name: string; readonly file: string }
  | { readonly kind: 'own'; readonly name: string; readonly own: manifest.OwnPackage };

/** Unpacks a source into `work` (emptied first) and says what is in it. */
export async function stage(
  step: Step,
  source: FileSource,
  work: string,
  commitKey: string,
): Promise<Staged> {
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  return source.kind === 'deb' ? stageDeb(step, source, work) : stageOwn(source.own, work, commitKey);
}

async function stageDeb(
  step: Step,
  { name, file }: FileSource & { kind: 'deb' },
  work: string,
): Promise<Staged> {
  const root = join(work, 'root');
  await step.run(['dpkg-deb', '--raw-extract', '--', file, root]);
  const control = parseControl(await readFile(join(root, 'DEBIAN/control'), 'utf8'));
  const conffiles = await readFile(join(root, 'DEBIAN/conffiles'), 'utf8').catch(() => '');
  await rm(join(root, 'DEBIAN'), { recursive: true });
  await mergeUsr(root);
  if (name === manifest.kernelName) await placeKernel(step, root);
  await compilePython(step, root);
  const files = await listFiles(
    root,
    new Set(conffiles.split('\n').map((line) => line.trim())),
    manifest.leftOut,
  );
  const requires = [...relations(control.Depends), ...relations(control['Pre-Depends'])];
  return {
    root,
    spec: {
      name,
      evr: evrOfDebian(control.Version ?? ''),
      arch: control.Architecture === 'all' ? 'noarch' : 'x86_64',
      summary: (control.Description ?? '').split('\n')[0] ?? '',
      requires: [...new Set(['filesystem', 'setup', ...requires])],
      provides: relations(control.Provides),
      posttrans: undefined,
      files,
    },
  };
}

async function stageOwn(own: manifest.OwnPackage, work: string, commitKey: string): Promise<Staged> {
  const root = join(work, 'root');
  await mkdir(root);
  if (own.name === 'filesystem') {
    for (const folder of manifest.baseFolders) await mkdir(join(root, folder), { recursive: true });
    for (const [path, target] of Object.entries(manifest.baseLinks)) await symlink(target, join(root, path));
  } else await cp(join(ownFiles, own.name, 'root'), root, { recursive: true, verbatimSymlinks: true });
  if (own.name === 'treeline-sample-release') {
    await mkdir(join(root, 'usr/share/treeline-sample'), { recursive: true });
    await writeFile(join(root, 'usr/share/treeline-sample/commit-key.asc'), await readFile(commitKey));
  }
  const files = await listFiles(root, new Set(), [], own.name === 'filesystem');
  return {
    root,
    spec: {
      name: own.name,
      evr: { epoch: 0, version: own.version, release: own.release },
      arch: own.name === 'filesystem' ? 'x86_64' : 'noarch',
      summary: own.summary,
      requires: own.requires,
      provides: own.provides,
      posttrans: await readFile(join(ownFiles, own.name, 'posttrans'), 'utf8').catch(() => undefined),
      files,
    },
  };
}

/** Moves what a package has in /bin, /lib … to /usr, where these links lead. */
async function mergeUsr(root: string): Promise<void> {
  for (const [from, to] of Object.entries(manifest.baseLinks)) {
    const info = await lstat(join(root, from)).catch(() => undefined);
    if (info?.isDirectory()) await moveInto(join(root, from), join(root, to));
    else if (info) await rm(join(root, from));
  }
}

async function moveInto(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true }))
    if (entry.isDirectory()) await moveInto(join(from, entry.name), join(to, entry.name));
    else await rename(join(from, entry.name), join(to, entry.name));
  await rm(from, { recursive: true });
}

/** The kernel where ostree looks for it, with its module dependencies. */
async function placeKernel(step: Step, root: string): Promise<void> {
  const [release] = await readdir(join(root, 'usr/lib/modules'));
  if (release === undefined) throw new Error('the kernel package has no modules');
  for (const name of ['vmlinuz', 'System.map', 'config'])
    await rename(join(root, `boot/${name}-${release}`), join(root, 'usr/lib/modules', release, name));
  // depmod wants lib/modules below its base.
  await step.run(['depmod', '-b', join(root, 'usr'), release]);
}

/**
 * Compiles Python modules, as Debian does after the installation: /usr is read-only on the machine, and without byte
 * code each start of cloud-init compiles again. `unchecked-hash`: ostree sets every file's time to zero.
 */
async function compilePython(step: Step, root: string): Promise<void> {
  const lib = join(root, 'usr/lib');
  const folders = (await readdir(lib).catch(() => [])).filter((name) => /^python3(\.\d+)?$/.test(name));
  for (const folder of folders)
    await step.run(
      [
        'python3',
        '-I',
        '-m',
        'compileall',
        '-q',
        '--invalidation-mode',
        'unchecked-hash',
        '-s',
        root,
        join(lib, folder),
      ],
      // A module that does not compile is Debian's business, and is not imported.
      { okCodes: [0, 1] },
    );
}

/** Lists a buildroot for the spec, and removes what is left out. Sorted, so that the RPM is repeatable. */
async function listFiles(
  root: string,
  conffiles: ReadonlySet<string>,
  leftOut: readonly RegExp[],
  withBase = false,
): Promise<SpecFile[]> {
  const files: SpecFile[] = [];
  const base = new Set([...manifest.baseFolders, ...Object.keys(manifest.baseLinks)]);
  const visit = async (folder: string): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = folder ? `${folder}/${entry.name}` : entry.name;
      if (leftOut.some((pattern) => pattern.test(path))) {
        await rm(join(root, path), { recursive: true });
        continue;
      }
      const info = await lstat(join(root, path));
      const type = info.isDirectory() ? 'directory' : info.isSymbolicLink() ? 'link' : 'file';
      const known = manifest.attributes[path];
      if (type === 'file' && known) await chmod(join(root, path), known.mode);
      const attributes = known ?? { mode: info.mode & 0o7777, user: 'root', group: groupName(info.gid) };
      // The owner's group write bit in a checkout depends on the umask of whoever cloned it.
      const mode = info.gid === 0 && type !== 'link' ? attributes.mode & ~0o022 : attributes.mode;
      if (withBase || !base.has(path))
        files.push({
          path: `/${path}`,
          type,
          ...attributes,
          mode: known?.mode ?? mode,
          config: conffiles.has(`/${path}`),
        });
      if (type === 'directory') await visit(path);
    }
  };
  await visit('');
  return files;
}

/** Groups of fixed number that own files in Debian packages, as base-passwd has them. */
function groupName(gid: number): string {
  const names: Readonly<Record<number, string>> = {
    0: 'root',
    5: 'tty',
    8: 'mail',
    42: 'shadow',
    43: 'utmp',
    50: 'staff',
  };
  const name = names[gid];
  if (name === undefined) throw new Error(`group ${gid} owns a packaged file and has no name in the sample`);
  return name;
}

/** Digest of everything but the packages that decides what the RPMs are: the recipe's data and the own files. */
export async function recipeDigest(commitKey: string): Promise<string> {
  const hash = createHash('sha256').update(
    JSON.stringify({ ...manifest }, (_, value: unknown) => (value instanceof RegExp ? value.source : value)),
  );
  hash.update(await readFile(commitKey));
  const entries = await readdir(ownFiles, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.sort()) hash.update(path.slice(ownFiles.length)).update(await readFile(path));
  return hash.digest('hex');
}

/** Adds a visible change to a staged package: what `bumpPackage` publishes as an update. */
export async function addChange({ root, spec }: Staged, count: number): Promise<Staged> {
  const path = `usr/share/treeline-sample/updates/${spec.name}`;
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), `update ${count}\n`);
  const file: SpecFile = {
    path: `/${path}`,
    type: 'file',
    mode: 0o644,
    user: 'root',
    group: 'root',
    config: false,
  };
  return {
    root,
    spec: {
      ...spec,
      evr: { ...spec.evr, release: `${spec.evr.release}+${count}` },
      files: [...spec.files, file],
    },
  };
}
