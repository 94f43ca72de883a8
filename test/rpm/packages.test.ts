/** Package differences of real RPM databases, made of real packages. */
import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { packageRoot } from '../../src/settings.js';
import { packageDifference } from '../../src/rpm/difference.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

/** By name: `[epoch:]version-release`, several for a package that is there more than once. */
type Packages = Record<string, string | string[]>;

const old: Packages = {
  same: '1-1',
  gone: '1:2-3',
  up: '1.9-1',
  down: '2.0-1',
  epoch: '9-1',
  'epoch-down': '1:1-1',
  tilde: '1.0~rc1-1',
  'tilde-down': '1.0-1',
  caret: '1.0-1',
  'caret-down': '1.0^git1-1',
  release: '1-9',
  zeros: '1.05-1',
  letters: '1.0a-1',
  kernel: ['5-1', '6-1'],
};
const recent: Packages = {
  same: '1-1',
  fresh: '2:1.0-1',
  up: '1.10-1',
  down: '1.9-1',
  epoch: '1:1-1',
  'epoch-down': '2-1',
  tilde: '1.0-1',
  'tilde-down': '1.0~rc2-1',
  caret: '1.0^git1-1',
  'caret-down': '1.0-1',
  release: '1-10',
  zeros: '1.5-2',
  letters: '1.0b-1',
  kernel: ['6-1', '7-1'],
};

describe('the package difference', function () {
  let s: Scratch;

  /** Builds the packages, all by one spec file, and puts them into a database of their own. */
  async function database(name: string, packages: Packages): Promise<void> {
    const sub = Object.entries(packages).flatMap(([id, versions]) =>
      [versions].flat().map((evr, i) => ({ id, evr, i })),
    );
    const specs = [0, 1].map((round) => {
      const own = sub.filter(({ i }) => i === round);
      const parts = own.map(({ id, evr }) => {
        const [, epoch, version, release] = /^(?:(\d+):)?([^-]+)-(.+)$/.exec(evr)!;
        return `%package -n ${id}\nSummary: x\n${epoch ? `Epoch: ${epoch}\n` : ''}Version: ${version}\nRelease: ${release}\n%description -n ${id}\nx\n%files -n ${id}\n`;
      });
      return own.length > 0
        ? `Name: none\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\nx\n${parts.join('')}`
        : undefined;
    });
    for (const [round, spec] of specs.entries()) {
      if (spec === undefined) continue;
      const file = await s.write(`${name}/${round}.spec`, spec);
      await s.step.run(['rpmbuild', '-bb', '--quiet', '--define', `_topdir ${s.at(name)}`, file]);
    }
    const folder = s.at(name, 'RPMS/noarch');
    const files = (await readdir(folder)).map((rpm) => `${folder}/${rpm}`);
    assert.equal(files.length, sub.length);
    await mkdir(s.at(name, 'db'));
    await s.step.run([
      'rpm',
      '--dbpath',
      s.at(name, 'db'),
      '--justdb',
      '--nodeps',
      '--noscripts',
      '--install',
      ...files,
    ]);
  }
  const difference = async (...names: string[]) => {
    const { stdout } = await s.step.run([
      'python3',
      '-I',
      `${packageRoot}/src/rpm/packages.py`,
      ...names.map((name) => s.at(name, 'db')),
    ]);
    return JSON.parse(stdout) as {
      packages: number;
      pkgdiff?: [string, number, { PreviousPackage?: string[]; NewPackage?: string[] }][];
    };
  };

  before(async () => {
    s = await makeScratch('rpm');
    await Promise.all([database('old', old), database('recent', recent)]);
  });
  after(() => s.remove());

  it('orders epochs, tildes, carets, numbers and letters as RPM does', async () => {
    const { packages, pkgdiff } = await difference('recent', 'old');
    assert.equal(packages, 14);
    const kinds = Object.fromEntries(pkgdiff!.map(([name, kind]) => [name, kind]));
    assert.deepEqual(kinds, {
      fresh: 0,
      gone: 1,
      up: 2,
      down: 3,
      epoch: 2,
      'epoch-down': 3,
      tilde: 2,
      'tilde-down': 3,
      caret: 2,
      'caret-down': 3,
      release: 2,
      zeros: 2,
      letters: 2,
      kernel: 2,
    });
    assert.deepEqual(
      pkgdiff!.map(([name]) => name),
      Object.keys(kinds).sort(),
    );
  });

  it('names old and new with epoch where there is one; of several versions the newest', async () => {
    const changes = new Map(
      (await difference('recent', 'old')).pkgdiff!.map(([name, , packages]) => [name, packages]),
    );
    assert.deepEqual(changes.get('fresh'), { NewPackage: ['fresh', '2:1.0-1', 'noarch'] });
    assert.deepEqual(changes.get('gone'), { PreviousPackage: ['gone', '1:2-3', 'noarch'] });
    assert.deepEqual(changes.get('epoch'), {
      PreviousPackage: ['epoch', '9-1', 'noarch'],
      NewPackage: ['epoch', '1:1-1', 'noarch'],
    });
    assert.deepEqual(changes.get('kernel'), {
      PreviousPackage: ['kernel', '6-1', 'noarch'],
      NewPackage: ['kernel', '7-1', 'noarch'],
    });
  });

  it('is empty between the same, and absent without an old one', async () => {
    assert.deepEqual(await difference('old', 'old'), { packages: 14, pkgdiff: [] });
    assert.deepEqual(await difference('old'), { packages: 14 });
  });

  it('is turned round with its sides', async () => {
    const [there, back] = [await difference('recent', 'old'), await difference('old', 'recent')];
    const turned = [1, 0, 3, 2];
    assert.deepEqual(
      back.pkgdiff!.map(([name, kind]) => [name, kind]),
      there.pkgdiff!.map(([name, kind]) => [name, turned[kind]]),
    );
  });

  it('reads the databases out of commits', async () => {
    const repo = s.at('repo');
    await s.step.run(['ostree', `--repo=${repo}`, 'init', '--mode=archive']);
    const commits: string[] = [];
    for (const name of ['old', 'recent']) {
      await s.step.run([
        'sh',
        '-c',
        'mkdir -p "$1/usr/share" && cp -r "$0" "$1/usr/share/rpm"',
        s.at(name, 'db'),
        s.at(name, 'tree'),
      ]);
      commits.push(
        (
          await s.step.run([
            'ostree',
            `--repo=${repo}`,
            'commit',
            '-b',
            'x',
            `--tree=dir=${s.at(name, 'tree')}`,
          ])
        ).stdout.trim(),
      );
    }
    const [first, second] = commits as [string, string];
    const fromCommits = await packageDifference(s.step, repo, second, first, s.at('work'));
    assert.deepEqual(fromCommits, await difference('recent', 'old'));
    assert.deepEqual(await packageDifference(s.step, repo, first, undefined, s.at('work')), { packages: 14 });
  });
});
