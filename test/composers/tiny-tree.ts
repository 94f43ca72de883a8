/** Trees of a few real RPMs: a base that is just enough for scriptlets and post-process scripts to run, and what a test adds. */
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../../src/store/checksums.js';
import type { Composed, ComposeInput } from '../../src/composers/composer.js';
import { commit } from '../../src/composers/dnf/commit.js';
import { compose, treeDir } from '../../src/composers/dnf/compose.js';
import { packagesDir } from '../../src/composers/dnf/packages.js';
import type { Lockfile } from '../../src/domain/lockfile.js';
import { Failure } from '../../src/domain/failures.js';
import { readHeaders } from '../../src/rpm/headers.js';
import { systemPath } from '../../src/settings.js';
import { createStep } from '../../src/steps/run.js';
import type { Step } from '../../src/steps/step.js';

/** A package: what `%install` does (`$r` is the buildroot), what `%files` lists, and further sections. */
export interface TinyPackage {
  readonly name: string;
  readonly install?: string;
  readonly files?: string;
  /** Sections such as `%post`. */
  readonly scripts?: string;
  /** Further tags of the preamble, a line each. */
  readonly tags?: string;
}

const specText = ({ name, install, files, scripts = '', tags = '' }: TinyPackage) => `Name: ${name}
Version: 1
Release: 1
Summary: ${name}
License: MIT
AutoReqProv: no
${tags}
%description
${name}
%install
r=%{buildroot}
${install ?? `mkdir -p $r/usr/share/${name}; echo x > $r/usr/share/${name}/x`}
${scripts}
%files
${files ?? `/usr/share/${name}`}
`;

const tools =
  'bash rm mkdir cat chmod chown ln touch sed grep getent mkfifo useradd groupadd mv find systemctl'.split(
    ' ',
  );

/** Programs of this machine with their libraries; a kernel, a dracut and a depmod that do as good as nothing. */
export const base: TinyPackage = {
  name: 'tiny-base',
  tags: 'Provides: setup filesystem bash passwd /bin/sh',
  install: `mkdir -p $r/usr/bin $r/usr/sbin $r/etc $r/usr/lib/modules/6.1.0 $r/usr/share/doc/tiny $r/usr/local/bin $r/opt $r/var/log
for p in ${tools.join(' ')}; do
  f=$(readlink -f $(command -v $p)); cp $f $r/usr/bin/$p
  for lib in $(ldd $f | grep -o '/[^ ]*'); do to=$r/usr\${lib#/usr}; mkdir -p $(dirname $to); cp -L $lib $to; done
done
ln -s bash $r/usr/bin/sh
mkdir -p $r/usr/lib/locale; cp -r /usr/lib/locale/C.utf8 $r/usr/lib/locale
echo kernel > $r/usr/lib/modules/6.1.0/vmlinuz
echo '#!/usr/bin/bash' > $r/usr/sbin/depmod
printf '#!/usr/bin/bash\\necho initramfs > "\${@: -1}"\\n' > $r/usr/bin/dracut
chmod 755 $r/usr/bin/* $r/usr/sbin/*
echo 'root:x:0:0:root:/root:/bin/bash' > $r/etc/passwd
echo 'root:x:0:' > $r/etc/group
echo 'root:*:19000::::::' > $r/etc/shadow
echo 'root:*::' > $r/etc/gshadow
echo 'passwd: files' > $r/etc/nsswitch.conf
echo 'SYS_UID_MAX 999' > $r/etc/login.defs
echo read me > $r/usr/share/doc/tiny/README
`,
  files:
    '/usr/bin/*\n/usr/sbin/*\n/usr/lib*/*\n/etc/*\n%doc /usr/share/doc/tiny\n%dir /usr/local/bin\n%dir /opt\n%dir /var/log',
};

/** Builds an RPM below `work`, as `<name>.rpm` in `out`. */
export async function buildTiny(step: Step, tiny: TinyPackage, work: string, out: string): Promise<void> {
  await mkdir(work, { recursive: true });
  const spec = join(work, `${tiny.name}.spec`);
  await writeFile(spec, specText(tiny));
  const defines = {
    _topdir: work,
    _rpmdir: out,
    _rpmfilename: '%%{NAME}.rpm',
    _build_id_links: 'none',
    _invalid_encoding_terminates_build: '0',
    __os_install_post: '%{nil}',
    debug_package: '%{nil}',
  };
  const options = Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  await step.run(['rpmbuild', '-bb', '--quiet', ...options, spec]);
}

export class TinyTree {
  #runs = 0;
  private constructor(
    readonly folder: string,
    readonly step: Step,
  ) {}

  /** With `base` made already. */
  static async make(): Promise<TinyTree> {
    const folder = await mkdtemp(join(tmpdir(), 'treeline-tree-'));
    const step = createStep({
      signal: new AbortController().signal,
      log: createWriteStream(join(folder, 'log')),
      path: systemPath,
      home: folder,
    });
    const tiny = new TinyTree(folder, step);
    await mkdir(join(folder, 'repo'));
    await step.run(['ostree', `--repo=${join(folder, 'repo')}`, 'init', '--mode=archive']);
    await tiny.rpm(base);
    return tiny;
  }

  readonly remove = () => rm(this.folder, { recursive: true, force: true });
  readonly rpmOf = (name: string) => join(this.folder, 'rpms', `${name}.rpm`);

  /** Builds an RPM. */
  readonly rpm = (tiny: TinyPackage) =>
    buildTiny(this.step, tiny, join(this.folder, 'build'), join(this.folder, 'rpms'));

  /** Composes the base and these packages; `files` stand beside the treefile. */
  async compose(
    names: readonly string[],
    { treefile = '', parent, files = {} }: TinyInput = {},
  ): Promise<TinyComposed> {
    const work = join(this.folder, `run-${this.#runs++}`);
    await mkdir(work);
    const file = join(work, 'treefile.yaml');
    await writeFile(file, `packages: []\n${treefile}\n`);
    for (const [name, text] of Object.entries(files)) await writeFile(join(work, name), text);
    const input: ComposeInput = {
      ...{ treefile: file, arch: 'x86_64', releasever: '1', repos: [], work, cache: work },
      repo: join(this.folder, 'repo'),
    };
    const all = ['tiny-base', ...names];
    await mkdir(packagesDir(input));
    const packages: Record<string, Lockfile['packages'][string]> = {};
    const headers = await readHeaders(
      this.step,
      all.map((name) => this.rpmOf(name)),
      work,
    );
    for (const [place, name] of all.entries()) {
      const header = headers[place];
      if (!header || 'failure' in header) throw new Error(`${name}: no RPM`);
      await this.step.run(['cp', this.rpmOf(name), join(packagesDir(input), `${name}.rpm`)]);
      packages[name] = { evra: header.evra, digest: `sha256:${await sha256(this.rpmOf(name))}` };
    }
    const lockfile: Lockfile = { metadata: { generated: '', rpmmd_repos: {} }, packages };
    const changes = await compose(this.step, input, lockfile, parent);
    return { input, lockfile, changes, tree: treeDir(input) };
  }

  /** The failure of a compose that must not succeed. */
  async refused(...args: Parameters<TinyTree['compose']>): Promise<Failure> {
    try {
      await this.compose(...args);
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
    throw new Error('the tree was composed');
  }

  async commit({ input }: TinyComposed, parent?: string): Promise<string> {
    const made = { ref: 'tiny', version: '1', parent, metadata: {}, timestamp: 1_700_000_000 };
    return commit(this.step, input, made);
  }
}

interface TinyInput {
  /** Keys beside `packages`. */
  readonly treefile?: string;
  readonly parent?: string;
  readonly files?: Readonly<Record<string, string>>;
}

export interface TinyComposed {
  readonly input: ComposeInput;
  readonly lockfile: Lockfile;
  readonly changes: Composed;
  readonly tree: string;
}
