/** Has a source package rebuilt in reimzul: submits it, waits for news, looks at the results, and tries again what was lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../domain/failures.js';
import { formatSeconds } from '../domain/units.js';
import { Beanstalk } from './beanstalk.js';
import { Results, type RebuildInput, type Rebuilt } from './take.js';
import { keyOf, type ReimzulNews } from './job.js';
import { placeOf } from './results.js';
import { inQueue, putJob, putSource, targetOf } from './submit.js';
import type { OneTry, Tries } from './tries.js';

/** Longest time without queue or results until people are told; the step's retry then goes on. Milliseconds. */
const mostAwayMs = 60_000;
const secondMs = 1000;

/**
 * Waits until the source package is rebuilt as accepted. Any number of these may wait at the same time, on any host of the
 * instance. Fails with RebuildFailed, RebuildLost, RebuildWrong; ReimzulAway, ResultsStuck.
 */
export async function rebuild(input: RebuildInput): Promise<Rebuilt> {
  const { step, settings, tries } = input;
  const waiting = new Waiting(input);
  let queue: Beanstalk | undefined;
  let awaySince: number | undefined;
  try {
    for (;;) {
      try {
        queue ??= await listen(settings, step.signal);
        const done = await waiting.round(queue);
        awaySince = undefined;
        if (done) return done;
      } catch (error) {
        queue?.close();
        queue = undefined;
        if (!(error instanceof Failure && error.code === 'ReimzulAway')) throw error;
        if (awaySince === undefined) step.note(`${error.message}; goes on when it is back`);
        awaySince ??= Date.now();
        if (Date.now() - awaySince > Math.min(mostAwayMs, settings.lost * secondMs)) throw error;
        await sleep(secondMs, undefined, { signal: step.signal }).catch(() => step.signal.throwIfAborted());
      }
    }
  } catch (error) {
    // A person's cancellation; a worker that stops, or a host that is slow, leaves the job to the next attempt.
    if (step.signal.aborted && /^CANCELLED/.test(String((step.signal.reason as Error | undefined)?.message)))
      await withdraw(settings.beanstalk, tries);
    throw error;
  } finally {
    queue?.close();
  }
}

async function listen(
  { beanstalk, news }: { beanstalk: string; news: string },
  signal: AbortSignal,
): Promise<Beanstalk> {
  const queue = await Beanstalk.connect(beanstalk, signal);
  await queue.watch(news);
  if (news !== 'default') await queue.ignore('default');
  return queue;
}

/** Takes our jobs out of the queue that no builder has taken, as far as that goes within seconds. */
async function withdraw(beanstalk: string, { tries }: Tries): Promise<void> {
  try {
    const queue = await Beanstalk.connect(beanstalk, AbortSignal.timeout(3000));
    for (const { job, key } of tries)
      if (job !== undefined && (await inQueue(queue, job, key))) await queue.delete(job);
    queue.close();
  } catch {
    // They are then built for nobody.
  }
}

class Waiting {
  readonly #results: Results;
  /** When results were last looked for without a builder's having told of them. */
  #looked = 0;
  #noted = '';
  constructor(readonly input: RebuildInput) {
    this.#results = new Results(input, (state) => this.#say(state));
  }

  /** Takes news, and does what follows from all that is known. Gives the result once it is there. */
  async round(queue: Beanstalk): Promise<Rebuilt | undefined> {
    const { step, settings, journal, tries } = this.input;
    if (tries.current === undefined || tries.current.ended) await this.#begin();
    const current = tries.current;
    if (current === undefined) return undefined;
    if (current.job === undefined) await this.#submit(queue, current);
    // Others may take our news from the queue: it is then in the journal.
    const seconds = Math.max(1, Math.min(5, Math.floor(settings.lost / 10)));
    await journal.pump(queue, seconds, step.note);
    // A success that comes late is as good as any.
    for (const { key } of tries.tries)
      for (const news of await this.#news(key)) {
        const done = news.status === 'Success' ? await this.#results.take(queue, news) : undefined;
        if (done) return done;
      }
    return this.#judge(queue, current);
  }

  /** News of our own build; those that the builder chains to it have the same key, target and timestamp, but another arch. */
  async #news(key: string): Promise<ReimzulNews[]> {
    const { journal, settings, arch, source } = this.input;
    const target = targetOf(settings, arch);
    const all = await journal.read(key);
    return all.filter((one) => one.arch === arch && one.target === target && one.srpm === source.srpm);
  }

  /** The source goes first, the record second, the job last: a crash anywhere leaves nothing that the next attempt does not know. */
  async #begin(): Promise<void> {
    const { step, settings, run, arch, source, tries, journal, file } = this.input;
    await putSource(step, settings, file);
    const key = keyOf({ run, arch, srpm: source.srpm, attempt: tries.tries.length + 1 });
    await journal.open(key);
    tries.tries.push({ key, begun: new Date().toISOString() });
    await tries.save();
  }

  async #submit(queue: Beanstalk, current: OneTry): Promise<void> {
    const { step, settings, arch, source, urgent, journal, tries } = this.input;
    await journal.pump(queue, 0, step.note);
    // Submitted before a crash, and taken by a builder since.
    if ((await journal.read(current.key)).length > 0) return;
    current.job = await putJob(queue, settings, { srpm: source.srpm, arch, key: current.key, urgent });
    await tries.save();
    step.note(
      `try ${tries.tries.length} of ${settings.tries}: job ${current.job} for ${targetOf(settings, arch)}`,
    );
  }

  /** How is the current try? */
  async #judge(queue: Beanstalk, current: OneTry): Promise<Rebuilt | undefined> {
    const { settings, arch, source, tries, step } = this.input;
    const all = await this.#news(current.key);
    const successes = all.filter(({ status }) => status === 'Success');
    const refusals = successes.map(({ timestamp, treeline }) => tries.refused[timestamp ?? treeline]);
    if (refusals.some((why) => why === undefined)) return undefined;
    const [wrong] = refusals;
    if (wrong !== undefined) return this.#end(current, 'RebuildWrong', wrong);
    const failed = all.find(({ status }) => status === 'Failed');
    if (failed) {
      const { builder, log } = placeOf(settings, arch, failed) ?? { builder: '?', log: settings.results };
      throw new Failure('RebuildFailed', `${source.srpm} does not build for ${arch} on ${builder}: ${log}`);
    }
    const now = Date.now();
    if (current.taken === undefined) {
      if (all.length === 0 && current.job !== undefined && (await inQueue(queue, current.job, current.key))) {
        this.#say('waits in the queue');
        // It is not lost: another one would wait just so.
        if (now - Date.parse(current.begun) > settings.deadline * secondMs)
          throw new Failure(
            'ReimzulAway',
            `${settings.beanstalk}: no builder has taken ${source.srpm} for ${formatSeconds(settings.deadline)}`,
          );
        return undefined;
      }
      current.taken = new Date(now).toISOString();
      await tries.save();
    }
    const silent = now - Date.parse(current.taken);
    const [building] = all;
    if (building === undefined) {
      this.#say('was taken from the queue; no news yet');
      if (silent <= settings.lost * secondMs) return undefined;
      return this.#end(current, 'RebuildLost', `taken, and no news for ${formatSeconds(settings.lost)}`);
    }
    const place = placeOf(settings, arch, building);
    this.#say(`is built on ${building.builder_fqdn ?? '?'}: ${place?.url ?? settings.results}`);
    const overdue = silent > settings.deadline * secondMs;
    // The end's news may have been lost with the queue.
    if (overdue || now - Math.max(this.#looked, Date.parse(current.taken)) > settings.lost * secondMs) {
      this.#looked = now;
      const done = await this.#results.take(queue, building);
      if (done) return done;
    }
    if (!overdue) return undefined;
    step.note(`try ${tries.tries.length}: too late`);
    return this.#end(current, 'RebuildLost', `not ready within ${formatSeconds(settings.deadline)}`);
  }

  /** The next round tries again, if there are tries left. */
  async #end(current: OneTry, code: 'RebuildLost' | 'RebuildWrong', why: string): Promise<undefined> {
    const { settings, source, arch, tries, step } = this.input;
    step.note(`try ${tries.tries.length} of ${settings.tries} has ended: ${why}`);
    if (tries.tries.length >= settings.tries)
      throw new Failure(code, `${source.srpm} for ${arch}, after ${settings.tries} tries: ${why}`);
    current.ended = { code, why };
    await tries.save();
  }

  /** For the log and for who watches: what has changed. */
  #say(state: string): void {
    if (state === this.#noted) return;
    this.#noted = state;
    this.input.step.note(state);
    this.input.step.tell(state);
  }
}
