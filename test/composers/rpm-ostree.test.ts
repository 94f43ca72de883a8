import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import type { FailureCode } from '../../src/domain/failures.js';
import { failureOf } from '../../src/composers/rpm-ostree/classify.js';
import * as commands from '../../src/composers/rpm-ostree/commands.js';
import { readLockfile, writeLockfile } from '../../src/composers/rpm-ostree/lockfile.js';
import { composeJson, progressReader, readOutput } from '../../src/composers/rpm-ostree/output.js';
import { repoFile } from '../../src/composers/rpm-ostree/repo-files.js';
import type { Progress } from '../../src/steps/step.js';

const folder = new URL('../../../test/recorded/rpm-ostree/', import.meta.url);
const recorded = (name: string) => readFileSync(new URL(name, folder), 'utf8');
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.cmd'))
  .map((file) => file.slice(0, -4));
const exitCode = (name: string) => Number(recorded(`${name}.rc`));

/** Runs that are not a compose, or end before one. */
const others = ['01-print-only', '39-print-only-include', 'help-compose-tree', 'version'];

const failures: Record<string, [FailureCode, RegExp]> = {
  '20-missing-package': ['PackageNotFound', /packages not found: no-such-package$/],
  '21-wrong-gpg-key': ['PackageSignature', /package adduser-3\.134-0\.noarch: .*repos\.fixture\.gpgKeys$/],
  '22-unsigned-package': ['PackageSignature', /package netbase-6\.4\+fx2-0\.noarch: unsigned/],
  '23-corrupt-package': ['PackageChecksum', /netbase-6\.4%2bfx2-0\.noarch\.rpm.*checksum doesn't match/],
  '24-repo-gpgcheck-unsigned-repomd': ['PackageSignature', /'fixture'.*GPG signature is not available/],
  '25-repo-down': ['RepoUnreachable', /'fixture'.*Couldn't connect to server/],
  '25b-repo-404': ['RepoUnreachable', /Status code: 404/],
  '26-unknown-field': ['StreamInvalid', /Unknown fields: no-initramfs$/],
  '30-no-repo-option': ['ComposeFailed', /: --repo must be specified$/],
  '32c-treefile-syntax': ['StreamInvalid', /at line 2 column 1/],
  '33-unknown-repo-id': ['StreamInvalid', /Unknown rpm-md repository: nothere/],
  '33b-no-repos': ['StreamInvalid', /neither "repos" nor/],
  '33d-bad-ref': ['StreamInvalid', /Invalid refspec bad ref name/],
  '34-unknown-option': ['ToolMissing', /no option --nosuch/],
  '36-meta-bad': ['StreamInvalid', /KEY=VALUE metadata 'version'/],
  '37b-previous-commit-bad': ['CommitInvalid', /'0123' not found/],
  '38-lockfile-missing': ['StreamInvalid', /nothere\.json/],
  '38d-lockfile-gone': ['RepoChanged', /no longer have netbase-6\.5-0\.noarch$/],
  '38e-lockfile-gone-strict': ['RepoChanged', /no longer have netbase-6\.5-0\.noarch$/],
  '38f-lockfile-less-strict': ['PackageNotFound', /not found: netbase$/],
  '38g-lockfile-wrong-digest': [
    'PackageChecksum',
    /something else under the name of netbase-6\.4-0\.noarch$/,
  ],
  '40-nonroot': ['ComposeFailed', /Unexpected non-root owned path/],
  '42-gpg-key-missing': ['SigningFailed', /No gpg key found with ID 0123456789ABCDEF/],
  '45-previous-passwd': ['ComposeFailed', /failed to merge entries into \/etc\/passwd$/],
  '46-check-passwd-file': ['ComposeFailed', /User missing from new passwd file: root$/],
  '51-depsolve-missing-dep': [
    'DepsolveFailed',
    /5 problems detected:\nnothing provides libtinfo6 >= 6 needed by bash-5/,
  ],
  '57-postprocess-fails': ['PostprocessFailed', /killed by signal 3$/],
};

/** Number of packages, "no apparent changes"?, start of the commit. */
const successes: Record<string, [number, boolean, string?]> = {
  '02-dry-run-first': [124, false],
  '10-first-compose': [163, false, '7ae41ea9'],
  '11-no-change': [163, true],
  '12-dry-run-no-change': [163, true],
  '12b-previous-inputhash': [163, true],
  '12c-previous-inputhash-differs': [163, false],
  '13-dry-run-one-change': [163, false],
  '14-one-change': [163, false, '648753e3'],
  '25c-repo-down-cache-only': [163, false],
  '38b-lockfile-old': [163, false],
  '38c-lockfile-strict': [163, false],
  '41-force-nocache-commitid': [163, false, 'c1f2a18a'],
  '54-mixed-change': [162, false, '6dbbeec4'],
};

describe('rpm-ostree composer: recorded runs', () => {
  it('expects something of every recording', () => {
    assert.deepEqual(
      [...Object.keys(failures), ...Object.keys(successes), ...others].sort(),
      [...names].sort(),
    );
  });

  for (const [name, [code, message]] of Object.entries(failures))
    it(`${name} is ${code}`, () => {
      assert.equal(exitCode(name), 1);
      const failure = failureOf(recorded(`${name}.stderr`));
      assert.equal(failure.code, code);
      assert.match(failure.message, message);
      assert.ok(failure.message.length < 700 && failure.tail.length <= 20);
    });

  for (const [name, [count, unchanged, commit]] of Object.entries(successes))
    it(`${name} is read`, () => {
      assert.equal(exitCode(name), 0);
      const facts = readOutput(recorded(`${name}.stdout`));
      assert.equal(facts.packages.length, count);
      assert.equal(facts.unchanged, unchanged);
      assert.match(facts.inputHash ?? '', /^[0-9a-f]{64}$/);
      assert.equal(facts.commit?.slice(0, 8), commit);
      if (commit === undefined) return;
      const told = composeJson.parse(JSON.parse(recorded(`${name}.composejson`)));
      assert.equal(told['ostree-commit'], facts.commit);
      assert.equal(told['rpm-ostree-inputhash'], facts.inputHash);
    });

  it('finds the cause behind the words that 2025.1 puts before it', () => {
    const { code, message } = failureOf(
      'rpm-ostree version: 2025.1\nerror: Installing packages: Packages not found: a, b\n',
    );
    assert.deepEqual([code, message], ['PackageNotFound', 'rpm-ostree: packages not found: a, b']);
  });

  it('tells a full disk, metadata in the middle of an update, and a silent end', () => {
    const of = (text: string) => failureOf(text).code;
    assert.equal(of('error: Writing rpmdb: write: No space left on device'), 'DiskFull');
    assert.equal(
      of('dracut: cpio: write: No space left on device\nerror: Generating initramfs: exit status 1'),
      'DiskFull',
    );
    assert.equal(
      of(
        "error: Updating rpm-md repo 'a': cannot update repo 'a': repodata/x-primary.xml.gz: checksum doesn't match",
      ),
      'RepoUnreachable',
    );
    assert.equal(of(''), 'ComposeFailed');
  });

  it('reports progress where a number is told', () => {
    const seen: Progress[] = [];
    const read = progressReader((progress) => seen.push(progress));
    for (const line of recorded('10-first-compose.stdout').split('\n')) read(line);
    assert.deepEqual(seen, [
      { done: 0, total: 163, unit: 'packages' },
      { done: 163, total: 163, unit: 'packages' },
    ]);
  });
});

describe('rpm-ostree composer: commands', () => {
  const place = { repo: 'repo', cache: 'cache', treefile: 't.yaml' };
  const commit = {
    lockfile: 'l',
    metadata: { version: '20261123_01' },
    commitId: 'i',
    composeJson: 'j',
    touch: 't',
  };
  const all = [
    commands.printCommand(place),
    commands.resolveCommand(place, 'lock'),
    commands.downloadCommand(place, 'lock'),
    commands.commitCommand(place, { ...commit, parent: undefined }),
    commands.commitCommand(place, { ...commit, parent: 'abc' }),
  ];
  const help = recorded('help-compose-tree.stdout');
  const words = (name: string) => recorded(`${name}.cmd`).trim().split(' ');

  it('have the recorded shape', () => {
    assert.deepEqual(commands.helpCommand, words('help-compose-tree'));
    assert.deepEqual(commands.printCommand(place), words('01-print-only'));
    const dropped = /^--(touch-if-changed|write-composejson-to)=/;
    assert.deepEqual(
      commands.resolveCommand(place, 'lock.dry.json'),
      words('02-dry-run-first').filter((word) => !dropped.test(word)),
    );
    const commitWords = commands.commitCommand(place, { ...commit, parent: undefined });
    const keys = words('41-force-nocache-commitid')
      .map((word) => word.split('=')[0])
      .filter((word) => word !== 't.yaml');
    assert.deepEqual(
      keys.filter((key) => !commitWords.some((word) => word.split('=')[0] === key)),
      [],
    );
  });

  it('use only options that the recorded rpm-ostree has, one treefile, and check for each', () => {
    assert.deepEqual(commands.missingOptions(help), []);
    for (const argv of all) {
      const options = argv.filter((word) => word.startsWith('--')).map((word) => word.split('=')[0] ?? '');
      assert.deepEqual(
        options.filter((option) => !(commands.requiredOptions as readonly string[]).includes(option)),
        [],
      );
      assert.deepEqual(
        argv.slice(3).filter((word) => !word.startsWith('--')),
        ['t.yaml'],
      );
    }
  });

  it('never ask for strict without a lockfile, nor for a parent and none', () => {
    for (const argv of all) {
      assert.equal(
        argv.includes('--ex-lockfile-strict'),
        argv.some((word) => word.startsWith('--ex-lockfile=')),
      );
      assert.ok(!(argv.includes('--no-parent') && argv.some((word) => word.startsWith('--parent='))));
    }
  });

  it('name the options that an old rpm-ostree lacks', () => {
    const old = help
      .split('\n')
      .filter((line) => !/--(ex-lockfile-strict|write-commitid-to)/.test(line))
      .join('\n');
    assert.deepEqual(commands.missingOptions(old), ['--ex-lockfile-strict', '--write-commitid-to']);
  });
});

describe('rpm-ostree composer: files', () => {
  const repo = {
    id: 'base',
    baseurl: 'http://127.0.0.1/os',
    gpgKeys: ['/keys/a', '/keys/b'],
    metadataSigned: true,
  };

  it('writes a repo file', () => {
    assert.equal(
      repoFile(repo),
      '[base]\nname=base\nbaseurl=http://127.0.0.1/os\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///keys/a file:///keys/b\n',
    );
  });

  for (const [what, change] of Object.entries({
    'a line end in the id': { id: 'base]\n[evil' },
    'a line end in the URL': { baseurl: 'http://a/\ngpgcheck=0' },
    'a carriage return in the URL': { baseurl: 'http://a/\rgpgcheck=0' },
    'a second URL': { baseurl: 'http://a/ http://b/' },
    'file://, whose keys rpm-ostree does not import': { baseurl: 'file:///srv/repo' },
    'a line end in a key': { gpgKeys: ['/keys/a\ngpgcheck=0'] },
    'two keys in one': { gpgKeys: ['/keys/a,/keys/b'] },
    'a relative key': { gpgKeys: ['keys/a'] },
    'no key': { gpgKeys: [] },
  }))
    it(`refuses ${what}`, () => {
      assert.throws(() => repoFile({ ...repo, ...change }), { code: 'StreamInvalid', message: /^repos/ });
    });

  const { packages } = readOutput(recorded('10-first-compose.stdout'));
  const text = recorded('10-first-compose.lockfile.json');

  it('reads the lockfile, with the repo of each package from the list', () => {
    const lockfile = readLockfile(text, packages, new Map([['fixture', 'f'.repeat(64)]]));
    assert.equal(Object.keys(lockfile.packages).length, 163);
    assert.deepEqual(lockfile.packages['zlib1g'], {
      evra: '1:1.2.13.dfsg-1.x86_64',
      digest: 'sha256:8a566275959582480398111ebecbfdd097be4b75ba2c55871d7dd646e61d9b0d',
      repo: 'fixture',
    });
    assert.deepEqual(lockfile.metadata.rpmmd_repos, {
      fixture: { generated: '2026-11-23T11:38:51Z', repomd: 'f'.repeat(64) },
    });
  });

  it('writes only what rpm-ostree knows', () => {
    const lockfile = readLockfile(text, packages, new Map([['fixture', 'f'.repeat(64)]]));
    assert.deepEqual(JSON.parse(writeLockfile(lockfile)), JSON.parse(text));
  });

  it('takes the architecture from the list where the lockfile leaves it out', () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const evr = JSON.stringify({
      metadata: { generated: 'g', rpmmd_repos: {} },
      packages: { a: { evr: '1-2', digest } },
    });
    const line = { name: 'a', evra: '1-2.noarch', repo: 'r' };
    assert.deepEqual(readLockfile(evr, [line], new Map()).packages, {
      a: { evra: '1-2.noarch', digest, repo: 'r' },
    });
    assert.throws(() => readLockfile(evr, [{ ...line, evra: '2-2.noarch' }], new Map()), {
      code: 'ComposeFailed',
    });
    assert.throws(() => readLockfile('{', [], new Map()), { code: 'ComposeFailed' });
  });

  it('refuses two packages of one name, of which rpm-ostree writes the one that comes last', () => {
    const [first] = packages;
    const twin = { ...first!, evra: first!.evra.replace(/\.\w+$/, '.i686') };
    assert.throws(() => readLockfile(text, [...packages, twin], new Map()), {
      code: 'DepsolveFailed',
      message: new RegExp(`${first!.evra} and .*${twin.evra}`),
    });
    assert.ok(readLockfile(text, [...packages, first!], new Map()));
  });
});
