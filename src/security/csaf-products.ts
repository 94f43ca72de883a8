/** The products of a CSAF document, and which RPMs they are. Pure. */
import { isPackageName } from '../domain/names.js';
import { z } from 'zod';
import { evrOf, moduleStream, oneLine, parseNevra, parsePurl, type Change } from './advisory.js';

const product = z.object({
  product_id: z.string(),
  name: z.string().default(''),
  product_identification_helper: z
    .object({ purl: z.string().optional(), cpe: z.string().optional() })
    .optional()
    .catch(undefined),
});
type Product = z.infer<typeof product>;
/** Branches lie in each other; their depth is bounded by what a parser can go down. */
interface Branch {
  readonly category: string;
  readonly name: string;
  readonly branches?: readonly Branch[] | undefined;
  readonly product?: Product | undefined;
}
const branch: z.ZodType<Branch> = z.object({
  category: z.string().default(''),
  name: z.string().default(''),
  get branches() {
    return z.array(branch).optional();
  },
  product: product.optional(),
});

export const productTree = z
  .object({
    branches: z.array(branch).default([]),
    full_product_names: z.array(product).default([]),
    relationships: z
      .array(
        z.object({
          product_reference: z.string(),
          relates_to_product_reference: z.string().default(''),
          full_product_name: product,
        }),
      )
      .max(200_000)
      .default([]),
    product_groups: z.array(z.object({ group_id: z.string(), product_ids: z.array(z.string()) })).default([]),
  })
  .prefault({});

/** A product that is an RPM, or may be one: of its bare name. */
export interface Rpm {
  readonly name: string;
  /** Absent: all versions. */
  readonly evr?: string | undefined;
  /** The versions that a `product_version_range` stands for. */
  readonly range?: readonly Change[] | undefined;
  readonly arch?: string | undefined;
  readonly module?: string | undefined;
  /** Number of the distribution that it is a part of. */
  readonly platform?: string | undefined;
  /** Why its version is not known, although one is written. */
  readonly invalid?: string | undefined;
}

/** A product where it stands in the tree: the names of the branches around it, by their categories. */
type Placed = Product & { readonly around: ReadonlyMap<string, string> };

/** Products may be parts of parts: of a module that is a part of a distribution. */
const maxDepth = 8;

/** Finds the RPM by its product id: undefined for what is none, such as a whole distribution; a text says what is not understood. */
export function resolver(tree: z.infer<typeof productTree>): (id: string) => Rpm | string | undefined {
  const placed = new Map<string, Placed>();
  const add = (one: Product, around: Placed['around']) => void placed.set(one.product_id, { ...one, around });
  const walk = (branches: readonly Branch[], around: Placed['around']): void => {
    for (const one of branches) {
      const here = new Map([...around, [one.category, one.name]]);
      if (one.product) add(one.product, here);
      walk(one.branches ?? [], here);
    }
  };
  walk(tree.branches, new Map());
  for (const one of tree.full_product_names) add(one, new Map());
  const parts = new Map(tree.relationships.map((one) => [one.full_product_name.product_id, one]));
  const wholes = new Set(tree.relationships.map((one) => one.relates_to_product_reference));

  /** Module and distribution of which it is a part. */
  const wholeOf = (id: string, depth = 0): Pick<Rpm, 'module' | 'platform'> => {
    const part = parts.get(id);
    const known = placed.get(part?.product_reference ?? id);
    const purl = parsePurl(known?.product_identification_helper?.purl);
    const stream =
      purl?.type === 'rpmmod'
        ? moduleStream(`${purl.name}:${purl.version ?? ''}`)
        : moduleStream(part?.product_reference ?? '');
    const above =
      part && depth < maxDepth ? wholeOf(part.relates_to_product_reference, depth + 1) : undefined;
    return {
      module: stream ?? above?.module,
      platform: part ? above?.platform : known ? platformOf(known) : /\d+/.exec(id)?.[0],
    };
  };
  return (id) => {
    const part = parts.get(id);
    const whole = part && wholeOf(part.relates_to_product_reference);
    const ids = [id, ...(part ? [part.product_reference, part.full_product_name.product_id] : [])];
    const candidates: Placed[] = [
      // `AppStream-9:bash-0:5.1-6.x86_64` is bash as a part of AppStream; what bash is stands with bash itself.
      ...(part ? [placed.get(part.product_reference) ?? bareProduct(part.product_reference)] : []),
      ...(part ? [{ ...part.full_product_name, around: new Map<string, string>() }] : []),
      ...(part ? [] : [placed.get(id) ?? []].flat()),
    ];
    if (candidates.length === 0) {
      const { name, evr, arch } = parseNevra(id) ?? {};
      return name === undefined
        ? `product ${oneLine(id, 80)} is not in its product tree`
        : { name, evr, arch };
    }
    const found = candidates.map(rpmOf).find((one) => one !== undefined);
    if (!found || found === 'other' || (ids.some((one) => wholes.has(one)) && found.evr === undefined))
      return undefined;
    return { ...whole, ...found, module: found.module ?? whole?.module };
  };
}

const bareProduct = (id: string): Placed => ({ product_id: id, name: '', around: new Map() });

/** By its purl, else its name or id, else the branches that it is in. `other`: something else than an RPM; undefined: nothing says it. */
function rpmOf({
  product_id,
  name,
  product_identification_helper: helper,
  around,
}: Placed): Rpm | 'other' | undefined {
  const purl = parsePurl(helper?.purl);
  if (purl) {
    if (purl.type !== 'rpm' || !isPackageName(purl.name)) return 'other';
    const { arch, epoch, rpmmod = '' } = purl.qualifiers ?? {};
    const about = { name: purl.name, arch, module: moduleStream(rpmmod) };
    return {
      ...about,
      ...versioned(purl.version && (epoch === undefined ? '' : `${epoch}:`) + purl.version),
    };
  }
  const nevra = [name, product_id].map((text) => parseNevra(text.replace(/\.rpm$/, ''))).find((one) => one);
  if (nevra) return nevra;
  if (helper?.cpe !== undefined) return 'other';
  // As Red Hat names a part of a module.
  const [, module, part] = /^([\w.+-]+:[\w.+-]+)\/([\w.+-]+)$/.exec(name || product_id) ?? [];
  if (module !== undefined && part !== undefined) return { name: part, module };
  const component = [around.get('product_name') ?? '', name, product_id].find(isPackageName);
  if (component === undefined) return undefined;
  const range = around.get('product_version_range');
  if (range !== undefined) return { name: component, ...ranged(range) };
  return { name: component, ...versioned(around.get('product_version')) };
}

function versioned(text: string | undefined): Pick<Rpm, 'evr' | 'invalid'> {
  if (text === undefined || text === '') return {};
  const evr = evrOf(text);
  return evr === undefined ? { invalid: `\`${oneLine(text, 60)}\` is no [epoch:]version-release` } : { evr };
}

/** `vers:rpm/>=1-1|<2-3`, or such bounds alone. */
function ranged(text: string): Pick<Rpm, 'range' | 'invalid'> {
  const invalid = { invalid: `the range \`${oneLine(text, 60)}\` is not understood` };
  const range = text
    .replace(/^vers:[^/]*\//, '')
    .split('|')
    .map((part): Change | undefined => {
      const [, sign = '', written = ''] = /^\s*(<=|>=|<)\s*(.*)$/.exec(part) ?? [];
      const [kind, evr] = [rangeKinds.get(sign), evrOf(written)];
      return kind && evr !== undefined ? { kind, evr } : undefined;
    });
  const known = range.filter((one) => one !== undefined);
  return known.length === range.length ? { range: known } : invalid;
}
const rangeKinds = new Map<string, Change['kind']>([
  ['<', 'fixed'],
  ['<=', 'last'],
  ['>=', 'introduced'],
]);

/** `9` of `cpe:/o:redhat:enterprise_linux:9::baseos`, or of a name such as `Linux 9`. */
const platformOf = ({ name, product_id, product_identification_helper: helper }: Product) =>
  /^cpe:(?:2\.3:|\/)[aho]?:[^:]*:[^:]*:(\d+)/.exec(helper?.cpe ?? '')?.[1] ??
  /\d+/.exec(name)?.[0] ??
  /\d+/.exec(product_id)?.[0];
