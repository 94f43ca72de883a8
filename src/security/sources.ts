/** All advisories of a stream: those of its package repos, and the documents that it names. */
import { isPackageName } from '../domain/names.js';
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
  fixedIn,
  isId,
  isPassedOver,
  merged,
  moduleByTitle,
  oneLine,
  type ReadAdvisory,
  type Statement,
} from './advisory.js';
import { documentsAt, readDocument } from './documents.js';
import { severityOf } from './severity.js';
import type { ModuleStreams } from './modules.js';
import { readUpdateinfo, type RepoAdvisory } from './updateinfo.js';

export interface ReadAll {
  /** By id; what several sources say of one is put together. */
  readonly advisories: readonly ReadAdvisory[];
  /** `<source>: <code>: <reason>`: a line for each that could not be read, or not whole. */
  readonly failed: readonly string[];
  /** Of packages that the repos list as parts of modules. */
  readonly modules: ModuleStreams;
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
  const modules = new Map<string, string>();
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
    const read = await readUpdateinfo(step, question);
    for (const [nevra, module] of Object.entries(read.modules)) modules.set(nevra, module);
    const usable = read.advisories.filter(({ id }) => isId(id));
    found.push(...usable.flatMap((one) => fromRepo(one, repo.id)));
    const bad = read.advisories.filter((one) => !usable.includes(one));
    refuse(bad.map(({ id }) => `\`${oneLine(id, 60)}\` is no id`));
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
        const { advisories, problems } = await readDocument(step.signal, document, source);
        found.push(...advisories);
        refuse(problems);
      });
    }
  }
  return { advisories: merged(found), failed: [...failed], modules };
}

/** A file by its place beside the stream file: no path of this machine is told. */
const shown = (folder: string, place: string): string =>
  /^https?:/.test(place) || relative(folder, place).startsWith('..') ? place : relative(folder, place);

/** Of a source whose other records count. Fails with AdvisoryInvalid if there are any. */
function refuse(problems: readonly string[]): void {
  if (problems.length === 0) return;
  const [few, more] = [problems.slice(0, 3).join('; '), problems.length - 3];
  const count = `${problems.length} of its advisories ${problems.length === 1 ? 'is' : 'are'} left out`;
  throw new Failure('AdvisoryInvalid', `${count}: ${few}${more > 0 ? ` and ${more} more` : ''}`);
}

/** Of a repo only what is about security counts. */
function fromRepo(
  { id, title, type, severity, status = '', issued, cves, packages, total }: RepoAdvisory,
  source: string,
): ReadAdvisory[] {
  if (type !== 'security' && cves.length === 0) return [];
  const statements = packages
    .filter(({ name, arch }) => isPackageName(name) && arch !== 'src')
    .map(({ name, evr, arch, module }): Statement => {
      const version = evrOf(evr);
      if (version === undefined)
        return { name, arch, ranges: [], unclear: `\`${oneLine(evr, 60)}\` is no version` };
      return {
        name,
        arch,
        module: module ?? moduleByTitle(title, evr),
        ranges: [fixedIn(withEpoch(version))],
      };
    });
  return [
    {
      ...{
        id,
        source,
        statements,
        title: oneLine(title),
        severity: severityOf(severity),
        cves: cvesIn(cves),
      },
      ...(issued === undefined ? {} : { issued }),
      ...(isPassedOver(status) ? { withdrawn: `its status is ${oneLine(status, 40)}` } : {}),
      problems: total === 0 ? ['it names no package'] : [],
    },
  ];
}

/** Its epochs are fields of their own: none means 0. */
const withEpoch = (evr: string) => (evr.includes(':') ? evr : `0:${evr}`);
