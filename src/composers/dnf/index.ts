/** The embedded composer: dnf for the depsolve, rpm for the install, the ostree layout, dracut, `ostree commit`. */
import type { Composer } from '../composer.js';
import { examineParts, mismatches } from '../treefile.js';
import { commit, commitCommands } from './commit.js';
import { compose, composeCommands } from './compose.js';
import { download, programCommand, resolve, signatureCommands } from './packages.js';
import { treefileParser } from './treefile.js';

export const dnfComposer: Composer = {
  async check(input) {
    const { parts, problems } = await examineParts(input.treefile, treefileParser);
    return [...problems, ...mismatches(parts, input)];
  },
  commands: (input, committed) => ({
    resolve: [programCommand],
    download: [
      programCommand,
      ...input.repos.flatMap((repo) => signatureCommands(input, repo, ['<packages>'])),
    ],
    compose: composeCommands(input),
    commit: commitCommands(input, committed),
  }),
  resolve,
  download,
  compose,
  commit,
};
