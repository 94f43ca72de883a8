/** From a builder's success to packages that are what was asked for: waits for the repo, asks for it again, refuses what is wrong. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import type { RebuiltSource } from '../domain/rebuild.js';
import type { Beanstalk } from './beanstalk.js';
import { chosenPackages, fetchPackages, fetchSource, missingPackages, Wrong, type Wanted } from './check.js';
import type { ReimzulNews } from './job.js';
import type { NewsJournal } from './news.js';
import { isLocked, placeOf, type Place, type ResultsRepo } from './results.js';
import { askForRepo, targetOf } from './submit.js';
import type { Tries } from './tries.js';

const secondMs = 1000;

export interface RebuildInput extends Wanted {
  readonly run: string;
  readonly urgent?: boolean | undefined;
  /** The SRPM's file. */
  readonly file: string;
  readonly journal: NewsJournal;
  readonly tries: Tries;
  readonly repo: ResultsRepo;
  /** A scratch folder of its own. */
  readonly work: string;
}

/** What a rebuild gives: the packages are in `folder`, which is below the input's `work`. */
export interface Rebuilt {
  readonly result: RebuiltSource;
  readonly folder: string;
}

/** What is known of results that a builder has told of, and that the repo does not list yet. Milliseconds. */
interface Unlisted {
  since: number;
  /** Of the last request for the repo, reimzul's own being the first. */
  asked: number;
  request?: string;
  /** The repo's state at the first request of ours. */
  repomd?: string;
}

export class Results {
  readonly #unlisted = new Map<string, Unlisted>();
  constructor(
    readonly input: RebuildInput,
    /** Tells how far it is. */
    readonly say: (state: string) => void,
  ) {}

  /** Looks at the results of a news. Undefined where they are not there yet, or are not what was asked for. */
  async take(queue: Beanstalk, news: ReimzulNews): Promise<Rebuilt | undefined> {
    const { step, settings, arch, source, tries, repo } = this.input;
    const place = placeOf(settings, arch, news);
    if (place === undefined) {
      if (news.status !== 'Success') return undefined;
      await this.#refuse(news.timestamp ?? news.treeline, 'the builder does not tell where its results are');
      return undefined;
    }
    if (place.timestamp in tries.refused) return undefined;
    const listing = await repo.list(place);
    const listed = 'failure' in listing ? [] : listing.packages;
    const missing = missingPackages(source, listed);
    if (missing.length > 0) {
      const why =
        'failure' in listing ? listing.failure : `not in the repo’s metadata: ${missing.join(', ')}`;
      // What is looked for without a builder's having told of it need not be there.
      if (news.status === 'Success' && !(await this.#chainRuns(place, news, missing)))
        await this.#unlistedYet(queue, place, why, 'failure' in listing);
      return undefined;
    }
    const folder = join(this.input.work, `results-${randomUUID()}`);
    try {
      const chosen = chosenPackages(this.input, listed);
      const { packages, source: made } = await fetchPackages(this.input, chosen, folder);
      const built = await fetchSource(this.input, place.folder, made, folder);
      const { builder, timestamp, url, log } = place;
      step.note(`rebuilt: ${url}`);
      const about = { srpm: source.srpm, builder, timestamp, url, log, tries: tries.tries.length };
      const result = { ...about, source: built, packages };
      return { result, folder };
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      if (!(error instanceof Wrong)) throw error;
      await this.#refuse(place.timestamp, `${place.url}: ${error.message}`);
      return undefined;
    }
  }

  /**
   * A builder's success is there before its repo is: reimzul asks for that, but drops the request while another runs. So ask again; a
   * lock that stays, or requests that nobody takes, are for people; what is not there then, has not arrived.
   */
  async #unlistedYet(queue: Beanstalk, place: Place, why: string, unreadable: boolean): Promise<void> {
    const { settings, arch } = this.input;
    const [now, most, target] = [Date.now(), settings.lost * secondMs, targetOf(settings, arch)];
    const known = this.#unlisted.get(place.timestamp) ?? { since: now, asked: now };
    this.#unlisted.set(place.timestamp, known);
    this.say(`built on ${place.builder || '?'}; waits for the repo: ${place.url}`);
    const untaken = async () =>
      known.request !== undefined && (await queue.peek(known.request)) !== undefined;
    if (now - known.since > most && known.request !== undefined) {
      if (await isLocked(this.input.step, settings, arch))
        throw new Failure('ResultsStuck', `${settings.results}: ${target}/.repolock is there; ${why}`);
      if (await untaken())
        throw new Failure(
          'ReimzulAway',
          `${settings.beanstalk}: nobody takes requests from createrepo; ${why}`,
        );
      if (unreadable) throw new Failure('ReimzulAway', `${settings.results}: ${target}: ${why}`);
      // A lock may be there that the server does not show.
      if (known.repomd === this.input.repo.repomd)
        throw new Failure('ResultsStuck', `${settings.results}: ${target} is not made again; ${why}`);
      await this.#refuse(place.timestamp, `${place.url}: ${why}`);
    } else if (now - known.asked > Math.max(secondMs, most / 4) && !(await untaken())) {
      known.request = await askForRepo(queue, target);
      known.asked = now;
      known.repomd ??= this.input.repo.repomd;
    }
  }

  /** Are the packages of noarch that are missing still to come? Kernels have theirs from another build, hours after their own. */
  async #chainRuns(place: Place, { treeline, target }: ReimzulNews, missing: string[]): Promise<boolean> {
    if (place.chained === undefined || !missing.every((one) => one.endsWith('.noarch'))) return false;
    const { journal, settings, tries } = this.input;
    const ended = (await journal.read(treeline)).some(
      ({ arch, status, timestamp, target: its }) =>
        arch === 'noarch' && its === target && timestamp === place.timestamp && status !== 'Building',
    );
    const begun = tries.tries.find(({ key }) => key === treeline)?.begun ?? '';
    return !ended && Date.now() - Date.parse(begun) < settings.deadline * secondMs;
  }

  /** Results that nobody needs to look at again. */
  async #refuse(timestamp: string, why: string): Promise<void> {
    const { step, tries } = this.input;
    if (timestamp in tries.refused) return;
    tries.refused[timestamp] = why;
    await tries.save();
    step.note(`refused: ${why}`);
  }
}
