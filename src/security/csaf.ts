/** CSAF 2 documents (docs.oasis-open.org/csaf), as far as they tell of RPMs. Pure. */
import { z } from 'zod';
import { advisoryId } from '../domain/names.js';
import type { Severity } from '../domain/security.js';
import { cvesIn, isPassedOver, oneLine, type Change, type ReadAdvisory, type Statement } from './advisory.js';
import { productTree, resolver, type Rpm } from './csaf-products.js';
import { severityOf, severityOfCvss, severityOfScore, worst } from './severity.js';

const products = z.array(z.string()).default([]);
const score = z
  .object({
    vectorString: z.string().optional(),
    baseScore: z.number().optional(),
    baseSeverity: z.string().optional(),
  })
  .optional()
  .catch(undefined);
const scores = z.object({ cvss_v2: score, cvss_v3: score, cvss_v4: score });

const vulnerability = z.object({
  cve: z.string().optional(),
  product_status: z
    .object({
      ...{ fixed: products, first_fixed: products, recommended: products },
      ...{ known_affected: products, first_affected: products, last_affected: products },
      ...{ known_not_affected: products, under_investigation: products, unknown: products },
    })
    .prefault({}),
  threats: z.array(z.object({ category: z.string(), details: z.string() })).default([]),
  scores: z.array(scores).default([]),
  /** Of CSAF 2.1. */
  metrics: z.array(z.object({ content: scores })).default([]),
  remediations: z
    .array(
      z.object({
        ...{ category: z.string(), details: z.string().default('') },
        ...{ product_ids: products, group_ids: products },
      }),
    )
    .default([]),
});
type Vulnerability = z.infer<typeof vulnerability>;

const csaf = z.object({
  document: z.object({
    category: z.string().default(''),
    csaf_version: z.string().startsWith('2.', { error: 'only CSAF 2 is read' }),
    title: z.string(),
    aggregate_severity: z.object({ text: z.string() }).optional(),
    tracking: z.object({
      id: advisoryId,
      initial_release_date: z.iso.datetime({ offset: true }),
      status: z.string(),
    }),
  }),
  product_tree: productTree,
  vulnerabilities: z.array(vulnerability).max(5000).default([]),
});

/** Throws a ZodError for one that is not as documented. */
export function parseCsaf(data: unknown, source: string): ReadAdvisory {
  const { document, product_tree: tree, vulnerabilities } = csaf.parse(data);
  const { id, initial_release_date: issued, status } = document.tracking;
  const withdrawn = [status, document.category.replace(/^csaf_/, '')].find(isPassedOver);
  const rpmOf = resolver(tree);
  const groups = new Map(tree.product_groups.map((one) => [one.group_id, one.product_ids]));
  const problems = new Set<string>();
  const statements = vulnerabilities.flatMap((one) => statementsOf(one, { rpmOf, groups, problems }));
  if (statements.length === 0 && problems.size === 0) problems.add('it names no package');
  return {
    id,
    title: oneLine(document.title),
    severity: worst([
      severityOf(document.aggregate_severity?.text),
      ...vulnerabilities.flatMap(severitiesIn),
    ]),
    cves: cvesIn(vulnerabilities.flatMap(({ cve }) => cve ?? [])),
    issued: new Date(issued).toISOString(),
    ...{ source, statements, problems: [...problems] },
    ...(withdrawn === undefined ? {} : { withdrawn: `its status is ${oneLine(withdrawn, 40)}` }),
  };
}

const severitiesIn = ({ threats, scores: all, metrics }: Vulnerability): Severity[] => [
  ...threats.filter(({ category }) => category === 'impact').map(({ details }) => severityOf(details)),
  ...[...all, ...metrics.map(({ content }) => content)]
    .flatMap((one) => [one.cvss_v2, one.cvss_v3, one.cvss_v4])
    .flatMap((one) => [
      severityOfCvss(one?.vectorString ?? ''),
      severityOfScore(one?.baseScore),
      severityOf(one?.baseSeverity),
    ]),
];

interface Known {
  readonly rpmOf: (product: string) => Rpm | string | undefined;
  /** Products by group. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** What was not understood is added. */
  readonly problems: Set<string>;
}

type Status = keyof Vulnerability['product_status'];
type Claim = Rpm & { readonly status: Status; readonly product: string };

/** What it says of each package, taken together from all its statuses. */
function statementsOf(of: Vulnerability, { rpmOf, groups, problems }: Known): Statement[] {
  const claims = (Object.entries(of.product_status) as [Status, string[]][]).flatMap(([status, ids]) =>
    [...new Set(ids)].flatMap((product): Claim[] => {
      const rpm = rpmOf(product);
      if (typeof rpm !== 'string') return rpm ? [{ ...rpm, status, product }] : [];
      if (status !== 'known_not_affected') problems.add(rpm);
      return [];
    }),
  );
  const anyArch = ({ name, module, platform }: Rpm) => JSON.stringify([name, module, platform]);
  const fixable = new Set(claims.filter(isFix).map(anyArch));
  const packages = new Map<string, [Claim, ...Claim[]]>();
  for (const one of claims) {
    const key = JSON.stringify([anyArch(one), one.arch]);
    packages.set(key, [...(packages.get(key) ?? []), one] as [Claim, ...Claim[]]);
  }
  return [...packages.values()].map((all): Statement => {
    const [{ name, arch, module, platform }] = all;
    const note = remediation(of, all, groups);
    return { name, arch, module, platform, note, ...saidOf(all, fixable.has(anyArch(all[0]))) };
  });
}

const isFix = ({ status, evr }: Claim) => fixStatuses.includes(status) && evr !== undefined;
const fixStatuses: readonly Status[] = ['fixed', 'first_fixed', 'recommended'];

/** `fixable`: a version with the fix is named for this package, for whatever architecture. */
function saidOf(all: readonly Claim[], fixable: boolean): Pick<Statement, 'ranges' | 'versions' | 'unclear'> {
  const evrs = (...of: readonly Status[]) =>
    all.filter(({ status }) => of.includes(status)).flatMap(({ evr }) => evr ?? []);
  const bare = (...of: readonly Status[]) =>
    all.some(
      ({ status, evr, range, invalid }) => of.includes(status) && (evr ?? range ?? invalid) === undefined,
    );
  const changes = (kind: Change['kind'], of: readonly string[]) => of.map((evr): Change => ({ kind, evr }));
  const bounds = [
    ...changes('introduced', evrs('first_affected')),
    ...changes('last', evrs('last_affected')),
  ];
  const fixes = evrs(...fixStatuses);
  const ranges = all.flatMap(({ status, range }) => (range && status === 'known_affected' ? [range] : []));
  const versions = evrs('known_affected');
  const isAffected = bare('known_affected', 'first_affected', 'last_affected');
  if (fixes.length > 0) ranges.push(...changes('fixed', fixes).map((fix) => [...bounds, fix]));
  else if (bounds.length > 0) ranges.push(bounds);
  else if (isAffected && !fixable) ranges.push(changes('introduced', ['0']));
  const invalid = all.find(
    ({ invalid: text, status }) => text !== undefined && status !== 'known_not_affected',
  );
  const unclear =
    invalid?.invalid ??
    (bare(...fixStatuses) && fixes.length === 0 ? 'its fixed version is not named' : undefined) ??
    (fixable || !all.some(({ status }) => ['under_investigation', 'unknown'].includes(status))
      ? undefined
      : 'its publisher is still investigating whether it is affected') ??
    (ranges.length === 0 && versions.length > 0 && !fixable
      ? `only of ${versions.slice(0, 3).join(', ')} it is said that it is affected`
      : undefined);
  return { ranges, versions, unclear };
}

/** What is said of fixes of these products; undefined for nothing. */
function remediation(
  { remediations }: Vulnerability,
  claims: readonly Claim[],
  groups: Known['groups'],
): string | undefined {
  const products = new Set(claims.map(({ product }) => product));
  const texts = remediations
    .filter(({ product_ids, group_ids }) =>
      [...product_ids, ...group_ids.flatMap((id) => groups.get(id) ?? [])].some((id) => products.has(id)),
    )
    .flatMap(({ category, details }) => {
      const plain = plainRemediations.get(category);
      return plain ?? (details === '' ? [] : `${category.replaceAll('_', ' ')}: ${details}`);
    });
  return texts.length === 0 ? undefined : oneLine([...new Set(texts)].join('; '), 200);
}
const plainRemediations = new Map([
  ['none_available', 'no fix is available yet'],
  ['no_fix_planned', 'no fix is planned'],
  ['fix_planned', 'a fix is planned'],
]);
