/** A small published site: one instance, one stream, two builds, about 200 packages, and hostile names among them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildMeta, type BuildMeta } from '../../src/domain/metadata.js';
import { outcomeOf } from '../../src/pages/facts.js';
import type { StreamFacts } from '../../src/pages/types.js';
import { writeInstance, writePages } from '../../src/pages/write.js';
import { hash, hostile, lockfileOf } from './packages.js';

export const older = '20261122_01';
export const newer = '20261123_01';

export const stream: StreamFacts = {
  name: 'sample',
  title: 'Sample & <b>friends</b>',
  description:
    'The embedded sample distribution: RPMs made from Debian packages, composed, booted and published here.',
  ref: 'sample/${arch}/standard',
  osname: 'sample',
  url: 'http://127.0.0.1:8470/buildlogs/sample/',
  home: '../../index.html',
};

function metaOf(id: string): BuildMeta {
  const file = (kind: string, extension: string) => `sample-${id}-${kind}.x86_64.${extension}`;
  const kernel = 'linux-image-6.1.0-41-amd64';
  const flaky = id === newer;
  return buildMeta.parse({
    name: 'sample',
    buildid: id,
    architecture: 'x86_64',
    ref: 'sample/x86_64/standard',
    'ostree-commit': hash(id),
    ...(flaky ? { 'ostree-parent': hash(older) } : {}),
    'ostree-version': id,
    'ostree-timestamp': flaky ? '2026-11-23T02:34:56Z' : '2026-11-22T02:31:40Z',
    images: {
      qcow2: {
        path: file('qcow2', 'qcow2'),
        sha256: hash('q'),
        size: 498_073_600,
        signature: `${file('qcow2', 'qcow2')}.sig`,
      },
      container: {
        path: file('container', 'ociarchive.gz'),
        sha256: hash('o'),
        size: 187_170_816,
        'uncompressed-sha256': hash('u'),
        'uncompressed-size': 601_882_624,
      },
    },
    ...(flaky
      ? {
          pkgdiff: [
            [
              kernel,
              2,
              {
                PreviousPackage: [kernel, '6.1.153-1', 'x86_64'],
                NewPackage: [kernel, '6.1.158-1', 'x86_64'],
              },
            ],
            [
              'openssl',
              2,
              {
                PreviousPackage: ['openssl', '3.0.17-1~deb12u2', 'x86_64'],
                NewPackage: ['openssl', '3.0.17-1~deb12u3', 'x86_64'],
              },
            ],
            [
              'jq',
              3,
              { PreviousPackage: ['jq', '1.7-1', 'x86_64'], NewPackage: ['jq', '1.6-2.1', 'x86_64'] },
            ],
            [hostile, 0, { NewPackage: [hostile, '1-1', 'noarch'] }],
            ['nano', 1, { PreviousPackage: ['nano', '7.2-1', 'x86_64'] }],
          ],
        }
      : {}),
    treeline: {
      'input-hash': hash('in'),
      'source-commit': 'cdb1e6b5f0c2a6f7d1c0a4b9e8d7c6b5a4938271-dirty',
      composer: 'dnf',
      key: 'C99E737D7BC92E56D61C12796231C6DFCC378F33',
      packages: Object.keys(lockfileOf(id === newer).packages).length,
      tests: {
        boot: {
          qcow2: flaky
            ? {
                outcome: 'flaky',
                attempts: [
                  {
                    passed: false,
                    seconds: 600,
                    accelerator: 'tcg',
                    reason: 'No login prompt within 10 min 00 s',
                    log: 'boot-qcow2-1.log',
                  },
                  {
                    passed: true,
                    seconds: 83.4,
                    accelerator: 'tcg',
                    remarks: ['KVM stopped the guest: KVM internal error. Suberror: 1'],
                    commit: hash(id),
                    log: 'boot-qcow2-2.log',
                  },
                ],
              }
            : {
                outcome: 'passed',
                attempts: [{ passed: true, seconds: 21, accelerator: 'kvm', log: 'boot-qcow2-1.log' }],
              },
        },
      },
      steps: [
        { name: 'resolve', seconds: 9.2 },
        { name: 'download', seconds: 31 },
        { name: 'compose', seconds: 212 },
        { name: 'commit', seconds: 48 },
        { name: 'image qcow2', seconds: 131 },
        { name: 'image container', seconds: 66 },
        { name: 'boot test qcow2', seconds: flaky ? 683 : 21 },
        { name: 'publish', seconds: 3.4 },
      ],
      lockfile: 'lockfile.json',
      checksums: 'sha256sum.txt.asc',
      logs: [
        'compose.log',
        'image-qcow2.log',
        'boot-qcow2-1.log',
        ...(flaky ? ['boot-qcow2-2.log'] : []),
        'a b+c%2b~:#?.log',
      ],
    },
  });
}

export const builds = [newer, older].map((id) => ({ meta: metaOf(id), lockfile: lockfileOf(id === newer) }));
export const [newest, first] = builds as [(typeof builds)[0], (typeof builds)[0]];

/** Writes the site into a folder of its own, pages by the production code; every file that a page links to exists. */
export async function makeSite(): Promise<{ root: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'treeline-pages-'));
  const dir = join(root, 'buildlogs/sample');
  const generated = '2026-11-23T02:50:00Z';
  for (const { meta, lockfile } of builds) {
    const build = join(dir, 'builds', meta.buildid, meta.architecture);
    await mkdir(join(build, 'logs'), { recursive: true });
    await writeFile(join(build, 'meta.json'), JSON.stringify(meta));
    await writeFile(join(build, 'lockfile.json'), JSON.stringify(lockfile));
    await writeFile(join(build, 'sha256sum.txt.asc'), '-----BEGIN PGP SIGNED MESSAGE-----\n');
    for (const image of Object.values(meta.images)) {
      await writeFile(join(build, image.path), 'image');
      if (image.signature) await writeFile(join(build, image.signature), 'signature');
    }
    for (const log of meta.treeline.logs)
      await writeFile(join(build, 'logs', log), `+ log of ${log}\nünïcode <b>\n`);
  }
  await writeFile(join(dir, 'builds.json'), '{}');
  await writeFile(join(dir, 'signing-key.asc'), '-----BEGIN PGP PUBLIC KEY BLOCK-----\n');
  await writePages(dir, {
    stream,
    generated,
    builds: builds.map(({ meta }) => [meta]),
    pages: [
      { ...newest, previous: older },
      { ...first, next: newer },
    ],
  });
  const latest = { id: newer, timestamp: newest.meta['ostree-timestamp'], outcome: outcomeOf(newest.meta) };
  await writeInstance(root, {
    generated,
    streams: [
      {
        name: 'sample',
        title: stream.title,
        description: stream.description,
        url: 'buildlogs/sample/index.html',
        latest,
      },
      {
        name: 'atomic-host',
        title: 'CentOS Atomic Host',
        description: hostile,
        url: 'buildlogs/atomic-host/index.html',
      },
    ],
  });
  return { root, remove: () => rm(root, { recursive: true, force: true }) };
}
