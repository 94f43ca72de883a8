/** The scheduled look for advisories, and the fixes that later builds must not lose. */
import { join } from 'node:path';
import { Failure } from '../domain/failures.js';
import { srpms } from '../domain/decisions/decision.js';
import { lockfile } from '../domain/lockfile.js';
import { acceptedRun } from '../domain/rebuild-packages.js';
import {
  bySeverity,
  verdicts,
  type Affecting,
  type Considered,
  type Fix,
  type Lack,
} from '../domain/security.js';
import { fixRequest } from '../domain/decisions/fix.js';
import { baseOf, releasedLine, type Architecture } from '../domain/stream.js';
import { packageSetsOf } from '../store/lockfiles.js';
import { affecting, judge, type Judged } from '../security/judge.js';
import {
  keepFixed,
  lackingIn,
  lackingInBuild,
  releasedFixes,
  stillLacking,
  upgraded,
} from '../store/released-fixes.js';
import { namesIn } from '../security/named.js';
import { releasedNow, requestedFixes, securityOf } from '../security/request.js';
import { readAdvisories } from '../security/sources.js';
import { readToldVerdicts, writeToldVerdicts, writeWatch } from '../store/watch-record.js';
import { exists, needJson } from '../store/store.js';
import { loadStream, streamFolder } from '../streams/load.js';
import { asStep } from './as-step.js';
import { type Host } from '../host.js';
import { archArgs, fixes, stepArgs, caseArgs } from '../domain/inputs.js';
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
  /** What the security group was not told yet of advisories without a known fix, and of those that cannot be judged. At most 100. */
  readonly news: readonly OpenNews[];
  /** When it was looked; ISO 8601, UTC. */
  readonly looked: string;
}

export interface OpenNews extends Pick<Considered, 'id' | 'title' | 'severity' | 'verdict' | 'reason'> {
  readonly cves: readonly string[];
}

/** All of them make one release: those that are left come after it. */
const mostFound = 100;

export const watchActivities = (host: Host) => {
  const { settings, store } = host;

  /** Forgets what was told of advisories that are settled now; one that could not be read in this look is not. */
  async function untoldVerdicts(stream: string, judged: readonly Judged[]): Promise<OpenNews[]> {
    const told = new Map(Object.entries(await readToldVerdicts(store, stream)));
    const size = told.size;
    for (const { considered, open } of judged) if (!open) told.delete(considered.id);
    if (told.size < size) await writeToldVerdicts(store, stream, Object.fromEntries(told));
    return judged
      .filter(({ considered: { id, verdict }, open }) => open && told.get(id) !== verdict)
      .map(({ considered: { id, title, severity, cves, verdict, reason } }) => ({
        ...{ id, title, severity, cves, verdict, reason },
      }));
  }

  return {
    /**
     * Reads all advisories, judges them by the current release, and writes `watch.json`. Idempotent. By the stream file as it is now.
     * Fails with BuildNotReleasable where the packages of the release are not known here, and with StreamInvalid.
     */
    lookForAdvisories: asStep(host, stepArgs, async (step, args): Promise<WatchResult> => {
      const stream = await loadStream(settings, args.stream);
      const security = securityOf(stream);
      const now = await releasedNow(host, stream, step.signal);
      const looked = new Date().toISOString();
      if (!now) return { release: null, found: [], failed: [], news: [], looked };
      const { build: release, sets } = now;
      const read = await readAdvisories(step, stream, namesIn(sets), {
        folder: streamFolder(settings, stream.name),
        cache: join(store.security(stream.name), 'cache'),
        work: store.work(args, args.step),
      });
      const { failed } = read;
      const judged = await judge(step, read, sets, security);
      const considered = judged.map((one) => one.considered);
      await writeWatch(store, stream.name, {
        ...{ looked, release, failed: [...failed] },
        considered,
      });
      const acted = judged.filter((one) => one.considered.verdict === 'acted').map(affecting);
      step.note(
        `${release}: ${considered.length} advisories; to act on: ${acted.map(({ advisory }) => advisory.id).join(', ') || 'none'}`,
      );
      for (const line of failed) step.note(line);
      const news = await untoldVerdicts(stream.name, judged);
      for (const { id, reason } of news) step.note(`${id}: ${reason}`);
      const rank = ({ advisory }: Affecting) => bySeverity.indexOf(advisory.severity);
      const found = acted.sort((a, b) => rank(b) - rank(a)).slice(0, mostFound);
      return { release, found, failed, news: news.slice(0, mostFound), looked };
    }),

    /** Keeps which verdicts the security group was told, so that it is told again when one changes. Idempotent. */
    rememberVerdicts: asStep(
      host,
      stepArgs.extend({
        told: z
          .array(z.strictObject({ id: advisoryId, verdict: z.enum(verdicts) }))
          .max(mostFound)
          .readonly(),
      }),
      async (_step, args): Promise<void> => {
        const told = args.told.map(({ id, verdict }) => [id, verdict] as const);
        const before = Object.entries(await readToldVerdicts(store, args.stream));
        await writeToldVerdicts(store, args.stream, Object.fromEntries([...before, ...told]));
      },
    ),

    /**
     * What a person has asked for, as fixes of packages of the current release: of advisories, whatever their severity, and of packages
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

    /** Which of these fixes does the current release lack? Fails with BuildNotReleasable. */
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
