/** rpm-ostree's lockfile and ours: the same shape, but rpm-ostree refuses the keys that ours has more. */
import { z } from 'zod';
import { Failure } from '../../domain/failures.js';
import type { Lockfile } from '../../domain/lockfile.js';
import type { ListedPackage } from './output.js';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const written = z.object({
  metadata: z.object({
    generated: z.string(),
    rpmmd_repos: z.record(z.string(), z.object({ generated: z.string() })),
  }),
  packages: z.record(
    z.string(),
    z.union([z.object({ evra: z.string(), digest }), z.object({ evr: z.string(), digest })]),
  ),
});

/**
 * Our lockfile from the text that `--ex-write-lockfile-to` wrote and the package list that was printed with it, which
 * knows the repo of each package (and the architecture where the lockfile leaves it out).
 * @param repomd sha256 of each repo's repomd.xml, by repo id, where known
 * Fails with DepsolveFailed for two packages of one name, of which rpm-ostree's lockfile silently keeps one, and with ComposeFailed
 * if lockfile and list do not fit together.
 */
export function readLockfile(
  text: string,
  listed: readonly ListedPackage[],
  repomd: ReadonlyMap<string, string>,
): Lockfile {
  const { metadata, packages } = parse(text);
  refuseTwins(listed);
  const lines = new Map(listed.map((line) => [`${line.name} ${line.evra}`, line]));
  const byName = new Map(listed.map((line) => [line.name, line]));
  const entries = Object.entries(packages).map(([name, locked]) => {
    const line = 'evra' in locked ? lines.get(`${name} ${locked.evra}`) : byName.get(name);
    if (!line || ('evr' in locked && !line.evra.startsWith(`${locked.evr}.`)))
      throw new Failure('ComposeFailed', `rpm-ostree: the lockfile has ${name}, the package list not`);
    return [name, { evra: line.evra, digest: locked.digest, repo: line.repo }] as const;
  });
  if (entries.length !== byName.size)
    throw new Failure(
      'ComposeFailed',
      `rpm-ostree: ${byName.size} packages listed, ${entries.length} locked`,
    );
  const repos = Object.entries(metadata.rpmmd_repos).map(([id, { generated }]) => {
    const sum = repomd.get(id);
    return [id, sum === undefined ? { generated } : { generated, repomd: sum }] as const;
  });
  return {
    metadata: { generated: metadata.generated, rpmmd_repos: Object.fromEntries(repos) },
    packages: Object.fromEntries(entries),
  };
}

function refuseTwins(listed: readonly ListedPackage[]): void {
  const names = new Map<string, Set<string>>();
  for (const { name, evra } of listed) names.set(name, (names.get(name) ?? new Set()).add(`${name}-${evra}`));
  const twins = [...names.values()].filter(({ size }) => size > 1).map((same) => [...same].join(' and '));
  if (twins.length > 0)
    throw new Failure(
      'DepsolveFailed',
      `a tree has one package of a name, but these would be installed: ${twins.join('; ')}. Ask for one of them, or name the other in \`exclude-packages\`.`,
    );
}

/** The text that `--ex-lockfile` reads: only the keys that rpm-ostree knows, sorted, so that the same lockfile gives the same bytes. */
export function writeLockfile(lockfile: Lockfile): string {
  const sorted = <T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U) =>
    Object.fromEntries(
      Object.entries(record)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => [key, map(value)]),
    );
  const { generated, rpmmd_repos } = lockfile.metadata;
  return `${JSON.stringify(
    {
      packages: sorted(lockfile.packages, ({ evra, digest }) => ({ evra, digest })),
      metadata: { generated, rpmmd_repos: sorted(rpmmd_repos, ({ generated }) => ({ generated })) },
    },
    null,
    2,
  )}\n`;
}

function parse(text: string): z.infer<typeof written> {
  try {
    return written.parse(JSON.parse(text));
  } catch (error) {
    throw new Failure(
      'ComposeFailed',
      `rpm-ostree wrote a lockfile that cannot be read: ${String(error).slice(0, 300)}`,
    );
  }
}
