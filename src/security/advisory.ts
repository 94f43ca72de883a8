/** An advisory as it was read, whatever it was written in. Pure. */
import { advisoryId, packageName } from '../domain/names.js';
import { severities, type SecurityAdvisory, type Severity } from '../domain/security.js';
import { evrText } from '../rpm/versions.js';

/** A version of a package from which on it has the fix. */
export interface FixedVersion {
  readonly name: string;
  /** `[epoch:]version-release`, without an epoch of 0. */
  readonly evr: string;
  /** Absent: all architectures. `name` may be the source package's then. */
  readonly arch?: string | undefined;
  /** The first version that needs the fix; absent: all before `evr`. */
  readonly since?: string | undefined;
}

export interface ReadAdvisory extends SecurityAdvisory {
  readonly fixed: readonly FixedVersion[];
}

/** A text for people: one line, bounded. */
export const oneLine = (text: string, most = 300): string =>
  text
    .replace(/[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ')
    .trim()
    .slice(0, most);

/** The words that are in use; anything else, and none, is `none`. */
export function severityOf(word: string | undefined): Severity {
  const known = (word ?? '').trim().toLowerCase();
  return words[known] ?? severities.find((severity) => severity === known) ?? 'none';
}
const words: Readonly<Partial<Record<string, Severity>>> = { medium: 'moderate', high: 'important' };

export const worst = (all: readonly Severity[]): Severity =>
  severities.findLast((severity) => all.includes(severity)) ?? 'none';

/** All CVE ids in these texts, sorted. */
export const cvesIn = (texts: readonly string[]): string[] =>
  [...new Set(texts.flatMap((text) => text.match(/CVE-\d{4}-\d{4,9}/g) ?? []))].sort().slice(0, 100);

/** Undefined for what is no such version. Without an epoch of 0. */
export function evrOf(text: string): string | undefined {
  const evr = text.trim().replace(/^0+:/, '');
  return evrText.test(evr) ? evr : undefined;
}

export const isId = (text: string): boolean => advisoryId.safeParse(text).success;
export const isPackageName = (text: string): boolean =>
  text.length <= 200 && packageName.safeParse(text).success;

/** `name-[epoch:]version-release.arch`; undefined for what is none. */
export function parseNevra(text: string): { name: string; evr: string; arch: string } | undefined {
  const [, name = '', version = '', arch = ''] = /^(.+)-([^-]+-[^-]+)\.(\w+)$/.exec(text) ?? [];
  const evr = evrOf(version);
  return evr !== undefined && isPackageName(name) ? { name, evr, arch } : undefined;
}

/** Advisories by id, sorted by it; what several sources say of one is put together. */
export function merged(all: readonly ReadAdvisory[]): ReadAdvisory[] {
  const found = new Map<string, ReadAdvisory>();
  for (const one of all) {
    const known = found.get(one.id);
    found.set(one.id, known ? together(known, one) : one);
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function together(known: ReadAdvisory, other: ReadAdvisory): ReadAdvisory {
  const issued = [known.issued, other.issued].filter((time) => time !== undefined).sort()[0];
  const text = (fixed: FixedVersion) => JSON.stringify([fixed.name, fixed.evr, fixed.arch, fixed.since]);
  return {
    ...known,
    title: known.title || other.title,
    severity: worst([known.severity, other.severity]),
    cves: cvesIn([...known.cves, ...other.cves]),
    ...(issued === undefined ? {} : { issued }),
    fixed: [...new Map([...known.fixed, ...other.fixed].map((fixed) => [text(fixed), fixed])).values()],
  };
}
