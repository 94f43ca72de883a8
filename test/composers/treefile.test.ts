/** The dnf composer's treefile, read from real files. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { composerOf } from '../../src/composers/index.js';
import { readTreefile } from '../../src/composers/dnf/treefile.js';
import { Failure } from '../../src/domain/failures.js';
import { packageRoot } from '../../src/settings.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';

describe("The dnf composer's treefile", () => {
  let s: Scratch;
  beforeEach(async () => void (s = await makeScratch('treefile')));
  afterEach(() => s.remove());

  const read = async (text: string) => readTreefile(await s.write('t.yaml', text), 'x86_64');
  /** The lines of the failure, without the folder. */
  async function refusal(text: string): Promise<{ code: string; lines: string[] }> {
    const error: unknown = await read(text).then(
      () => assert.fail('was accepted'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Failure, String(error));
    return { code: error.code, lines: error.message.replaceAll(`${s.folder}/`, '').split('\n') };
  }

  it('of the sample is within the subset', async () => {
    const treefile = await readTreefile(join(packageRoot, 'streams/sample/treefile.yaml'), 'x86_64');
    assert.deepEqual(treefile.repos, ['sample']);
    assert.ok(treefile.packages.includes('kernel'));
    assert.equal(treefile.documentation, false);
    assert.equal(treefile.postprocess.length, 1);
  });

  it('refuses what only rpm-ostree does by file, line and name, with what to do', async () => {
    const { code, lines } = await refusal(
      'ref: a\npackages: [b]\nostree-layers: [c]\nmutate-os-release: "1"\n',
    );
    assert.equal(code, 'TreefileUnsupported');
    assert.match(lines[0] ?? '', /^t\.yaml:3: ostree-layers: .*composer: rpm-ostree/);
    assert.match(lines[1] ?? '', /^t\.yaml:4: mutate-os-release: /);
  });

  it('refuses a key that no treefile has, with the one that was meant', async () => {
    const { code, lines } = await refusal('ref: a\npakages: [b]\n');
    assert.equal(code, 'StreamInvalid');
    assert.deepEqual(lines, ['t.yaml:2: pakages: no treefile has such a key. Did you mean `packages`?']);
  });

  it('refuses a value that it cannot do', async () => {
    const { code, lines } = await refusal('ref: a\nselinux: true\n');
    assert.equal(code, 'TreefileUnsupported');
    assert.match(lines[0] ?? '', /^t\.yaml:2: selinux: the dnf composer cannot do this value/);
  });

  it('refuses values of the wrong type, patterns that are none, a key twice and what is not YAML', async () => {
    for (const [text, expected] of [
      ['packages: bash\n', /^t\.yaml:1: packages: .*expected array/],
      ['packages: [a, 1]\n', /^t\.yaml:1: packages\.1: must be text: put it in quotes, `'1'`/],
      [
        'remove-from-packages:\n  - [a, b]\n  - [a, "("]\n',
        /^t\.yaml:3: remove-from-packages\.1\.1: is not a regular/,
      ],
      ['units: [a]\nunits: [b]\n', /^t\.yaml:2: .*unique/],
      ['a: [b\n', /^t\.yaml:\d+: /],
      ['- a\n', /^t\.yaml:1: \(file\): a treefile is a map of keys/],
    ] as const) {
      const { code, lines } = await refusal(text);
      assert.equal(code, 'StreamInvalid', text);
      assert.match(lines.join('\n'), expected);
    }
  });

  it('names all mistakes of all its files at once', async () => {
    await s.write('base.yaml', 'pakages: [a]\nunits: x\n');
    const { lines } = await refusal('include: [base.yaml, gone.yaml]\nselinux: true\n');
    assert.deepEqual(
      lines.map((line) => line.split(': ', 2).join(': ')),
      ['base.yaml:1: pakages', 'base.yaml:2: units', 't.yaml:1: include.1', 't.yaml:2: selinux'],
    );
  });

  it('knows the old spelling with underscores', async () =>
    assert.equal((await read('default_target: graphical.target\n')).defaultTarget, 'graphical.target'));

  it('splits entries at spaces, but not in single quotes; weak dependencies are wanted by default', async () => {
    const { packages, recommends } = await read(`packages: ["a  b", "'c >= 1' d", e]\n`);
    assert.deepEqual([packages, recommends], [['a', 'b', 'c >= 1', 'd', 'e'], true]);
    assert.equal((await read('recommends: false\n')).recommends, false);
  });

  describe('with includes', () => {
    it("joins lists, and the including file's scalars win; of several the first", async () => {
      await s.write('base.yaml', 'packages: ["a b"]\npackages-x86_64: [x]\ndefault-target: a.target\n');
      await s.write('second.yaml', 'packages: [d]\ndefault-target: s.target\ntmp-is-dir: true\n');
      const treefile = await read(
        'include: [base.yaml, second.yaml]\npackages: [c]\npackages-aarch64: [y]\nrecommends: false\n',
      );
      assert.deepEqual(treefile.packages, ['d', 'a', 'b', 'x', 'c']);
      assert.equal(treefile.defaultTarget, 'a.target');
      assert.equal(treefile.tmpIsDir, true);
    });

    it('reads each file once, also of a diamond with 2^20 ways', async () => {
      for (let level = 0; level < 20; level++)
        for (const side of ['a', 'b'])
          await s.write(
            `${side}${level}.yaml`,
            `packages: [${side}${level}]\n${level < 19 ? `include: [a${level + 1}.yaml, b${level + 1}.yaml]\n` : ''}`,
          );
      const { packages } = await read('include: [a0.yaml, b0.yaml]\n');
      assert.equal(packages.length, 40);
    });

    it('refuses a file that includes itself, also by way of another', async () => {
      assert.match(
        (await refusal('include: t.yaml\n')).lines.join(),
        /^t\.yaml:1: include: `t\.yaml` includes itself/,
      );
      await s.write('other.yaml', 'packages: []\ninclude:\n  - t.yaml\n');
      assert.match(
        (await refusal('include: other.yaml\n')).lines.join(),
        /^other\.yaml:3: include\.0: `t\.yaml` incl/,
      );
    });

    it('refuses a chain that is too deep, and files outside of its folder', async () => {
      for (let level = 0; level < 60; level++)
        await s.write(`c${level}.yaml`, `include: c${level + 1}.yaml\n`);
      assert.match(
        (await refusal('include: c0.yaml\n')).lines.join(),
        /c49\.yaml:1: include: .*deeper than 50/,
      );
      for (const name of ['../x.yaml', '/etc/passwd'])
        assert.match(
          (await refusal(`include: ${name}\n`)).lines.join(),
          /^t\.yaml:1: include: .* outside of the treefile/,
        );
      assert.match(
        (await refusal('postprocess-script: ../x.sh\n')).lines.join(),
        /^t\.yaml:1: postprocess-script: .* outside/,
      );
    });
  });

  it('has no package groups where builds are made from accepted packages', async () => {
    const file = await s.write('t.yaml', "packages: [one, '@core']\n");
    const of = async (rebuilt: boolean) => {
      const problems = await composerOf('dnf').check({
        ...{ treefile: file, arch: 'x86_64', releasever: '1', repos: [], ref: 'x', rebuilt },
      });
      return problems.map(({ text }) => text.replaceAll(`${s.folder}/`, ''));
    };
    assert.deepEqual(await of(false), []);
    const [line = '', ...others] = await of(true);
    assert.match(line, /^t\.yaml:1: packages: `@core` is a group: .*Name its packages\.$/);
    assert.deepEqual(others, []);
  });

  it('refuses a script that is none', async () => {
    await s.step.run(['mkfifo', s.at('fifo')]);
    for (const [name, expected] of [
      ['gone.sh', /^t\.yaml:2: postprocess-script: gone\.sh: no such file/],
      ['fifo', /^t\.yaml:2: postprocess-script: fifo: is not a regular file/],
      ['.', /^t\.yaml:2: postprocess-script: .*is a folder/],
    ] as const)
      assert.match((await refusal(`units: []\npostprocess-script: ${name}\n`)).lines.join(), expected);
  });
});
