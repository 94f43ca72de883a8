import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { imageKinds } from '../../src/images/index.js';
import { GiB, MiB } from '../../src/images/disk.js';
import type { ImageKind } from '../../src/images/kind.js';
import { makeTiny, type Tiny } from './tiny.js';

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');
const kindOf = (name: string): ImageKind => imageKinds[name] ?? assert.fail(`no kind ${name}`);

describe('image kinds', function () {
  let tiny: Tiny;
  before(async () => (tiny = await makeTiny({ ballast: MiB })));
  after(() => tiny.remove());

  const build = (name: string, options: object = {}) => {
    const kind = kindOf(name);
    return kind.build(tiny.step, tiny.input, kind.options.parse(options));
  };
  const info = async (file: string) => {
    await tiny.step.run(['qemu-img', 'check', '-q', file]);
    const { stdout } = await tiny.step.run(['qemu-img', 'info', '--output=json', file]);
    return JSON.parse(stdout) as {
      format: string;
      'virtual-size': number;
      'format-specific': { data: { 'compression-type': string } };
    };
  };

  it('are listed under their own names', () =>
    assert.deepEqual(
      Object.entries(imageKinds).map(([name, { kind }]) => [name, kind]),
      [
        ['qcow2', 'qcow2'],
        ['vagrant-libvirt', 'vagrant-libvirt'],
      ],
    ));

  it('refuse unknown options', () =>
    assert.equal(kindOf('qcow2').options.safeParse({ compressed: true }).success, false));

  it('qcow2: a sound disk of the size that was asked for, compressed or not', async () => {
    const file = join(tiny.input.out, 'tiny-20261123_01.x86_64.qcow2');
    const typeOf = async () => (await info(file))['format-specific'].data['compression-type'];
    const plain = await build('qcow2', { compression: 'none' });
    const zlib = await build('qcow2', { compression: 'zlib' });
    assert.equal(await typeOf(), 'zlib');
    const made = await build('qcow2');
    assert.equal(await typeOf(), 'zstd');
    for (const { size } of [zlib, made]) assert.ok(size < plain.size, `${size} is less than ${plain.size}`);
    assert.equal(made.path, 'tiny-20261123_01.x86_64.qcow2');
    assert.equal(made.sha256, sha256(await readFile(file)));
    assert.deepEqual(
      [(await info(file)).format, (await info(file))['virtual-size']],
      ['qcow2', tiny.input.size],
    );
    assert.deepEqual(tiny.seen.at(-1), { done: made.size, total: made.size, unit: 'bytes' });
  });

  it('vagrant-libvirt: a box with metadata, Vagrantfile and disk', async () => {
    const made = await build('vagrant-libvirt', { memory: 2048 });
    const file = join(tiny.input.out, made.path);
    const [box, tar] = [await readFile(file), gunzipSync(await readFile(file))];
    assert.deepEqual([made.sha256, made.size], [sha256(box), (await stat(file)).size]);
    assert.deepEqual([made.uncompressedSha256, made.uncompressedSize], [sha256(tar), tar.length]);
    const { stdout: names } = await tiny.step.run(['tar', '-tzf', file]);
    assert.deepEqual(names.trim().split('\n'), ['metadata.json', 'Vagrantfile', 'box.img']);
    const { stdout: metadata } = await tiny.step.run(['tar', '-xzOf', file, 'metadata.json']);
    const virtual_size = Math.ceil(tiny.input.size / GiB);
    assert.deepEqual(JSON.parse(metadata), { provider: 'libvirt', format: 'qcow2', virtual_size });
    const { stdout: vagrantfile } = await tiny.step.run(['tar', '-xzOf', file, 'Vagrantfile']);
    assert.match(vagrantfile, /libvirt\.memory = 2048/);

    const disk = await kindOf('vagrant-libvirt').bootDisk(tiny.step, file, tiny.input.work);
    assert.equal((await info(disk.path))['virtual-size'], tiny.input.size);
  });

  it('vagrant-libvirt: the user is in the deployment, under the next free id', async () => {
    const made = await build('vagrant-libvirt');
    const disk = await kindOf('vagrant-libvirt').bootDisk(
      tiny.step,
      join(tiny.input.out, made.path),
      tiny.input.work,
    );
    const raw = join(tiny.input.work, 'look.raw');
    await tiny.step.run(['qemu-img', 'convert', '-O', 'raw', disk.path, raw]);
    const os = '/ostree/deploy/tiny';
    const debugfs = async (request: string) =>
      (await tiny.step.run(['debugfs', '-R', request, `${raw}?offset=${MiB}`])).stdout;
    const etc = `${os}/deploy/${tiny.input.commit}.0/etc`;
    assert.match(
      await debugfs(`cat ${etc}/passwd`),
      /\/bin\/bash\nvagrant:x:1001:1001::\/var\/home\/vagrant:\/bin\/bash\n$/,
    );
    assert.match(await debugfs(`cat ${etc}/sudoers.d/vagrant`), /^vagrant ALL=\(ALL\) NOPASSWD: ALL$/m);
    assert.match(await debugfs(`stat ${etc}/sudoers.d/vagrant`), /Mode: +0440/);
    const keys = `${os}/var/home/vagrant/.ssh/authorized_keys`;
    assert.match(await debugfs(`cat ${keys}`), /^ssh-rsa .* vagrant insecure public key\nssh-ed25519 /);
    assert.match(await debugfs(`stat ${keys}`), /Mode: +0600[^]*User: +1001 +Group: +1001/);
  });

  it('vagrant-libvirt: needs sudo in the commit', async () => {
    const bare = await makeTiny({ sudo: false });
    const kind = kindOf('vagrant-libvirt');
    await assert.rejects(kind.build(bare.step, bare.input, kind.options.parse({})), {
      code: 'ImageFailed',
      message: /no \/usr\/bin\/sudo/,
    });
    await bare.remove();
  });

  it('leave only whole results', async () =>
    assert.deepEqual((await readdir(tiny.input.out)).sort(), [
      'tiny-20261123_01.x86_64.box',
      'tiny-20261123_01.x86_64.qcow2',
    ]));
});
