/** The steps of a signed rebuild that are its own: everything else is the nightly's, with other inputs. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFrom, packagesDir } from '../composers/dnf/packages.js';
import { Failure } from '../domain/failures.js';
import { lockfile } from '../domain/lockfile.js';
import { acceptedRun, rebuildPackages } from '../domain/rebuild-packages.js';
import { reworkChanges } from '../domain/rework-changes.js';
import { baseOf, signedLine, type Architecture } from '../domain/stream.js';
import { findAccepted, lockfileOfRun, reworkedLockfile } from '../rebuild/accepted.js';
import {
  collectSources,
  copyWhole,
  inputFor,
  needRebuild,
  ownRepos,
  poolOf,
  putPackages,
} from '../rebuild/collect.js';
import { rebuildPlan, type PlannedSource } from '../rebuild/plan.js';
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
     * digest and signature. Fails with SourceMissing, PackageSignature, PackageChecksum, DepsolveFailed, RepoUnreachable.
     */
    collect: asStep(
      host,
      archArgs.extend({ reuse: z.boolean() }),
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
        const sources = await collectSources(step, store, on, locked, rebuild, args.reuse);
        await writeJson(file(args, 'plan.json'), { sources });
        const path = (name: string) => join(packagesDir(input), `${name}.rpm`);
        const kept = await putPackages(store.archDir(args, args.arch), locked, sources, path);
        return { sources, limit: rebuild.reimzul.limit, accepted: kept };
      },
    ),

    /**
     * Is what was resolved from the signed set just what was accepted? Also keeps the signed results for later attempts. Fails with
     * LockfileDrift.
     */
    strict: asStep(host, archArgs, async (step, args): Promise<{ packages: number }> => {
      const stream = await frozenStream(host, args);
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
      const { sources } = await needJson(file(args, 'plan.json'), rebuildPlan);
      for (const { srpm, digest } of sources)
        await copyWhole(
          file(args, 'rebuilt', srpm.replace(/\.src\.rpm$/, '')),
          poolOf(store, stream, digest),
        );
      step.note(`${Object.keys(resolved.packages).length} packages, as accepted`);
      return { packages: Object.keys(resolved.packages).length };
    }),
  };
};
