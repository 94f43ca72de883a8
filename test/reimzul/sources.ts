/** Tiny source packages, and what becomes of them: real RPMs by rpmbuild. */
import { execa } from 'execa';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../src/store/checksums.js';
import type { SourcePackage } from '../../src/domain/rebuild.js';

const spec = (name: string, version: string) => `Name: ${name}
Epoch: 2
Version: ${version}
Release: 1%{?dist}
Summary: Tiny
License: None
%description
Tiny.
%package doc
Summary: Documentation
BuildArch: noarch
%description doc
Documentation.
%package devel
Summary: Not in any tree
%description devel
Not in any tree.
%install
mkdir -p %{buildroot}/opt/${name}
for file in main doc devel; do echo $file ${version} > %{buildroot}/opt/${name}/$file; done
%files
/opt/${name}/main
%files doc
/opt/${name}/doc
%files devel
/opt/${name}/devel
`;

const rpmbuild = (folder: string, ...options: string[]) =>
  execa('rpmbuild', [
    '--quiet',
    '--define',
    `_topdir ${folder}`,
    '--define',
    `_dbpath ${folder}/db`,
    ...options,
  ]);

export interface Made extends SourcePackage {
  readonly file: string;
}

/** Makes the SRPM of a source package, without a dist tag. `more`: a line of its spec file. */
export async function makeSource(folder: string, name: string, version = '1.0', more = ''): Promise<Made> {
  await mkdir(folder, { recursive: true });
  const specFile = join(folder, `${name}-${version}.spec`);
  await writeFile(specFile, `${spec(name, version)}${more}\n`);
  await rpmbuild(folder, '-bs', specFile);
  const srpm = `${name}-${version}-1.src.rpm`;
  const file = join(folder, 'SRPMS', srpm);
  const evr = `2:${version}-1.el0`;
  return {
    ...{ srpm, file, digest: `sha256:${await sha256(file)}`, noarch: false },
    packages: [
      { name, evr, arch: 'x86_64' },
      { name: `${name}-doc`, evr, arch: 'noarch' },
    ],
  };
}

/** Rebuilds it as a builder would, and answers the folder of its RPMs. */
export async function makePackages(folder: string, source: Made, disttag: string): Promise<string> {
  const out = join(folder, `rpms-${source.srpm}${disttag}`);
  await rpmbuild(
    join(folder, `build-${source.srpm}${disttag}`),
    ...['-ra', '--target', 'x86_64', '--define', `_srcrpmdir ${out}`, '--define', `dist ${disttag}`],
    ...[
      '--define',
      `_rpmdir ${out}`,
      '--define',
      '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm',
    ],
    source.file,
  );
  if ((await readdir(out)).length !== 4) throw new Error(`${out}: not three packages and their source`);
  return out;
}
