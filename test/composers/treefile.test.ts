import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTreefile, readTreefile } from '../../src/composers/dnf/treefile.js';
import { Failure } from '../../src/domain/failures.js';
import { packageRoot } from '../../src/settings.js';

const refusal = (text: string): Failure => {
  try {
    parseTreefile('t.yaml', text);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: 'was accepted' });
};

describe("The dnf composer's treefile", () => {
  it('of the sample is within the subset', async () => {
    const treefile = await readTreefile(join(packageRoot, 'streams/sample/treefile.yaml'), 'x86_64');
    assert.deepEqual(treefile.repos, ['sample']);
    assert.ok(treefile.packages.includes('kernel'));
    assert.equal(treefile.documentation, false);
    assert.equal(treefile.postprocess.length, 1);
  });

  it('refuses unknown keys by file, line and name, with what to do', () => {
    const failure = refusal('ref: a\npackages: [b]\nlayers: [c]\nmutate-os-release: "1"\n');
    assert.equal(failure.code, 'TreefileUnsupported');
    const lines = failure.message.split('\n');
    assert.match(lines[0] ?? '', /^t\.yaml:3: `layers`: .*composer: rpm-ostree/);
    assert.match(lines[1] ?? '', /^t\.yaml:4: `mutate-os-release`/);
  });

  it('refuses a value that it cannot do', () => {
    const failure = refusal('ref: a\nselinux: true\n');
    assert.equal(failure.code, 'TreefileUnsupported');
    assert.match(failure.message, /^t\.yaml:2: `selinux`/);
  });

  it('refuses a value of the wrong type and what is not YAML', () => {
    assert.equal(refusal('packages: bash\n').code, 'StreamInvalid');
    assert.match(refusal('packages: bash\n').message, /^t\.yaml:1: `packages`/);
    assert.match(refusal('a: [b\n').message, /not YAML/);
    assert.equal(refusal('- a\n').code, 'StreamInvalid');
  });

  it('knows the old spelling with underscores', () => {
    assert.equal(
      parseTreefile('t.yaml', 'default_target: graphical.target\n')['default-target'],
      'graphical.target',
    );
  });

  describe('with includes', () => {
    let folder: string;
    before(async () => (folder = await mkdtemp(join(tmpdir(), 'treeline-treefile-'))));
    after(() => rm(folder, { recursive: true }));

    it("joins lists, and the including file's scalars win", async () => {
      await writeFile(
        join(folder, 'base.yaml'),
        'packages: ["a b"]\npackages-x86_64: [x]\ndefault-target: a.target\n',
      );
      await writeFile(
        join(folder, 'top.yaml'),
        'include: base.yaml\npackages: [c]\npackages-aarch64: [y]\ndefault-target: b.target\n',
      );
      const treefile = await readTreefile(join(folder, 'top.yaml'), 'x86_64');
      assert.deepEqual(treefile.packages, ['a', 'b', 'x', 'c']);
      assert.equal(treefile.defaultTarget, 'b.target');
    });

    it('refuses a file that includes itself', async () => {
      await writeFile(join(folder, 'loop.yaml'), 'include: loop.yaml\n');
      await assert.rejects(readTreefile(join(folder, 'loop.yaml'), 'x86_64'), {
        code: 'StreamInvalid',
        message: /includes itself/,
      });
    });
  });
});
