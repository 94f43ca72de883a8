/** Module streams: an advisory of `nodejs:18` says nothing of a package of `nodejs:16`. Pure. */
import type { Named } from './named.js';

/** Module stream by `name-[epoch:]version-release.arch`, as package repos tell it of what they carry. */
export type ModuleStreams = ReadonlyMap<string, string>;

/** Is what an advisory says of a package of a module about this release? Undefined where that is not known. */
export type Applies = (named: Named) => boolean | undefined;

/**
 * Of a module a system has one stream. It is known for packages that the repos still list. Else it is told by the packages that are
 * numbered as their stream is, such as nodejs 18.20 of `nodejs:18`; the others of that module go with them.
 */
export function moduleChecker(named: readonly Named[], streams: ModuleStreams): Applies {
  const known = new Map<string, boolean>();
  for (const one of named) {
    const { module } = one.statement;
    if (module === undefined) continue;
    const hint = hintOf(one, module, streams);
    if (hint !== undefined) known.set(module, (known.get(module) ?? false) || hint);
  }
  return ({ statement: { module } }) => (module === undefined ? true : known.get(module));
}

function hintOf({ installed, statement }: Named, module: string, streams: ModuleStreams) {
  const { name, evr, arch } = installed;
  const listed = [arch, 'noarch'].map((of) => streams.get(`${name}-${evr}.${of}`)).find((found) => found);
  if (listed !== undefined) return listed === module;
  const [, stream = ''] = module.split(':');
  const follows = (text: string) => `${versionOf(text)}.`.startsWith(`${stream}.`);
  const versions = [...statement.ranges.flat().map((one) => one.evr), ...(statement.versions ?? [])];
  return /^\d[\d.]*$/.test(stream) && versions.some(follows) ? follows(evr) : undefined;
}

const versionOf = (evr: string): string => evr.replace(/^\d+:/, '').replace(/-[^-]*$/, '');
