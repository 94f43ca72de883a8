/** All advisories of a stream: those of its package repos, and the documents that it names. */
import { join, relative } from 'node:path';
import { metadataCache } from '../composers/dnf/packages.js';
import type { RepoInput } from '../composers/composer.js';
import { resolvedRepos } from '../composers/repos.js';
import { Failure } from '../domain/failures.js';
import { expandRepo } from '../domain/repos.js';
import type { Architecture, Stream } from '../domain/stream.js';
import type { Step } from '../steps/step.js';
import {
  cvesIn,
  evrOf,
  isId,
  isPackageName,
  merged,
  oneLine,
  severityOf,
  type ReadAdvisory,
} from './advisory.js';
import { documentsAt, readDocument } from './documents.js';
import { readUpdateinfo, type RepoAdvisory } from './updateinfo.js';

export interface ReadAll {
  /** By id; what several sources say of one is put together. */
  readonly advisories: readonly ReadAdvisory[];
  /** `<source>: <code>: <reason>`: a line for each that could not be read, or not whole. */
  readonly failed: readonly string[];
}

/**
 * Reads them all, as far as they are about packages of these names. A source that cannot be read costs itself and a line in `failed`.
 * `folder`: that of the stream file; `cache`: repo metadata, kept for the next time; `work`: scratch. Fails with ToolMissing, DiskFull.
 */
export async function readAdvisories(
  step: Step,
  {
    repos,
    releasever,
    architectures,
    release,
  }: Pick<Stream, 'repos' | 'releasever' | 'architectures' | 'release'>,
  names: readonly string[],
  { folder, cache, work }: { folder: string; cache: string; work: string },
): Promise<ReadAll> {
  const found: ReadAdvisory[] = [];
  const failed = new Set<string>();
  const attempt = async (source: string, place: string, read: () => Promise<void>) => {
    try {
      await read();
    } catch (error) {
      step.signal.throwIfAborted();
      if (error instanceof Failure && ['ToolMissing', 'DiskFull'].includes(error.code)) throw error;
      const [code, text] =
        error instanceof Failure ? [error.code, error.message] : ['AdvisoryInvalid', String(error)];
      // The source is named already.
      failed.add(
        `${source}: ${code}: ${oneLine(text.startsWith(`${place}: `) ? text.slice(place.length + 2) : text)}`,
      );
    }
  };
  const readRepo = async (declared: RepoInput, arch: Architecture) => {
    const [repo = declared] = await resolvedRepos([declared], { arch, releasever });
    const caches = await metadataCache({ repos: [repo], cache: join(cache, arch) });
    const question = { repo, releasever, arch, names, cache: caches, work };
    const usable = (await readUpdateinfo(step, question)).flatMap((one) => fromRepo(one, repo.id));
    found.push(...usable.filter(({ problem }) => problem === undefined).map(({ advisory }) => advisory));
    const [first, ...more] = usable.flatMap(({ problem }) => problem ?? []);
    if (first !== undefined)
      throw new Failure('AdvisoryInvalid', `${1 + more.length} of its advisories are left out: ${first}`);
  };
  for (const repo of repos) {
    const urls = architectures.map((arch) => expandRepo(repo, { arch, releasever }).baseurl);
    for (const [i, arch] of architectures.entries())
      if (urls.indexOf(urls[i] ?? '') === i) await attempt(repo.id, '', () => readRepo(repo, arch));
  }
  for (const place of release?.security?.advisories ?? []) {
    let documents: string[] = [];
    await attempt(shown(folder, place), place, async () => void (documents = await documentsAt(place)));
    for (const document of documents) {
      const source = shown(folder, document);
      await attempt(source, document, async () => {
        found.push(...(await readDocument(step.signal, document, source)));
      });
    }
  }
  return { advisories: merged(found), failed: [...failed] };
}

/** A file by its place beside the stream file: no path of this machine is told. */
const shown = (folder: string, place: string): string =>
  /^https?:/.test(place) || relative(folder, place).startsWith('..') ? place : relative(folder, place);

/** Of a repo only what is about security counts. What is not as it should be is left out, with a word on it. */
function fromRepo(
  { id, title, type, severity, issued, cves, packages }: RepoAdvisory,
  source: string,
): { advisory: ReadAdvisory; problem?: string }[] {
  if (type !== 'security' && cves.length === 0) return [];
  const fixed = packages.flatMap(({ name, evr, arch }) => {
    const version = evrOf(evr);
    return version === undefined || !isPackageName(name) ? [] : [{ name, evr: version, arch }];
  });
  const advisory = {
    ...{ id, source, fixed, title: oneLine(title), severity: severityOf(severity), cves: cvesIn(cves) },
    ...(issued === undefined ? {} : { issued }),
  };
  if (!isId(id)) return [{ advisory, problem: `\`${oneLine(id, 60)}\` is no id` }];
  const bad = packages.find(({ evr }) => evrOf(evr) === undefined);
  return [
    bad
      ? { advisory, problem: `${id}: ${bad.name}: \`${oneLine(bad.evr, 60)}\` is no version` }
      : { advisory },
  ];
}
