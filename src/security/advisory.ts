/** An advisory as it was read, whatever it was written in. Pure. */
import { PackageURL } from 'packageurl-js';
import { advisoryId, isPackageName } from '../domain/names.js';
import type { SecurityAdvisory } from '../domain/security.js';
import { evrText } from '../rpm/versions.js';
import { worst } from './severity.js';

/**
 * A change along a package's versions. `fixed`: from here on not affected; `last`: affected up to and with this one; `limit`: nothing is
 * said from here on. `evr`: `[epoch:]version-release` as it was written, or `0`: before all versions.
 */
export interface Change {
  readonly kind: 'introduced' | 'fixed' | 'last' | 'limit';
  readonly evr: string;
}

/** What an advisory says of a package. */
export interface Statement {
  /** The binary package, or the source package: where `arch` is `src`, or is absent and no binary package of this name is released. */
  readonly name: string;
  /** Absent: all architectures. */
  readonly arch?: string | undefined;
  /** Module stream, such as `nodejs:18`. Absent: the package is of no module. */
  readonly module?: string | undefined;
  /** Number of the distribution that it is about, such as `9`, where that is said. */
  readonly platform?: string | undefined;
  /** In no order: RPM's is known when they are judged. A version is affected if one of them says so. */
  readonly ranges: readonly (readonly Change[])[];
  /** Versions that are affected besides. */
  readonly versions?: readonly string[] | undefined;
  /** Why it cannot be judged unless ranges and versions name a fix that the release lacks. */
  readonly unclear?: string | undefined;
  /** What else is said of a fix. */
  readonly note?: string | undefined;
}

export interface ReadAdvisory extends SecurityAdvisory {
  readonly statements: readonly Statement[];
  /** What of it was not understood, and may be about any package. */
  readonly problems: readonly string[];
  /** Why its publisher does not want it to count. */
  readonly withdrawn?: string | undefined;
}

/** All versions before this one are affected. */
export const fixedIn = (evr: string): readonly Change[] => [{ kind: 'fixed', evr }];

/** A text for people: one line, bounded. */
export const oneLine = (text: string, most = 300): string =>
  text
    .replace(/[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ')
    .trim()
    .slice(0, most);

/** All CVE ids in these texts, sorted. */
export const cvesIn = (texts: readonly string[]): string[] =>
  [...new Set(texts.flatMap((text) => text.match(/CVE-\d{4}-\d{4,9}/g) ?? []))].sort().slice(0, 100);

/** As it is written; undefined for what is no `[epoch:]version-release`. */
export function evrOf(text: string): string | undefined {
  const evr = text.trim();
  return evrText.test(evr) ? evr : undefined;
}

/** Without an epoch of 0. */
export const plainEvr = (evr: string): string => evr.replace(/^0+:/, '');

export const isId = (text: string): boolean => advisoryId.safeParse(text).success;

/** `name-[epoch:]version-release.arch`; undefined for what is none. */
export function parseNevra(text: string): { name: string; evr: string; arch: string } | undefined {
  const [, name = '', version = '', arch = ''] = /^(.+)-([^-]+-[^-]+)\.(\w+)$/.exec(text) ?? [];
  const evr = evrOf(version);
  return evr !== undefined && isPackageName(name) ? { name, evr, arch } : undefined;
}

/** Undefined for what is no package URL. */
export function parsePurl(text: string | undefined): PackageURL | undefined {
  try {
    return text === undefined ? undefined : PackageURL.fromString(text);
  } catch {
    return undefined;
  }
}

/** Name and stream of `nodejs:18:8070020230306170042:bd1311ed`; undefined for what is no module. */
export const moduleStream = (text: string): string | undefined => /^[\w.+-]+:[\w.+-]+(?=$|:)/.exec(text)?.[0];

/**
 * The module stream of a package by its advisory's title, such as `nodejs:18 security update`, where nothing else says it. Undefined
 * for a package that is of no module; `?` where its release says that it is of one, and nothing says of which.
 */
export function moduleByTitle(title: string, evr: string): string | undefined {
  if (!/\.module[+_]/.test(evr)) return undefined;
  return /(?:^|\s)([\w.+-]+:[\w.+-]+)(?=\s)/.exec(title)?.[1] ?? '?';
}

/** Words of those who publish advisories for what does not count, or not yet. */
const passedOver = new Set(
  [
    ...['retracted', 'revoked', 'withdrawn', 'rejected', 'obsolete', 'obsoleted', 'superseded'],
    ...['testing', 'pending', 'draft', 'unpushed'],
  ],
); // prettier-ignore
export const isPassedOver = (status: string): boolean => passedOver.has(status.trim().toLowerCase());

/** Advisories by id, sorted by it; what several sources say of one is put together. */
export function merged(all: readonly ReadAdvisory[]): ReadAdvisory[] {
  const found = new Map<string, ReadAdvisory>();
  for (const one of all) {
    const known = found.get(one.id);
    found.set(one.id, known ? together(known, one) : one);
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** One that a source has taken back counts as long as another has it. */
function together(known: ReadAdvisory, other: ReadAdvisory): ReadAdvisory {
  if (known.withdrawn !== undefined) return other;
  if (other.withdrawn !== undefined) return known;
  const issued = [known.issued, other.issued].filter((time) => time !== undefined).sort()[0];
  const statements = [...known.statements, ...other.statements];
  return {
    ...known,
    title: known.title || other.title,
    severity: worst([known.severity, other.severity]),
    cves: cvesIn([...known.cves, ...other.cves]),
    ...(issued === undefined ? {} : { issued }),
    statements: [...new Map(statements.map((one) => [JSON.stringify(one), one])).values()],
    problems: [...new Set([...known.problems, ...other.problems])],
  };
}
