/** OSV documents (ossf.github.io/osv-schema), as far as they tell of RPMs. Pure. */
import { z } from 'zod';
import { advisoryId, isPackageName } from '../domain/names.js';
import type { Severity } from '../domain/security.js';
import {
  cvesIn,
  evrOf,
  moduleByTitle,
  moduleStream,
  oneLine,
  parsePurl,
  type Change,
  type ReadAdvisory,
  type Statement,
} from './advisory.js';
import { severityOf, severityOfCvss, worst } from './severity.js';

const said = z
  .object({ severity: z.string().optional().catch(undefined) })
  .optional()
  .catch(undefined);
const scores = z
  .array(z.object({ score: z.union([z.string(), z.number()]) }))
  .default([])
  .catch([]);
const time = z.iso.datetime({ offset: true });
const ids = z.array(z.string()).max(1000).default([]);

const range = z.object({
  type: z.string(),
  events: z.array(z.record(z.string(), z.unknown())).max(1000).default([]),
});
const affected = z.object({
  package: z
    .object({
      name: z.string().optional(),
      ecosystem: z.string().default(''),
      purl: z.string().optional(),
    })
    .optional(),
  ranges: z.array(range).max(200).default([]),
  versions: z.array(z.string()).max(10_000).default([]),
  severity: scores,
  ecosystem_specific: said,
  database_specific: said,
});
type Affected = z.infer<typeof affected>;

/** Ecosystems of OSV's list whose packages are no RPMs. An ecosystem that is in no list is taken for a distribution of RPMs. */
const otherEcosystems =
  /^(Alpaquita|Alpine|Android|BellSoft Hardened Containers|Bioconductor|Bitnami|Chainguard|CleanStart|ConanCenter|CRAN|crates\.io|Debian|Docker Hardened Images|Echo|FreeBSD|GHC|GIT|GitHub Actions|Go|Hackage|Hex|Julia|Kubernetes|Linux|Maven|MinimOS|npm|NuGet|opam|OSS-Fuzz|Packagist|Pub|PyPI|Root|RubyGems|SwiftURL|Ubuntu|VSCode|Wolfi)(:|$)/i;

const osv = z.object({
  id: advisoryId,
  modified: time,
  published: time.optional(),
  withdrawn: time.optional(),
  summary: z.string().default(''),
  aliases: ids,
  related: ids,
  upstream: ids,
  severity: scores,
  affected: z.array(affected).max(10_000).default([]),
  database_specific: said,
});

/** As of `now`. Throws a ZodError for one that is not as documented. */
export function parseOsv(data: unknown, source: string, now: Date): ReadAdvisory {
  const { id, published, withdrawn, summary, aliases, related, upstream, ...rest } = osv.parse(data);
  // AlmaLinux says it in its summaries alone.
  const [, titled] = /^(critical|important|moderate|low): /i.exec(summary) ?? [];
  const problems: string[] = [];
  const statements = rest.affected.flatMap((one, n) => {
    const found = statementOf(one, `affected.${n}`, summary);
    if (typeof found !== 'string') return found ?? [];
    problems.push(found);
    return [];
  });
  if (rest.affected.length === 0) problems.push('it names no package');
  return {
    id,
    title: oneLine(summary),
    severity: worst([severityOf(titled), ...[rest, ...rest.affected].flatMap(severitiesIn)]),
    cves: cvesIn([id, ...aliases, ...related, ...upstream]),
    ...(published === undefined ? {} : { issued: new Date(published).toISOString() }),
    ...{ source, statements, problems },
    ...(withdrawn !== undefined && new Date(withdrawn) <= now
      ? { withdrawn: `withdrawn on ${withdrawn.slice(0, 10)}` }
      : {}),
  };
}

const severitiesIn = (
  one: Pick<Affected, 'severity' | 'database_specific'> & Partial<Pick<Affected, 'ecosystem_specific'>>,
): Severity[] => [
  ...one.severity.map(({ score }) => severityOfCvss(String(score))),
  severityOf(one.database_specific?.severity),
  severityOf(one.ecosystem_specific?.severity),
];

/** Undefined for what is no RPM; a text says what was not understood of a package that has no usable name. */
function statementOf(one: Affected, path: string, summary: string): Statement | string | undefined {
  const purl = parsePurl(one.package?.purl);
  const { ecosystem = '' } = one.package ?? {};
  if (purl ? purl.type !== 'rpm' : otherEcosystems.test(ecosystem)) return undefined;
  const name = one.package?.name ?? purl?.name;
  if (name === undefined) return `${path}: it names no package`;
  if (!isPackageName(name)) return `${path}.package.name: \`${oneLine(name, 60)}\` is no package name`;
  const problems: string[] = [];
  /** A version, or `0`. */
  const version = (text: unknown, at: string): string[] => {
    const evr = text === '0' ? text : typeof text === 'string' ? evrOf(text) : undefined;
    if (evr === undefined)
      problems.push(`${path}.${at}: \`${oneLine(String(text), 60)}\` is no [epoch:]version-release`);
    return evr === undefined ? [] : [evr];
  };
  const versions = one.versions.flatMap((text, n) => version(text, `versions.${n}`));
  const ranges = one.ranges.flatMap(({ type, events }, n) => {
    if (type !== 'ECOSYSTEM') {
      // Commits are said besides, as a rule.
      if (type !== 'GIT') problems.push(`${path}.ranges.${n}: versions of type ${oneLine(type, 40)}`);
      return [];
    }
    const hasNoLimit = events.some(({ limit }) => limit === '*');
    const changes = events.flatMap((event, e) =>
      Object.entries(event).flatMap(([key, text]): Change[] => {
        const [at, kind] = [`ranges.${n}.events.${e}.${oneLine(key, 40)}`, kinds.get(key)];
        if (kind === 'limit' && hasNoLimit) return [];
        if (kind !== undefined) return version(text, at).map((evr) => ({ kind, evr }));
        problems.push(`${path}.${at}: no such event is known`);
        return [];
      }),
    );
    if (events.length === 0) problems.push(`${path}.ranges.${n}: it has no events`);
    return changes.length === 0 ? [] : [changes];
  });
  if (ranges.length === 0 && versions.length === 0 && problems.length === 0)
    problems.push(`${path}: it names no versions`);
  const qualifiers = purl?.qualifiers ?? {};
  const evrs = [...ranges.flat().map(({ evr }) => evr), ...versions];
  const module =
    moduleStream(qualifiers.rpmmod ?? '') ??
    evrs.map((evr) => moduleByTitle(summary, evr)).find((found) => found !== undefined);
  return {
    ...{ name, arch: qualifiers.arch, module, ranges, versions },
    platform: /:\D*(\d+)/.exec(ecosystem)?.[1],
    unclear: problems[0],
  };
}
const kinds = new Map<string, Change['kind']>([
  ['introduced', 'introduced'],
  ['fixed', 'fixed'],
  ['last_affected', 'last'],
  ['limit', 'limit'],
]);
