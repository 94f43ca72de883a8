import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { parse } from 'yaml';
import { repoFile } from '../../src/composers/rpm-ostree/repo-files.js';
import { refOf, streamSchema } from '../../src/domain/stream.js';

const streams = new URL('../../../streams/', import.meta.url);

/** Keys that rpm-ostree 2023.4 knows; it refuses any other. */
const known = [
  'ref',
  'releasever',
  'repos',
  'selinux',
  'documentation',
  'install-langs',
  'boot-location',
  'rpmdb-normalize',
  'mutate-os-release',
  'initramfs-args',
  'postprocess-script',
  'default-target',
  'units',
  'etc-group-members',
  'ignore-removed-users',
  'ignore-removed-groups',
  'check-passwd',
  'check-groups',
  'packages',
  'packages-x86_64',
  'remove-from-packages',
];

for (const name of ['projectatomic', 'atomic-host'])
  describe(`stream ${name}`, () => {
    const file = (path: string) => new URL(`${name}/${path}`, streams);
    const text = (path: string) => readFile(file(path), 'utf8');
    const stream = async () => streamSchema.parse(parse(await text('stream.yaml')));
    const treefile = async () =>
      parse(await text((await stream()).treefile)) as Record<string, unknown> & { packages: string[] };

    it('follows the schema', async () => {
      assert.match(
        await text('stream.yaml'),
        /^# yaml-language-server: \$schema=\.\.\/stream\.schema\.json\n/,
      );
      const { composer, bootTest, name: own } = await stream();
      assert.deepEqual([own, composer, bootTest.probe], [name, 'rpm-ostree', 'cloud-init']);
    });

    it('has a treefile that agrees with it', async () => {
      const { ref, releasever, repos } = await treefile();
      const declared = await stream();
      assert.equal(String(ref).replaceAll('${basearch}', 'x86_64'), refOf(declared, 'x86_64'));
      assert.equal(releasever, declared.releasever);
      assert.deepEqual(
        repos,
        declared.repos.map(({ id }) => id),
      );
    });

    it('has a treefile of known keys, each package once, its script beside it', async () => {
      const tree = await treefile();
      assert.deepEqual(
        Object.keys(tree).filter((key) => !known.includes(key)),
        [],
      );
      assert.equal(new Set(tree.packages).size, tree.packages.length);
      assert.ok((await stat(file(String(tree['postprocess-script'])))).mode & 0o100);
    });

    it('has repos that rpm-ostree can verify', async () => {
      for (const repo of (await stream()).repos) assert.match(repoFile(repo), /^gpgcheck=1$/m);
    });
  });
