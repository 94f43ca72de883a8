/** The steps that only a signed release has: its targets are two, mirror (the repo) and cloud (all other files). */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { releasedLine } from '../domain/stream.js';
import { objectFiles } from '../publish/push.js';
import { dropStaged, releasePlace } from '../publish/repo.js';
import { requireSpace } from '../publish/space.js';
import { publishTo } from '../publish/targets/index.js';
import { metasOf } from '../release/check.js';
import { requireCurrent, requireHead } from '../release/head.js';
import { lookAtMirrors, type MirrorState } from '../release/mirrors.js';
import { forgetFormer, returnBoth, verifyReaders } from '../release/switch.js';
import { asStep } from './as-step.js';
import { frozenStream, type Host } from '../host.js';
import { releaseArgs, stepArgs } from '../domain/inputs.js';

/** What is known of the free space of each, for people. */
export interface Precheck {
  readonly mirror: string;
  readonly cloud: string;
}

export const signedReleaseActivities = (host: Host) => ({
  /**
   * Before anything is pushed: both are reachable, have room as far as that can be known, and readers have the release there that the
   * decision names. Fails with HeadMoved, DiskFull, TargetUnreachable, PublishRefused, BuildNotReleasable.
   */
  precheckRelease: asStep(host, releaseArgs, async (step, args): Promise<Precheck> => {
    const { store } = host;
    const stream = await frozenStream(host, args);
    const line = releasedLine(stream);
    const place = releasePlace(host, stream);
    const { metas } = await metasOf(host, line, args.build, step.signal);
    for (const target of [place.target, place.files]) await publishTo(target).reach(step);
    await requireHead(step, host, stream, line, args);
    // What the newest signed builds consist of: at most so much is new to mirror.
    const repo = store.snapshot(line.name);
    let objects = 0;
    for (const file of await objectFiles(repo)) objects += (await stat(join(repo, file))).size;
    const images = metas
      .flatMap((meta) => Object.values(meta.images))
      .reduce((sum, { size }) => sum + size, 0);
    return {
      mirror: await requireSpace(step, place.target, 'repo', objects),
      cloud: await requireSpace(step, place.files, 'builds', images),
    };
  }),

  /** Do readers have the former release again, at both? Fails with VerificationFailed, TargetUnreachable. */
  verifyUndone: asStep(host, releaseArgs, async (step, args): Promise<void> => {
    const stream = await frozenStream(host, args);
    await verifyReaders(step, host, stream, args.onto, host.store.work(args, 'client'));
    await forgetFormer(releasePlace(host, stream), args.run);
  }),

  /** Rollback: its switch has failed, both return to the current release, which was to be taken back. Idempotent. Fails with HeadMoved. */
  undoRollback: asStep(host, releaseArgs, async (step, args): Promise<void> => {
    const stream = await frozenStream(host, args);
    await requireCurrent(step, host, stream, args.onto);
    await returnBoth(step, host, stream, args, args.run);
    await dropStaged(releasePlace(host, stream), args.run);
  }),

  /** Looks once which mirrors serve what mirror serves now. Fails with TargetUnreachable if mirror itself is away. */
  checkMirrors: asStep(host, stepArgs, async (step, args): Promise<MirrorState> =>
    lookAtMirrors(step, host, await frozenStream(host, args)),
  ),
});
