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

/** Debian built these files: nothing is stripped, compressed or checked a second time. */
const asTheyAre = ['__os_install_post', 'debug_package'].map((macro) => `%global ${macro} %{nil}`);

/**
 * Without a tarball, a spec that has no %prep, %build and %install: the buildroot is there already. With one (a file name), a
 * spec for a source RPM, whose files come from the tarball's top folder `<name>-<version>` and whose release takes a dist tag.
 */
export function specText(spec: Spec, tarball?: string): string {
  const sections = ['%prep', '%setup -q', '%install', 'mkdir -p %{buildroot}', 'cp -a . %{buildroot}'];
  return [
    ...(tarball === undefined ? [] : asTheyAre),
    `Name: ${spec.name}`,
    ...(spec.evr.epoch > 0 ? [`Epoch: ${spec.evr.epoch}`] : []),
    `Version: ${spec.evr.version}`,
    `Release: ${spec.evr.release}${tarball === undefined ? '' : '%{?dist}'}`,
    `Summary: ${plain(spec.summary) || spec.name}`,
    'License: see /usr/share/doc',
    ...(spec.arch === 'noarch' ? ['BuildArch: noarch'] : []),
    ...(tarball === undefined ? [] : [`Source0: ${tarball}`]),
    'AutoReqProv: no',
    ...spec.requires.map((dependency) => `Requires: ${dependency}`),
    ...spec.provides.map((dependency) => `Provides: ${dependency}`),
    '%description',
    plain(spec.summary) || spec.name,
    ...(tarball === undefined ? [] : sections),
    ...(spec.posttrans === undefined ? [] : ['%posttrans', spec.posttrans.replaceAll('%', '%%')]),
    '%files',
    ...spec.files.map(fileLine),
    '',
  ].join('\n');
}
