/** The tree's RPM database. */
import { join } from 'node:path';
import { packageRoot } from '../../settings.js';
import type { Argv } from '../../steps/step.js';

/** Its folder below the root, where rpm-ostree has it too: part of the commit, read-only. */
export const rpmDb = 'usr/share/rpm';

export const queryCommand = (tree: string, ...args: readonly string[]): Argv => [
  ...(['rpm', '--root', tree, '--define', `_dbpath /${rpmDb}`, '--query'] as const),
  ...args,
];

/** Makes one repeatable file of it. */
export const databaseCommand = (tree: string): Argv => [
  ...(['python3', '-I', join(packageRoot, 'src/composers/dnf/rpmdb.py')] as const),
  join(tree, rpmDb),
];
