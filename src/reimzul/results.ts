/** What reimzul has built, as its results folder shows it over HTTP. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import type { Architecture } from '../domain/names.js';
import type { ReimzulSettings } from '../domain/rebuild-settings.js';
import { packageRoot } from '../settings.js';
import { causeOf } from '../steps/cause.js';
import { ask, wholeOf } from '../steps/http.js';
import { ownCode, type Argv, type Step } from '../steps/step.js';
import type { ReimzulNews } from './job.js';
import { targetOf } from './submit.js';

/** Seconds to read a repo's metadata; that of a large one over a slow line. */
const listSeconds = 600;
const repomdBytes = 2 ** 20;

/** Where a build's results are: `<results>/<target>/<pkgname>/<timestamp>/<evr>.<arch>/`. */
export interface Place {
  readonly timestamp: string;
  readonly pkgname: string;
  /** Of the SRPM as it was submitted. */
  readonly evr: string;
  readonly builder: string;
  /** Below the target's folder, with a `/` at its end. */
  readonly folder: string;
  /** The same for packages of noarch that the builder chains, which it does for kernels. */
  readonly chained?: string;
  readonly url: string;
  readonly log: string;
}

const kernels = ['kernel', 'kernel-plus'];

/** The place of the results that a news is about; undefined where it does not tell. */
export function placeOf(
  settings: Pick<ReimzulSettings, 'results' | 'target'>,
  arch: Architecture,
  { pkgname, timestamp, evr, builder_fqdn: builder = '' }: ReimzulNews,
): Place | undefined {
  if (pkgname === undefined || timestamp === undefined || evr === undefined) return undefined;
  const folder = `${pkgname}/${timestamp}/${evr}.${arch}/`;
  const url = urlOf(settings, arch, folder);
  return {
    ...{ timestamp, pkgname, evr, builder, folder, url },
    log: `${url}build.log`,
    ...(kernels.includes(pkgname) ? { chained: `${pkgname}/${timestamp}/${evr}.noarch/` } : {}),
  };
}

/** URL of a path below the target's folder. */
export const urlOf = (
  settings: Pick<ReimzulSettings, 'results' | 'target'>,
  arch: Architecture,
  path: string,
) =>
  [
    settings.results.replace(/\/+$/, ''),
    targetOf(settings, arch),
    ...path.split('/').map(encodeURIComponent),
  ].join('/');

/** How a file of the results is asked for. A refusal may be the server's of today, so that it is asked again. */
export const resultsRequest = ({ signal }: Pick<Step, 'signal'>, maxBytes: number) =>
  ({ signal, maxBytes, away: 'ReimzulAway', refused: 'ReimzulAway', statuses: gone }) as const;

/** What a server answers that has no such file. */
const gone = [404, 410];

/** Those of a small file: it must come as quickly as an answer. Milliseconds. */
const smallFile = { total: 30_000 };

/**
 * Is there the lock of a target's createrepo, left behind or of one that runs? Reimzul drops requests meanwhile. A server that does not
 * show such files is believed to have none. Fails with ReimzulAway.
 */
export async function isLocked(
  step: Pick<Step, 'signal'>,
  settings: ReimzulSettings,
  arch: Architecture,
): Promise<boolean> {
  const hidden = [401, 403, 405, ...gone];
  const request = {
    ...resultsRequest(step, Infinity),
    method: 'HEAD',
    statuses: hidden,
    limits: smallFile,
  } as const;
  return ask(urlOf(settings, arch, '.repolock'), request, ({ status }) => !hidden.includes(status));
}

const listedPackage = z.object({
  name: z.string(),
  evr: z.string(),
  arch: z.string(),
  folder: z.string(),
  file: z.string(),
  digest: z.string(),
  size: z.int().min(0),
});
export type ListedPackage = z.infer<typeof listedPackage>;
const answer = z.union([z.object({ packages: z.array(listedPackage) }), z.object({ failure: z.string() })]);
export type Listing = z.infer<typeof answer>;

/** Lists the packages of folders; see `results.py`. */
export const listCommand: Argv = [
  // In the foreground: the process group stays the step's, so that a cancellation reaches it.
  'timeout',
  '--foreground',
  '--kill-after=5',
  String(listSeconds),
  'python3',
  '-I',
  join(packageRoot, 'src/reimzul/results.py'),
];

/** The repo of the results of one target, read again only when it has changed. */
export class ResultsRepo {
  #known: { asked: string; listing: Listing } | undefined;
  /** Hex sha256 of repomd.xml as `list` has last seen it; empty for none. Another one each time that the repo is made again. */
  repomd = '';
  constructor(
    readonly step: Step,
    readonly settings: ReimzulSettings,
    readonly arch: Architecture,
    readonly releasever: string,
    /** A scratch folder of its own. */
    readonly work: string,
  ) {}

  /**
   * The RPMs that the repo's metadata lists below a place, without source packages; none where there is no repo yet; a failure where the
   * metadata cannot be read, as for a moment while it is replaced. Fails with ReimzulAway.
   */
  async list({ folder, chained }: Place): Promise<Listing> {
    const folders = [folder, ...(chained === undefined ? [] : [chained])];
    const content = await ask(
      urlOf(this.settings, this.arch, 'repodata/repomd.xml'),
      { ...resultsRequest(this.step, repomdBytes), limits: smallFile },
      async ({ status, body }) => (gone.includes(status) ? undefined : wholeOf(body)),
    );
    this.repomd = '';
    if (content === undefined) return { packages: [] };
    this.repomd = createHash('sha256').update(content).digest('hex');
    const asked = [this.repomd, ...folders].join('\n');
    if (this.#known?.asked === asked) return this.#known.listing;
    const listing = await this.#read(folders);
    if (!('failure' in listing)) this.#known = { asked, listing };
    return listing;
  }

  async #read(folders: readonly string[]): Promise<Listing> {
    await mkdir(this.work, { recursive: true });
    const dir = await mkdtemp(join(this.work, 'repo-'));
    const repo = {
      id: 'results',
      baseurl: urlOf(this.settings, this.arch, ''),
      gpgKeys: [],
      metadataSigned: false,
    };
    const { stdout, stderr, exitCode } = await this.step.run(listCommand, {
      input: JSON.stringify({
        ...{ cachedir: dir, persistdir: dir, releasever: this.releasever, arch: this.arch },
        ...{ repos: [repo], folders },
      }),
      capture: 'all',
      okCodes: ownCode,
    });
    await rm(dir, { recursive: true, force: true });
    const missing = /No module named '([\w.]+)'/.exec(stderr)?.[1];
    if (missing !== undefined) throw new Failure('ToolMissing', `python3: no module ${missing}`);
    const last = stdout.trimEnd().split('\n').at(-1) ?? '';
    if (exitCode === 0 && last.startsWith('{')) return answer.parse(JSON.parse(last));
    return { failure: `the reader ended with exit code ${exitCode}: ${causeOf(stdout, stderr)}` };
  }
}
