/** What the pages work out from a build's metadata, and how they name files. */
import type { BuildMeta, PackageChange } from '../domain/metadata.js';
import type { Outcome } from './types.js';

/** The worst boot test result of a build's images and architectures; `untested` where none was booted. */
export function outcomeOf(...metas: readonly BuildMeta[]): Outcome {
  const outcomes = metas.flatMap((meta) =>
    Object.values(meta.treeline.tests.boot).map((test) => test.outcome),
  );
  return (['failed', 'flaky', 'passed'] as const).find((outcome) => outcomes.includes(outcome)) ?? 'untested';
}

/** The kinds of package changes in the order in which they are shown; the index of `codes` is rpm-ostree's number. */
export const changeKinds = ['upgraded', 'downgraded', 'added', 'removed'] as const;
export type ChangeKind = (typeof changeKinds)[number];
const codes: readonly ChangeKind[] = ['added', 'removed', 'upgraded', 'downgraded'];

export interface Change {
  readonly name: string;
  readonly arch: string;
  /** epoch:version-release */
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** The package difference by kind, each by name. */
export function groupChanges(diff: readonly PackageChange[]): Record<ChangeKind, Change[]> {
  const groups: Record<ChangeKind, Change[]> = { upgraded: [], downgraded: [], added: [], removed: [] };
  for (const [name, code, { PreviousPackage: old, NewPackage: fresh }] of diff) {
    const kind = codes[code];
    if (kind) groups[kind].push({ name, arch: (fresh ?? old)?.[2] ?? '', from: old?.[1], to: fresh?.[1] });
  }
  for (const group of Object.values(groups)) group.sort((a, b) => compareNames(a.name, b.name));
  return groups;
}

/** By code unit: the same order on every machine. */
export const compareNames = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** `2026-11-23 02:30 UTC`; a text that is no date stays as it is. */
export function formatDate(timestamp: string): string {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return timestamp;
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** A fingerprint in groups of four, as gpg prints it; it can be pasted back so. */
export const formatFingerprint = (key: string) =>
  /^[0-9A-Fa-f]{40}$/.test(key) ? key.toUpperCase().replace(/.{4}(?=.)/g, '$& ') : key;

/** A relative link to a file: names are data, so nothing in them may act as a scheme, query or fragment. */
export const fileLink = (path: string) => path.split('/').map(encodeURIComponent).join('/');

/** Link to a log beside meta.json, which names it with or without its folder. */
export const logLink = (log: string) => fileLink(log.startsWith('logs/') ? log : `logs/${log}`);

/** Link from the stream's root to a build's page. It names the file, so that it also works from a plain folder. */
export const buildLink = (id: string, arch: string) => fileLink(`builds/${id}/${arch}/index.html`);

/** A word for a POSIX shell, quoted where it must be. */
export const shellWord = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
