/**
 * The production composer: `rpm-ostree compose tree`, on CentOS and Fedora builders.
 *
 * rpm-ostree makes the tree and its commit in one command, and only with the commit's parent and version in hand:
 * that is `commit` here, and the long one of the four. `compose` only settles what it is made from. In the work folder:
 *
 *     treefile/           the treefile's folder as it was resolved, with the repo files
 *     metadata/<id>/      each repo's metadata as it was resolved
 *     lockfile.json       the lockfile, in rpm-ostree's shape
 *     commit-id compose.json commit-key touch     what `commit` wrote
 */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Failure } from '../../domain/failures.js';
import type { Step } from '../../steps/step.js';
import { exists } from '../../store/store.js';
import type { CommitInput, Composed, ComposeInput, Composer, Problem } from '../composer.js';
import { examineParts, mismatches } from '../treefile.js';
import { commitCommand, downloadCommand, helpCommand, printCommand, resolveCommand } from './commands.js';
import { readLockfile, writeLockfile } from './lockfile.js';
import { composeJson, readOutput, type ExpandedTreefile } from './output.js';
import { repoProblem } from './repo-files.js';
import { treefileParser } from './treefile.js';
import { keepMetadata, openWorkspace, type Workspace } from './workspace.js';

/**
 * Composes with `rpm-ostree compose tree`; needs root, bwrap, gpg and fuse on the host, and repos served over HTTP.
 * Each step starts from the files of the one before and writes again what it owns. Beside the failures of the interface:
 * ToolMissing, Busy (another run has the cache), DiskFull, RepoChanged (a locked package has left its repo),
 * PostprocessFailed, CommitInvalid, ComposeFailed.
 */
export const rpmOstreeComposer: Composer = {
  async check(input) {
    const { parts, problems } = await examineParts(input.treefile, treefileParser(input.arch));
    const repos = input.repos.flatMap((repo, place): Problem[] => {
      const wrong = repoProblem(repo);
      return wrong ? [{ code: 'StreamInvalid', field: ['repos', place, wrong.field], text: wrong.why }] : [];
    });
    return [...repos, ...problems, ...mismatches(parts, input)];
  },

  commands(input, { parent, metadata, version }) {
    const treefile = join(input.work, 'treefile', basename(input.treefile));
    const place = { repo: input.repo, cache: join(input.cache, '<keys>'), treefile };
    const open = [helpCommand, printCommand(place)];
    const lockfile = lockfilePath(input);
    const options = { ...made(input), lockfile, parent, metadata: { ...metadata, version } };
    return {
      resolve: [...open, resolveCommand(place, join(input.work, 'resolved.json'))],
      download: [...open, downloadCommand(place, lockfile)],
      compose: open,
      commit: [...open, commitCommand(place, options)],
    };
  },

  async resolve(step, input) {
    const { place, run } = await openWorkspace(step, input, true);
    const path = join(input.work, 'resolved.json');
    await rm(path, { force: true });
    const { packages, unchanged, inputHash } = readOutput(await run(resolveCommand(place, path)));
    step.note(
      `${packages.length} packages, input hash ${inputHash ?? 'not told'}${unchanged ? ', no change to the last commit' : ''}`,
    );
    return readLockfile(await readFile(path, 'utf8'), packages, await keepMetadata(place.cache, input));
  },

  async download(step, input, lockfile) {
    const { place, run } = await openWorkspace(step, input);
    await run(downloadCommand(place, await putLockfile(input, writeLockfile(lockfile))));
  },

  async compose(step, input, lockfile) {
    const { treefile } = await openWorkspace(step, input);
    await putLockfile(input, writeLockfile(lockfile));
    step.note('rpm-ostree makes the tree together with its commit: see step `commit`.');
    return {
      documentation: treefile.documentation,
      languages: treefile['install-langs'].length > 0,
      removed: {},
      changed: {},
      mayRemove: mayRemove(treefile),
      // It moves accounts, adapts configuration and runs the scripts in one go, and records none of it.
      presumed: 'rpm-ostree',
    };
  },

  async commit(step, input, commit) {
    const workspace = await openWorkspace(step, input);
    await checkCommit(workspace, input, commit);
    const lockfile = await readFile(lockfilePath(input), 'utf8').catch(() => {
      throw new Failure('ComposeFailed', 'commit: no lockfile in the work folder; compose comes first');
    });
    const key = createHash('sha256')
      .update(JSON.stringify([commit, lockfile]))
      .digest('hex');
    return (await finishedCommit(input, key)) ?? (await makeCommit(step, input, commit, workspace, key));
  },
};

/** What the treefile removes, as patterns of absolute paths. */
function mayRemove(treefile: ExpandedTreefile): Composed['mayRemove'] {
  const plain = (path: string) => path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/^\/*|\/*$/g, '');
  const files = treefile['remove-files'].map((path) => `^/${plain(path)}(/|$)`);
  const packaged = treefile['remove-from-packages'].map(([name, ...patterns]) => ({
    ...{ by: 'remove-from-packages', package: name },
    patterns,
  }));
  return [{ by: 'remove-files', patterns: files }, ...packaged];
}

const lockfilePath = ({ work }: ComposeInput) => join(work, 'lockfile.json');
const made = ({ work }: ComposeInput) => ({
  commitId: join(work, 'commit-id'),
  composeJson: join(work, 'compose.json'),
  touch: join(work, 'touch'),
  key: join(work, 'commit-key'),
});

async function putLockfile(input: ComposeInput, text: string): Promise<string> {
  await writeFile(lockfilePath(input), text);
  return lockfilePath(input);
}

async function checkCommit(
  { treefile }: Workspace,
  { repo }: ComposeInput,
  { ref, parent, metadata }: CommitInput,
) {
  if (treefile.ref !== ref)
    throw new Failure(
      'StreamInvalid',
      `treefile: \`ref\` is ${treefile.ref ?? 'missing'}, the stream's is ${ref}`,
    );
  const odd = Object.keys(metadata).find((key) => key === 'version' || !/^[^=\s]+$/.test(key));
  if (odd !== undefined) throw new Failure('CommitInvalid', `commit metadata: \`${odd}\` cannot be a key`);
  if (parent !== undefined && !(await hasCommit(repo, parent)))
    throw new Failure('CommitInvalid', `the parent ${parent} is not in the staging repo`);
}

/** The commit of an earlier try from the same lockfile with the same options, if it got so far. */
async function finishedCommit(input: ComposeInput, key: string): Promise<string | undefined> {
  const paths = made(input);
  if ((await readFile(paths.key, 'utf8').catch(() => '')) !== key) return undefined;
  const id = await readFile(paths.commitId, 'utf8').catch(() => '');
  return (await hasCommit(input.repo, id)) ? id : undefined;
}

async function makeCommit(
  step: Step,
  input: ComposeInput,
  commit: CommitInput,
  { place, run }: Workspace,
  key: string,
): Promise<string> {
  const paths = made(input);
  for (const path of Object.values(paths)) await rm(path, { force: true });
  const { parent, version } = commit;
  const metadata = { ...commit.metadata, version };
  const argv = commitCommand(place, { ...paths, lockfile: lockfilePath(input), parent, metadata });
  const facts = readOutput(await run(argv, { SOURCE_DATE_EPOCH: String(commit.timestamp) }));
  // It ends well without a commit where it sees no change; the touch file is what tells.
  if (!(await exists(paths.touch)))
    throw new Failure('ComposeFailed', 'rpm-ostree ended well, but made no commit');
  const id = (await readFile(paths.commitId, 'utf8')).trim();
  const told = composeJson.parse(JSON.parse(await readFile(paths.composeJson, 'utf8')));
  if (id !== told['ostree-commit'] || (facts.commit !== undefined && facts.commit !== id))
    throw new Failure('CommitInvalid', `rpm-ostree names two commits: ${id} and ${told['ostree-commit']}`);
  if (told['ostree-version'] !== version)
    throw new Failure(
      'CommitInvalid',
      `commit ${id} has version ${told['ostree-version'] ?? 'none'} instead of ${version}`,
    );
  if (!(await hasCommit(input.repo, id)))
    throw new Failure('CommitInvalid', `commit ${id} is not in the staging repo`);
  if (
    told['ostree-timestamp'] !== undefined &&
    Date.parse(told['ostree-timestamp']) !== commit.timestamp * 1000
  )
    step.note(
      `This ostree does not follow SOURCE_DATE_EPOCH: the commit's time is ${told['ostree-timestamp']}.`,
    );
  await writeFile(paths.key, key);
  return id;
}

/** Is the commit object there? (An archive repo keeps it as a file of its own.) */
const hasCommit = async (repo: string, id: string) =>
  /^[0-9a-f]{64}$/.test(id) && exists(join(repo, 'objects', id.slice(0, 2), `${id.slice(2)}.commit`));
