/** Are the results of a build what was asked for? Said by the RPM files themselves, not by the builder's success. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  evrFits,
  releaseFits,
  splitEvr,
  type RebuiltPackage,
  type SourcePackage,
} from '../domain/rebuild.js';
import type { Architecture } from '../domain/names.js';
import type { ReimzulSettings } from '../domain/rebuild-settings.js';
import { otherSource } from '../rpm/same-source.js';
import { ask, save } from '../steps/http.js';
import { ownCode, type Argv, type Step } from '../steps/step.js';
import { resultsRequest, urlOf, type ListedPackage } from './results.js';

/** Larger than any RPM of CentOS; more is refused unseen. */
const rpmBytes = 4 * 2 ** 30;
const rpmFile = /^[A-Za-z0-9][\w.+~^-]{0,250}\.rpm$/;

/** Results that are not what was asked for: why. */
export class Wrong extends Error {}

/** What is asked for. */
export interface Wanted {
  readonly step: Step;
  readonly settings: ReimzulSettings;
  readonly arch: Architecture;
  readonly source: SourcePackage;
}

const called = ({ name, arch }: { name: string; arch: string }) => `${name}.${arch}`;

/** The expected packages that a listing has not. */
export function missingPackages(source: SourcePackage, listed: readonly ListedPackage[]): string[] {
  const there = new Set(listed.map(called));
  return source.packages.map(called).filter((one) => !there.has(one));
}

/** The listed packages that are expected, each in the version that is; throws `Wrong`. Others, such as debuginfo, are left out. */
export function chosenPackages(
  { source, settings }: Wanted,
  listed: readonly ListedPackage[],
): ListedPackage[] {
  return source.packages.map((wanted) => {
    const [one, ...more] = listed.filter((candidate) => called(candidate) === called(wanted));
    if (one === undefined) throw new Wrong(`${called(wanted)} is missing`);
    if (more.length > 0) throw new Wrong(`${called(wanted)} is there ${more.length + 1} times`);
    if (!evrFits(wanted.evr, one.evr, settings.disttag))
      throw new Wrong(`${called(wanted)} is ${one.evr}; accepted was ${wanted.evr}`);
    if (!rpmFile.test(one.file) || !/^sha256:[0-9a-f]{64}$/.test(one.digest) || one.size > rpmBytes)
      throw new Wrong(
        `${called(wanted)} is listed as ${JSON.stringify(one.file)}, ${one.digest}, ${one.size} bytes`,
      );
    return one;
  });
}

/**
 * Downloads packages into `folder` and compares them with the repo's metadata, then what each RPM says of itself with what was accepted.
 * Answers also the file name of their source RPM. Throws `Wrong`; fails with ReimzulAway.
 */
export async function fetchPackages(
  wanted: Wanted,
  chosen: readonly ListedPackage[],
  folder: string,
): Promise<{ packages: RebuiltPackage[]; source: string }> {
  await mkdir(folder, { recursive: true });
  for (const one of chosen) await download(wanted, one, join(folder, one.file));
  const headers = await readHeaders(
    wanted.step,
    folder,
    chosen.map(({ file }) => file),
  );
  const { source, settings } = wanted;
  const packages = chosen.map(({ file, digest, size, ...listed }, index) => {
    const said = headers[index];
    if (said === undefined) throw new Wrong(`${file} is no RPM`);
    const expected = source.packages.find((one) => called(one) === called(said));
    if (expected === undefined || called(said) !== called(listed) || said.evr !== listed.evr)
      throw new Wrong(
        `${file} is ${called(said)} ${said.evr}; the repo says ${called(listed)} ${listed.evr}`,
      );
    if (!evrFits(expected.evr, said.evr, settings.disttag))
      throw new Wrong(`${file} is ${said.evr}; accepted was ${expected.evr}`);
    if (!sourceFits(source.srpm, said.sourceRpm, settings.disttag))
      throw new Wrong(`${file} was built from ${said.sourceRpm}, not from ${source.srpm}`);
    return { name: said.name, evr: said.evr, arch: said.arch, file, digest, size };
  });
  const [made = '', ...others] = new Set(headers.flatMap((said) => said?.sourceRpm ?? []));
  if (others.length > 0)
    throw new Wrong(`built from several source packages: ${[made, ...others].join(', ')}`);
  return { packages, source: made };
}

/**
 * Downloads the source RPM that the builder made of the submitted one, from beside its packages: it must have the same spec file and
 * sources, since the incoming folder is anybody's who builds there. Throws `Wrong`; fails with ReimzulAway.
 */
export async function fetchSource(
  { step, settings, arch, file: submitted }: Wanted & { readonly file: string },
  from: string,
  name: string,
  folder: string,
): Promise<{ file: string; digest: string }> {
  if (!rpmFile.test(name)) throw new Wrong(`names its source package ${JSON.stringify(name)}`);
  const [url, file] = [urlOf(settings, arch, `${from}${name}`), join(folder, name)];
  const { sha256 } = await ask(url, resultsRequest(step, rpmBytes), async ({ status, body }) => {
    if (status !== 200) throw new Wrong(`${name}, which it was built from, is not there`);
    return save(body, file);
  });
  const why = await otherSource(step, submitted, file, join(folder, 'source'));
  if (why !== undefined)
    throw new Wrong(`was built from another source package than the accepted one: ${why}`);
  return { file: name, digest: `sha256:${sha256}` };
}

/** A rebuilt package names its source package with the release of the rebuild. */
function sourceFits(srpm: string, said: string, disttag: string): boolean {
  const parts = (file: string) => /^(.+)-([^-]+)-([^-]+)\.(?:no)?src\.rpm$/.exec(file)?.slice(1) ?? [];
  const [[name, version, release = ''], [saidName, saidVersion, saidRelease = '']] = [
    parts(srpm),
    parts(said),
  ];
  return name === saidName && version === saidVersion && releaseFits(release, saidRelease, disttag);
}

async function download({ step, settings, arch }: Wanted, one: ListedPackage, file: string): Promise<void> {
  const url = urlOf(settings, arch, `${one.folder}${one.file}`);
  const { sha256, size } = await ask(url, resultsRequest(step, rpmBytes), async ({ status, body }) => {
    if (status !== 200) throw new Wrong(`${one.file} is listed, but not there`);
    return save(body, file, (done) => {
      if (done > one.size)
        throw new Wrong(`${one.file} is larger than the ${one.size} bytes of the repo’s metadata`);
    });
  });
  const digest = `sha256:${sha256}`;
  if (digest !== one.digest || size !== one.size)
    throw new Wrong(
      `${one.file} has ${size} bytes with ${digest}; the repo says ${one.size} with ${one.digest}`,
    );
}

interface Header {
  readonly name: string;
  readonly evr: string;
  readonly arch: string;
  readonly sourceRpm: string;
}

const format = '%{NAME}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}\\n';

/** What RPM files say of themselves, a file at a time: a text in one may not stand for another. An empty database: no keys count. */
export const headerCommand = (dbpath: string, file: string): Argv => [
  ...(['rpm', `--dbpath=${dbpath}`, '-qp', '--queryformat', format, '--', file] as const),
];

async function readHeaders(
  step: Step,
  folder: string,
  files: readonly string[],
): Promise<(Header | undefined)[]> {
  const found: (Header | undefined)[] = [];
  for (const file of files) {
    const command = headerCommand(join(folder, 'rpmdb'), join(folder, file));
    const { stdout } = await step.run(command, { okCodes: ownCode });
    const [name = '', evr = '', arch = '', sourceRpm, ...more] = stdout.trimEnd().split('\t');
    const whole = sourceRpm !== undefined && more.length === 0 && !stdout.trimEnd().includes('\n');
    // An explicit epoch 0 is none, as in the repo's metadata.
    const { epoch, version, release } = splitEvr(evr);
    const plain = `${epoch === '0' ? '' : `${epoch}:`}${version}-${release}`;
    found.push(whole ? { name, evr: plain, arch, sourceRpm } : undefined);
  }
  return found;
}
