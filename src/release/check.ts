/** Is a build what its metadata says? Every checksum, every signature, every object of its commit. */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { commitMetadata, initRepo, ostree } from '../ostree/repo.js';
import { sha256 } from '../store/checksums.js';
import type { Host } from '../host.js';
import { Failure, meaning } from '../domain/failures.js';
import { buildMeta, type BuildMeta } from '../domain/metadata.js';
import { releaseRefOf, type Stream } from '../domain/stream.js';
import { keyringOf, verifySignature } from '../keys/verify.js';
import { readPlaced } from '../publish/readers.js';
import { readIndex } from '../publish/build-index.js';
import { keptBuild, storedBuild, type StoredBuild } from '../publish/stored-builds.js';
import type { Step } from '../steps/step.js';
import type { Run } from '../store/store.js';

const damaged = (what: string) => new Failure('BuildDamaged', what);

/**
 * The build's run and metadata, per architecture. Fails with BuildNotReleasable for one that is neither published nor kept for a release
 * (any more).
 */
export async function metasOf(
  host: Host,
  stream: Stream,
  build: string,
  signal: AbortSignal,
): Promise<Pick<StoredBuild, 'run' | 'metas'>> {
  const gone = (why: string) => new Failure('BuildNotReleasable', `${build}: ${why}`);
  const entry =
    (await readIndex(host, stream, signal)).builds.find(({ id }) => id === build) ??
    (await keptBuild(host.store, stream.name, build));
  const stored = entry && (await storedBuild(host.store, stream.name, entry));
  if (!stored) throw gone('is not among the published builds of this instance');
  const { run, metas } = stored;
  const pruned = entry.arches.filter((arch) => !metas.some(({ architecture }) => architecture === arch));
  if (pruned.length > 0) throw gone(`its files for ${pruned.join(', ')} are pruned`);
  return { run, metas };
}

/** Compares the build's files and commit with its metadata, and that with what was published of it, if it was. Fails with BuildDamaged, CommitInvalid. */
export async function checkFiles(
  step: Step,
  host: Host,
  stream: Stream,
  run: Run,
  meta: BuildMeta,
  work: string,
): Promise<void> {
  const { buildid, architecture: arch } = meta;
  const folder = join(host.store.archDir(run, arch), 'build');
  if ((await keptBuild(host.store, run.stream, buildid)) === undefined) {
    const path = `builds/${buildid}/${arch}/meta.json`;
    const published = await readPlaced(step, stream.publish.buildlogs, path);
    if (!published || !isDeepStrictEqual(parsed(published.content), meta))
      throw damaged(`${path}: at buildlogs is not what this instance has`);
  }
  const keyring = await keyringOf(step, stream.signingKey, join(work, 'keys'));
  const sums: string[] = [];
  for (const image of Object.values(meta.images)) {
    const file = join(folder, image.path);
    const { size } = await stat(file).catch(() => {
      throw damaged(`${image.path}: is missing`);
    });
    const digest = await sha256(file);
    if (digest !== image.sha256 || size !== image.size)
      throw damaged(
        `${image.path}: sha256 ${digest}, ${size} bytes; its metadata says ${image.sha256}, ${image.size}`,
      );
    await verifySignature(step, keyring, join(folder, image.signature ?? `${image.path}.asc`), file);
    sums.push(`${digest}  ${image.path}`);
  }
  if (meta.treeline.checksums === undefined) return;
  const signed = await verifySignature(step, keyring, join(folder, meta.treeline.checksums));
  if (signed.trim() !== sums.sort().join('\n'))
    throw damaged(`${meta.treeline.checksums}: does not list the images as they are`);
}

/** Undefined for what is no metadata. */
function parsed(content: Buffer): BuildMeta | undefined {
  try {
    return buildMeta.parse(JSON.parse(content.toString('utf8')));
  } catch {
    return undefined;
  }
}

/** `ostree fsck` of one commit, in a repo of its own; and may clients have it under the release ref? */
export async function checkCommit(
  step: Step,
  repo: string,
  commit: string,
  ref: string,
  work: string,
): Promise<void> {
  const scratch = join(work, 'fsck');
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });
  await initRepo(step, scratch);
  await step
    .run(ostree(scratch, 'pull-local', repo, commit))
    .catch(meaning('BuildDamaged', `${commit}: is not whole`));
  await step.run(ostree(scratch, 'fsck', '--quiet')).catch(meaning('BuildDamaged', `${commit}: ostree fsck`));
  const bound = await commitMetadata(step, scratch, commit, 'ostree.ref-binding');
  await rm(scratch, { recursive: true, force: true });
  if (bound !== undefined && !bound.includes(`'${ref}'`))
    throw new Failure(
      'BuildNotReleasable',
      `${commit}: is bound to ${bound}, not to ${ref}: clients would refuse it there. Builds made from now on are bound to it.`,
    );
}

export const releaseRefs = (stream: Stream, metas: readonly BuildMeta[]): Record<string, string> =>
  Object.fromEntries(
    metas.map(({ architecture, ...meta }) => [releaseRefOf(stream, architecture), meta['ostree-commit']]),
  );
