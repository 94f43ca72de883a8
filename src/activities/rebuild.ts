/** The steps of a signed rebuild that are its own: everything else is the nightly's, with other inputs. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { downloadFrom, packagesDir } from '../composers/dnf/packages.js';
import { Failure } from '../domain/failures.js';
import { lockfile } from '../domain/lockfile.js';
import { acceptedRun, rebuildPackages, rebuildRecord } from '../domain/rebuild-packages.js';
import { reworkChanges } from '../domain/rework-changes.js';
import { baseOf, signedLine, type Architecture } from '../domain/stream.js';
import { findAccepted, lockfileOfRun, reworkedLockfile } from '../rebuild/accepted.js';
import { collectSources, inputFor, needRebuild, ownRepos, putPackages } from '../rebuild/collect.js';
import { type PlannedSource } from '../rebuild/plan.js';
import { earlierBuilds } from '../rebuild/reuse.js';
import { exists, needJson, readJson, writeJson, type Run } from '../store/store.js';
import { freezeStream } from '../streams/freeze.js';
import { loadStream, readStreamFile, streamFolder } from '../streams/load.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { archArgs, stepArgs } from '../domain/inputs.js';
import { planOf, type ChainPlan } from './prepare.js';
import { buildId } from '../domain/build-id.js';
import { attempt } from '../domain/names.js';
import { z } from 'zod';

/** What the workflow needs to know of the sources; all else is in `plan.json`. */
export interface SourcesToBuild {
  readonly sources: readonly PlannedSource[];
  /** Packages that are taken as they were accepted. */
  readonly accepted: number;
  /** Sources in progress at a time. */
  readonly limit: number;
}

export const rebuildActivities = (host: Host) => {
  const { store, settings } = host;
  const file = (args: Run & { arch: Architecture }, ...path: string[]) =>
    join(store.archDir(args, args.arch), ...path);

  return {
    /**
     * Freezes the line of signed builds for the run: tree and images as they were accepted (or as they are now, if a rework says so),
     * everything else as the stream file says now. Fails with StreamInvalid, BuildNotReleasable.
     */
    loadSigned: asStep(
      host,
      stepArgs.extend({ build: buildId, attempt, changes: reworkChanges.optional() }),
      async (step, args): Promise<ChainPlan> => {
        const base = baseOf(args.stream);
        const current = await loadStream(settings, base);
        const accepted = await findAccepted(step, host, current, args.build);
        const folder = store.runDir(args);
        const frozen = join(folder, 'stream.json');
        const [first] = Object.values(accepted);
        if (!(await exists(frozen)) && first) {
          const [source, own] = [join(folder, 'source'), args.changes?.files === 'current'];
          await rm(source, { recursive: true, force: true });
          await mkdir(folder, { recursive: true });
          if (own) await freezeStream(streamFolder(settings, base), source);
          else await cp(join(store.runDir(first), 'source'), source, { recursive: true });
          const declared = await readStreamFile(settings, join(source, 'stream.yaml'), base);
          const { treefile, ref, osname, releasever, composer, architectures, images, bootTest } = declared;
          const tree = { treefile, ref, osname, releasever, composer, architectures, images, bootTest };
          const line = signedLine({
            ...current,
            ...tree,
            repos: ownRepos(declared.repos, folder, [needRebuild(current).rpmKey]),
          });
          if (!line)
            throw new Failure('StreamInvalid', `${base}: release.rebuild and publish.testing: add both`);
          for (const [arch, run] of Object.entries(accepted) as [Architecture, unknown][]) {
            await writeJson(file({ ...args, arch }, 'accepted-run.json'), run);
            if (args.changes) await writeJson(file({ ...args, arch }, 'changes.json'), args.changes);
            const { build, attempt } = args;
            await writeJson(file({ ...args, arch }, 'rebuild.json'), { accepted: build, attempt });
          }
          await cp(join(store.runDir(first), 'source.json'), join(folder, 'source.json'));
          await writeJson(frozen, line);
        }
        return planOf(await frozenStream(host, args));
      },
    ),

    /**
     * The accepted packages (`accepted.json`, with a rework's changes), the plan of what is rebuilt (`plan.json`), its source RPMs
     * (`sources/`), and the RPMs that are taken as they are (`packages/`) or compared with later (`accepted-packages/`): all verified by
     * digest and signature. Packages of sources that the current release, or an attempt of the promotion that is in testing, has
     * rebuilt are reused: by a redo or rework that says so, by a first attempt where the stream rebuilds what has `changed`. Fails with
     * SourceMissing, PackageSignature, PackageChecksum, DepsolveFailed, RepoUnreachable.
     */
    collect: asStep(
      host,
      archArgs.extend({
        reuse: z.boolean(),
        /** Number of the promotion's first attempt. */
        since: attempt,
      }),
      async (step, args): Promise<SourcesToBuild> => {
        const stream = await frozenStream(host, args);
        const rebuild = needRebuild(stream);
        const run = await needJson(file(args, 'accepted-run.json'), acceptedRun);
        const accepted = await frozenStream(host, run);
        const changes = await readJson(file(args, 'changes.json'), reworkChanges);
        const on = { ...args, stream };
        const input = await inputFor(store, on, accepted.repos, 'accepted', run.stream);
        const before = await lockfileOfRun(host, run, args.arch);
        const locked = changes
          ? await reworkedLockfile(step, input, stream.composer, before, changes)
          : before;
        await writeJson(file(args, 'accepted.json'), locked);
        await downloadFrom(step, input, input.repos, locked);
        const made = { ...(await needJson(file(args, 'rebuild.json'), rebuildRecord)), since: args.since };
        const reuse = args.reuse && (made.attempt > args.since || rebuild.packages === 'changed');
        const earlier = reuse ? await earlierBuilds(step, host, on, made) : undefined;
        const planned = await collectSources(step, store, on, locked, rebuild, earlier);
        const { sources } = planned;
        await writeJson(file(args, 'plan.json'), { sources });
        const path = (name: string) => join(packagesDir(input), `${name}.rpm`);
        const kept = await putPackages(store, on, locked, planned, path);
        return { sources, limit: rebuild.reimzul.limit, accepted: kept };
      },
    ),

    /**
     * Can an attempt be made with these changes, and do they change anything? Asked before anybody gives up an attempt for them. Answers how
     * many packages of the accepted set they change. Fails with StatementRefused, DepsolveFailed, PackageNotFound, RepoUnreachable.
     */
    checkRework: asStep(
      host,
      archArgs.extend({ build: buildId, changes: reworkChanges }),
      async (step, args): Promise<{ changed: number }> => {
        const { arch, changes, build } = args;
        const current = await loadStream(settings, args.stream);
        const run = (await findAccepted(step, host, current, build))[arch];
        if (!run) throw new Failure('StatementRefused', `${build}: was not built for ${arch}`);
        const accepted = await frozenStream(host, run);
        const before = await lockfileOfRun(host, run, arch);
        const own = changes.files === 'current';
        const no = (why: string) => new Failure('StatementRefused', `${build} (${arch}): ${why}`);
        const unknown = changes.drop.filter((name) => !Object.hasOwn(before.packages, name));
        if (unknown.length > 0) throw no(`is without ${unknown.join(', ')}: there is nothing to drop`);
        const stream = own ? { ...accepted, treefile: current.treefile } : accepted;
        const on = { stream, run: args.run, arch };
        const input = await inputFor(store, on, accepted.repos, `rework-${randomUUID()}`, run.stream);
        try {
          const locked = await reworkedLockfile(step, input, stream.composer, before, changes);
          const names = new Set([...Object.keys(before.packages), ...Object.keys(locked.packages)]);
          const changed = [...names].filter(
            (name) => before.packages[name]?.digest !== locked.packages[name]?.digest,
          );
          const lost = Object.keys(changes.pin).filter((name) => !Object.hasOwn(locked.packages, name));
          if (lost.length > 0) throw no(`nothing asks for ${lost.join(', ')}: pin what is in the tree`);
          if (changed.length === 0 && !own) throw no('the changes change nothing');
          return { changed: changed.length };
        } finally {
          await rm(dirname(input.work), { recursive: true, force: true });
        }
      },
    ),

    /**
     * Is what was resolved from the signed set just what was accepted? Fails with LockfileDrift.
     */
    strict: asStep(host, archArgs, async (step, args): Promise<{ packages: number }> => {
      const wanted = await needJson(file(args, 'packages.json'), rebuildPackages);
      const accepted = await needJson(file(args, 'accepted.json'), lockfile);
      const resolved = await needJson(file(args, 'lockfile.json'), lockfile);
      const drift: string[] = [];
      for (const name of new Set([...Object.keys(accepted.packages), ...Object.keys(resolved.packages)])) {
        const [is, signed] = [resolved.packages[name], wanted[name]];
        if (accepted.packages[name] === undefined) drift.push(`${name}-${is?.evra ?? ''}: is not accepted`);
        else if (!is) drift.push(`${name}: is left out`);
        else if (is.evra !== signed?.evra || is.digest !== signed.digest)
          drift.push(`${name}-${is.evra}: instead of ${signed?.evra ?? 'none'}`);
      }
      if (drift.length > 0) throw new Failure('LockfileDrift', drift.slice(0, 20).join('; '), drift);
      step.note(`${Object.keys(resolved.packages).length} packages, as accepted`);
      return { packages: Object.keys(resolved.packages).length };
    }),
  };
};
