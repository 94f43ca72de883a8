/** OSV documents (ossf.github.io/osv-schema), as far as they tell of RPMs. Pure. */
import { z } from 'zod';
import { advisoryId } from '../domain/names.js';
import {
  cvesIn,
  evrOf,
  isPackageName,
  oneLine,
  severityOf,
  worst,
  type FixedVersion,
  type ReadAdvisory,
} from './advisory.js';

/** What `test` says no to is not looked at, and comes to nothing. */
const only = <T extends z.ZodType>(test: (value: unknown) => boolean, schema: T) =>
  z.unknown().transform((value, context): z.infer<T> | undefined => {
    if (!test(value)) return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const { path, message } of parsed.error.issues)
      context.addIssue({ code: 'custom', path: [...path], message });
    return z.NEVER;
  });

const evr = z
  .string()
  .max(250)
  .transform((text, context) => {
    const found = evrOf(text);
    if (found === undefined) context.addIssue({ code: 'custom', message: 'write [epoch:]version-release' });
    return found ?? z.NEVER;
  });
const said = z
  .object({ severity: z.string().optional().catch(undefined) })
  .optional()
  .catch(undefined);
const time = z.iso.datetime({ offset: true });
const ids = z.array(z.string()).max(1000).default([]);

const event = z.object({
  introduced: z.union([z.literal('0'), evr]).optional(),
  fixed: evr.optional(),
});
const range = z.object({ events: z.array(event).max(200) });
const affected = z.object({
  package: z.object({ name: z.string().refine(isPackageName, { error: 'write a package name' }) }),
  ranges: z
    .array(only((one) => z.object({ type: z.literal('ECOSYSTEM') }).safeParse(one).success, range))
    .max(200)
    .default([]),
  ecosystem_specific: said,
  database_specific: said,
});

/** Distributions of RPMs, in OSV's list of ecosystems or not. A number or name of the distribution may follow. */
const rpmEcosystems =
  /^(AlmaLinux|Azure Linux|CentOS|Fedora|Mageia|openEuler|openSUSE|Oracle Linux|Photon OS|Red Hat|Rocky Linux|SUSE)\b/i;
const rpmPackage = z.object({
  package: z.union([
    z.object({ purl: z.string().startsWith('pkg:rpm/') }),
    z.object({ ecosystem: z.string().regex(rpmEcosystems) }),
  ]),
});

const osv = z.object({
  id: advisoryId,
  modified: time,
  published: time.optional(),
  withdrawn: time.optional(),
  summary: z.string().default(''),
  aliases: ids,
  related: ids,
  upstream: ids,
  affected: z
    .array(only((one) => rpmPackage.safeParse(one).success, affected))
    .max(10_000)
    .default([]),
  database_specific: said,
});

/** Undefined for one that was withdrawn. Throws a ZodError for one that is not as documented. */
export function parseOsv(data: unknown, source: string): ReadAdvisory | undefined {
  const { id, published, withdrawn, summary, aliases, related, upstream, ...rest } = osv.parse(data);
  if (withdrawn !== undefined) return undefined;
  const found = rest.affected.filter((one) => one !== undefined);
  // AlmaLinux says it in its summaries alone.
  const [, titled] = /^(critical|important|moderate|low): /i.exec(summary) ?? [];
  const words = [rest, ...found].flatMap((one) => [
    one.database_specific?.severity,
    'ecosystem_specific' in one ? one.ecosystem_specific?.severity : undefined,
  ]);
  return {
    id,
    title: oneLine(summary),
    severity: worst([...words, titled].map(severityOf)),
    cves: cvesIn([id, ...aliases, ...related, ...upstream]),
    ...(published === undefined ? {} : { issued: new Date(published).toISOString() }),
    source,
    fixed: found.flatMap(({ package: { name }, ranges }) =>
      ranges.flatMap((one) => (one ? fixedIn(name, one) : [])),
    ),
  };
}

/** Each `fixed` ends what the last `introduced` began. */
function fixedIn(name: string, { events }: z.infer<typeof range>): FixedVersion[] {
  let since: string | undefined;
  return events.flatMap(({ introduced, fixed }) => {
    if (introduced !== undefined) since = introduced === '0' ? undefined : introduced;
    return fixed === undefined ? [] : [{ name, evr: fixed, since }];
  });
}
