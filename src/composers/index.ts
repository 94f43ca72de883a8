/** The composers by name, and the tools that each needs. */
import { tool, type Tool } from '../steps/tools.js';
import type { Composer } from './composer.js';
import { dnfComposer } from './dnf/index.js';
import { rpmOstreeComposer } from './rpm-ostree/index.js';

export type ComposerName = 'dnf' | 'rpm-ostree';

const composers: Record<ComposerName, Composer> = { dnf: dnfComposer, 'rpm-ostree': rpmOstreeComposer };

export const composerNames = Object.keys(composers) as ComposerName[];

export const composerOf = (name: ComposerName): Composer => composers[name];

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
