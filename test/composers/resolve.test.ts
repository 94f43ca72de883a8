/** The dnf composer's resolve and download against a small real repo: real RPMs, real signatures, real dnf. */
import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ComposeInput } from '../../src/composers/composer.js';
import { dnfComposer } from '../../src/composers/dnf/index.js';
import { publishRepo } from '../../src/sample/publish.js';
import { buildRpm, ensureKey, signRpms } from '../../src/sample/rpm.js';
import { systemPath } from '../../src/settings.js';
import { createStep } from '../../src/steps/run.js';
import type { Step } from '../../src/steps/step.js';

describe('resolve and download of the dnf composer', function () {
  let folder: string;
  let step: Step;
  const at = (...parts: string[]) => join(folder, ...parts);

  async function buildPackage(
    name: string,
    version: string,
    requires: readonly string[] = [],
  ): Promise<string> {
    const root = at('build', name, 'root');
    await mkdir(join(root, 'usr/share'), { recursive: true });
    await writeFile(join(root, 'usr/share', name), version);
    const files = [
      {
        path: `/usr/share/${name}`,
        type: 'file' as const,
        mode: 0o644,
        user: 'root',
        group: 'root',
        config: false,
      },
    ];
    const spec = {
      name,
      evr: { epoch: 0, version, release: '1' },
      arch: 'noarch',
      summary: name,
      requires,
      provides: [],
      posttrans: undefined,
      files,
    };
    return buildRpm(step, { root, spec }, at('build', name), at('rpms'));
  }

  /** A run of its own on a copy of the good repo, changed by `change`. */
  async function run(packages: readonly string[], change?: (rpms: string) => Promise<void>) {
    const work = await mkdtemp(at('run-'));
    await step.run(['cp', '-a', at('rpms'), join(work, 'rpms')]);
    await change?.(join(work, 'rpms'));
    const treefile = join(work, 'treefile.yaml');
    await writeFile(treefile, `repos: [tiny]\npackages: ${JSON.stringify(packages)}\n`);
    for (const name of ['work', 'cache']) await mkdir(join(work, name));
    const input: ComposeInput = {
      treefile,
      arch: 'x86_64',
      releasever: '1',
      work: join(work, 'work'),
      cache: join(work, 'cache'),
      repo: join(work, 'repo'),
      repos: [{ id: 'tiny', baseurl: `file://${work}/rpms`, gpgKeys: [at('key.asc')], metadataSigned: true }],
    };
    return { input, rpms: join(work, 'rpms') };
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'treeline-resolve-'));
    step = createStep({
      signal: new AbortController().signal,
      log: createWriteStream(at('log')),
      path: systemPath,
      home: folder,
    });
    await ensureKey(step, at('gnupg'), at('key.asc'));
    await ensureKey(step, at('other-gnupg'), at('other.asc'));
    const names = [
      await buildPackage('one', '1.0', ['two >= 1']),
      await buildPackage('two', '1.5'),
      await buildPackage('broken', '1', ['nothing-has-this']),
    ];
    await signRpms(
      step,
      at('gnupg'),
      names.map((name) => at('rpms', name)),
    );
    await publishRepo(step, at('rpms'), at('gnupg'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('locks the packages with what they depend on, and downloads these', async () => {
    const { input } = await run(['one']);
    const lockfile = await dnfComposer.resolve(step, input);
    assert.deepEqual(Object.keys(lockfile.packages), ['one', 'two']);
    assert.equal(lockfile.packages.one?.evra, '1.0-1.noarch');
    assert.equal(lockfile.packages.one.repo, 'tiny');
    assert.match(lockfile.metadata.rpmmd_repos.tiny?.repomd ?? '', /^[0-9a-f]{64}$/);
    await dnfComposer.download(step, input, lockfile);
    assert.deepEqual((await readdir(join(input.work, 'packages'))).sort(), ['one.rpm', 'two.rpm']);
  });

  it('names every missing package', async () => {
    const { input } = await run(['one', 'three', 'four']);
    await assert.rejects(dnfComposer.resolve(step, input), {
      code: 'PackageNotFound',
      message: /three, four$/,
    });
  });

  it('says why packages cannot be installed together', async () => {
    const { input } = await run(['broken']);
    await assert.rejects(dnfComposer.resolve(step, input), {
      code: 'DepsolveFailed',
      message: /nothing-has-this/,
    });
  });

  it('sees a repo that is away', async () => {
    const { input, rpms } = await run(['one']);
    await rm(rpms, { recursive: true });
    await assert.rejects(dnfComposer.resolve(step, input), { code: 'RepoUnreachable', message: /tiny/ });
    const [repo] = input.repos;
    assert.ok(repo);
    const http = { ...input, repos: [{ ...repo, baseurl: 'http://127.0.0.1:9/' }] };
    await assert.rejects(dnfComposer.resolve(step, http), { code: 'RepoUnreachable' });
  });

  it('refuses metadata whose signature is wrong, of another key or missing', async () => {
    const changed = await run(['one'], (rpms) => appendFile(join(rpms, 'repodata/repomd.xml'), '<!-- -->'));
    await assert.rejects(dnfComposer.resolve(step, changed.input), {
      code: 'PackageSignature',
      message: /tiny/,
    });
    const foreign = await run(['one'], (rpms) => publishRepo(step, rpms, at('other-gnupg')));
    await assert.rejects(dnfComposer.resolve(step, foreign.input), { code: 'PackageSignature' });
    const unsigned = await run(['one'], (rpms) => rm(join(rpms, 'repodata/repomd.xml.asc')));
    await assert.rejects(dnfComposer.resolve(step, unsigned.input), { code: 'PackageSignature' });
  });

  it('sees a changed repo at once, also with a warm cache', async () => {
    const { input, rpms } = await run(['one']);
    const first = await dnfComposer.resolve(step, input);
    const name = await buildPackage('two', '1.6');
    await rename(at('rpms', name), join(rpms, name));
    await signRpms(step, at('gnupg'), [join(rpms, name)]);
    await publishRepo(step, rpms, at('gnupg'));
    const second = await dnfComposer.resolve(step, input);
    assert.equal(second.packages.two?.evra, '1.6-1.noarch');
    assert.notEqual(second.metadata.rpmmd_repos.tiny?.repomd, first.metadata.rpmmd_repos.tiny?.repomd);
    // The lockfile of before still downloads: former packages stay in the repo.
    await dnfComposer.download(step, input, first);
  });

  it('accepts nothing from the cache when the keys changed', async () => {
    const { input } = await run(['one']);
    await dnfComposer.resolve(step, input);
    const [repo] = input.repos;
    assert.ok(repo);
    const other = { ...input, repos: [{ ...repo, gpgKeys: [at('other.asc')] }] };
    await assert.rejects(dnfComposer.resolve(step, other), { code: 'PackageSignature' });
  });

  it('refuses a package that is not signed, by its name, and one that changed', async () => {
    const { input } = await run(['one'], async (rpms) => {
      await step.run(['rpmsign', '--delsign', join(rpms, 'two-1.5-1.noarch.rpm')]);
      await publishRepo(step, rpms, at('gnupg'));
    });
    const lockfile = await dnfComposer.resolve(step, input);
    await assert.rejects(dnfComposer.download(step, input, lockfile), {
      code: 'PackageSignature',
      message: /two-1\.5-1\.noarch$/,
    });

    const { input: swapped, rpms } = await run(['two']);
    const locked = await dnfComposer.resolve(step, swapped);
    await appendFile(join(rpms, 'two-1.5-1.noarch.rpm'), 'x');
    await assert.rejects(dnfComposer.download(step, swapped, locked), { code: 'PackageChecksum' });
  });

  it('keeps the repo whole while it is published', async () => {
    const { input, rpms } = await run(['one']);
    const before = await readFile(join(rpms, 'repodata/repomd.xml'), 'utf8');
    await publishRepo(step, rpms, at('gnupg'));
    // What the former repomd.xml names is still there.
    for (const [, path] of before.matchAll(/href="([^"]+)"/g))
      assert.ok((await readFile(join(rpms, path ?? ''))).length > 0);
    await cp(join(rpms, 'repodata'), join(rpms, 'copy'), { recursive: true, dereference: true });
    assert.ok(await dnfComposer.resolve(step, input));
  });
});
