/** Source RPMs of the sample distribution, and the RPMs that are built from them. */
import { copyFile, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rebuild } from '../reimzul/builder/rpmbuild.js';
import { usualLimits } from '../reimzul/builder/sandbox.js';
import type { Step } from '../steps/step.js';
import { epoch } from './rpm.js';
import { specText } from './spec.js';
import { ownFiles, type Staged } from './stage.js';

/** What goes into a source RPM. */
interface Content {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  readonly spec: string;
  /** Folder that becomes the tarball's. */
  readonly files: string;
}

export interface BuiltFromSource {
  /** File names. */
  readonly srpm: string;
  readonly rpm: string;
}

/** Where a package and its source RPM are put, unsigned. */
export interface Destinations {
  readonly rpms: string;
  readonly srpms: string;
}

/** A package made from Debian's, whose files are its source. */
export const debContent = ({ spec, root }: Staged): Content => ({
  name: spec.name,
  version: spec.evr.version,
  arch: spec.arch,
  spec: specText(spec, tarballOf(spec.name, spec.evr.version)),
  files: root,
});

/** One of the sample's own with something to compile; `update` counts what `sample bump` has published. */
export async function compiledContent(name: string, update = 0): Promise<Content & { release: string }> {
  const spec = await readFile(join(ownFiles, name, `${name}.spec`), 'utf8');
  const field = (key: string) => new RegExp(`^${key}: ([\\w.+~]+)`, 'm').exec(spec)?.[1];
  const [version, release] = [field('Version'), field('Release')];
  if (version === undefined || release === undefined)
    throw new Error(`${name}.spec has no plain version and release`);
  const global = update > 0 ? `%global update +${update}\n` : '';
  return {
    name,
    version,
    release,
    arch: 'x86_64',
    spec: global + spec,
    files: join(ownFiles, name, 'source'),
  };
}

const tarballOf = (name: string, version: string) => `${name}-${version}.tar.gz`;

/**
 * Makes the source RPM and rebuilds it, as a builder of reimzul would, without a dist tag. The same content gives the same bytes.
 * `work` is a scratch folder; what is in it beside `content.files` may be replaced.
 */
export async function buildFromSource(
  step: Step,
  content: Content,
  work: string,
  out: Destinations,
): Promise<BuiltFromSource> {
  const srpm = await buildSrpm(step, content, join(work, 'source'));
  const room = join(work, 'rebuild');
  await rm(room, { recursive: true, force: true });
  const { exitCode, stderr, rpms } = await rebuild(step, {
    srpm: join(work, 'source', srpm),
    disttag: '',
    arch: content.arch,
    epoch,
    work: room,
    limits: usualLimits,
  });
  const [rpm, ...others] = rpms.filter((path) => !path.endsWith('.src.rpm'));
  if (exitCode !== 0 || rpm === undefined || others.length > 0)
    throw new Error(`the sample's ${srpm} does not build: ${stderr.slice(-2000)}`);
  for (const folder of [out.srpms, out.rpms]) await mkdir(folder, { recursive: true });
  const name = rpm.slice(rpm.lastIndexOf('/') + 1);
  await rename(join(work, 'source', srpm), join(out.srpms, srpm));
  // Not a rename: the file belongs to the build's user.
  await copyFile(rpm, join(out.rpms, name));
  return { srpm, rpm: name };
}

/** Answers the file name in `folder`, which is emptied first. */
async function buildSrpm(
  step: Step,
  { name, version, spec, files }: Content,
  folder: string,
): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const tarball = join(folder, tarballOf(name, version));
  await step.run([
    'tar',
    '--create',
    ...['--file', tarball],
    ...['--use-compress-program', 'gzip --no-name', '--format=gnu', '--sort=name', `--mtime=@${epoch}`],
    // Modes of a checkout depend on the umask of whoever cloned it.
    ...['--numeric-owner', '--owner=0', '--group=0', '--mode=u+rw,go+r,go-w,a+X'],
    ...['--directory', files, '--transform', `s,^\\.,${name}-${version},S`, '.'],
  ]);
  const specFile = join(folder, `${name}.spec`);
  await writeFile(specFile, spec);
  for (const file of [tarball, specFile]) await utimes(file, epoch, epoch);
  const defines: Readonly<Record<string, string>> = {
    _topdir: folder,
    _sourcedir: folder,
    _srcrpmdir: folder,
    _dbpath: join(folder, 'db'),
    _buildhost: 'treeline',
    use_source_date_epoch_as_buildtime: '1',
  };
  await step.run(
    [
      'rpmbuild',
      ...['-bs', '--quiet', '--nodeps'],
      ...Object.entries(defines).flatMap(([key, value]) => ['--define', `${key} ${value}`]),
      specFile,
    ],
    { env: { SOURCE_DATE_EPOCH: `${epoch}` } },
  );
  const srpm = (await readdir(folder)).find((file) => file.endsWith('.src.rpm'));
  if (srpm === undefined) throw new Error(`rpmbuild made no source package for ${name}`);
  return srpm;
}
