import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskSpec, makeDisk, MiB } from '../../src/images/disk.js';
import { makeTiny, type Tiny } from './tiny.js';

const valid = {
  arch: 'x86_64',
  disk: '/w/disk.raw',
  work: '/w',
  size: 512 * MiB,
  repo: '/repo',
  commit: 'a'.repeat(64),
  ref: 'os/x86_64/base',
  remote: 'base',
  osname: 'base',
  kargs: ['rw'],
  customise: {},
};

describe('disk specification', () => {
  it('takes a valid one', () => assert.equal(diskSpec.parse(valid).customise.files.length, 0));

  const mistakes: Record<string, object> = {
    'an unknown key': { ...valid, label: 'x' },
    'another architecture': { ...valid, arch: 'aarch64' },
    'a relative path': { ...valid, work: 'w' },
    'a size that is no number of MiB': { ...valid, size: 512 * MiB + 512 },
    'a ref for a commit': { ...valid, commit: 'os/x86_64/base' },
    'an option for a ref': { ...valid, ref: '--help' },
    'a file outside of /etc': { ...valid, customise: { files: [{ path: '/usr/x', mode: 0o644, text: '' }] } },
    'a path that climbs': {
      ...valid,
      customise: { files: [{ path: '/etc/../usr/x', mode: 0o644, text: '' }] },
    },
    'a second line in a key': { ...valid, customise: { user: { name: 'a', authorizedKeys: ['k\nk'] } } },
  };
  for (const [name, spec] of Object.entries(mistakes))
    it(`refuses ${name}`, () => assert.equal(diskSpec.safeParse(spec).success, false));
});

describe('makeDisk', function () {
  let tiny: Tiny;
  before(async () => (tiny = await makeTiny({ ballast: 80 * MiB })));
  after(() => tiny.remove());

  it('leaves nothing behind when its worker is killed, and a second try succeeds', async () => {
    const script = `
      const { makeDisk } = await import(${JSON.stringify(new URL('../../src/images/disk.js', import.meta.url))});
      const { createStep } = await import(${JSON.stringify(new URL('../../src/steps/run.js', import.meta.url))});
      const host = { signal: new AbortController().signal, log: process.stdout, path: process.env.PATH, home: '/' };
      await makeDisk(createStep(host), ${JSON.stringify(tiny.input)});`;
    const worker = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'ignore' });
    const exited = once(worker, 'exit');
    while ((await loopsOf(tiny.folder)).length === 0) {
      assert.equal(worker.exitCode, null, 'the worker ended before it was to be killed');
      await sleep(2);
    }
    assert.notEqual((await processesOf(tiny.input.work)).length, 0);
    worker.kill('SIGKILL');
    await exited;
    for (let tries = 0; tries < 50 && (await remains(tiny)).length > 0; tries++) await sleep(100);
    assert.deepEqual(await remains(tiny), []);
    assert.deepEqual(
      (await readdir(tiny.input.work)).filter((name) => name.endsWith('.raw')),
      [],
    );

    const disk = await makeDisk(tiny.step, tiny.input);
    const { stdout } = await tiny.step.run(['sfdisk', '--dump', disk]);
    assert.match(stdout, /label: gpt/);
    assert.match(stdout, /type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709.*LegacyBIOSBootable/);
    await tiny.step.run(['e2fsck', '-fn', `${disk}?offset=${MiB}`]);
    assert.equal(await makeDisk(tiny.step, tiny.input), disk, 'a whole disk is used again');
    assert.deepEqual(await remains(tiny), []);
  });

  it('says the sizes when the commit does not fit', async () => {
    await assert.rejects(makeDisk(tiny.step, { ...tiny.input, size: 64 * MiB }), {
      code: 'ImageFailed',
      message: /\(81 MiB\) do not fit: a disk of 64 MiB has a root of \d+ MiB/,
    });
    assert.deepEqual(await remains(tiny), []);
  });

  it('refuses a title that systemd would read as a run level', async () => {
    const odd = await makeTiny({ title: 'Tiny 1' });
    await assert.rejects(makeDisk(odd.step, odd.input), {
      code: 'ImageFailed',
      message: /the word `1` for a run level/,
    });
    await odd.remove();
  });

  it('refuses what the disk program refuses, by name', async () => {
    await assert.rejects(makeDisk(tiny.step, { ...tiny.input, arch: 'aarch64' }), {
      code: 'ImageFailed',
      message: /arch: disk images are made for x86_64 only/,
    });
  });
});

/** What must be gone: mounts, loop devices and processes that name the folder. */
async function remains({ folder }: Tiny): Promise<string[]> {
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').filter((line) => line.includes(folder));
  return [...mounts, ...(await loopsOf(folder)), ...(await processesOf(folder))];
}

async function loopsOf(folder: string): Promise<string[]> {
  const devices = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const files = devices.map((name) =>
    readFile(join('/sys/block', name, 'loop/backing_file'), 'utf8').catch(() => ''),
  );
  return (await Promise.all(files)).filter((file) => file.includes(folder));
}

/** Processes that were told of the folder or work in it. */
async function processesOf(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const lines = ids.map(async (id) => {
    const told = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    const works = await readlink(`/proc/${id}/cwd`).catch(() => '');
    return `${id}: ${told.replaceAll('\0', ' ')} in ${works}`;
  });
  return (await Promise.all(lines)).filter((line) => line.includes(folder));
}
