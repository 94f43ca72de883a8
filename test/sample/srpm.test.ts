/** The sample distribution's source packages, as `bin/setup` made them. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bumpPackage } from '../../src/sample/make.js';
import { compiledPackages, debsWithSource } from '../../src/sample/manifest.js';
import { readUpdateinfo } from '../../src/security/updateinfo.js';
import { readSettings } from '../../src/settings.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

const sample = join(readSettings({}).state, 'sample');

describe("the sample's source packages", function () {
  let scratch: Scratch;
  let keys: readonly string[];

  before(async () => {
    scratch = await makeScratch('srpm');
    keys = ['--define', `_dbpath ${scratch.at('keys')}`];
    await scratch.step.run(['rpmkeys', ...keys, '--import', join(sample, 'RPM-GPG-KEY-sample.asc')]);
  });
  after(() => scratch.remove());

  const rpmsOf = async (dir: string, repo: 'rpms' | 'srpms') =>
    (await readdir(join(dir, repo))).filter((name) => name.endsWith('.rpm'));
  const query = async (format: string, ...files: string[]) => {
    const argv = ['rpm', '-qp', ...keys, '--queryformat', `${format}\n`, ...files] as const;
    return (await scratch.step.run(argv, { capture: 'all' })).stdout.trim().split('\n');
  };

  it('are named by the packages that were built from them, and by no others', async () => {
    const sources = new Set(await rpmsOf(sample, 'srpms'));
    const files = (await rpmsOf(sample, 'rpms')).map((name) => join(sample, 'rpms', name));
    const built = new Map<string, Set<string>>();
    for (const line of await query('%{NAME} %{SOURCERPM}', ...files)) {
      const [name = '', source = ''] = line.split(' ');
      if (sources.delete(source)) built.set(name, new Set([...(built.get(name) ?? []), source]));
    }
    assert.deepEqual([...built.keys()].sort(), [...compiledPackages, ...debsWithSource].sort());
    assert.deepEqual([...sources], []);
  });

  it('are signed, as is their index', async () => {
    for (const name of await rpmsOf(sample, 'srpms')) {
      const { stdout } = await scratch.step.run(['rpmkeys', ...keys, '-Kv', join(sample, 'srpms', name)]);
      assert.match(stdout, /^ +Header V4 RSA\/SHA512 Signature, key ID [0-9a-f]+: OK$/m, name);
    }
    const home = scratch.at('gnupg');
    await scratch.step.run(['mkdir', '--mode=700', home]);
    const gpg = ['gpg', '--homedir', home, '--batch', '--quiet', '--trust-model', 'always'] as const;
    const repomd = join(sample, 'srpms/repodata/repomd.xml');
    await scratch.step.run([...gpg, '--import', join(sample, 'RPM-GPG-KEY-sample.asc')]);
    await scratch.step.run([...gpg, '--verify', `${repomd}.asc`, repomd]);
    await scratch.step.run(['gpgconf', '--homedir', home, '--kill', 'all']);
  });

  it('keep owners and modes, and the program starts', async () => {
    const owned = await query(
      '[%{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:octal} %{FILENAMES}\n]',
      join(sample, 'rpms/treeline-sample-tools-1.0-1.x86_64.rpm'),
    );
    assert.deepEqual(owned, ['root:root 100755 /usr/bin/treeline-booted']);
    const tree = scratch.at('tree');
    await scratch.step.run([
      ...(['rpm', '--root', tree, '--dbpath', '/db', '--nodeps', '--nosignature', '--install'] as const),
      join(sample, 'rpms/treeline-sample-tools-1.0-1.x86_64.rpm'),
    ]);
    const program = join(tree, 'usr/bin/treeline-booted');
    const { stdout } = await scratch.step.run([program, tree], { okCodes: [1] });
    assert.equal(stdout, 'not an ostree system\n');
  });

  it('get a new version together with their packages', async () => {
    // Not the packages that are not looked at: they are most of it.
    const dir = scratch.at('sample');
    await scratch.step.run(['mkdir', dir, join(dir, 'rpms')]);
    for (const name of ['debs', 'srpms', 'gnupg', 'commit-key.asc'])
      await scratch.step.run(['cp', '-a', '--reflink=auto', join(sample, name), dir]);
    assert.equal(
      await bumpPackage(scratch.step, dir, 'treeline-sample-tools'),
      'treeline-sample-tools-1.0-1+1.x86_64',
    );
    assert.equal(
      await bumpPackage(scratch.step, dir, 'treeline-sample-tools'),
      'treeline-sample-tools-1.0-1+2.x86_64',
    );
    const netbase = await bumpPackage(scratch.step, dir, 'netbase');
    assert.match(netbase, /\+1\.noarch$/);
    await bumpPackage(scratch.step, dir, 'hostname');
    const names = await rpmsOf(dir, 'srpms');
    const sourceOf = (nevra: string) => nevra.replace(/\.(noarch|x86_64)$/, '.src.rpm');
    for (const nevra of [
      netbase,
      'treeline-sample-tools-1.0-1+1.x86_64',
      'treeline-sample-tools-1.0-1+2.x86_64',
    ]) {
      assert.ok(names.includes(sourceOf(nevra)), nevra);
      const rpm = join(dir, 'rpms', `${nevra}.rpm`);
      assert.deepEqual(await query('%{SOURCERPM}', rpm), [sourceOf(nevra)]);
      assert.ok((await query('[%{FILENAMES} ]', rpm)).join().includes('/usr/share/treeline-sample/updates/'));
    }
    assert.deepEqual(
      names.filter((name) => name.startsWith('hostname')),
      [],
    );
    const index = await readFile(join(dir, 'srpms/repodata/repomd.xml'), 'utf8');
    const [, primary = ''] = /href="(repodata\/[^"]*primary\.xml\.gz)"/.exec(index) ?? [];
    const { stdout } = await scratch.step.run(['zcat', join(dir, 'srpms', primary)], { capture: 'all' });
    assert.ok(stdout.includes('treeline-sample-tools-1.0-1+2.src.rpm'));

    // As security updates: earlier advisories stay, also when one says more, and when a package is updated without one.
    const advisory = { id: 'SAMPLE-2026:1', severity: 'critical', cves: ['CVE-2026-10001'] } as const;
    const first = await bumpPackage(scratch.step, dir, 'hostname', { ...advisory, cves: [...advisory.cves] });
    const second = await bumpPackage(scratch.step, dir, 'netbase', {
      id: 'SAMPLE-2026:2',
      severity: 'low',
      cves: [],
    });
    await bumpPackage(scratch.step, dir, 'hostname');
    const { names: of, ...question } = {
      ...{ names: ['hostname', 'netbase'], releasever: '1', arch: 'x86_64' as const },
      ...{ cache: scratch.at('cache'), work: scratch.at('dnf') },
      repo: {
        ...{ id: 'sample', baseurl: `file://${join(dir, 'rpms')}`, metadataSigned: true },
        gpgKeys: [join(sample, 'RPM-GPG-KEY-sample.asc')],
      },
    };
    const read = await readUpdateinfo(scratch.step, { ...question, names: of });
    const nevras = read.advisories.map(({ id, type, severity, cves, packages }) => [
      ...[id, type, severity, cves],
      packages.map(({ name, evr, arch }) => `${name}-${evr}.${arch}`),
    ]);
    assert.deepEqual(
      nevras.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
      [
        ['SAMPLE-2026:1', 'security', 'Critical', ['CVE-2026-10001'], [first]],
        ['SAMPLE-2026:2', 'security', 'Low', [], [second]],
      ],
    );
  });
});
