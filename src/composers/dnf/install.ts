/** The packages of the lockfile, installed in one transaction: TypeScript's side of install.py. */
import { join } from 'node:path';
import { z } from 'zod';
import { Failure, meaning } from '../../domain/failures.js';
import type { Argv, Step } from '../../steps/step.js';
import type { AccountFiles } from './accounts.js';
import { around, aroundCommand, treeMounts } from './inside.js';

const answer = z.union([
  z.object({ names: z.array(z.object({ package: z.string(), path: z.string() })) }),
  z.object({
    scriptlets: z.array(
      z.object({
        /** `name-version-release.arch` */
        package: z.string(),
        /** Such as `%post`. */
        scriptlet: z.string(),
        /** Such as `exit status 1`. */
        how: z.string(),
        /** Was the package not installed for it? */
        fatal: z.boolean(),
        /** What it printed, its last lines. */
        output: z.array(z.string()),
      }),
    ),
    changed: z.array(z.string()),
  }),
]);

/** Where the packages are in the sandbox. */
const given = '/packages';

/** What is installed is said on its standard input. */
export const installCommand = (tree: string, packages: string): Argv =>
  aroundCommand(
    tree,
    ['python3', '-I', join(around.programs, 'install.py')],
    ['--ro-bind', packages, given, ...treeMounts],
  );

export interface Installation {
  readonly tree: string;
  /** Folder of the RPM database, below the tree's root. */
  readonly database: string;
  /** Folder of RPM files, whose digests and signatures were verified when they were fetched. */
  readonly folder: string;
  /** Their names in it. */
  readonly packages: readonly string[];
  readonly documentation: boolean;
  /** Accounts that keep their numbers. */
  readonly accounts: AccountFiles;
  /** `<package name> %<scriptlet>`: may fail. */
  readonly mayFail: readonly string[];
  /** Install times in the RPM database, seconds since the epoch. */
  readonly time: string;
}

/**
 * Installs packages with all of their scriptlets; answers what scriptlets have changed of packaged files. Fails with ComposeFailed for
 * a scriptlet that failed, with what it printed, and for a file name that no tree can have.
 */
export async function installPackages(
  step: Step,
  { tree, database, folder, packages, documentation, accounts, mayFail, time }: Installation,
): Promise<readonly string[]> {
  const request = {
    root: around.tree,
    dbpath: `/${database}`,
    packages: packages.map((name) => join(given, name)),
    ...{ documentation, accounts },
  };
  const { stdout } = await step
    .run(installCommand(tree, folder), {
      input: JSON.stringify(request),
      env: { SOURCE_DATE_EPOCH: time, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      capture: 'all',
      onLine: (line) => {
        const [, done, total] = /^progress (\d+) (\d+)$/.exec(line) ?? [];
        if (done !== undefined) step.progress({ done: Number(done), total: Number(total), unit: 'packages' });
      },
    })
    .catch(meaning('ComposeFailed', 'the packages were not installed'));
  const result = answer.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
  if ('names' in result) throw unnameable(result.names);
  const failed = result.scriptlets.filter((one) => !isExcused(one, mayFail));
  if (failed.length > 0) throw scriptletFailure(failed);
  for (const { package: name, scriptlet, how } of result.scriptlets)
    step.note(`${name}: ${scriptlet} failed (${how}), which the treefile allows`);
  return result.changed;
}

type Scriptlet = Extract<z.infer<typeof answer>, { scriptlets: unknown }>['scriptlets'][number];

/** A package that was not installed for it is never excused. */
const isExcused = ({ package: nevra, scriptlet, fatal }: Scriptlet, mayFail: readonly string[]): boolean =>
  !fatal && mayFail.includes(`${nevra.replace(/-[^-]+-[^-]+$/, '')} ${scriptlet}`);

const shownLines = 10;

function scriptletFailure(failed: readonly Scriptlet[]): Failure {
  const said = failed.map(({ package: name, scriptlet, how, output }) =>
    [`${name}: ${scriptlet} scriptlet failed, ${how}`, ...output.slice(-shownLines)].join('\n  '),
  );
  return new Failure('ComposeFailed', [...new Set(said)].join('\n'));
}

function unnameable(names: readonly { package: string; path: string }[]): Failure {
  const lines = names.map(
    ({ package: name, path }) =>
      `${name}: ${path}: a file name must be UTF-8 without control characters: ostree stores no other`,
  );
  const more = lines.length > shownLines ? [`and ${lines.length - shownLines} more`] : [];
  return new Failure('ComposeFailed', [...lines.slice(0, shownLines), ...more].join('\n'));
}
