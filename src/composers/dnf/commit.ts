/** From a tree to a commit. */
import { Failure } from '../../domain/failures.js';
import type { Argv, Step } from '../../steps/step.js';
import type { CommitInput, ComposeInput } from '../composer.js';
import { treeDir } from './compose.js';

/**
 * See `Composer.commit`. The same tree and input give the same checksum: a second try finds its objects there already.
 * Fails with `CommitInvalid` when the answer is not a commit.
 */
export async function commit(step: Step, input: ComposeInput, commit: CommitInput): Promise<string> {
  const { stdout } = await step.run(commitCommand(input, commit));
  const checksum = stdout.trim().split('\n').at(-1) ?? '';
  if (!/^[0-9a-f]{64}$/.test(checksum))
    throw new Failure('CommitInvalid', `ostree commit answered ${JSON.stringify(checksum.slice(0, 100))}`);
  return checksum;
}

export function commitCommand(input: ComposeInput, commit: CommitInput): Argv {
  const metadata = { ...commit.metadata, version: commit.version };
  return [
    'ostree',
    'commit',
    `--repo=${input.repo}`,
    '--orphan',
    ...[...new Set([commit.ref, commit.releaseRef ?? commit.ref])].map((ref) => `--bind-ref=${ref}`),
    '--bootable',
    `--tree=dir=${treeDir(input)}`,
    `--timestamp=@${commit.timestamp}`,
    `--subject=${commit.version}`,
    ...(commit.parent === undefined ? [] : [`--parent=${commit.parent}`]),
    ...Object.entries(metadata)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `--add-metadata-string=${key}=${value}`),
  ];
}
