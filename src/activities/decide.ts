/** What the promotion asks before it believes anyone: is this statement an approver's, does it still count, can the build go? */
import { activityInfo } from '@temporalio/activity';
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import { membersOf } from '../domain/judgement.js';
import type { PromotionJudgement } from '../domain/promotion-judgement.js';
import { attempted, word } from '../domain/shapes.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import { kindOf, question, type Verified } from '../domain/statement.js';
import { baseOf } from '../domain/stream.js';
import { openKeyring, standsStill, verifyStatement, type Keyring } from '../keys/statement.js';
import type { Step } from '../steps/step.js';
import { decidedBy, promotionDecided, type ReleasedStream } from '../release/decided.js';
import { releasableCommits } from '../publish/releasable.js';
import { createExclusive, needJson, readText, writeWhole } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { asStep } from './as-step.js';
import { type Host } from '../host.js';
import { stepArgs, type StepArgs } from '../domain/inputs.js';
import { nonce } from '../domain/names.js';
import { buildId } from '../domain/build-id.js';

/** What is decided of a promotion, and by which rules. */
export type Judgement = PromotionJudgement & { readonly rules: Rules };

export interface Standing extends Rules {
  /** Nonces of the statements that still count. */
  readonly standing: readonly string[];
}

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
  async function withKeyring<R>(
    step: Step,
    { approvers }: ReleaseSettings,
    work: string,
    body: (keyring: Keyring) => Promise<R>,
  ): Promise<R> {
    const keyring = await openKeyring(step, approvers, work);
    try {
      return await body(keyring);
    } finally {
      await keyring.close();
    }
  }
  function rulesOf(release: ReleaseSettings, { keys }: Keyring): Rules {
    const approvers = keys
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
  const keptText = (stream: string, nonce: string) => join(store.statements(stream), `${nonce}.asc`);

  return {
    /**
     * Verifies a statement and uses up its nonce; keeps its text. The same `request` may take the same text again (a retry); any
     * other try is a replay. Fails with StatementRefused.
     */
    takeStatement: asStep(
      host,
      stepArgs.extend({ text: z.string().max(mostText), request: z.string().max(mostText) }),
      async (step, args): Promise<Verified> => {
        const { release } = await declared(args.stream);
        const verified = await inScratch(args, (work) =>
          verifyStatement(step, args.text, {
            ...{ stream: args.stream, approvers: membersOf(release, 'testers') },
            ...{ maxAge: release.statementAge, now: new Date(), work },
          }),
        );
        const { nonce, decision } = verified.statement;
        const isApprover = release.approvers.some(({ name }) => name === verified.approver);
        if (!isApprover && kindOf(decision).group !== 'testers')
          throw new Failure(
            'StatementRefused',
            `${verified.approver} is a tester, not an approver: testers sign test reports, not ${decision}`,
          );
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
        await writeWhole(keptText(args.stream, nonce), args.text);
        return verified;
      },
    ),

    /** Which of the accepted statements still count, and by which rules, as the stream file is now. */
    standing: asStep(
      host,
      stepArgs.extend({ nonces: z.array(nonce).max(1000).readonly() }),
      async (step, args): Promise<Standing> => {
        const { release } = await declared(args.stream);
        return inScratch(args, (work) =>
          withKeyring(step, release, work, async (keyring) => {
            const standing: string[] = [];
            for (const nonce of args.nonces) {
              const text = await readText(keptText(args.stream, nonce));
              if (text !== undefined && (await standsStill(keyring, nonce, text))) standing.push(nonce);
            }
            return { standing, ...rulesOf(release, keyring) };
          }),
        );
      },
    ),

    /** What is decided of a promotion, by the archive of signed statements, and the rules, as the stream file is now. */
    judge: asStep(
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
      async (step, args): Promise<Judgement> => {
        const stream = await declared(args.stream);
        return inScratch(args, async (work) => {
          const judged = await promotionDecided(step, host, stream, args, work);
          return withKeyring(step, stream.release, work, (keyring) =>
            Promise.resolve({ ...judged, rules: rulesOf(stream.release, keyring) }),
          );
        });
      },
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
