/** The tree's RPM database: as foreign as its packages, so that it is read in a sandbox. */
import { join } from 'node:path';
import type { Argv } from '../../steps/step.js';
import { around, aroundCommand } from './inside.js';

/** Its folder below the root, where rpm-ostree has it too: part of the commit, read-only. */
export const rpmDb = 'usr/share/rpm';

export const queryCommand = (tree: string, ...args: readonly string[]): Argv =>
  aroundCommand(tree, ['rpm', '--root', around.tree, '--define', `_dbpath /${rpmDb}`, '--query', ...args]);

/** Makes one repeatable file of it. */
export const databaseCommand = (tree: string): Argv =>
  aroundCommand(tree, ['python3', '-I', join(around.programs, 'rpmdb.py'), around.tree, rpmDb]);
