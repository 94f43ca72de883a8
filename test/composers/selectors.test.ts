/** What the dnf composer locks is what `dnf --installroot install` installs: the same repos, both for real. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComposeInput, RepoInput } from '../../src/composers/composer.js';
import { dnfComposer } from '../../src/composers/dnf/index.js';
import { ensureKey, signRpms } from '../../src/sample/rpm.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

/** Subpackages of one spec file: name, version, and its tags. */
const packages: readonly (readonly [string, string, ...string[]])[] = [
  ['rich-app', '1', 'Requires: (rich-a if rich-b)', 'Requires: rich-b', 'Recommends: rich-weak'],
  ['rich-a', '1'],
  ['rich-b', '1'],
  ['rich-weak', '1'],
  ['old-name', '5'],
  ['new-name', '1', 'Obsoletes: old-name < 6', 'Provides: old-name = 6'],
  ['tool', '2', 'Epoch: 1', 'Provides: pkgconfig(tool) = 2', 'Provides: /usr/bin/tool'],
  ['tool-extra', '2', 'Supplements: tool'],
  ['distribution', '9', 'Provides: system-release = 9', 'Provides: base-module(platform:el9)'],
];
const elsewhere: typeof packages = [
  ['rich-a', '7'],
  ['tool', '2', 'Epoch: 1'],
];
const group = `<comps>
  <group><id>odd</id><name>Odd</name><packagelist>
    <packagereq type="mandatory">rich-app</packagereq>
    <packagereq type="optional">old-name</packagereq>
    <packagereq type="conditional" requires="rich-b">tool</packagereq>
  </packagelist></group>
  <environment><id>odd-env</id><name>Odd environment</name><grouplist><groupid>odd</groupid></grouplist></environment>
</comps>`;
const moduleOf = (stream: string) => `---
document: modulemd
version: 2
data:
  name: runtime
  stream: "${stream}"
  version: 1
  context: c${stream}
  arch: noarch
  summary: x
  description: x
  license: {module: [MIT]}
  dependencies: [{requires: {platform: []}}]
  profiles: {common: {rpms: [runtime]}}
  artifacts: {rpms: ["runtime-0:${stream}-1.noarch"]}
`;
const defaults = `---
document: modulemd-defaults
version: 1
data: {module: runtime, stream: "16", profiles: {"16": [common]}}
`;

describe('what a treefile selects', function () {
  let s: Scratch;
  const repo = (id: string, more: Partial<RepoInput> = {}): RepoInput => ({
    ...{ id, baseurl: `file://${s.at(id)}`, gpgKeys: [], metadataSigned: false },
    ...more,
  });

  async function build(repo: string, list: typeof packages, arch = 'noarch'): Promise<void> {
    const spec = [
      ...['Name: source', 'Version: 1', 'Release: 1', 'Summary: x', 'License: MIT', '%description', 'x'],
      ...list.flatMap(([name, version, ...tags]) => [
        ...[`%package -n ${name}`, `Version: ${version}`, 'Summary: x', ...tags],
        ...[`%description -n ${name}`, 'x', `%files -n ${name}`],
      ]),
    ].join('\n');
    const file = await s.write(`${repo}.spec`, `${spec}\n`);
    const defines = { _topdir: s.at('rpmbuild'), _rpmdir: s.at(repo), _build_id_links: 'none' };
    await s.step.run([
      ...(['rpmbuild', '-bb', '--quiet', '--target', arch] as const),
      ...Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
      file,
    ]);
  }
  const index = (repo: string, ...options: string[]) =>
    s.step.run(['createrepo_c', '--quiet', ...options, s.at(repo)]);

  before(async () => {
    s = await makeScratch('selectors');
    await build('base', packages);
    await index('base', '--groupfile', await s.write('comps.xml', group));
    await build('other', elsewhere);
    await index('other');
    await mkdir(s.at('empty'));
    await index('empty');
    for (const stream of ['16', '18']) await build('modular', [['runtime', stream]]);
    await ensureKey(s.step, s.at('gnupg'), s.at('key.asc'));
    await signRpms(s.step, s.at('gnupg'), [s.at('modular/noarch/runtime-18-1.noarch.rpm')]);
    await index('modular');
    const modules = await s.write('modules.yaml', moduleOf('16') + moduleOf('18') + defaults);
    await s.step.run(['modifyrepo_c', '--mdtype=modules', modules, s.at('modular/repodata')]);
    for (const arch of ['x86_64', 'i686']) await build('twins', [['odd-lib', '1']], arch);
    for (const version of ['6.1', '6.6'])
      await build('twins', [['kernel-two', version, 'Provides: installonlypkg(kernel)']]);
    await index('twins');
  });
  after(() => s.remove());

  async function inputOf(treefile: string, repos: readonly RepoInput[]): Promise<ComposeInput> {
    const folder = await mkdtemp(s.at('run-'));
    for (const name of ['work', 'cache']) await mkdir(join(folder, name));
    await writeFile(join(folder, 'treefile.yaml'), treefile);
    return {
      ...{ treefile: join(folder, 'treefile.yaml'), arch: 'x86_64', releasever: '9', repos },
      ...{ work: join(folder, 'work'), cache: join(folder, 'cache'), repo: join(folder, 'repo') },
    };
  }

  async function locked(treefile: string, repos: readonly RepoInput[]): Promise<string[]> {
    const { packages } = await dnfComposer.resolve(s.step, await inputOf(treefile, repos));
    return Object.entries(packages).map(([name, { evra }]) => `${name}-${evra}`);
  }

  /** What dnf installs into an empty root. */
  async function installed(args: readonly string[], repos: readonly RepoInput[]): Promise<string[]> {
    const root = await mkdtemp(s.at('root-'));
    const lines = ['[main]', 'gpgcheck=0', 'reposdir=/nonexistent', 'pluginpath=/nonexistent', 'best=1'];
    for (const { id, baseurl, priority = 99, cost = 1000 } of repos)
      lines.push(`[${id}]`, `name=${id}`, `baseurl=${baseurl}`, `priority=${priority}`, `cost=${cost}`);
    await writeFile(join(root, 'dnf.conf'), `${lines.join('\n')}\n`);
    await s.step.run([
      ...(['dnf', '--quiet', '--assumeyes', '--config', join(root, 'dnf.conf')] as const),
      ...['--installroot', join(root, 'root'), '--setopt', `cachedir=${join(root, 'cache')}`],
      ...['--releasever', '9', ...args],
    ]);
    const { stdout } = await s.step.run([
      ...(['rpm', '--root', join(root, 'root'), '--query', '--all', '--queryformat'] as const),
      '%{name}-%|epoch?{%{epoch}:}:{}|%{version}-%{release}.%{arch}\\n',
    ]);
    return stdout.trim().split('\n').sort();
  }

  /** A treefile beside dnf's own words for the same, and one package that must be among the result. */
  const same = (title: string, treefile: string, args: string, among: string, repos = ['base']) =>
    it(title, async () => {
      const given = repos.map((id) => repo(...(id.split('@') as [string])));
      const expected = await installed(
        args.split(' ').map((arg) => arg.replaceAll('~', ' ')),
        given,
      );
      assert.ok(expected.includes(among), expected.join(', '));
      assert.deepEqual((await locked(treefile, given)).sort(), expected);
    });

  same('all that a glob matches', 'packages: [rich-*]', 'install rich-*', 'rich-b-1-1.noarch');
  same('rich and weak dependencies', 'packages: [rich-app]', 'install rich-app', 'rich-weak-1-1.noarch');
  same('what supplements it', 'packages: [tool]', 'install tool', 'tool-extra-2-1.noarch');
  same(
    'without weak dependencies where the treefile says so',
    'packages: [rich-app, tool]\nrecommends: false',
    'install --setopt=install_weak_deps=0 rich-app tool',
    'rich-a-1-1.noarch',
  );
  same('what obsoletes the name', 'packages: [old-name]', 'install old-name', 'new-name-1-1.noarch');
  same(
    'a version range in single quotes, and names beside it',
    `packages: ["'rich-a >= 1' rich-b"]`,
    'install rich-a~>=~1 rich-b',
    'rich-a-1-1.noarch',
  );
  same('a group', "packages: ['@odd']", 'install @odd', 'tool-1:2-1.noarch');
  same('an environment', "packages: ['@odd-env']", 'install @odd-env', 'rich-app-1-1.noarch');
  same('a path', 'packages: [/usr/bin/tool]', 'install /usr/bin/tool', 'tool-1:2-1.noarch');
  same('a capability', 'packages: [pkgconfig(tool)]', 'install pkgconfig(tool)', 'tool-1:2-1.noarch');
  same(
    'forms of name, epoch, version, release and architecture',
    'packages: [rich-a-1, rich-b.noarch, tool-1:2-1.noarch]',
    'install rich-a-1 rich-b.noarch tool-1:2-1.noarch',
    'rich-b-1-1.noarch',
  );
  same(
    'nothing that is excluded, by globs too',
    'packages: [rich-app, tool]\nexclude-packages: [rich-w*, tool-extra]',
    'install -x rich-w* -x tool-extra rich-app tool',
    'rich-app-1-1.noarch',
  );
  same('the same beside an empty repo', 'packages: [tool]', 'install tool', 'tool-1:2-1.noarch', [
    'empty',
    'base',
  ]);
  same('the newest of several repos', 'packages: [rich-a]', 'install rich-a', 'rich-a-7-1.noarch', [
    'base',
    'other',
  ]);
  same(
    'the default stream of a module',
    'packages: [runtime, distribution]',
    'install runtime distribution',
    'runtime-16-1.noarch',
    ['base', 'modular'],
  );
  same(
    'another stream where it is asked for',
    "packages: ['@runtime:18/common']",
    'install @runtime:18/common',
    'runtime-18-1.noarch',
    ['base', 'modular'],
  );
  same('one of two architectures', 'packages: [odd-lib]', 'install odd-lib', 'odd-lib-1-1.x86_64', ['twins']);
  same(
    'the newer of two kernels',
    'packages: [kernel-two]',
    'install kernel-two',
    'kernel-two-6.6-1.noarch',
    ['twins'],
  );

  it('of several repos what their priority and cost say', async () => {
    const repos = [repo('base', { priority: 10 }), repo('other', { priority: 20 })];
    assert.deepEqual(await installed(['install', 'rich-a'], repos), ['rich-a-1-1.noarch']);
    assert.deepEqual(await locked('packages: [rich-a]', repos), ['rich-a-1-1.noarch']);
    for (const [cheap, dear] of [
      ['base', 'other'],
      ['other', 'base'],
    ] as const) {
      const repos = [repo(dear, { cost: 900 }), repo(cheap, { cost: 100 })];
      const { packages } = await dnfComposer.resolve(s.step, await inputOf('packages: [tool]', repos));
      assert.equal(packages.tool?.repo, cheap);
    }
  });

  it('is downloaded, also of a stream that is not the default', async () => {
    const input = await inputOf("packages: ['@runtime:18/common']", [
      repo('base'),
      repo('modular', { gpgKeys: [s.at('key.asc')] }),
    ]);
    const lockfile = await dnfComposer.resolve(s.step, input);
    await dnfComposer.download(s.step, input, lockfile);
    assert.deepEqual(await readdir(join(input.work, 'packages')), ['runtime.rpm']);
  });

  const refused = (title: string, treefile: string, code: string, message: RegExp, repos = ['base']) =>
    it(`is refused: ${title}`, () =>
      assert.rejects(
        locked(
          treefile,
          repos.map((id) => repo(id)),
        ),
        { code, message },
      ));

  refused(
    'a library of two architectures, which dnf would install both',
    'packages: [odd-lib.x86_64, odd-lib.i686]',
    'DepsolveFailed',
    /one package of a name.*odd-lib-1-1\.i686 and odd-lib-1-1\.x86_64/,
    ['twins'],
  );
  refused(
    'two kernels, which dnf would install both',
    'packages: [kernel-two-6.1, kernel-two-6.6]',
    'DepsolveFailed',
    /kernel-two-6\.1-1\.noarch and kernel-two-6\.6-1\.noarch.*`exclude-packages`/,
    ['twins'],
  );
  refused(
    'what is asked for and excluded',
    'packages: [rich-a, tool]\nexclude-packages: [rich-*]',
    'PackageNotFound',
    /^excluded by `exclude-packages`.*: rich-a$/,
  );
  refused(
    'a stream that is not the default',
    'packages: [runtime-18]',
    'PackageNotFound',
    /module stream that is not the default: runtime-18/,
    ['base', 'modular'],
  );
  refused(
    'names, groups and versions that no repo has, all at once',
    `packages: [nothing, tool, '@none', "'rich-a > 1'"]`,
    'PackageNotFound',
    /\(base\): nothing, rich-a > 1, @none$/,
  );
  refused('a quote without its end', `packages: ["'rich-a"]`, 'StreamInvalid', /quote is not closed/);
});
