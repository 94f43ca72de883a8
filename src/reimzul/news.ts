/**
 * News of our jobs. The queue gives each to one reader, whoever that is: so every step that waits reads it for all, and puts what it
 * reads into a journal, where the step whose job it is finds it.
 *
 *     <state>/news/<run>/<arch>/<source package>/<try>/<status>-<sha256 of the news>.json
 *
 * News that comes twice is one file; its order says nothing. The run's folder is there while the run waits for news: what comes later
 * is dropped.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, writeWhole } from '../store/store.js';
import type { Beanstalk } from './beanstalk.js';
import { parseNews, type ReimzulNews } from './job.js';

/** A job has a handful of news, each may come a few times; more is somebody's mistake. */
const mostNews = 100;

export class NewsJournal {
  constructor(
    /** The instance's state folder; hosts that share it share the news. */
    readonly state: string,
  ) {}

  readonly #dir = (key: string) => join(this.state, 'news', key);

  /** From now on, news with this key is kept. To be called before the job is submitted. */
  async open(key: string): Promise<void> {
    await mkdir(this.#dir(key), { recursive: true });
  }

  /** All news with this key, in no order. */
  async read(key: string): Promise<ReimzulNews[]> {
    const names = await readdir(this.#dir(key)).catch(() => []);
    const found: ReimzulNews[] = [];
    for (const name of names.filter((one) => one.endsWith('.json')).sort()) {
      const news = parseNews(Buffer.from((await readText(join(this.#dir(key), name))) ?? ''));
      if (!('foreign' in news)) found.push(news);
    }
    return found;
  }

  /** Keeps a news. Answers why not, if it is none of ours: for the log. */
  async keep(body: Buffer): Promise<string | undefined> {
    const news = parseNews(body);
    if ('foreign' in news) return news.foreign;
    const about = `of ${news.treeline}: ${news.arch} ${news.status}`;
    const folder = this.#dir(news.treeline);
    const there = await readdir(folder).catch(() => undefined);
    // Of a run that has ended, or of another instance.
    if (there === undefined) return about;
    if (there.length >= mostNews) return `${about}: one of too many`;
    const digest = createHash('sha256').update(body).digest('hex').slice(0, 24);
    await writeWhole(join(folder, `${news.status}-${digest}.json`), body);
    return undefined;
  }

  /**
   * Takes news from the queue for so many seconds at least, or until some came, and keeps it: `deleted` only when it is on the disk, so
   * that a crash between makes it come again. The connection watches the news tube.
   */
  async pump(queue: Beanstalk, seconds: number, note: (line: string) => void): Promise<void> {
    // Whatever else waits is taken at once, but others shall have their turn.
    for (let taken = 0; taken < 200; taken++) {
      const job = await queue.reserve(taken === 0 ? seconds : 0);
      if (job === undefined) return;
      const foreign = await this.keep(job.body);
      if (foreign !== undefined) note(`news of no job that is waited for: ${foreign}`);
      await queue.delete(job.id);
    }
  }
}

/** Forgets all news of a run. Idempotent; news that comes later is dropped. */
export const removeNews = (state: string, run: string) =>
  rm(join(state, 'news', run), { recursive: true, force: true });
