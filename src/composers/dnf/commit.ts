/** From a tree to a commit. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import type { Argv, Step } from '../../steps/step.js';
import type { CommitInput, ComposeInput } from '../composer.js';
import { treeDir } from './compose.js';

/**
 * See `Composer.commit`. The same tree and input give the same checksum: a second try finds its objects there already.
 * The commit is made in a repo of uncompressed files, of which only what the staging repo lacks is compressed: most of a tree is in it.
 * Fails with `CommitInvalid` when the answer is not a commit.
 */
export async function commit(step: Step, input: ComposeInput, commit: CommitInput): Promise<string> {
  const place = uncompressed(input);
  await rm(place, { recursive: true, force: true });
  await step.run(initCommand(place));
  const { stdout } = await step.run(commitCommand(input, commit));
  const checksum = stdout.trim().split('\n').at(-1) ?? '';
  if (!/^[0-9a-f]{64}$/.test(checksum))
    throw new Failure('CommitInvalid', `ostree commit answered ${JSON.stringify(checksum.slice(0, 100))}`);
  await step.run(compressCommand(input, checksum));
  await rm(place, { recursive: true, force: true });
  return checksum;
}

export const commitCommands = (input: ComposeInput, commit: CommitInput): readonly Argv[] => [
  initCommand(uncompressed(input)),
  commitCommand(input, commit),
  compressCommand(input, '<commit>'),
];

const uncompressed = ({ work }: ComposeInput) => join(work, 'uncompressed');
const initCommand = (repo: string): Argv => ['ostree', `--repo=${repo}`, 'init', '--mode=bare-user'];
const compressCommand = (input: ComposeInput, checksum: string): Argv => [
  ...(['ostree', `--repo=${input.repo}`, 'pull-local', uncompressed(input), checksum] as const),
];

function commitCommand(input: ComposeInput, commit: CommitInput): Argv {
  const metadata = { ...commit.metadata, version: commit.version };
  return [
    'ostree',
    'commit',
    `--repo=${uncompressed(input)}`,
    // What a crash takes is made again.
    '--fsync=false',
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
