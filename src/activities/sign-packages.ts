/** The signing role's part of a signed rebuild: the packages, and the keys before anything starts. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../domain/failures.js';
import {
  acceptedRun,
  firstOf,
  rebuildPackages,
  type RebuildPackage,
  type RebuildPackages,
} from '../domain/rebuild-packages.js';
import { expiresWithin, readKey, requirePrivateKey, signingHome } from '../keys/gpg.js';
import { examineKey } from '../keys/strength.js';
import { approvedPackages } from '../rebuild/approved.js';
import { fetchedRpms, fetchedSources, publishedRpms } from '../rebuild/results.js';
import { indexPackages, rpmsOf, signInto } from '../rebuild/sign-rpms.js';
import {
  verifyAccepted,
  verifyGiven,
  verifyRebuilt,
  type AcceptedRpm,
  type Rebuilt,
} from '../rebuild/verify-rpms.js';
import { verifyReused } from '../rebuild/verify-reused.js';
import { verifySources } from '../rebuild/verify-sources.js';
import { needJson, writeJson, type Store } from '../store/store.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { sha256 } from '../store/checksums.js';
import { approvedArgs, stepArgs, type ArchStepArgs } from '../domain/inputs.js';

export const signPackagesActivities = (host: Host) => {
  const { store } = host;
  const home = signingHome(host.settings.state);

  return {
    /**
     * Signs the rebuilt RPMs into `packages/`, indexes that folder, signs the index, and writes `packages.json` last. Signs what it
     * can verify itself and nothing else: the statements, the lockfile that the approved commit was made from, each RPM by the build
     * system's own repo and by its header, what it was built from by the source RPM that was accepted. Those that are reused keep the
     * signature that they have. A second try keeps what the first has signed. Fails with StatementRefused, LockfileDrift,
     * RebuildWrong, PackageSignature, KeyMissing, SigningFailed, ReimzulAway.
     */
    signPackages: asStep(
      host,
      approvedArgs,
      async (step, args): Promise<{ rebuilt: number; accepted: number; key: string }> => {
        const approved = await approvedPackages(step, host, args);
        const { rpmKey, reimzul } = approved.rebuild;
        const facts = await readKey(step, rpmKey);
        await requirePrivateKey(step, home, facts);
        const key = { ...facts, file: rpmKey, home };
        const at = (name: string) => join(store.archDir(args, args.arch), name);
        const packages = at('packages');
        // Beside its target, where what is signed is moved to in one go.
        const [scratch, work] = [at('packages.signing'), store.work(args, 'sign-packages', args.arch)];
        for (const folder of [scratch, work]) {
          await rm(folder, { recursive: true, force: true });
          await mkdir(folder, { recursive: true });
        }
        await mkdir(packages, { recursive: true });
        try {
          const fetched = await fetchedRpms(at('rebuilt'));
          const built = await fetchedSources(at('rebuilt'));
          const made = fetched.map(({ name }) => name);
          const asked = [...made, ...built.map(({ srpm }) => srpm.replace(/-[^-]+-[^-]+$/, ''))];
          const published = await publishedRpms(step, reimzul, args.arch, asked, join(work, 'repodata'));
          const reused = await verifyReused(step, host, args, approved, key, work);
          const names = [...made, ...Object.keys(reused)];
          const rebuilt = await Promise.all(
            (await verifyRebuilt(step, approved, fetched, published, scratch, work)).map(renamed),
          );
          const accepted = Object.entries(approved.accepted.packages).map(([name, locked]) => {
            const folder = names.includes(name) ? at('accepted-packages') : packages;
            return { name, locked, path: join(folder, `${name}-${locked.evra}.rpm`) };
          });
          await verifyAccepted(step, approved, accepted, work);
          await verifyGiven(approved, fetched, at('sources'));
          const sources = await verifySources(step, approved, built, published, at('sources'), work);
          const kept = accepted.filter(({ name }) => !names.includes(name));
          await nothingElse(packages, [
            ...kept.map(({ path }) => path),
            ...rebuilt.map(({ copy }) => copy),
            ...Object.values(reused).map(({ file }) => file),
          ]);
          await signInto(
            step,
            key,
            rebuilt.map(({ copy }) => copy),
            packages,
            work,
          );
          const record = {
            ...recordOfKept(kept, args.fix ? await recordOfRun(store, args) : {}),
            ...(await recordOfRebuilt(rebuilt, packages, (name, { evra, sourcerpm }) => ({
              ...{ evra, sourcerpm, origin: 'rebuilt', key: key.fingerprint },
              accepted: approved.accepted.packages[name]?.evra,
              source: sources.get(fetched.find((one) => one.name === name)?.srpm ?? ''),
            }))),
            ...reused,
          };
          await indexPackages(step, key, packages);
          const sorted = Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
          await writeJson(at('packages.json'), Object.fromEntries(sorted));
          return { rebuilt: rebuilt.length, accepted: kept.length, key: key.fingerprint };
        } finally {
          await rm(scratch, { recursive: true, force: true });
        }
      },
    ),

    /**
     * Are the stream's keys fit to sign a release: strong, unexpired, private part here? Answers a line for each that expires within
     * `rebuild.expiryWarning`. Fails with KeyMissing.
     */
    checkKeys: asStep(host, stepArgs, async (step, args): Promise<{ warnings: string[] }> => {
      const { signingKey, release } = await frozenStream(host, args);
      const files = [signingKey, release?.rebuild?.rpmKey, release?.announce.key];
      const warnings: string[] = [];
      for (const file of new Set(files.filter((one) => one !== undefined))) {
        const key = await examineKey(step, home, file);
        if (expiresWithin(key, release?.rebuild?.expiryWarning ?? 0, new Date()))
          warnings.push(
            `${file}: the key ${key.fingerprint} (${key.user}) expires on ${key.expires?.toISOString().slice(0, 10) ?? ''}: renew it`,
          );
      }
      return { warnings };
    }),
  };
};

/** Gives a verified copy the name that it has in `packages/`. */
async function renamed(one: Rebuilt): Promise<Rebuilt> {
  const copy = join(dirname(one.copy), `${one.name}-${one.evra}.rpm`);
  await rename(one.copy, copy);
  return { ...one, copy };
}

/** The index that is signed has all of the folder. Fails with LockfileDrift. */
async function nothingElse(folder: string, known: readonly string[]): Promise<void> {
  const names = new Set(known.map((path) => basename(path)));
  const others = (await rpmsOf(folder)).filter((name) => !names.has(name));
  if (others.length > 0)
    throw new Failure('LockfileDrift', `packages that nobody approved: ${firstOf(others)}`);
}

/** `packages.json` of the release that a case is made from. */
async function recordOfRun(store: Store, args: ArchStepArgs): Promise<RebuildPackages> {
  const run = await needJson(join(store.archDir(args, args.arch), 'accepted-run.json'), acceptedRun);
  return needJson(join(store.archDir(run, args.arch), 'packages.json'), rebuildPackages);
}

/** Records of packages that are taken as they are. `released`: those of the base, whose packages stay what they are. */
function recordOfKept(kept: readonly AcceptedRpm[], released: RebuildPackages): RebuildPackages {
  const record: Record<string, RebuildPackage> = {};
  for (const { name, locked: one, path } of kept) {
    const { evra, digest, sourcerpm } = one;
    const before = Object.hasOwn(released, name) ? released[name] : undefined;
    record[name] =
      before?.digest === digest
        ? { ...before, file: basename(path), evra }
        : { file: basename(path), evra, digest, origin: 'accepted', ...(sourcerpm ? { sourcerpm } : {}) };
  }
  return record;
}

/** Records of packages that were signed into `folder`. `facts`: all but file and digest. */
async function recordOfRebuilt(
  rebuilt: readonly Rebuilt[],
  folder: string,
  facts: (name: string, one: Rebuilt) => Omit<RebuildPackage, 'file' | 'digest'>,
): Promise<RebuildPackages> {
  const record: Record<string, RebuildPackage> = {};
  for (const one of rebuilt) {
    const file = basename(one.copy);
    const digest = `sha256:${await sha256(join(folder, file))}`;
    record[one.name] = { file, digest, ...facts(one.name, one) };
  }
  return record;
}
