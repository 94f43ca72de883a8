/** The steps of a security case's build that are its own: everything else is the signed rebuild's or the nightly's, with other inputs. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { composerOf } from '../composers/index.js';
import { Failure } from '../domain/failures.js';
import { srpms } from '../domain/decisions/decision.js';
import { lockfile } from '../domain/lockfile.js';
import { acceptedRun, rebuildRecord } from '../domain/rebuild-packages.js';
import { stepRecord } from '../domain/run.js';
import type { PlannedChange } from '../domain/security.js';
import type { ReworkChanges } from '../domain/rework-changes.js';
import { baseOf, signedLine, type Architecture, type Stream } from '../domain/stream.js';
import { assembleMeta, putMeta, putRecords } from '../publish/meta.js';
import { keepBuild } from '../publish/stored-builds.js';
import { lockfileOfRun } from '../rebuild/accepted.js';
import { needRebuild, ownRepos } from '../rebuild/collect.js';
import { fixFile, fixRecord, type FixRecord } from '../store/fix-record.js';
import { fixRepos } from '../rebuild/fix-run.js';
import { collectGiven, givenPlan, putPlanned } from '../rebuild/fix-sources.js';
import type { PlannedSource } from '../rebuild/plan.js';
import { planCase, withoutLeftOut } from '../rebuild/plan-fix.js';
import { releasePlace } from '../publish/repo.js';
import { findReleased } from '../release/released.js';
import { exists, needJson, readJson, writeJson, type Run } from '../store/store.js';
import { loadStream, readStreamFile } from '../streams/load.js';
import { composeInput } from './compose.js';
import { hashInputs } from '../composers/input-hash.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { caseArgs, fixArgs, fixes, publishArgs } from '../domain/inputs.js';
import { attempt, caseId } from '../domain/names.js';
import { planOf, type ChainPlan } from './prepare.js';
import type { SourcesToBuild } from './rebuild.js';

/** A step of a case's build, on the run's host. */

/** What the workflow needs to know of the run, and of the release that it begins from. */
export interface FixBegun extends ChainPlan {
  readonly base: string;
  /** The base's commits, by architecture. */
  readonly commits: Readonly<Record<string, string>>;
  /** Are packages rebuilt and signed? Otherwise the tree is composed from the overridden lockfile. */
  readonly rebuilds: boolean;
}

export interface PlannedFix extends SourcesToBuild {
  /** What approvers approve. */
  readonly changes: ReworkChanges;
  /** The same for people. */
  readonly packages: readonly PlannedChange[];
}

/** `sha256` of given source RPMs by file name. */

export const fixActivities = (host: Host) => {
  const { store, settings } = host;
  const file = (run: Run, arch: Architecture, name: string) => join(store.archDir(run, arch), name);
  /** The run's record, which must be of this case. */
  async function needFix(args: Run & { case: string }): Promise<FixRecord> {
    const fix = await needJson(fixFile(store, args), fixRecord);
    if (fix.case !== args.case)
      throw new Failure('StreamInvalid', `${args.run}: is of case ${fix.case}, not of ${args.case}`);
    return fix;
  }

  return {
    /**
     * Freezes the run: files, repos and packages of the current release, in the line that it is of. Another try begins from the same
     * release. Fails with BuildNotReleasable, StreamInvalid.
     */
    loadFix: asStep(host, caseArgs.extend({ attempt }), async (step, args): Promise<FixBegun> => {
      const folder = store.runDir(args);
      const frozen = join(folder, 'stream.json');
      if (!(await exists(frozen))) {
        const current = await loadStream(settings, baseOf(args.stream));
        const released = await findReleased(step, host, current);
        if (released.line.name !== args.stream)
          throw new Failure(
            'StreamInvalid',
            `${current.name}: releases are of the line ${released.line.name}, not of ${args.stream}`,
          );
        const source = join(folder, 'source');
        await rm(source, { recursive: true, force: true });
        await mkdir(folder, { recursive: true });
        await cp(join(store.runDir(released.run), 'source'), source, { recursive: true });
        await cp(join(store.runDir(released.run), 'source.json'), join(folder, 'source.json'));
        const declared = await readStreamFile(settings, join(source, 'stream.yaml'), current.name);
        const rebuilds = args.stream !== current.name;
        const { case: about, attempt } = args;
        const repos = fixRepos(current, rebuilds);
        const fix = { case: about, base: released.build, attempt, rebuilds, repos };
        await writeJson(fixFile(store, args), fixRecord.parse(fix));
        for (const [arch, run] of Object.entries(released.accepted) as [Architecture, unknown][]) {
          await writeJson(file(args, arch, 'accepted-run.json'), run);
          const before = await readJson(file(released.run, arch, 'rebuild.json'), rebuildRecord);
          // The signed rebuild that it follows: what its notes name as accepted.
          if (rebuilds)
            await writeJson(file(args, arch, 'rebuild.json'), {
              accepted: before?.accepted ?? released.build,
              attempt,
            });
        }
        await writeJson(frozen, lineOf(host, current, declared, rebuilds, folder));
      }
      const stream = await frozenStream(host, args);
      const { base, rebuilds } = await needFix(args);
      const commits: Record<string, string> = {};
      for (const arch of stream.architectures)
        commits[arch] = (await needJson(file(args, arch, 'accepted-run.json'), acceptedRun)).commit;
      return { ...planOf(stream), base, commits, rebuilds };
    }),

    /**
     * Puts given source RPMs where the builders' step finds them (`<arch>/sources/`). Only where packages are rebuilt. Fails with
     * FixNotFound, PackageChecksum.
     */
    collectSrpms: asStep(host, fixArgs.extend({ srpms }), async (step, args): Promise<SourcesToBuild> => {
      await needFix(args);
      const stream = await frozenStream(host, args);
      const run = await needJson(file(args, args.arch, 'accepted-run.json'), acceptedRun);
      const base = await lockfileOfRun(host, run, args.arch);
      const sources = await collectGiven(step, store, { ...args, stream }, base, args.srpms);
      const made = sources.flatMap(({ packages }) => packages).length;
      const accepted = Object.keys(base.packages).length - made;
      return { sources, accepted, limit: needRebuild(stream).reimzul.limit };
    }),

    /**
     * The package set: that of the base, with the fixes and what these strictly need; writes `accepted.json`, `changes.json`, `plan.json`,
     * and where packages are rebuilt what `collect` puts beside them. The answer's `sources` that are not `reused` are to be rebuilt. Fails
     * with DepsolveFailed, FixNotFound, SourceMissing, LockfileDrift, PackageSignature, PackageChecksum, RepoUnreachable.
     */
    planFix: asStep(
      host,
      fixArgs.extend({ fixes, srpms: srpms.optional() }),
      async (step, args): Promise<PlannedFix> => {
        const fix = await needFix(args);
        const stream = await frozenStream(host, args);
        const on = { ...args, stream };
        const run = await needJson(file(args, args.arch, 'accepted-run.json'), acceptedRun);
        const given = await givenPlan(store, on, args.srpms ?? {});
        let plan = await planCase(step, host, on, { fix, run, given, fixes: args.fixes });
        let sources: readonly PlannedSource[] = [];
        if (fix.rebuilds) {
          sources = await putPlanned(step, store, on, { run, given, ...plan });
          const folders = ['packages', 'accepted-packages'].map((name) => file(args, args.arch, name));
          const whole = plan.locked;
          plan = await withoutLeftOut(step, on, plan, folders);
          for (const [name, { evra }] of Object.entries(whole.packages))
            if (plan.gone.includes(name))
              await rm(join(file(args, args.arch, 'packages'), `${name}-${evra}.rpm`), { force: true });
        }
        const { locked, gone, packages } = plan;
        const pin = Object.fromEntries(
          Object.entries(plan.changed.packages).map(([name, { evra }]) => [name, evra]),
        );
        const changes: ReworkChanges = { pin, drop: [...gone], files: 'accepted' };
        await writeJson(file(args, args.arch, 'accepted.json'), locked);
        await writeJson(file(args, args.arch, 'changes.json'), changes);
        await writeJson(file(args, args.arch, 'plan.json'), { sources });
        const remade = sources.reduce((sum, source) => sum + source.packages.length, 0);
        const accepted = fix.rebuilds
          ? Object.keys(locked.packages).length - remade
          : Object.keys(locked.packages).length - Object.keys(pin).length;
        const limit = stream.release?.rebuild?.reimzul.limit ?? 1;
        return { sources, accepted, limit, changes, packages };
      },
    ),

    /** Where nothing is rebuilt: `accepted.json` becomes the run's lockfile. */
    overrideLockfile: asStep(host, fixArgs, async (step, args): Promise<{ packages: number }> => {
      await needFix(args);
      const stream = await frozenStream(host, args);
      // The composer's work folder is made by its depsolve; what that finds does not count.
      await composerOf(stream.composer).resolve(step, await composeInput(host, stream, args));
      const locked = await needJson(file(args, args.arch, 'accepted.json'), lockfile);
      const inputHash = await hashInputs(stream, args.arch, join(store.runDir(args), 'source'), locked);
      await writeJson(file(args, args.arch, 'lockfile.json'), locked);
      await writeJson(file(args, args.arch, 'inputs.json'), { inputHash });
      return { packages: Object.keys(locked.packages).length };
    }),

    /** Writes the build's metadata, and keeps it in the build store alone, where a release finds it. Idempotent. */
    keepFix: asStep(
      host,
      publishArgs.extend({ case: caseId, steps: z.array(stepRecord).max(1000).readonly() }),
      async (_step, args): Promise<void> => {
        await needFix(args);
        const steps = z.array(stepRecord).parse(args.steps);
        const commits = Object.entries(args.commits) as [Architecture, string][];
        for (const [arch, commit] of commits) {
          await putRecords(store, args, arch);
          await putMeta(host, args, arch, await assembleMeta(host, args, arch, commit, steps));
        }
        await keepBuild(store, args, { id: args.build, arches: commits.map(([arch]) => arch) });
      },
    ),
  };
};

/**
 * The line as the run has it: tree and images as they were released, everything else as the stream file says now. Its parent is the release,
 * so it is looked for where releases are.
 */
function lineOf(host: Host, current: Stream, declared: Stream, rebuilds: boolean, folder: string): Stream {
  const { treefile, osname, releasever, composer, architectures, images, bootTest } = declared;
  const tree = { treefile, osname, releasever, composer, architectures, images, bootTest };
  const ref = current.release?.ref ?? declared.ref;
  const own = () => {
    const [key, ...more] = [needRebuild(current), needRebuild(declared)].map(({ rpmKey }) => rpmKey);
    const vendors = current.repos.flatMap(({ gpgKeys }) => gpgKeys);
    return ownRepos(declared.repos, folder, [key ?? '', ...more, ...vendors]);
  };
  const stream = { ...current, ...tree, ref, repos: rebuilds ? own() : current.repos };
  const line = rebuilds ? signedLine(stream) : stream;
  if (!line)
    throw new Failure('StreamInvalid', `${current.name}: release.rebuild and publish.testing: add both`);
  const publish = { ...line.publish, buildlogs: releasePlace(host, current).target };
  return { ...line, publish, schedule: undefined };
}
