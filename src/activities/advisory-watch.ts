/** The scheduled look for advisories, and the fixes that later builds must not lose. */
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { lockfile } from '../domain/lockfile.js';
import { acceptedRun } from '../domain/rebuild-packages.js';
import { severities, type Affecting, type Fix, type Lack } from '../domain/security.js';
import { fixRequest } from '../domain/statement.js';
import { baseOf, releasedLine, type Architecture } from '../domain/stream.js';
import { packageSetsOf } from '../release/lockfiles.js';
import { affecting, judge, namesIn } from '../security/judge.js';
import {
  keepFixed,
  lackingIn,
  lackingInBuild,
  releasedFixes,
  stillLacking,
  upgraded,
} from '../security/ledger.js';
import { releasedNow, requestedFixes, securityOf } from '../security/request.js';
import { readAdvisories } from '../security/sources.js';
import { writeWatch } from '../security/watch-record.js';
import { exists, needJson } from '../store/store.js';
import { loadStream, streamFolder } from '../streams/load.js';
import { asStep, type Host } from './host.js';
import { archArgs, fixes, stepArgs, srpms, caseArgs } from './inputs.js';
import { buildId } from '../domain/build-id.js';
import { z } from 'zod';
import { advisoryId } from '../domain/names.js';

/** What the watch answers. All that it considered is in `store/<stream>/security/watch.json`. */
export interface WatchResult {
  /** To act on, the most severe first; the stream workflow knows which of them have a case. At most 100. */
  readonly found: readonly Affecting[];
  /** The release that it was compared with; null where nothing is released: then nothing is looked for. */
  readonly release: string | null;
  /** Sources that could not be read, or not whole: `<source>: <code>: <reason>`. */
  readonly failed: readonly string[];
}

/** All of them make one release: those that are left come after it. */
const mostFound = 100;

export const watchActivities = (host: Host) => {
  const { settings, store } = host;

  return {
    /**
     * Reads all advisories, judges them by the release of now, and writes `watch.json`. Idempotent. By the stream file as it is now.
     * Fails with BuildNotReleasable where the packages of the release are not known here, and with StreamInvalid.
     */
    lookForAdvisories: asStep(host, stepArgs, async (step, args): Promise<WatchResult> => {
      const stream = await loadStream(settings, args.stream);
      const security = securityOf(stream);
      const now = await releasedNow(host, stream, step.signal);
      if (!now) return { release: null, found: [], failed: [] };
      const { build: release, sets } = now;
      const { advisories, failed } = await readAdvisories(step, stream, namesIn(sets), {
        folder: streamFolder(settings, stream.name),
        cache: join(store.security(stream.name), 'cache'),
        work: store.work(args, args.step),
      });
      const judged = await judge(step, advisories, sets, security);
      const considered = judged.map((one) => one.considered);
      await writeWatch(store, stream.name, {
        ...{ looked: new Date().toISOString(), release, failed: [...failed] },
        considered,
      });
      const acted = judged.filter((one) => one.considered.verdict === 'acted').map(affecting);
      step.note(
        `${release}: ${considered.length} advisories; to act on: ${acted.map(({ advisory }) => advisory.id).join(', ') || 'none'}`,
      );
      for (const line of failed) step.note(line);
      const rank = ({ advisory }: Affecting) => severities.indexOf(advisory.severity);
      return { release, found: acted.sort((a, b) => rank(b) - rank(a)).slice(0, mostFound), failed };
    }),

    /**
     * What a person has asked for, as fixes of packages of the release of now: of advisories, whatever their severity, and of packages
     * that are in the stream's repos. Given source RPMs are only checked: what they make is known when they are built. Fails with
     * FixNotFound, and with RepoUnreachable and the like where repos have to be asked.
     */
    findFix: asStep(
      host,
      stepArgs.extend({ request: fixRequest, srpms: srpms.optional() }),
      async (step, args): Promise<{ affecting: readonly Affecting[]; fixes: readonly Fix[] }> => {
        const stream = await loadStream(settings, args.stream);
        const { request, srpms = {} } = args;
        return requestedFixes(step, host, stream, { request, srpms, work: store.work(args, args.step) });
      },
    ),

    /** Fixes of released cases that the build, of either line, lacks. Fails with BuildNotReleasable. */
    lacking: asStep(
      host,
      stepArgs.extend({ build: buildId }),
      async (step, args): Promise<readonly Lack[]> => {
        const stream = await loadStream(settings, baseOf(args.stream));
        return lackingInBuild(step, store, stream, args.build);
      },
    ),

    /** Which of these fixes does the release of now lack? Fails with BuildNotReleasable. */
    lackingNow: asStep(host, stepArgs.extend({ fixes }), async (step, args): Promise<readonly Fix[]> => {
      const stream = await loadStream(settings, baseOf(args.stream));
      const now = await releasedNow(host, stream, step.signal);
      return now ? stillLacking(step, args.fixes, now.sets) : args.fixes;
    }),

    /** The same of a run whose packages are resolved. */
    lackingInRun: asStep(host, archArgs, async (step, args): Promise<readonly Lack[]> => {
      const fixes = await releasedFixes(store, args.stream);
      if (fixes.length === 0) return [];
      const file = join(store.archDir(args, args.arch), 'lockfile.json');
      return lackingIn(step, fixes, { [args.arch]: await needJson(file, lockfile) });
    }),

    /** Remembers what a security release has brought: the packages in which it differs from the release that it was made from. Idempotent. */
    recordFix: asStep(
      host,
      caseArgs.extend({
        advisories: z.array(advisoryId).max(1000).readonly(),
        cves: z.array(advisoryId).max(1000).readonly(),
        build: buildId,
      }),
      async (step, args): Promise<void> => {
        const stream = await loadStream(settings, baseOf(args.stream));
        const { build, advisories, cves } = args;
        const run = { stream: releasedLine(stream).name, run: (await store.runOf(stream.name, build)) ?? '' };
        const fileOf = (arch: Architecture) => join(store.archDir(run, arch), 'accepted-run.json');
        const archs = await Promise.all(
          stream.architectures.map(async (arch) => [arch, await exists(fileOf(arch))] as const),
        );
        const first = archs.find(([, there]) => there)?.[0];
        if (run.run === '' || first === undefined)
          throw new Failure('BuildNotReleasable', `${build}: is not the build of a security case`);
        const base = await needJson(fileOf(first), acceptedRun);
        const [before, after] = await Promise.all(
          [base.build, build].map((one) => packageSetsOf(store, stream, one)),
        );
        const packages = upgraded(before ?? {}, after ?? {});
        step.note(
          `${args.case}: ${Object.entries(packages)
            .map(([name, evr]) => `${name}-${evr}`)
            .join(', ')}`,
        );
        await keepFixed(store, stream.name, { case: args.case, advisories, cves, build, packages });
      },
    ),
  };
};
