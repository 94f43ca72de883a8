/** `bin/setup` where it cannot install: it lists what is missing and leaves nothing half-done. */
import assert from 'node:assert/strict';
import { execa } from 'execa';
import { appendFile, chmod, cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../src/settings.js';

describe('bin/setup', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'treeline-setup-'));
    await chmod(folder, 0o777);
    await mkdir(join(folder, 'bin'));
    await cp(join(packageRoot, 'bin/setup'), join(folder, 'bin/setup'));
    await cp(join(packageRoot, 'debian-packages'), join(folder, 'debian-packages'), { recursive: true });
    await appendFile(join(folder, 'debian-packages/run'), 'treeline-no-such-package\n');
  });
  after(() => rm(folder, { recursive: true }));

  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const tools = ['uname', 'dirname', 'node', 'dpkg-query', 'grep', 'id'];

  it('without root: names the packages that are missing, and only those', async () => {
    const { exitCode, stderr, stdout } = await execa('setpriv', [...nobody, join(folder, 'bin/setup')], {
      reject: false,
    });
    assert.equal(exitCode, 1);
    assert.equal(
      stderr,
      'setup: not root. Have these Debian packages installed, then run this again: treeline-no-such-package',
    );
    assert.equal(stdout, '');
    assert.deepEqual((await readdir(folder)).sort(), ['bin', 'debian-packages']);
  });

  it('without a package manager: says what corresponds to what', async () => {
    const path = join(folder, 'path');
    await mkdir(path);
    for (const tool of ['bash', 'env', ...tools]) {
      const { stdout } = await execa('which', [tool]);
      await execa('ln', ['-s', stdout, join(path, tool)]);
    }
    const { exitCode, stderr } = await execa(join(folder, 'bin/setup'), {
      env: { PATH: path },
      extendEnv: false,
      reject: false,
    });
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /no apt-get here\. Install what corresponds to these Debian packages: treeline-no-such-package/,
    );
  });

  it('with root: a package that cannot be had ends it before anything else is made', async () => {
    const { exitCode } = await execa(join(folder, 'bin/setup'), { reject: false });
    assert.notEqual(exitCode, 0);
    assert.deepEqual((await readdir(folder)).sort(), ['bin', 'debian-packages', 'path']);
  });

  it('says that a long command still runs, and holds no output open after its end', async () => {
    const bin = join(folder, 'tools');
    await mkdir(bin);
    // The package manager takes its time, and fails.
    await writeFile(join(bin, 'apt-get'), '#!/bin/sh\nsleep 3\necho "E: no network" >&2\nexit 100\n');
    await chmod(join(bin, 'apt-get'), 0o755);
    const began = Date.now();
    const { exitCode, stdout, stderr } = await execa(join(folder, 'bin/setup'), {
      env: { PATH: `${bin}:${process.env.PATH ?? ''}`, TREELINE_SETUP_TICK: '1' },
      reject: false,
    });
    assert.equal(exitCode, 100);
    assert.match(stdout, /(?: {4}still running: apt-get -qq update \(\d s\)(\n|$)){2}/);
    assert.equal(stderr, 'E: no network');
    assert.ok(Date.now() - began < 30_000);
  });
});
