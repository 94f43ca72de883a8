/** What is looked at before a signed tree is offered to the SIG: is it equivalent to the accepted one, is it fit for a release? */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { differenceLine } from '../domain/equivalence.js';
import { Failure } from '../domain/failures.js';
import { lockfile } from '../domain/lockfile.js';
import { acceptedRun, rebuildPackages } from '../domain/rebuild-packages.js';
import { renderEquivalence } from '../pages/equivalence.js';
import { packageProblems, remoteProblems, signatureProblems } from '../rebuild/check-tree.js';
import { readEquivalence } from '../rebuild/equivalence.js';
import { readFix } from '../store/fix-record.js';
import { needJson, writeJson, writeWhole } from '../store/store.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { archArgs } from '../domain/inputs.js';
import { sha256 } from '../domain/names.js';

/** Lines that go through the workflow and into its notices; the report has all. */
const mostLines = 40;
const lineLength = 200;

export const equivalenceActivities = (host: Host) => {
  const { store } = host;
  return {
    /**
     * Compares the new commit and its packages with the accepted ones, or with the release that a security case is made from. Writes `build/equivalence.json` and `.html`, which are
     * published with the build. Answers the unexpected differences, a bounded list of lines. Fails with LockfileDrift.
     */
    equivalence: asStep(
      host,
      archArgs.extend({ commit: sha256 }),
      async (step, args): Promise<{ expected: number; unexpected: string[] }> => {
        const stream = await frozenStream(host, args);
        const work = store.work(args, 'equivalence', args.arch);
        const report = await readEquivalence(step, store, stream, args, work);
        const build = join(store.archDir(args, args.arch), 'build');
        await writeJson(join(build, 'equivalence.json'), report);
        await writeWhole(join(build, 'equivalence.html'), renderEquivalence({ title: stream.title, report }));
        const lines = report.differences
          .filter(({ expected }) => !expected)
          .slice(0, mostLines)
          .map((one) => differenceLine(one).slice(0, lineLength));
        const more = report.counts.unexpected - lines.length;
        return {
          expected: report.counts.expected,
          unexpected: more > 0 ? [...lines, `and ${more} more`] : lines,
        };
      },
    ),

    /**
     * Is the tree fit for a release: every package signed by the right key and one of this rebuild, the update source the mirror with
     * signatures verified, the commit signed? Run it after the commit is signed. Fails with TreeRefused, all problems in one message.
     */
    checkTree: asStep(host, archArgs.extend({ commit: sha256 }), async (step, args): Promise<void> => {
      const stream = await frozenStream(host, args);
      const rpmKey = stream.release?.rebuild?.rpmKey;
      if (rpmKey === undefined)
        throw new Failure('StreamInvalid', `${stream.name}: the stream has no \`release.rebuild\``);
      const at = (name: string) => join(store.archDir(args, args.arch), name);
      const work = store.work(args, 'check-tree', args.arch);
      await rm(work, { recursive: true, force: true });
      await mkdir(work, { recursive: true });
      const tree = { repo: store.repo(args.stream), commit: args.commit };
      const run = await needJson(at('accepted-run.json'), acceptedRun);
      const from = {
        accepted: await needJson(at('accepted.json'), lockfile),
        repos: [...(await frozenStream(host, run)).repos, ...((await readFix(store, args))?.repos ?? [])],
        rpmKey,
      };
      const packages = await needJson(at('packages.json'), rebuildPackages);
      const problems = [
        ...(await packageProblems(step, tree, at('packages'), packages, from, work)),
        ...(await remoteProblems(step, tree, stream, work)),
        ...(await signatureProblems(step, tree, stream.signingKey, work)),
      ];
      for (const problem of problems) step.note(problem);
      await rm(work, { recursive: true, force: true });
      if (problems.length > 0) throw new Failure('TreeRefused', listOf(problems));
    }),
  };
};

/** All problems, as far as a failure's message goes; the step's log has each. */
const listOf = (problems: readonly string[]) =>
  `${problems.length} problems: ${problems.join('; ').slice(0, 1800)}`;
