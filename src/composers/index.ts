/** The composers by name, and the tools that each needs. */
import { tool, type Tool } from '../steps/tools.js';
import { refOf, type Stream } from '../domain/stream.js';
import type { Composer, Problem } from './composer.js';
import { dnfComposer } from './dnf/index.js';
import { rpmOstreeComposer } from './rpm-ostree/index.js';

export type ComposerName = 'dnf' | 'rpm-ostree';

const composers: Record<ComposerName, Composer> = { dnf: dnfComposer, 'rpm-ostree': rpmOstreeComposer };

export const composerNames = Object.keys(composers) as ComposerName[];

export const composerOf = (name: ComposerName): Composer => composers[name];

/** Everything that can be found wrong with what a stream is composed from, without network and tools; each once. */
export async function composerProblems(stream: Stream): Promise<readonly Problem[]> {
  const { treefile, releasever, repos, architectures, release } = stream;
  const rebuilt = release?.rebuild !== undefined || release?.security !== undefined;
  const all: Problem[] = [];
  for (const arch of architectures)
    all.push(
      ...(await composerOf(stream.composer).check({
        ...{ treefile, releasever, repos, arch, rebuilt, ref: refOf(stream, arch) },
      })),
    );
  return [...new Map(all.map((problem) => [`${String(problem.field)} ${problem.text}`, problem])).values()];
}

const common = [
  tool('ostree', 'ostree'),
  tool('bwrap', 'bubblewrap'),
  tool('gpg', 'gnupg', 'gnupg2'),
  tool('python3', 'python3'),
];

export const composerTools = (name: ComposerName): readonly Tool[] =>
  name === 'dnf'
    ? [
        ...common,
        tool('dnf', 'dnf'),
        tool('rpmkeys', 'rpm'),
        tool('createrepo_c', 'createrepo-c', 'createrepo_c'),
      ]
    : [
        ...common,
        tool('rpm-ostree', 'rpm-ostree'),
        tool('flock', 'util-linux'),
        tool('rofiles-fuse', 'ostree'),
        tool('fusermount', 'fuse3', 'fuse'),
      ];
