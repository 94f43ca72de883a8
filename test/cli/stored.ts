/** Published builds as the command line finds them in the build store: metadata and lockfiles, no content. */
import { join } from 'node:path';
import { emptyIndex, type BootAttempt, type BuildMeta } from '../../src/domain/metadata.js';
import { writeJson, writeWhole, type Store } from '../../src/store/store.js';

export const commits = { x86_64: 'ab'.repeat(32) };

/** Two packages; `netbase` is newer in the builds of 23 November. */
export const packagesOf = (id: string) => ({
  base: { evra: '1-1.noarch', digest: `sha256:${'1'.repeat(64)}` },
  netbase: { evra: `${id.startsWith('20261123') ? 2 : 1}-1.noarch`, digest: `sha256:${'2'.repeat(64)}` },
});

/** A boot test on a machine without KVM. */
const emulated: BootAttempt = {
  ...{ passed: true, seconds: 31, accelerator: 'tcg', commit: commits.x86_64, log: 'boot-qcow2.console.log' },
  remarks: ['no KVM: the processor shows neither vmx nor svm'],
};

/** Newest first. */
export async function storeBuilds(store: Store, stream: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const folder = join(store.archDir({ stream, run: `run-${id}` }, 'x86_64'), 'build');
    const meta: BuildMeta = {
      ...{ name: stream, buildid: id, architecture: 'x86_64', ref: 'r', 'ostree-commit': commits.x86_64 },
      ...{ 'ostree-version': id, 'ostree-timestamp': '2026-11-23T00:00:00Z' },
      images: { qcow2: { path: 'a.qcow2', sha256: 'cd'.repeat(32), size: 2 ** 30 } },
      treeline: {
        ...{ 'input-hash': 'ef'.repeat(32), composer: 'dnf', key: 'K', packages: 2, steps: [], logs: [] },
        tests: { boot: { qcow2: { outcome: 'passed', attempts: [emulated] } } },
        lockfile: 'lockfile.json',
      },
    };
    await writeWhole(join(store.idsDir(stream), id), `run-${id}\n`);
    await writeJson(join(folder, 'meta.json'), meta);
    const metadata = { generated: '2026-11-23T00:00:00Z', rpmmd_repos: {} };
    await writeJson(join(folder, 'lockfile.json'), { metadata, packages: packagesOf(id) });
  }
  const builds = ids.map((id) => ({ id, arches: ['x86_64'] }));
  await writeJson(join(store.published(stream), 'builds.json'), { ...emptyIndex(), builds });
}
