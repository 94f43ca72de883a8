/** What the promotion asks before it believes anyone: is this statement an approver's, does it still count, can the build go? */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import type { TestReport } from '../domain/promotion.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import { kindOf, question, type Verified } from '../domain/statement.js';
import { baseOf } from '../domain/stream.js';
import { openKeyring, standsStill, verifyStatement } from '../keys/statement.js';
import { membersOf, reportsOn } from '../release/authority.js';
import { decidedBy, type ReleasedStream } from '../release/decided.js';
import { releasableCommits } from '../publish/releasable.js';
import { createExclusive, needJson, readText, writeWhole } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { asStep } from './as-step.js';
import { type Host } from '../host.js';
import { commits, stepArgs, type StepArgs } from '../domain/inputs.js';
import { nonce } from '../domain/names.js';
import { buildId } from '../domain/build-id.js';

/** What the current stream file says of a waiting promotion. */
export interface Standing {
  /** Nonces of the statements that still count. */
  readonly standing: readonly string[];
  /** Those whose key is neither revoked nor expired. */
  readonly approvers: readonly { readonly name: string; readonly fingerprint: string }[];
  /** Distinct approvers that each decision needs. */
  readonly approvals: ReleaseSettings['approvals'];
  /** Test reports on the build that was asked about: each person's last that counts now, oldest first. */
  readonly reports: readonly TestReport[];
  readonly proposerCounts: boolean;
  /** Seconds. */
  readonly proposalAge: number;
  /** Seconds. */
  readonly remindEvery: number;
  /** Does the announcement wait for a person's go? */
  readonly hold: boolean;
  /** Absent in histories of before there were signed rebuilds. */
  readonly mode?: ReleaseSettings['mode'];
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
  const scratch = (args: StepArgs) => store.work(args, 'statements');
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
        const verified = await verifyStatement(step, args.text, {
          ...{ stream: args.stream, approvers: membersOf(release, 'testers'), maxAge: release.statementAge },
          ...{ now: new Date(), work: scratch(args) },
        });
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
      stepArgs.extend({
        nonces: z.array(nonce).max(1000).readonly(),
        /** The build whose test reports are asked for. */
        build: buildId.optional(),
        /** Only reports that are about these count. */
        commits: commits.optional(),
      }),
      async (step, args): Promise<Standing> => {
        const { release } = await declared(args.stream);
        const keyring = await openKeyring(step, release.approvers, scratch(args));
        try {
          const standing: string[] = [];
          for (const nonce of args.nonces) {
            const text = await readText(keptText(args.stream, nonce));
            if (text !== undefined && (await standsStill(keyring, nonce, text))) standing.push(nonce);
          }
          const approvers = keyring.keys
            .filter(({ usable }) => usable)
            .map(({ name, fingerprint }) => ({ name, fingerprint }));
          const group = membersOf(release, 'security').map(({ name }) => name);
          const { build, commits } = args;
          const reports =
            build === undefined
              ? []
              : await reportsOn(step, store, args.stream, release, { build, commits }, scratch(args));
          return {
            standing,
            approvers,
            approvals: release.approvals,
            reports,
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
        } finally {
          await keyring.close();
        }
      },
    ),

    /** Have enough approvers decided so, by the archive of signed statements? Answers their names. See `decidedBy`. */
    authorize: asStep(
      host,
      stepArgs.extend(question.shape),
      async (step, args): Promise<{ approvers: string[] }> => {
        const stream = await declared(baseOf(args.stream));
        return { approvers: await decidedBy(step, host, stream, args, scratch(args)) };
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
