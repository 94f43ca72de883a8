/** Writes RPM spec files. Pure. */
import type { Evr } from './deb.js';

export interface SpecFile {
  /** Absolute path in the installed system. */
  readonly path: string;
  readonly type: 'directory' | 'file' | 'link';
  readonly mode: number;
  readonly user: string;
  readonly group: string;
  /** Keep what an administrator changed. */
  readonly config: boolean;
}

export interface Spec {
  readonly name: string;
  readonly evr: Evr;
  readonly arch: string;
  readonly summary: string;
  readonly requires: readonly string[];
  readonly provides: readonly string[];
  /** Shell text that runs in the target after everything is installed. */
  readonly posttrans: string | undefined;
  readonly files: readonly SpecFile[];
}

/** Text from a package, safe inside a spec: one line, no macros. */
const plain = (text: string) =>
  text
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .replaceAll('%', '%%')
    .trim();

/** A path for `%files`: `?` matches the characters that have a meaning there. */
const pattern = (path: string) => `"${path.replace(/[[\]*?\\{}"%$\p{Cc}]/gu, '?')}"`;

function fileLine({ path, type, mode, user, group, config }: SpecFile): string {
  // The mode of a link is not RPM's to set.
  const attr = `%attr(${type === 'link' ? '-' : mode.toString(8).padStart(4, '0')}, ${user}, ${group})`;
  return `${type === 'directory' ? '%dir ' : ''}${config ? '%config(noreplace) ' : ''}${attr} ${pattern(path)}`;
}

/** A spec without %prep, %build and %install: the buildroot is there already. */
export function specText(spec: Spec): string {
  return [
    `Name: ${spec.name}`,
    ...(spec.evr.epoch > 0 ? [`Epoch: ${spec.evr.epoch}`] : []),
    `Version: ${spec.evr.version}`,
    `Release: ${spec.evr.release}`,
    `Summary: ${plain(spec.summary) || spec.name}`,
    'License: see /usr/share/doc',
    ...(spec.arch === 'noarch' ? ['BuildArch: noarch'] : []),
    'AutoReqProv: no',
    ...spec.requires.map((dependency) => `Requires: ${dependency}`),
    ...spec.provides.map((dependency) => `Provides: ${dependency}`),
    '%description',
    plain(spec.summary) || spec.name,
    ...(spec.posttrans === undefined ? [] : ['%posttrans', spec.posttrans.replaceAll('%', '%%')]),
    '%files',
    ...spec.files.map(fileLine),
    '',
  ].join('\n');
}
