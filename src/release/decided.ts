/**
 * Is it decided? Each step that signs, pushes to readers, switches or writes what a release says of itself asks this for itself, just before:
 * of the archive of signed statements, and of the builds in the store. What an earlier step found, or who started it, says nothing.
 */
import { join } from 'node:path';
import type { Host } from '../host.js';
import type { ReleaseArgs } from '../domain/inputs.js';
import { Failure } from '../domain/failures.js';
import {
  judgePromotion,
  type PromotionJudgement,
  type PromotionMatter,
} from '../domain/promotion-judgement.js';
import { acceptedRun } from '../domain/rebuild-packages.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import { changesText, reworkChanges } from '../domain/rework-changes.js';
import type { Question } from '../domain/statement.js';
import type { Lack } from '../domain/security.js';
import { releasedLine, type Stream } from '../domain/stream.js';
import { releasableCommits } from '../publish/releasable.js';
import { lackingInBuild } from '../store/released-fixes.js';
import type { Step } from '../steps/step.js';
import { loadStream } from '../streams/load.js';
import { readJson } from '../store/store.js';
import { authority, readArchive } from './authority.js';
import { currentRelease } from '../store/releases.js';
import { readReleases } from '../publish/published-releases.js';

/** A stream that has releases. */
export type ReleasedStream = Stream & { readonly release: ReleaseSettings };

/**
 * The names of those who have decided so. The commits of a promotion and of the release of a signed build are those of their metadata;
 * otherwise the given ones. Of `approve-fix` with `signed` that build must be made by just the plan that is approved. Fails with
 * StatementRefused, BuildNotReleasable.
 */
export async function decidedBy(
  step: Step,
  host: Host,
  stream: ReleasedStream,
  question: Question,
  work: string,
): Promise<string[]> {
  const { decision, build, signed } = question;
  const commits =
    decision === 'promote'
      ? await releasableCommits(host, step, stream, build)
      : decision === 'release'
        ? await releasableCommits(host, step, releasedLine(stream), signed ?? '')
        : question.commits;
  if (decision === 'approve-fix' && signed !== undefined)
    await requireCaseBuild(host, releasedLine(stream), question, signed);
  // What is released must not lose a fix, unless its approvers say so. A signed rebuild may still be reworked with it.
  const copied = decision === 'promote' && stream.release.mode === 'copy';
  const unfixed = await lacks(
    step,
    host,
    stream,
    copied ? build : decision === 'release' ? signed : undefined,
  );
  const asked = { ...question, commits, unfixed: unfixed.map((lack) => lack.case) };
  const standing = await authority(step, host.store, stream.name, stream.release, asked, work);
  return standing.map(({ approver }) => approver);
}

/** Released fixes that the build lacks. */
async function lacks(
  step: Step,
  { store }: Host,
  stream: Stream,
  build: string | undefined,
): Promise<readonly Lack[]> {
  return build === undefined ? [] : lackingInBuild(step, store, stream, build);
}

/** What is decided of a promotion at the moment, as the archive and the builds in the store say. Fails with BuildNotReleasable. */
export async function promotionDecided(
  step: Step,
  host: Host,
  stream: ReleasedStream,
  { promotion, current }: Pick<PromotionMatter, 'promotion' | 'current'>,
  work: string,
): Promise<PromotionJudgement> {
  const { build, attempts } = promotion;
  const last = attempts?.at(-1);
  const commits = await releasableCommits(host, step, stream, build);
  const made = last?.state === 'testing' ? last.build : undefined;
  const lacking = await lacks(step, host, stream, attempts ? made : build);
  const said = await readArchive(step, host.store, stream.name, stream.release, [build, last?.build], work);
  return judgePromotion(said, { promotion, current, commits, lacks: lacking }, stream.release, Date.now());
}

/** Is the build made by the plan that the statements are about? Fails with BuildNotReleasable. */
async function requireCaseBuild(
  { store }: Host,
  line: Stream,
  { build, commits, changes }: Question,
  signed: string,
): Promise<void> {
  const no = (why: string) => new Failure('BuildNotReleasable', `${line.name} ${signed}: ${why}`);
  const run = await store.runOf(line.name, signed);
  if (run === undefined) throw no('no such build');
  for (const arch of line.architectures) {
    const folder = store.archDir({ stream: line.name, run }, arch);
    const base = await readJson(join(folder, 'accepted-run.json'), acceptedRun);
    const made = await readJson(join(folder, 'changes.json'), reworkChanges);
    if (base?.build !== build || base.commit !== commits?.[arch])
      throw no(`is not made from the release ${build} (${arch})`);
    if (!changes || !made || changesText(made) !== changesText(changes))
      throw no(`has other changes than those that were approved (${arch})`);
  }
}

/**
 * Is just this release or rollback decided, and does it still lie ahead? Answers who has decided so. Fails with StatementRefused,
 * BuildNotReleasable.
 */
export async function requireDecided(
  step: Step,
  host: Host,
  { name }: Pick<Stream, 'name'>,
  args: ReleaseArgs,
): Promise<string[]> {
  // As the stream file is now: an approver may have been removed since the run began.
  const stream = await loadStream(host.settings, name);
  const { release } = stream;
  const { build, onto, decided } = args;
  const refused = (why: string) => new Failure('StatementRefused', `${build}: ${why}`);
  if (!release || !isAbout(args, release.mode))
    throw refused(`what is decided by ${decided.decision} is something else`);
  const index = await readReleases(host, stream, step.signal);
  const base = index.releases.find(({ version }) => version === onto)?.treeline.accepted ?? onto;
  if (decided.decision === 'approve-fix' && args.accepted !== base)
    throw refused(`is made from ${base ?? 'nothing'}, not from ${args.accepted ?? 'nothing'}`);
  // Statements of then still stand; what they decided is over.
  if (decided.decision === 'rollback') {
    if (currentRelease(index)?.version !== onto)
      throw refused(`${onto ?? 'nothing'} is not the current release`);
  } else if (index.releases.some(({ version, treeline }) => version === build && treeline['rolled-back']))
    throw refused('was released, and readers were returned from it');
  return decidedBy(step, host, { ...stream, release }, decided, host.store.work(args, 'statements'));
}

/** Is what is to be done what the question is about? */
function isAbout(
  { build, onto, accepted, security, decided }: ReleaseArgs,
  mode: ReleaseSettings['mode'],
): boolean {
  switch (decided.decision) {
    case 'promote':
      return mode === 'copy' && decided.build === build && decided.onto === onto && !accepted && !security;
    case 'release':
      return decided.signed === build && decided.build === accepted && decided.onto === onto && !security;
    case 'approve-fix':
      return (
        !!security && decided.case === security.case && decided.signed === build && decided.onto === onto
      );
    case 'rollback':
      return decided.onto === build && decided.build === onto;
    default:
      return false;
  }
}
