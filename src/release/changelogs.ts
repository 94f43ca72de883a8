/** What changed between two commits: the package difference, with the changelogs that the RPMs carry. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { releaseNotes, type ChangeNote } from '../domain/release.js';
import { checkoutCommand, compareCommand, packageDifferenceRecord } from '../rpm/difference.js';
import { packageRoot } from '../settings.js';
import { causeOf } from '../steps/cause.js';
import { type Argv, type Step } from '../steps/step.js';

const program = join(packageRoot, 'src/release/changelogs.py');
const { changes } = releaseNotes.shape.architectures.element.shape;
const changelogs = z.record(z.string(), changes.unwrap().element.shape.changelog);

/** The new database first, then the old one; `[name, new evr, old evr]` of each package on standard input. */
export const changelogsCommand = (databases: readonly [string, string]): Argv => [
  'python3',
  '-I',
  program,
  ...databases,
];

/**
 * The packages of `commit` that differ from those of `former`, each with the changelog entries (at most 20) that the former
 * package did not have. A commit is taken from the first of `repos` that holds it. `work` is a scratch folder of its own,
 * emptied first.
 */
export async function changeNotes(
  step: Step,
  repos: readonly string[],
  commit: string,
  former: string,
  work: string,
): Promise<ChangeNote[]> {
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const databases = [join(work, 'new'), join(work, 'old')] as const;
  await checkout(step, repos, commit, databases[0]);
  await checkout(step, repos, former, databases[1]);
  const { stdout } = await step.run(compareCommand(databases), { capture: 'all' });
  const { pkgdiff = [] } = packageDifferenceRecord.parse(JSON.parse(stdout));
  const changed = pkgdiff.flatMap(([name, , { NewPackage: fresh, PreviousPackage: old }]) =>
    fresh && old ? [[name, fresh[1], old[1]]] : [],
  );
  const answer = await step.run(changelogsCommand(databases), {
    input: JSON.stringify(changed),
    capture: 'all',
  });
  // A map: a package may be named like a property that every object has.
  const entries = new Map(Object.entries(changelogs.parse(JSON.parse(answer.stdout))));
  await rm(work, { recursive: true, force: true });
  return pkgdiff.map((change) => ({ change, changelog: entries.get(change[0]) ?? [] }));
}

async function checkout(step: Step, repos: readonly string[], commit: string, folder: string): Promise<void> {
  const reasons: string[] = [];
  for (const repo of repos) {
    const { exitCode, stderr } = await step.run(checkoutCommand(repo, commit, folder), { okCodes: [0, 1] });
    if (exitCode === 0) return;
    reasons.push(`${repo}: ${causeOf('', stderr)}`);
    await rm(folder, { recursive: true, force: true });
  }
  throw new Failure('CommitInvalid', `${commit}: its package database cannot be read: ${reasons.join('; ')}`);
}
