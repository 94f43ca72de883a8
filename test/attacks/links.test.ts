/** Links that a package lays in a tree, for whoever edits the tree from outside as root: they lead nowhere but in the tree. */
import assert from 'node:assert/strict';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../src/domain/failures.js';
import { customisation, customise } from '../../src/images/customise.js';
import { TinyTree } from '../composers/tiny-tree.js';

const canary = 'canary:x:4711:4711::/:/bin/sh\n';

/** A folder of the host with files of all names that a tree's edits may look for. */
async function makeHost(folder: string): Promise<void> {
  const names = ['machine-id', 'passwd', 'group', 'shadow', 'gshadow', 'vmlinuz', 'initramfs.img', 'passwd-'];
  for (const place of ['.', 'etc', '6.1.0', 'home', 'lib/tmpfiles.d', 'sudoers.d']) {
    await mkdir(join(folder, place), { recursive: true });
    for (const name of [...names, '00-treeline-var.conf', 'file'])
      await writeFile(join(folder, place, name), canary, { mode: 0o640 });
  }
}

/** All that is in it: names, kinds, modes, owners, times and contents. */
async function snapshot(folder: string): Promise<string[]> {
  const lines: string[] = [];
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const info = await lstat(join(folder, name));
    const text = info.isFile() ? await readFile(join(folder, name), 'utf8') : '';
    lines.push([name, info.mode, info.uid, info.gid, info.mtimeMs, info.ctimeMs, text].join(' '));
  }
  return lines;
}

describe('links that a package lays', function () {
  let tiny: TinyTree;
  let host: string;
  before(async () => {
    tiny = await TinyTree.make();
    host = join(tiny.folder, 'host');
    await makeHost(host);
  });
  after(() => tiny.remove());

  /** Path in the tree, and where a link there leads: below the host's folder. */
  const traps: readonly (readonly [string, string])[] = [
    ['/etc', ''],
    ['/etc', '/etc'],
    ['/etc/machine-id', '/machine-id'],
    ['/etc/passwd', '/passwd'],
    ['/etc/group', '/group'],
    ['/etc/passwd-', '/passwd-'],
    ['/var', ''],
    ['/var/opt', '/home'],
    ['/var/usrlocal', '/home'],
    ['/var/home', '/home'],
    ['/opt', '/home'],
    ['/home', '/home'],
    ['/srv', ''],
    ['/root', ''],
    ['/mnt', ''],
    ['/usr/local', '/home'],
    ['/usr/etc', '/etc'],
    ['/usr/lib/tmpfiles.d', ''],
    ['/usr/lib/tmpfiles.d', '/lib/tmpfiles.d'],
    ['/usr/lib/tmpfiles.d/00-treeline-var.conf', '/00-treeline-var.conf'],
    ['/usr/lib/passwd', '/passwd'],
    ['/usr/lib/modules', ''],
    ['/usr/lib/modules/6.1.0', '/6.1.0'],
    ['/usr/lib/modules/6.1.0/vmlinuz', '/vmlinuz'],
    ['/usr/lib/modules/6.1.0/initramfs.img', '/initramfs.img'],
    ['/usr/share/rpm', ''],
    ['/usr/share/rpm/rpmdb.sqlite-wal', '/file'],
    ['/usr/share', ''],
    ['/usr/lib', '/lib'],
    ['/boot', ''],
    ['/sysroot', ''],
    ['/ostree', ''],
  ];
  // By turns absolute and relative.
  for (const [place, [path, to]] of traps.entries()) {
    const up = place % 2 === 0 ? '' : '../../../../../../../..';
    it(`${path} → ${up}…${to}: the host stays as it is, and the tree has nothing of it`, async () => {
      const before = await snapshot(host);
      const lay = `rm -rf ${path}; mkdir -p $(echo ${path} | sed 's,/[^/]*$,,')/; ln -s ${up}${host}${to} ${path}`;
      const composed = await tiny
        .compose([], { treefile: `postprocess: ${JSON.stringify([lay])}` })
        .catch((error: unknown) => error);
      assert.deepEqual(await snapshot(host), before);
      if (composed instanceof Failure) {
        assert.ok(
          ['ComposeFailed', 'PostprocessFailed', 'CommandFailed'].includes(composed.code),
          composed.code,
        );
        assert.doesNotMatch(composed.message, /canary/);
        return;
      }
      if (composed instanceof Error) throw composed;
      const { tree, input } = composed as Awaited<ReturnType<TinyTree['compose']>>;
      const found = await tiny.step.run(['grep', '-rl', 'canary', tree], { okCodes: [0, 1] });
      assert.equal(found.stdout, '');
      await rm(input.work, { recursive: true });
    });
  }

  for (const [path, kind] of [
    ['/etc/passwd', 'FIFO'],
    ['/usr/lib/group', 'FIFO'],
    ['/etc/machine-id', 'folder'],
  ] as const)
    it(`${path} that is a ${kind} keeps nobody waiting`, async () => {
      const lay = kind === 'FIFO' ? `rm -f ${path}; mkfifo ${path}` : `rm -f ${path}; mkdir -p ${path}/x`;
      const outcome = await tiny
        .compose([], { treefile: `postprocess: ${JSON.stringify([lay])}` })
        .catch((error: unknown) => error);
      if (outcome instanceof Error) {
        assert.ok(outcome instanceof Failure, String(outcome));
        assert.equal(outcome.code, 'ComposeFailed');
      }
    });

  describe('in a deployment that an image customises', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'treeline-customise-'));
      await makeHost(join(folder, 'host'));
      await mkdir(join(folder, 'deployment/etc'), { recursive: true });
      await mkdir(join(folder, 'var'));
      for (const file of ['passwd', 'group', 'shadow'])
        await writeFile(join(folder, 'deployment/etc', file), 'root:x:0:0:::\n');
    });
    afterEach(() => rm(folder, { recursive: true, force: true }));
    const spec = customisation.parse({
      files: [{ path: '/etc/sudoers.d/box', mode: 0o440, text: 'box\n' }],
      user: { name: 'box', authorizedKeys: ['key'] },
    });

    for (const name of ['passwd', 'group', 'shadow', 'gshadow', 'sudoers.d', 'sudoers.d/box'])
      for (const up of ['', '../../../../../../../..'])
        it(`etc/${name} → ${up}…`, async () => {
          const [host, deployment] = [join(folder, 'host'), join(folder, 'deployment')];
          const before = await snapshot(host);
          const place = join(deployment, 'etc', name);
          await rm(place, { recursive: true, force: true });
          await mkdir(join(place, '..'), { recursive: true });
          await symlink(`${up}${join(host, name === 'sudoers.d/box' ? 'file' : name)}`, place);
          const outcome = await customise(deployment, join(folder, 'var'), spec).catch(
            (error: unknown) => error,
          );
          assert.ok(
            outcome === undefined ||
              outcome instanceof Failure ||
              (outcome as { code?: string }).code === 'ENOENT',
            String(outcome),
          );
          assert.deepEqual(await snapshot(host), before);
        });
  });
});
