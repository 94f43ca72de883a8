/** Advisories of the sample distribution: `updateinfo` of its package repo, for trying out security releases. */
import { z } from 'zod';
import { advisoryId } from '../domain/names.js';
import { severities } from '../domain/security.js';
import type { Step } from '../steps/step.js';
import { readJson, writeJson, writeWhole } from '../store/store.js';

const cve = z.string().regex(/^CVE-\d{4}-\d{4,12}$/, { error: 'write a CVE such as `CVE-2026-1234`' });

/** What `sample bump --advisory` says of an update. */
export const sampleAdvisory = z.strictObject({
  id: advisoryId,
  severity: z.enum(severities),
  cves: z.array(cve).max(20),
});
export type SampleAdvisory = z.infer<typeof sampleAdvisory>;

const entries = z.array(
  sampleAdvisory.extend({
    /** ISO 8601, UTC. */
    issued: z.string(),
    /** `name-[epoch:]version-release.arch` */
    packages: z.array(z.string()),
  }),
);
type Entry = z.infer<typeof entries>[number];

/** Adds the advisory of an update to those in `file` (JSON). One of the same id is about this package too, and is as it is said now. */
export async function addAdvisory(file: string, advisory: SampleAdvisory, nevra: string): Promise<void> {
  const known = (await readJson(file, entries)) ?? [];
  const same = known.find(({ id }) => id === advisory.id);
  const packages = [...new Set([...(same?.packages ?? []), nevra])];
  const entry = { ...advisory, issued: same?.issued ?? new Date().toISOString(), packages };
  await writeJson(file, [...known.filter(({ id }) => id !== advisory.id), entry]);
}

/** Puts the advisories of `file`, if there are any, into the repo metadata in `repodata`. `xml` is where they are written for that. */
export async function publishAdvisories(
  step: Step,
  file: string,
  { repodata, xml }: { repodata: string; xml: string },
): Promise<void> {
  const known = await readJson(file, entries);
  if (!known) return;
  await writeWhole(
    xml,
    `<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n${known.map(update).join('\n')}\n</updates>\n`,
  );
  await step.run(['modifyrepo_c', '--mdtype=updateinfo', '--compress-type=gz', xml, repodata]);
}

function update({ id, severity, cves, issued, packages }: Entry): string {
  const names = packages.map((nevra) => partsOf(nevra).name).join(', ');
  const time = issued.slice(0, 19).replace('T', ' ');
  return `<update from="sample" status="stable" type="security" version="1">
  <id>${escaped(id)}</id>
  <title>${escaped(names)} security update</title>
  <issued date="${escaped(time)}"/>
  <severity>${severity.slice(0, 1).toUpperCase()}${severity.slice(1)}</severity>
  <references>${cves.map((one) => `<reference id="${escaped(one)}" type="cve" title="${escaped(one)}"/>`).join('')}</references>
  <pkglist><collection short="sample"><name>sample</name>${packages.map(packageOf).join('')}</collection></pkglist>
</update>`;
}

function packageOf(nevra: string): string {
  const { name, epoch, version, release, arch } = partsOf(nevra);
  const file = `${name}-${version}-${release}.${arch}.rpm`;
  const attributes = { name, version, release, epoch, arch };
  const text = Object.entries(attributes).map(([key, value]) => `${key}="${escaped(value)}"`);
  return `<package ${text.join(' ')}><filename>${escaped(file)}</filename></package>`;
}

function partsOf(nevra: string) {
  const groups = /^(?<name>.+)-(?:(?<epoch>\d+):)?(?<version>[^-:]+)-(?<release>[^-]+)\.(?<arch>\w+)$/.exec(
    nevra,
  )?.groups;
  const { name = nevra, epoch = '0', version = '', release = '', arch = '' } = groups ?? {};
  return { name, epoch, version, release, arch };
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
