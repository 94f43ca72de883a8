/** What `rpm-ostree compose tree` says on success: facts from standard output, and progress from its lines. */
import { z } from 'zod';
import type { Progress } from '../../steps/step.js';

export interface ListedPackage {
  readonly name: string;
  /** `[epoch:]version-release.arch` */
  readonly evra: string;
  readonly repo: string;
}

export interface ComposeFacts {
  /** The full package list of the tree; rpm-ostree never prints a difference. */
  readonly packages: readonly ListedPackage[];
  /** Hash of treefile, packages and referenced files; absent when it ended before the depsolve did. */
  readonly inputHash: string | undefined;
  /** Did it end with "no apparent changes", whatever follows the sentence? */
  readonly unchanged: boolean;
  /** The commit that was made, whether or not a ref was moved to it. */
  readonly commit: string | undefined;
  readonly previousCommit: string | undefined;
}

const listed = /^ {2}(\S+)-((?:\d+:)?[^\s:-]+-[^\s-]+\.[A-Za-z0-9_]+) \(([^)\s]+)\)$/;

/** Facts from a whole standard output. Never fails: what is not said is absent. */
export function readOutput(stdout: string): ComposeFacts {
  const packages = stdout.split('\n').flatMap((line): ListedPackage[] => {
    const [, name, evra, repo] = listed.exec(line) ?? [];
    return name !== undefined && evra !== undefined && repo !== undefined ? [{ name, evra, repo }] : [];
  });
  const first = (pattern: RegExp) => pattern.exec(stdout)?.[1];
  return {
    packages,
    inputHash: first(/^Input state hash: ([0-9a-f]{64})$/m),
    unchanged: /^No apparent changes since previous commit\b/m.test(stdout),
    commit: first(/^(?:Wrote commit: |\S+ => )([0-9a-f]{64})$/m),
    previousCommit: first(/^Previous commit: ([0-9a-f]{64})$/m),
  };
}

/** What `--write-composejson-to` writes; keys that nobody here needs are left out. */
export const composeJson = z.object({
  'ostree-commit': z.string().regex(/^[0-9a-f]{64}$/),
  'ostree-version': z.string().optional(),
  'ostree-timestamp': z.string().optional(),
  'rpm-ostree-inputhash': z.string().optional(),
});

/** The expanded treefile, as far as it is checked here. */
export const expandedTreefile = z.object({
  ref: z.string().optional(),
  repos: z.array(z.string()).default([]),
  'lockfile-repos': z.array(z.string()).default([]),
  basearch: z.string().optional(),
  releasever: z.union([z.string(), z.number()]).transform(String).optional(),
  'gpg-key': z.string().optional(),
  documentation: z.boolean().default(true),
  'install-langs': z.array(z.string()).default([]),
  'remove-files': z.array(z.string()).default([]),
  'remove-from-packages': z.array(z.array(z.string()).min(1)).default([]),
});
export type ExpandedTreefile = z.infer<typeof expandedTreefile>;

/**
 * Makes a reader of output lines that reports progress in packages. Without a terminal rpm-ostree tells the total
 * ("Installing", "Will download") and the end of a stage, but no numbers in between.
 */
export function progressReader(report: (progress: Progress) => void): (line: string) => void {
  let total = 0;
  const tell = (done: number) => report({ done, total, unit: 'packages' });
  return (line) => {
    const count = /^(?:Installing|Will download:) (\d+) packages?\b/.exec(line)?.[1];
    if (count !== undefined) {
      total = Number(count);
      tell(0);
    } else if (total > 0 && /^(?:Importing packages|Checking out packages)\S*done$/.test(line)) tell(total);
    else if (total > 0 && /^(?:--dry-run complete|--download-only complete|No apparent changes)/.test(line))
      tell(total);
  };
}
