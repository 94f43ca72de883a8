/** The scheduled look at a stream's release dates. */
import { join } from 'node:path';
import { z } from 'zod';
import { releasesOf } from '../domain/cadence.js';
import { cadenceActions, type CadenceActions } from '../domain/candidate.js';
import { storedBuilds } from '../publish/stored-builds.js';
import { upstreamList } from '../release/calendar.js';
import { readReleases } from '../publish/published-releases.js';
import { readView, recalledView } from '../store/releases.js';
import { readJson, writeJson } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { asStep } from './as-step.js';
import { type Host } from '../host.js';
import { stepArgs, tellKey, time } from '../domain/inputs.js';

/** `told.json`: what the SIG was told, by key, and when; oldest first. */
const toldRecord = z.record(z.string(), z.string());
/** Those of some years. */
const keptTold = 500;

export const candidateActivities = (host: Host) => {
  const { settings, store } = host;

  const toldFile = (stream: string) => join(store.releases(stream), 'told.json');
  const readTold = async (stream: string) => (await readJson(toldFile(stream), toldRecord)) ?? {};

  return {
    /**
     * What is to be done for the stream's release dates at the time `now` (the workflow's, ISO 8601, UTC): a build to propose, and
     * what the SIG is told and was not told yet. Changes nothing. By the stream file as it is now. Fails with StreamInvalid.
     */
    lookAtCadence: asStep(
      host,
      stepArgs.extend({ now: time }),
      async (step, args): Promise<CadenceActions> => {
        const stream = await loadStream(settings, args.stream);
        const cadence = stream.release?.cadence;
        if (!cadence) return { tell: [] };
        const releases = await readReleases(host, stream, step.signal);
        const view = await readView(store, stream.name);
        const { tell, ...found } = cadenceActions({
          stream,
          now: new Date(args.now),
          releases: releasesOf(releases),
          // As far as the store knows them: others could not be released from here.
          builds: await storedBuilds(store, stream.name),
          view: view ?? recalledView(stream.name, undefined, releases),
          upstream: await upstreamList(step, cadence.upstream),
        });
        const told = await readTold(stream.name);
        const news = tell.filter(({ key }) => !Object.hasOwn(told, key));
        step.note(
          `propose ${found.propose?.build ?? 'nothing'}; tell ${news.map(({ key }) => key).join(', ') || 'nothing'}`,
        );
        return { ...found, tell: news };
      },
    ),

    /** Which of these the SIG was not told yet. */
    untold: asStep(
      host,
      stepArgs.extend({ keys: z.array(tellKey).max(1000).readonly() }),
      async (_step, { stream, keys }): Promise<string[]> => {
        const told = await readTold(stream);
        return keys.filter((key) => !Object.hasOwn(told, key));
      },
    ),

    /** Keeps what the SIG was told, so that it is not told again. Idempotent. */
    rememberTold: asStep(
      host,
      stepArgs.extend({ keys: z.array(tellKey).max(1000).readonly(), now: time }),
      async (_step, { stream, keys, now }): Promise<void> => {
        const told = await readTold(stream);
        const all = [
          ...Object.entries(told),
          ...keys.filter((key) => !Object.hasOwn(told, key)).map((key) => [key, now]),
        ];
        await writeJson(toldFile(stream), Object.fromEntries(all.slice(-keptTold)));
      },
    ),
  };
};
