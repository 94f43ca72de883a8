/** Is a commit what its packages are? TypeScript's side of content.py. */
import { join } from 'node:path';
import { z } from 'zod';
import type { Composed } from '../composers/composer.js';
import type { Lockfile } from '../domain/lockfile.js';
import { packageRoot } from '../settings.js';
import type { Argv, Step } from '../steps/step.js';

const entry = z.object({
  /** Absolute path as packaged. */
  path: z.string(),
  /** Name of a package that has it. */
  package: z.string(),
  /** Key of `reasonTexts`, or a key of the treefile. */
  reason: z.string(),
});

/** Name of the file in a run's and a build's folder. */
export const contentFile = 'content.json';

/** What is in it. */
export const contentRecord = z.object({
  packages: z.int(),
  /** Files, folders and links that are in the commit as they were packaged. */
  entries: z.int(),
  leftOut: z.array(entry),
  /** `what` differs, such as `content` or `mode 0755 instead of 0644`. */
  changed: z.array(entry.extend({ what: z.string() })),
});
export type ContentRecord = z.infer<typeof contentRecord>;

/** What composers declare of a tree; see `Composed`. */
export const composed = z.object({
  documentation: z.boolean(),
  languages: z.boolean(),
  removed: z.record(z.string(), z.string()),
  changed: z.record(z.string(), z.string()),
  mayRemove: z.array(
    z.object({ by: z.string(), package: z.string().optional(), patterns: z.array(z.string()) }),
  ),
  presumed: z.string().nullable(),
});

export const contentCommand: Argv = ['python3', '-I', join(packageRoot, 'src/rpm/content.py')];

/** The commit with owners, modes and attributes; needs root. */
export const wholeCheckoutCommand = (repo: string, commit: string, folder: string): Argv => [
  'ostree',
  `--repo=${repo}`,
  'checkout',
  commit,
  folder,
];

/** Checks out a commit into `folder`, which must not exist, and compares it. `problems`: a line each, none if all is well. */
export async function checkContent(
  step: Step,
  { repo, commit }: { readonly repo: string; readonly commit: string },
  lockfile: Lockfile,
  declared: Composed,
  folder: string,
): Promise<ContentRecord & { readonly problems: readonly string[] }> {
  await step.run(wholeCheckoutCommand(repo, commit, folder));
  const packages = Object.fromEntries(
    Object.entries(lockfile.packages).map(([name, { evra }]) => [name, evra]),
  );
  const request = { tree: folder, database: join(folder, 'usr/share/rpm'), packages, composed: declared };
  const { stdout } = await step.run(contentCommand, { input: JSON.stringify(request), capture: 'all' });
  return contentRecord
    .extend({ problems: z.array(z.string()) })
    .parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
}
