/**
 * A tiny stream whose accepted build is to be redone: real keys, packages, statements and commits, a real repo of results behind a
 * real web server; all as the steps before the signing role leave it.
 */
import { execa } from 'execa';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { hashInputs, inputHashKey } from '../../src/composers/input-hash.js';
import type { Host } from '../../src/host.js';
import { signPackagesActivities } from '../../src/activities/sign-packages.js';
import { sha256 } from '../../src/store/checksums.js';
import type { Lockfile } from '../../src/domain/lockfile.js';
import { rebuildPackages } from '../../src/domain/rebuild-packages.js';
import { instanceKeyFile, makeInstanceKey, signingHome } from '../../src/keys/gpg.js';
import { packageRoot, readSettings } from '../../src/settings.js';
import { exists, needJson, Store, writeJson } from '../../src/store/store.js';
import { loadStream } from '../../src/streams/load.js';
import { serve, type WebServer } from '../../src/web/serve.js';
import type { ApprovedArgs } from '../../src/domain/inputs.js';
import { ownRepos } from '../../src/rebuild/collect.js';
import type { Decision } from '../../src/domain/statement.js';
import { People, statementOf, type Fields, type Person } from '../keys/people.js';
import { runActivity } from '../steps/activity.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { freePort } from '../support/ports.js';

export const arch = 'x86_64';
export const disttag = '.el7_4';
export const timestamp = '20261123101112';
export const acceptedBuild = '20261120_01';

export interface Rpm {
  readonly name: string;
  readonly version?: string;
  readonly release: string;
  /** Lines of the spec file's `%install`, of its `%files`, and before `%description`. */
  readonly install?: string;
  readonly files?: string;
  readonly preamble?: string;
  readonly post?: string;
}

/** As accepted: `foo` and its `foo-libs` have a source package, `bar` comes from another one that is not rebuilt. */
export const fooSpec = (release: string): Rpm => ({
  name: 'foo',
  release,
  preamble: 'Requires: bar >= 1\nProvides: virtual(foo) = 1-%{release}',
  install:
    'mkdir -p %{buildroot}/usr/bin %{buildroot}/etc\necho foo %{release} > %{buildroot}/usr/bin/foo\nchmod 755 %{buildroot}/usr/bin/foo\necho a > %{buildroot}/etc/foo.conf\nln -s foo %{buildroot}/usr/bin/foo-link',
  files: '/usr/bin/foo\n/usr/bin/foo-link\n%config(noreplace) /etc/foo.conf',
  post: 'echo %{version}-%{release}',
});
export const barSpec: Rpm = {
  name: 'bar',
  version: '2',
  release: '1.el7',
  install: 'mkdir -p %{buildroot}/usr/share/bar\necho bar > %{buildroot}/usr/share/bar/data',
  files: '/usr/share/bar',
};

export class Fixture {
  /** Fingerprints. */
  rpmKey = '';
  repoKey = '';
  accepted = '';
  inputHash = '';
  readonly #run = 'accepted-run';
  private constructor(
    readonly s: Scratch,
    readonly host: Host,
    readonly web: WebServer,
    readonly people: People,
    readonly approvers: readonly Person[],
  ) {}

  static async make(): Promise<Fixture> {
    const s = await makeScratch('rebuild');
    const port = await freePort();
    const settings = readSettings({
      TREELINE_STATE: s.at('state'),
      TREELINE_STREAMS: s.at('streams'),
      TREELINE_WEB_PORT: String(port),
    });
    await mkdir(s.at('state/www'), { recursive: true });
    const people = await People.make(s);
    const approvers = [await people.join('ann'), await people.join('bob')];
    const web = await serve({ root: s.at('state/www'), port });
    const f = new Fixture(s, { settings, store: new Store(settings.state) }, web, people, approvers);
    await makeInstanceKey(s.step, settings.state);
    f.rpmKey = await f.makeKey(signingHome(settings.state), 'Tiny packages', 'rpm-key.asc', 'rsa2048');
    await mkdir(s.at('repo-gnupg'), { mode: 0o700 });
    f.repoKey = await f.makeKey(s.at('repo-gnupg'), 'Tiny repo', 'repo-key.asc');
    await f.declare();
    return f;
  }

  /** Makes a key without passphrase; answers its fingerprint. */
  async makeKey(
    home: string,
    user: string,
    file: string,
    algorithm = 'ed25519',
    expire = '2y',
    ...more: string[]
  ) {
    const gpg = (...args: string[]) =>
      this.s.step.run(['gpg', '--homedir', home, '--batch', '--no-tty', ...args]);
    await gpg(...more, '--passphrase', '', '--quick-generate-key', user, algorithm, 'sign', expire);
    await gpg('--yes', '--armor', '--output', this.s.at(file), '--export', `=${user}`);
    const { stdout } = await gpg('--with-colons', '--list-keys', `=${user}`);
    return /^fpr:+([0-9A-F]{40}):/m.exec(stdout)?.[1] ?? '';
  }

  /** Writes the stream file. */
  async declare(
    change: { approvers?: readonly Person[]; rebuild?: object; rpmKey?: string; release?: object } = {},
  ): Promise<void> {
    const declared = {
      name: 'tiny',
      title: 'Tiny',
      treefile: 'treefile.yaml',
      ref: 'tiny/${arch}/standard',
      osname: 'tiny',
      releasever: '1',
      composer: 'dnf',
      repos: [{ id: 'base', baseurl: '${web}/rpms', gpgKeys: [this.s.at('repo-key.asc')] }],
      signingKey: '${state}/keys/treeline.asc',
      publish: {
        buildlogs: { location: '${state}/www/buildlogs', url: '${web}/buildlogs' },
        testing: { location: '${state}/www/testing', url: '${web}/testing' },
        mirror: { location: '${state}/www/mirror', url: '${web}/mirror' },
        cloud: { location: '${state}/www/cloud', url: '${web}/cloud' },
        release: { location: '${state}/www/releases', url: '${web}/releases' },
      },
      release: {
        mode: 'signed-rebuild',
        approvers: (change.approvers ?? this.approvers).map(({ name, key }) => ({ name, key })),
        rebuild: {
          packages: 'all',
          sources: [{ id: 'sources', baseurl: '${web}/sources', gpgKeys: [this.s.at('repo-key.asc')] }],
          rpmKey: change.rpmKey ?? this.s.at('rpm-key.asc'),
          reimzul: {
            beanstalk: '127.0.0.1:1',
            target: 'tiny',
            disttag,
            incoming: this.s.at('incoming'),
            results: '${web}/results',
          },
          ...change.rebuild,
        },
        ...change.release,
      },
    };
    await this.s.write('streams/tiny/stream.yaml', stringify(declared));
    await this.s.write('streams/tiny/treefile.yaml', 'packages: [foo, baz]\n');
  }

  /** Builds an RPM, or its source RPM, by the real rpmbuild; answers its path. */
  async rpm(
    { name, version = '1', release, install = '', files = '', preamble = '', post }: Rpm,
    source = false,
  ): Promise<string> {
    const folder = this.s.at(
      'rpmbuild',
      `${name}-${version}-${release}-${Math.random().toString(36).slice(2)}`,
    );
    const spec = join(folder, 'package.spec');
    await this.s.write(
      spec.slice(this.s.folder.length + 1),
      [
        ...[`Name: ${name}`, `Version: ${version}`, `Release: ${release}`, 'Summary: x', 'License: x'],
        ...['BuildArch: noarch', preamble, '%description', 'x', '%install', 'rm -rf %{buildroot}'],
        ...['mkdir -p %{buildroot}', install, ...(post ? ['%post', post] : []), '%files', files, ''],
      ].join('\n'),
    );
    const what = source ? '-bs' : '-bb';
    await this.s.step.run(['rpmbuild', what, '--quiet', '--define', `_topdir ${folder}`, spec]);
    const file = `${name}-${version}-${release}`;
    return source
      ? join(folder, 'SRPMS', `${file}.src.rpm`)
      : join(folder, 'RPMS/noarch', `${file}.noarch.rpm`);
  }

  /** Signs an RPM file in place with a key of a home. */
  async sign(file: string, home = this.s.at('repo-gnupg'), key = this.repoKey): Promise<void> {
    const defines = { _gpg_name: key, _gpg_path: home, __gpg: '/usr/bin/gpg' };
    const options = Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
    await this.s.step.run(['rpmsign', '--addsign', ...options, file]);
  }

  /** The accepted RPMs, signed by the repo's key, by `<name>-<evra>.rpm`. */
  readonly pool = () => this.s.at('pool');

  /** Makes the accepted build: its packages, commit and records. `tree` is what the commit has besides. */
  async accept(specs: readonly Rpm[], tree?: (folder: string) => Promise<void>): Promise<Lockfile> {
    const { store, settings } = this.host;
    await mkdir(this.pool(), { recursive: true });
    const packages: Lockfile['packages'] = {};
    for (const spec of specs) {
      const file = await this.rpm(spec);
      await this.sign(file);
      const evr = `${spec.version ?? '1'}-${spec.release}`;
      const path = join(this.pool(), `${spec.name}-${evr}.noarch.rpm`);
      await rename(file, path);
      packages[spec.name] = {
        evra: `${evr}.noarch`,
        digest: `sha256:${await sha256(path)}`,
        sourcerpm: `${spec.name}-${evr}.src.rpm`,
        repo: 'base',
      };
    }
    const locked = { metadata: { generated: '2026-11-20T00:00:00Z', rpmmd_repos: {} }, packages };
    const run = { stream: 'tiny', run: this.#run };
    const stream = await loadStream(settings, 'tiny');
    await writeJson(join(store.runDir(run), 'stream.json'), stream);
    await cp(this.s.at('streams/tiny'), join(store.runDir(run), 'source'), { recursive: true });
    await writeJson(join(store.archDir(run, arch), 'lockfile.json'), locked);
    this.inputHash = await hashInputs(stream, arch, join(store.runDir(run), 'source'), locked);
    const folder = this.s.at('accepted-tree');
    await mkdir(join(folder, 'usr/share/rpm'), { recursive: true });
    await tree?.(folder);
    this.accepted = await this.commit('tiny', folder, acceptedBuild);
    return locked;
  }

  /** Commits a folder to a stream's staging repo, with the metadata of a build. */
  async commit(stream: string, folder: string, build: string, of = 'tiny'): Promise<string> {
    const repo = this.host.store.repo(stream);
    await mkdir(repo, { recursive: true });
    await this.s.step.run(['ostree', `--repo=${repo}`, 'init', '--mode=archive']);
    const metadata = { version: build, 'treeline.stream': of, [inputHashKey]: this.inputHash };
    const { stdout } = await this.s.step.run([
      ...(['ostree', `--repo=${repo}`, 'commit', '--orphan', '-s', build] as const),
      ...Object.entries(metadata).map(([key, value]) => `--add-metadata-string=${key}=${value}`),
      `--tree=dir=${folder}`,
    ]);
    return stdout.trim();
  }

  /** What a compose makes of RPM files, as far as these tests need it. */
  async compose(folder: string, rpms: readonly string[]): Promise<void> {
    await this.s.step.run(['rm', '-rf', folder]);
    await mkdir(join(folder, 'usr/share/rpm'), { recursive: true });
    const options = ['--install', '--nodeps', '--nosignature', '--noscripts'];
    await this.s.step.run(
      ['rpm', '--root', folder, '--define', '_dbpath /usr/share/rpm', ...options, ...rpms],
      { env: { SOURCE_DATE_EPOCH: '1700000000' } },
    );
    await this.s.step.run([
      'python3',
      '-I',
      join(packageRoot, 'src/composers/dnf/rpmdb.py'),
      folder,
      'usr/share/rpm',
    ]);
    if (await exists(join(folder, 'etc')))
      await this.s.step.run(['cp', '-a', join(folder, 'etc'), join(folder, 'usr/etc')]);
    for (const name of await readdir(folder))
      if (name !== 'usr') await rm(join(folder, name), { recursive: true });
    const [remotes, trusted] = [join(folder, 'usr/etc/ostree/remotes.d'), join(folder, 'usr/share/tiny')];
    await Promise.all([remotes, trusted].map((path) => mkdir(path, { recursive: true })));
    await cp(instanceKeyFile(this.s.at('state')), join(trusted, 'key.asc'));
    await writeFile(join(remotes, 'tiny.conf'), this.remote());
  }
  /** The tree's remote configuration; a key that is undefined is left out. */
  remote(change: Record<string, string | undefined> = {}): string {
    const settings: Record<string, string | undefined> = {
      url: `${this.web.url}/mirror/repo/`,
      'gpg-verify': 'true',
      'gpg-verify-summary': 'true',
      gpgkeypath: '/usr/share/tiny/key.asc',
      ...change,
    };
    const lines = Object.entries(settings).filter(([, value]) => value !== undefined);
    return ['# Where updates come from', '[remote "tiny"]', ...lines.map((pair) => pair.join('=')), ''].join(
      '\n',
    );
  }

  /** Begins an attempt: what the steps before have put into its folder. `rebuilt`: names of packages that come from reimzul. */
  async attempt(run: string, locked: Lockfile, rebuilt: readonly string[]): Promise<Attempt> {
    const args = { stream: 'tiny.signed', run, arch, step: 'sign-packages' } as const;
    const folder = this.host.store.archDir(args, arch);
    await writeJson(join(this.host.store.runDir(args), 'stream.json'), {
      ...(await loadStream(this.host.settings, 'tiny')),
      name: 'tiny.signed',
    });
    await writeJson(join(folder, 'accepted.json'), locked);
    const accepted = { stream: 'tiny', run: this.#run, build: acceptedBuild, commit: this.accepted };
    await writeJson(join(folder, 'accepted-run.json'), accepted);
    for (const [name, { evra }] of Object.entries(locked.packages)) {
      const to = join(folder, rebuilt.includes(name) ? 'accepted-packages' : 'packages');
      await mkdir(to, { recursive: true });
      await cp(join(this.pool(), `${name}-${evra}.rpm`), join(to, `${name}-${evra}.rpm`));
    }
    return { args: { ...args, build: acceptedBuild, onto: null, attempt: 1, reuse: false }, folder };
  }

  /** Makes a source RPM of that name, signed by the repo's key; answers its path. `content`: of its only source file. */
  async source(srpm: string, content = 'x'): Promise<string> {
    const [, name = '', version = '', release = ''] = /^(.+)-([^-]+)-([^-]+)\.src\.rpm$/.exec(srpm) ?? [];
    const folder = this.s.at('srpms', `${srpm}-${content}`);
    const file = join(folder, 'SRPMS', srpm);
    if (await exists(file)) return file;
    await mkdir(join(folder, 'SOURCES'), { recursive: true });
    await writeFile(join(folder, 'SOURCES/notes'), content);
    const spec = join(folder, 'package.spec');
    // The same text whatever it is called, as a spec with a dist tag is.
    const head = ['Name: %{called}', 'Version: %{at}', 'Release: %{rel}', 'Summary: x', 'License: x'];
    await writeFile(spec, [...head, 'Source0: notes', '%description', 'x', ''].join('\n'));
    const defines = { _topdir: folder, called: name, at: version, rel: release };
    const options = Object.entries(defines).flatMap(([key, value]) => ['--define', `${key} ${value}`]);
    await this.s.step.run(['rpmbuild', '-bs', '--quiet', ...options, spec]);
    await this.sign(file);
    return file;
  }

  /** Puts an RPM where reimzul has it and where its results were fetched to, beside what it was built from. */
  async rebuilt(
    attempt: Attempt,
    srpm: string,
    files: readonly string[],
    { at = timestamp, from }: { at?: string; from?: string } = {},
  ): Promise<void> {
    const packages = [];
    const to = join(attempt.folder, 'rebuilt', srpm.replace(/\.src\.rpm$/, ''));
    const submitted = join(attempt.folder, 'sources', srpm);
    if (!(await exists(submitted))) {
      await mkdir(dirname(submitted), { recursive: true });
      await cp(await this.source(srpm), submitted);
    }
    const [built, source] = [from ?? submitted, srpm.replace(/\.el7\.src\.rpm$/, `${disttag}.src.rpm`)];
    for (const path of files) {
      const file = path.split('/').at(-1) ?? '';
      const [, name = '', version = '', release = ''] =
        /^(.+)-([^-]+)-([^-]+)\.noarch\.rpm$/.exec(file) ?? [];
      const results = this.s.at('state/www/results/tiny.x86_64', name, at, `${version}-${release}.noarch`);
      for (const folder of [results, to]) {
        await mkdir(folder, { recursive: true });
        await cp(path, join(folder, file));
        await cp(built, join(folder, source));
      }
      const digest = `sha256:${await sha256(path)}`;
      const size = (await readFile(path)).length;
      packages.push({ name, evr: `${version}-${release}`, arch: 'noarch', file, digest, size });
    }
    await writeJson(join(to, 'result.json'), {
      ...{ srpm, builder: 'b1', timestamp: at, url: 'http://127.0.0.1/', log: 'http://127.0.0.1/log' },
      ...{ tries: 1, source: { file: source, digest: `sha256:${await sha256(built)}` }, packages },
    });
    await this.indexResults();
  }

  readonly indexResults = () =>
    this.s.step.run(['createrepo_c', '--quiet', '--no-database', this.s.at('state/www/results/tiny.x86_64')]);

  /** Publishes RPMs, signed by the repo's key, in the stream's repo, and their source RPMs in its repo of sources. */
  async offer(specs: readonly Rpm[], sources: readonly string[] = []): Promise<void> {
    for (const [folder, source] of [
      ['rpms', false],
      ['sources', true],
    ] as const) {
      const repo = this.s.at('state/www', folder);
      await mkdir(repo, { recursive: true });
      for (const spec of specs.filter(({ name }) => !source || sources.includes(name))) {
        const file = await this.rpm(spec, source);
        await this.sign(file);
        await rename(file, join(repo, basename(file)));
      }
      await this.s.step.run(['createrepo_c', '--quiet', '--no-database', repo]);
    }
  }

  /**
   * Releases what an attempt has made: its signed packages as the release's lockfile, its commit, its entry in releases.json.
   */
  async release(attempt: Attempt, build: string): Promise<{ commit: string; locked: Lockfile }> {
    const { store } = this.host;
    const { run } = attempt.args;
    const own = { stream: 'tiny.signed', run };
    await runActivity(signPackagesActivities(this.host).signPackages, attempt.args);
    const packages = await needJson(join(attempt.folder, 'packages.json'), rebuildPackages);
    const locked: Lockfile = {
      metadata: { generated: '2026-11-21T00:00:00Z', rpmmd_repos: {} },
      packages: Object.fromEntries(
        Object.entries(packages).map(([name, { evra, digest, sourcerpm }]) => [
          name,
          { evra, digest, ...(sourcerpm ? { sourcerpm } : {}), repo: 'base' },
        ]),
      ),
    };
    await writeJson(join(attempt.folder, 'lockfile.json'), locked);
    await writeJson(join(attempt.folder, 'rebuild.json'), { accepted: acceptedBuild, attempt: 1 });
    const stream = await loadStream(this.host.settings, own.stream);
    const keys = ['rpm-key.asc', 'repo-key.asc'].map((file) => this.s.at(file));
    const repos = ownRepos(stream.repos, store.runDir(own), [keys[0] ?? '', ...keys]);
    await writeJson(join(store.runDir(own), 'stream.json'), { ...stream, repos });
    await cp(this.s.at('streams/tiny'), join(store.runDir(own), 'source'), { recursive: true });
    await writeJson(join(store.runDir(own), 'source.json'), {});
    this.inputHash = await hashInputs(stream, arch, join(store.runDir(own), 'source'), locked);
    const folder = this.s.at(`tree-${build}`);
    await this.compose(
      folder,
      Object.values(packages).map(({ file }) => join(attempt.folder, 'packages', file)),
    );
    const commit = await this.commit(own.stream, folder, build, own.stream);
    await mkdir(store.idsDir('tiny'), { recursive: true });
    await writeFile(join(store.idsDir('tiny'), build), `${run}\n`);
    await this.list('tiny', build, commit);
    return { commit, locked };
  }

  /** Makes a build the only release of the stream. */
  async list(stream: string, build: string, commit: string): Promise<void> {
    const time = '2026-11-21T00:00:00Z';
    const treeline = {
      released: time,
      ref: 'x',
      page: 'x',
      former: null,
      accepted: acceptedBuild,
      approvers: [],
    };
    const commits = [{ architecture: arch, checksum: commit }];
    await writeJson(join(this.host.store.releasePublished(stream), 'releases.json'), {
      stream,
      metadata: { 'last-modified': time },
      releases: [{ version: build, metadata: `${this.web.url}/release.json`, commits, treeline }],
    });
  }

  /** A statement in the archive. */
  async say(name: string, decision: Decision = 'approve', more: Fields = {}): Promise<string> {
    const commits = { [arch]: this.accepted };
    const statement = statementOf({ decision, build: acceptedBuild, commits, ...more });
    const file = join('state/store/tiny/statements', `${statement.nonce}.asc`);
    return this.s.write(file, await this.people.sign(name, statement));
  }
  readonly forget = () => rm(this.host.store.statements('tiny'), { recursive: true, force: true });

  async remove(): Promise<void> {
    await this.web.close();
    for (const home of [this.people.home, this.s.at('repo-gnupg'), signingHome(this.s.at('state'))])
      await execa('gpgconf', ['--homedir', home, '--kill', 'all']);
    await this.s.remove();
  }
}

export interface Attempt {
  readonly args: ApprovedArgs;
  /** The run's folder of the architecture. */
  readonly folder: string;
}
