/** CSAF 2 documents (docs.oasis-open.org/csaf), as far as they tell of fixed RPMs. Pure. */
import { z } from 'zod';
import { advisoryId } from '../domain/names.js';
import {
  cvesIn,
  evrOf,
  isPackageName,
  oneLine,
  parseNevra,
  severityOf,
  worst,
  type FixedVersion,
  type ReadAdvisory,
} from './advisory.js';

const product = z.object({
  product_id: z.string(),
  name: z.string().default(''),
  product_identification_helper: z.object({ purl: z.string().optional() }).optional(),
});
type Product = z.infer<typeof product>;
/** Branches lie in each other; their depth is bounded by what a parser can go down. */
interface Branch {
  readonly branches?: readonly Branch[] | undefined;
  readonly product?: Product | undefined;
}
const branch: z.ZodType<Branch> = z.object({
  get branches() {
    return z.array(branch).optional();
  },
  product: product.optional(),
});

const csaf = z.object({
  document: z.object({
    csaf_version: z.string().startsWith('2.', { error: 'only CSAF 2 is read' }),
    title: z.string(),
    aggregate_severity: z.object({ text: z.string() }).optional(),
    tracking: z.object({
      id: advisoryId,
      initial_release_date: z.iso.datetime({ offset: true }),
      status: z.enum(['draft', 'final', 'interim']),
    }),
  }),
  product_tree: z
    .object({
      branches: z.array(branch).default([]),
      full_product_names: z.array(product).default([]),
      relationships: z
        .array(z.object({ product_reference: z.string(), full_product_name: product }))
        .max(200_000)
        .default([]),
    })
    .prefault({}),
  vulnerabilities: z
    .array(
      z.object({
        cve: z.string().optional(),
        product_status: z.object({ fixed: z.array(z.string()).default([]) }).prefault({}),
        threats: z.array(z.object({ category: z.string(), details: z.string() })).default([]),
      }),
    )
    .max(5000)
    .default([]),
});

/** Undefined for a draft. Throws a ZodError for one that is not as documented. */
export function parseCsaf(data: unknown, source: string): ReadAdvisory | undefined {
  const { document, product_tree: tree, vulnerabilities } = csaf.parse(data);
  const { id, initial_release_date: issued, status } = document.tracking;
  if (status === 'draft') return undefined;
  const products = new Map<string, Product>();
  const add = (one: Product) => void products.set(one.product_id, one);
  tree.full_product_names.forEach(add);
  for (const one of productsOf(tree.branches)) add(one);
  const parts = new Map(tree.relationships.map((one) => [one.full_product_name.product_id, one]));
  const fixed = new Map<string, FixedVersion>();
  for (const one of new Set(vulnerabilities.flatMap(({ product_status: { fixed: ids } }) => ids))) {
    const part = parts.get(one);
    // `AppStream-9:bash-0:5.1-6.x86_64` is bash as a part of AppStream; what bash is stands with bash itself.
    const version = [products.get(part?.product_reference ?? one), part?.full_product_name]
      .map((known) => known && versionOf(known))
      .find((known) => known !== undefined);
    if (version) fixed.set(JSON.stringify(version), version);
  }
  const impacts = vulnerabilities.flatMap(({ threats }) =>
    threats.filter(({ category }) => category === 'impact').map(({ details }) => details),
  );
  return {
    id,
    title: oneLine(document.title),
    severity: severityOf(document.aggregate_severity?.text ?? worst(impacts.map(severityOf))),
    cves: cvesIn(vulnerabilities.flatMap(({ cve }) => cve ?? [])),
    issued: new Date(issued).toISOString(),
    source,
    fixed: [...fixed.values()],
  };
}

const productsOf = (branches: readonly Branch[]): Product[] =>
  branches.flatMap((one) => [...(one.product ? [one.product] : []), ...productsOf(one.branches ?? [])]);

/** By its purl, else its name or id; undefined for what is no RPM, such as a whole distribution. */
function versionOf({
  product_id,
  name,
  product_identification_helper: helper,
}: Product): FixedVersion | undefined {
  const purl = helper?.purl === undefined ? undefined : rpmOf(helper.purl);
  return purl ?? parseNevra(name) ?? parseNevra(product_id);
}

/** `pkg:rpm/<vendor>/<name>@<version>-<release>?arch=<arch>&epoch=<epoch>` */
function rpmOf(purl: string): FixedVersion | undefined {
  const [, path = '', version = '', query = ''] =
    /^pkg:rpm\/([^@?#]+)@([^?#]+)(?:\?([^#]*))?/.exec(purl) ?? [];
  const qualifiers = new URLSearchParams(query);
  const name = decoded(path.split('/').at(-1) ?? '');
  const evr = evrOf(`${qualifiers.get('epoch') ?? '0'}:${decoded(version)}`);
  if (evr === undefined || !isPackageName(name)) return undefined;
  const arch = qualifiers.get('arch');
  return { name, evr, ...(arch === null ? {} : { arch }) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
