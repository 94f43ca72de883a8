/** What the promotion asks before it believes anyone: is this statement an approver's, does it still count, can the build go? */
import { activityInfo } from '@temporalio/activity';
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { judgeCase, type CaseJudgement } from '../domain/case-judgement.js';
import { barred, judge, membersOf } from '../domain/judgement.js';
import type { Approval } from '../domain/promotion.js';
import type { PromotionJudgement } from '../domain/promotion-judgement.js';
import { attempted, commitsByArch, fixPlan, word } from '../domain/shapes.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import { approvalOf, question, type Verified } from '../domain/statement.js';
import { baseOf } from '../domain/stream.js';
import { approverKeys, verifyStatement } from '../keys/statement.js';
import type { Step } from '../steps/step.js';
import { readArchive } from '../release/authority.js';
import { decidedBy, promotionDecided, type ReleasedStream } from '../release/decided.js';
import { releasableCommits } from '../publish/releasable.js';
import { createExclusive, needJson, writeWhole } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { asStep } from './as-step.js';
import { type Host } from '../host.js';
import { stepArgs, time, type StepArgs } from '../domain/inputs.js';
import { srpms } from '../domain/decisions/decision.js';
import { caseId } from '../domain/names.js';
import { buildId } from '../domain/build-id.js';

export interface RollbackJudgement {
  readonly approvals: readonly Approval[];
  readonly enough: boolean;
}
/** What is decided, and by which rules. */
export type Judged<J> = J & { readonly rules: Rules };

/** What the current stream file says of decisions. */
export interface Rules {
  /** Those whose key is neither revoked nor expired. */
  readonly approvers: readonly { readonly name: string; readonly fingerprint: string }[];
  /** Distinct approvers that each decision needs. */
  readonly approvals: ReleaseSettings['approvals'];
  readonly proposerCounts: boolean;
  /** Seconds. */
  readonly proposalAge: number;
  /** Seconds. */
  readonly remindEvery: number;
  /** Does the announcement wait for a person's go? */
  readonly hold: boolean;
  readonly mode: ReleaseSettings['mode'];
  /** Of signed rebuilds: seconds between reminders of a decision. */
  readonly decisionRemindEvery?: number | undefined;
  /** Of security releases, if the stream has them. */
  readonly security?:
    | {
        /** The security group: those of `approvers` who decide about them. */
        readonly approvers: readonly { readonly name: string; readonly fingerprint: string }[];
        /** Seconds. */
        readonly remindEvery: number;
        /** Seconds in which advisories come together. */
        readonly join: number;
      }
    | undefined;
}

/** Characters of what is taken at all; a statement that is too long is refused as one. */
const mostText = 65_536;

/** `statements/<nonce>.json`: which request used the nonce, and the sha256 of its text. */
const use = z.object({ request: z.string(), digest: z.string() });

export const decideActivities = (host: Host) => {
  const { settings, store } = host;

  /** As the stream file is now: an approver may have been removed since. */
  async function declared(name: string): Promise<ReleasedStream> {
    const stream = await loadStream(settings, name);
    const { release } = stream;
    if (!release)
      throw new Failure('StreamInvalid', `${name}: the stream has no \`release\`: nothing can be decided`);
    return { ...stream, release };
  }
  /** With a scratch folder of the step's own: what a killed attempt has left there is removed by the next. */
  async function inScratch<R>(args: StepArgs, body: (work: string) => Promise<R>): Promise<R> {
    const { workflowExecution, activityId } = activityInfo();
    const id = createHash('sha256').update(`${workflowExecution?.runId} ${activityId}`).digest('hex');
    const work = store.work(args, `statements-${id.slice(0, 16)}`);
    const clear = () => rm(work, { recursive: true, force: true });
    await clear();
    return body(work).finally(clear);
  }
  /** The statement of a text. Fails with StatementRefused for one that counts for nothing. */
  async function verifiedBy(step: Step, args: StepArgs, text: string): Promise<Verified> {
    const { release } = await declared(args.stream);
    const verified = await inScratch(args, (work) =>
      verifyStatement(step, text, {
        ...{ stream: args.stream, approvers: membersOf(release, 'testers') },
        ...{ maxAge: release.statementAge, now: new Date(), work },
      }),
    );
    const why = barred(release, verified.approver, verified.statement);
    if (why !== undefined) throw new Failure('StatementRefused', why);
    return verified;
  }
  /** Has the archive judged, and says by which rules. */
  async function judged<J>(
    step: Step,
    args: StepArgs,
    body: (stream: ReleasedStream, work: string) => Promise<J>,
  ): Promise<Judged<J>> {
    const stream = await declared(args.stream);
    return inScratch(args, async (work) => ({
      ...(await body(stream, work)),
      rules: await rulesOf(step, stream.release),
    }));
  }
  async function rulesOf(step: Step, release: ReleaseSettings): Promise<Rules> {
    const approvers = (await approverKeys(step, release.approvers))
      .filter(({ usable }) => usable)
      .map(({ name, fingerprint }) => ({ name, fingerprint }));
    const group = membersOf(release, 'security').map(({ name }) => name);
    return {
      approvers,
      approvals: release.approvals,
      proposerCounts: release.proposerCounts,
      proposalAge: release.proposalAge,
      remindEvery: release.remindEvery,
      hold: release.announce.hold,
      mode: release.mode,
      decisionRemindEvery: release.rebuild?.remindEvery,
      security: release.security && {
        approvers: approvers.filter(({ name }) => group.includes(name)),
        remindEvery: release.security.remindEvery,
        join: release.security.join,
      },
    };
  }

  return {
    /**
     * Verifies a statement and uses up its nonce; keeps its text. The same `request` may take the same text again (a retry); any
     * other try is a replay. Fails with StatementRefused.
     */
    takeStatement: asStep(
      host,
      stepArgs.extend({ text: z.string().max(mostText), request: z.string().max(mostText) }),
      async (step, args): Promise<Verified> => {
        // What is refused is not kept: nobody counts it later.
        const verified = await verifiedBy(step, args, args.text);
        const { nonce } = verified.statement;
        const mine = { request: args.request, digest: createHash('sha256').update(args.text).digest('hex') };
        const file = join(store.statements(args.stream), `${nonce}.json`);
        if (!(await createExclusive(file, JSON.stringify(mine)))) {
          const first = await needJson(file, use);
          if (first.request !== mine.request || first.digest !== mine.digest)
            throw new Failure(
              'StatementRefused',
              `the statement's nonce ${nonce} was used already (replayed)`,
            );
        }
        // After the nonce is ours: a replay must not overwrite the text that counted.
        await writeWhole(join(store.statements(args.stream), `${nonce}.asc`), args.text);
        return verified;
      },
    ),

    /** Verifies a statement, and keeps nothing of it. Fails with StatementRefused. */
    readStatement: asStep(
      host,
      stepArgs.extend({ text: z.string().max(mostText) }),
      (step, args): Promise<Verified> => verifiedBy(step, args, args.text),
    ),

    /** What the stream asks for, as the stream file is now. */
    rules: asStep(host, stepArgs, async (step, { stream }): Promise<Rules> => {
      const { release } = await declared(stream);
      return rulesOf(step, release);
    }),

    /** What is decided of a promotion, by the archive of signed statements, and the rules, as the stream file is now. */
    judgePromotion: asStep(
      host,
      stepArgs.extend({
        promotion: z.object({
          build: buildId,
          proposedBy: word,
          onto: buildId.nullable(),
          attempts: z.array(attempted).readonly().optional(),
        }),
        current: buildId.nullable().optional(),
      }),
      (step, args): Promise<Judged<PromotionJudgement>> =>
        judged(step, args, (stream, work) => promotionDecided(step, host, stream, args, work)),
    ),

    /** What is decided of a security case; else as `judgePromotion`. */
    judgeCase: asStep(
      host,
      stepArgs.extend({
        case: z.object({
          id: caseId,
          openedBy: word,
          detected: time,
          plan: fixPlan.optional(),
          buildCommits: commitsByArch.optional(),
          srpms: srpms.optional(),
        }),
      }),
      (step, args): Promise<Judged<CaseJudgement>> =>
        judged(step, args, async ({ name, release }, work) => {
          const said = await readArchive(step, store, name, release, [args.case.id], work);
          return judgeCase(said, args.case, release, Date.now());
        }),
    ),

    /** Who wants readers to return from `build` to `to`, and are they enough? Else as `judgePromotion`. */
    judgeRollback: asStep(
      host,
      stepArgs.extend({ build: buildId, to: buildId }),
      (step, { build, to, ...args }): Promise<Judged<RollbackJudgement>> =>
        judged(step, args, async ({ name, release }, work) => {
          const said = await readArchive(step, store, name, release, [build], work);
          const { by, refused } = judge(said, { decision: 'rollback', build, onto: to }, release, Date.now());
          return { approvals: by.map(approvalOf), enough: refused === undefined };
        }),
    ),

    /** Have enough approvers decided so, by the archive of signed statements? Answers their names. See `decidedBy`. */
    authorize: asStep(
      host,
      stepArgs.extend(question.shape),
      async (step, args): Promise<{ approvers: string[] }> => {
        const stream = await declared(baseOf(args.stream));
        return inScratch(args, async (work) => ({
          approvers: await decidedBy(step, host, stream, args, work),
        }));
      },
    ),

    /** Can this build be released? Answers its commits; fails with BuildNotReleasable. Checksums are the release's to verify. */
    examine: asStep(
      host,
      stepArgs.extend({ build: buildId }),
      async (step, args): Promise<{ commits: Record<string, string> }> => ({
        commits: await releasableCommits(host, step, await declared(args.stream), args.build),
      }),
    ),
  };
};
