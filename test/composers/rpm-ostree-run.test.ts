import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { rpmOstreeComposer as composer } from '../../src/composers/rpm-ostree/index.js';
import type { CommitInput, ComposeInput } from '../../src/composers/composer.js';
import { createStep } from '../../src/steps/run.js';
import type { Progress } from '../../src/steps/step.js';

const folder = new URL('../../../test/recorded/rpm-ostree/', import.meta.url);
const recorded = (name: string) => readFile(new URL(name, folder), 'utf8');

interface Call {
  kind: 'help' | 'print' | 'resolve' | 'download' | 'commit';
  argv: string[];
  SOURCE_DATE_EPOCH?: string;
  TMPDIR?: string;
}

const first = { commit: '7ae41ea97317aac056d765b634a7800e6961fce0e738d68c9d41062bed5205d1', version: '1' };
const second = { commit: '648753e3c580ba655e891f59add07eaa5ed02c163bb6e992716e11ff4284a9d8', version: '1.1' };

describe('rpm-ostree composer: replayed runs', function () {
  // Some ten short processes a test, on a machine that does other work too.
  let root: string;
  let input: ComposeInput;
  let log: PassThrough;
  let seen: Progress[];
  const at = (...names: string[]) => join(root, ...names);

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'treeline-rpm-ostree-'));
    for (const name of ['bin', 'stream', 'work', 'cache', 'repo']) await mkdir(at(name));
    const quoted = [process.execPath, fileURLToPath(new URL('replay.mjs', folder)), at('bin')].map(
      (word) => `'${word}'`,
    );
    await writeFile(at('bin', 'rpm-ostree'), `#!/bin/sh\nexec ${quoted.join(' ')} "$@"\n`);
    await chmod(at('bin', 'rpm-ostree'), 0o755);
    await plan({});
    await writeFile(at('stream', 't.yaml'), await recorded('t.yaml'));
    await writeFile(at('stream', 'left-behind.repo'), '[left-behind]\nbaseurl=http://127.0.0.1:1/\n');
    await writeFile(at('key.asc'), '-----BEGIN PGP PUBLIC KEY BLOCK-----\n');
    const fixture = {
      id: 'fixture',
      baseurl: 'http://127.0.0.1:8799/rpms2',
      gpgKeys: [at('key.asc')],
      metadataSigned: false,
    };
    input = {
      treefile: at('stream', 't.yaml'),
      arch: 'x86_64',
      releasever: '1',
      repos: [fixture],
      work: at('work'),
      cache: at('cache'),
      repo: at('repo'),
    };
    log = new PassThrough({ highWaterMark: 2 ** 22 });
    seen = [];
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const plan = (
    changed: Partial<Record<Call['kind'], string>> & { exitCodes?: Partial<Record<Call['kind'], number>> },
  ) =>
    writeFile(
      at('bin', 'plan.json'),
      JSON.stringify({
        help: 'help-compose-tree',
        print: '01-print-only',
        resolve: '10-first-compose',
        download: '10-first-compose',
        commit: '10-first-compose',
        ...changed,
      }),
    );
  const step = () =>
    createStep({
      signal: new AbortController().signal,
      log,
      path: `${at('bin')}:${process.env['PATH'] ?? ''}`,
      home: root,
      contain: false,
      onProgress: (progress) => void seen.push(progress),
    });
  const calls = async () =>
    (await readFile(at('bin', 'calls.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Call);
  const callOf = async (kind: Call['kind']) =>
    (await calls()).findLast((call) => call.kind === kind) ?? assert.fail(`no ${kind}`);
  const commitInput = (made: { version: string }, parent?: string): CommitInput => ({
    ref: 'fixture/x86_64/rpmostree',
    version: made.version,
    parent,
    metadata: { 'treeline.stream': 'fixture' },
    timestamp: 1_795_434_092,
  });
  const upToCompose = async () => {
    const lockfile = await composer.resolve(step(), input);
    await composer.download(step(), input, lockfile);
    await composer.compose(step(), input, lockfile, undefined);
    return lockfile;
  };
  const cacheFolder = async () =>
    at('cache', (await readdir(at('cache'))).find((name) => /^rpm-ostree-[0-9a-f]{16}$/.test(name)) ?? '');

  it('makes a first commit', async () => {
    const lockfile = await upToCompose();
    assert.equal(Object.keys(lockfile.packages).length, 163);
    assert.equal(lockfile.packages['zlib1g']?.repo, 'fixture');
    assert.equal(await composer.commit(step(), input, commitInput(first)), first.commit);

    const { argv, SOURCE_DATE_EPOCH, TMPDIR } = await callOf('commit');
    assert.ok(
      argv.includes('--no-parent') && argv.includes('--cache-only') && argv.includes('--ex-lockfile-strict'),
    );
    assert.ok(
      argv.includes('--add-metadata-string=version=1') &&
        argv.includes('--add-metadata-string=treeline.stream=fixture'),
    );
    assert.ok(!argv.some((word) => /^--(parent|previous-commit)=/.test(word)));
    assert.equal(SOURCE_DATE_EPOCH, '1795434092');
    assert.equal(TMPDIR, at('work', 'rpm-ostree-tmp'));
    assert.deepEqual(
      JSON.parse(await readFile(at('work', 'lockfile.json'), 'utf8')),
      JSON.parse(await recorded('10-first-compose.lockfile.json')),
    );
    assert.deepEqual(seen.at(-1), { done: 163, total: 163, unit: 'packages' });
  });

  it('hands rpm-ostree the stream’s repos and no others', async () => {
    await composer.resolve(step(), input);
    const files = await readdir(at('work', 'treefile'));
    assert.deepEqual(files.sort(), ['fixture.repo', 't.yaml']);
    assert.match(await readFile(at('work', 'treefile', 'fixture.repo'), 'utf8'), /^gpgcheck=1$/m);
    assert.equal((await callOf('resolve')).argv.at(-1), at('work', 'treefile', 't.yaml'));
  });

  it('composes from the treefile that was resolved', async () => {
    await upToCompose();
    await writeFile(at('stream', 't.yaml'), 'changed: meanwhile\n');
    await composer.commit(step(), input, commitInput(first));
    assert.equal(await readFile(at('work', 'treefile', 't.yaml'), 'utf8'), await recorded('t.yaml'));
  });

  it('resolves without a change', async () => {
    await plan({ resolve: '11-no-change' });
    const unchanged = await composer.resolve(step(), input);
    await plan({});
    assert.deepEqual(unchanged, await composer.resolve(step(), input));
  });

  it('makes a commit with one change on its parent', async () => {
    await upToCompose();
    await composer.commit(step(), input, commitInput(first));
    await plan({ resolve: '14-one-change', download: '14-one-change', commit: '14-one-change' });
    const lockfile = await upToCompose();
    assert.equal(lockfile.packages['netbase']?.evra, '6.4+fx2-0.noarch');
    assert.equal(await composer.commit(step(), input, commitInput(second, first.commit)), second.commit);
    const { argv } = await callOf('commit');
    assert.ok(
      argv.includes(`--parent=${first.commit}`) &&
        argv.includes(`--previous-commit=${first.commit}`) &&
        !argv.includes('--no-parent'),
    );
  });

  it('answers the commit of an earlier try, and makes another from other inputs', async () => {
    await upToCompose();
    const id = await composer.commit(step(), input, commitInput(first));
    assert.equal(await composer.commit(step(), input, commitInput(first)), id);
    assert.equal((await calls()).filter(({ kind }) => kind === 'commit').length, 1);
    await rm(at('repo', 'objects'), { recursive: true });
    assert.equal(await composer.commit(step(), input, commitInput(first)), id);
    assert.equal((await calls()).filter(({ kind }) => kind === 'commit').length, 2);
    await plan({ commit: '14-one-change' });
    assert.equal(await composer.commit(step(), input, commitInput(second)), second.commit);
  });

  it('takes 100 KB of standard error, and keeps all of it in the log', async () => {
    await upToCompose();
    await plan({ commit: '41-force-nocache-commitid' });
    assert.match(await composer.commit(step(), input, commitInput({ version: '9.9' })), /^c1f2a18a/);
    log.end();
    assert.ok((await text(log)).includes(await recorded('41-force-nocache-commitid.stderr')));
  });

  it('fails where rpm-ostree ends well without a commit, or with another version', async () => {
    await upToCompose();
    await plan({ commit: '11-no-change' });
    await assert.rejects(composer.commit(step(), input, commitInput(first)), {
      code: 'ComposeFailed',
      message: /made no commit/,
    });
    await plan({});
    await assert.rejects(composer.commit(step(), input, commitInput({ version: '20261123_01' })), {
      code: 'CommitInvalid',
      message: /version 1 instead of 20261123_01/,
    });
  });

  for (const [recording, code, message] of [
    ['20-missing-package', 'PackageNotFound', /no-such-package/],
    ['25-repo-down', 'RepoUnreachable', /Couldn't connect/],
    ['51-depsolve-missing-dep', 'DepsolveFailed', /nothing provides libtinfo6/],
  ] as const)
    it(`resolve: ${recording}`, async () => {
      await plan({ resolve: recording });
      await assert.rejects(composer.resolve(step(), input), { code, message });
    });

  for (const [recording, code] of [
    ['21-wrong-gpg-key', 'PackageSignature'],
    ['23-corrupt-package', 'PackageChecksum'],
    ['38d-lockfile-gone', 'RepoChanged'],
  ] as const)
    it(`download: ${recording}`, async () => {
      const lockfile = await composer.resolve(step(), input);
      await plan({ download: recording });
      await assert.rejects(composer.download(step(), input, lockfile), { code });
    });

  it('is tried again where rpm-ostree was killed or panicked', async () => {
    for (const [code, signal] of [
      [134, 'SIGABRT'],
      [143, 'SIGTERM'],
    ] as const) {
      await plan({ exitCodes: { resolve: code } });
      await assert.rejects(composer.resolve(step(), input), {
        code: 'CommandKilled',
        message: `rpm-ostree was killed by ${signal}`,
      });
    }
  });

  it('checks what rpm-ostree lets pass', async () => {
    await upToCompose();
    const other = { ...commitInput(first), ref: 'fixture/x86_64/other' };
    await assert.rejects(composer.commit(step(), input, other), { code: 'StreamInvalid', message: /`ref`/ });
    await assert.rejects(composer.commit(step(), input, commitInput(second, first.commit)), {
      code: 'CommitInvalid',
      message: /not in the staging repo/,
    });
    await assert.rejects(composer.resolve(step(), { ...input, arch: 'aarch64' }), {
      code: 'StreamInvalid',
      message: /x86_64/,
    });
    await assert.rejects(composer.resolve(step(), { ...input, releasever: '2' }), {
      code: 'StreamInvalid',
      message: /releasever/,
    });
    const [fixture] = input.repos;
    assert.ok(fixture);
    await assert.rejects(composer.resolve(step(), { ...input, repos: [{ ...fixture, id: 'other' }] }), {
      code: 'StreamInvalid',
      message: /names fixture/,
    });
    await plan({ help: 'version' });
    await assert.rejects(composer.resolve(step(), input), {
      code: 'ToolMissing',
      message: /--ex-lockfile-strict/,
    });
  });

  it('has a fresh cache for another key, drops one that is long unused, and sweeps up after a killed run', async () => {
    await composer.resolve(step(), input);
    const [own, old] = [await cacheFolder(), at('cache', 'rpm-ostree-0123456789abcdef')];
    await mkdir(join(own, 'rpm-ostree-compose.AbCdEf'));
    await writeFile(at('work', 'rpm-ostree-tmp', 'left'), '');
    await mkdir(old);
    const past = spawn('touch', ['--date=60 days ago', old]);
    await once(past, 'exit');
    await composer.resolve(step(), input);
    assert.deepEqual(await readdir(own), []);
    assert.deepEqual(await readdir(at('work', 'rpm-ostree-tmp')), []);
    await assert.rejects(stat(old));

    await writeFile(at('key.asc'), '-----BEGIN PGP PUBLIC KEY BLOCK-----\nanother\n');
    await composer.resolve(step(), input);
    const folders = (await readdir(at('cache'), { withFileTypes: true })).filter((entry) =>
      entry.isDirectory(),
    );
    assert.equal(folders.length, 2);
  });

  it('waits its turn where another run has the cache', async () => {
    await composer.resolve(step(), input);
    const holder = spawn('flock', [
      '--no-fork',
      `${await cacheFolder()}.lock`,
      'sh',
      '-c',
      'echo held; exec sleep 60',
    ]);
    await once(holder.stdout, 'data');
    try {
      await assert.rejects(composer.resolve(step(), input), { code: 'Busy' });
    } finally {
      holder.kill();
      await once(holder, 'exit');
    }
    await composer.resolve(step(), input);
  });

  it('keeps the metadata that was resolved from, with the digest of each repomd.xml', async () => {
    await composer.resolve(step(), input);
    const repodata = join(await cacheFolder(), 'cache', 'repomd', 'fixture-1-x86_64', 'repodata');
    await mkdir(repodata, { recursive: true });
    await writeFile(join(repodata, 'repomd.xml'), 'abc');
    const { metadata } = await composer.resolve(step(), input);
    assert.equal(
      metadata.rpmmd_repos['fixture']?.repomd,
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    assert.equal(await readFile(at('work', 'metadata', 'fixture', 'repodata', 'repomd.xml'), 'utf8'), 'abc');
  });
});
