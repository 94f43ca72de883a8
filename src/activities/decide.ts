/** What the promotion asks before it believes anyone: is this statement an approver's, does it still count, can the build go? */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../domain/failures.js';
import type { ReleaseSettings } from '../domain/release-settings.js';
import type { Verified } from '../domain/statement.js';
import { releasedLine, type Stream } from '../domain/stream.js';
import { openKeyring, standsStill, verifyStatement } from '../keys/statement.js';
import { authority, type Question } from '../release/authority.js';
import { releasableBuild } from '../publish/releasable.js';
import { createExclusive, needJson, readText, writeWhole } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { asStep, type Host, type StepArgs } from './host.js';

/** What the current stream file says of a waiting promotion. */
export interface Standing {
  /** Nonces of the statements that still count. */
  readonly standing: readonly string[];
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
}

/** `statements/<nonce>.json`: which request used the nonce, and the sha256 of its text. */
const use = z.object({ request: z.string(), digest: z.string() });

export const decideActivities = (host: Host) => {
  const { settings, store } = host;

  /** As the stream file is now: an approver may have been removed since. */
  async function declared(name: string): Promise<Stream & { release: ReleaseSettings }> {
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
      async (step, args: StepArgs & { text: string; request: string }): Promise<Verified> => {
        const { release } = await declared(args.stream);
        const verified = await verifyStatement(step, args.text, {
          ...{ stream: args.stream, approvers: release.approvers, maxAge: release.statementAge },
          ...{ now: new Date(), work: scratch(args) },
        });
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
        await writeWhole(keptText(args.stream, nonce), args.text);
        return verified;
      },
    ),

    /** Which of the accepted statements still count, and by which rules, as the stream file is now. */
    standing: asStep(
      host,
      async (step, args: StepArgs & { nonces: readonly string[] }): Promise<Standing> => {
        const { release } = await declared(args.stream);
        const keyring = await openKeyring(step, release.approvers, scratch(args));
        try {
          const standing: string[] = [];
          for (const nonce of args.nonces) {
            const text = await readText(keptText(args.stream, nonce));
            if (text !== undefined && (await standsStill(keyring, nonce, text))) standing.push(nonce);
          }
          return {
            standing,
            approvers: keyring.keys
              .filter(({ usable }) => usable)
              .map(({ name, fingerprint }) => ({ name, fingerprint })),
            approvals: release.approvals,
            proposerCounts: release.proposerCounts,
            proposalAge: release.proposalAge,
            remindEvery: release.remindEvery,
            hold: release.announce.hold,
          };
        } finally {
          await keyring.close();
        }
      },
    ),

    /**
     * Have enough approvers decided so, by the archive of signed statements? Answers their names. Of a rollback `build` is the release
     * that is taken back, `onto` the one to return to. Fails with StatementRefused, BuildNotReleasable.
     */
    authorize: asStep(
      host,
      async (step, args: StepArgs & Omit<Question, 'commits'>): Promise<{ approvers: string[] }> => {
        const stream = await declared(args.stream);
        const { decision, build, onto, attempt, signed } = args;
        const metas =
          decision === 'promote'
            ? await releasableBuild(host, step, stream, build)
            : decision === 'release'
              ? await releasableBuild(host, step, releasedLine(stream), signed ?? '')
              : [];
        const commits = Object.fromEntries(metas.map((meta) => [meta.architecture, meta['ostree-commit']]));
        const question = { decision, build, onto, commits, attempt, signed };
        const standing = await authority(step, store, stream.name, stream.release, question, scratch(args));
        return { approvers: standing.map(({ approver }) => approver) };
      },
    ),

    /** Can this build be released? Answers its commits; fails with BuildNotReleasable. Checksums are the release's to verify. */
    examine: asStep(
      host,
      async (step, args: StepArgs & { build: string }): Promise<{ commits: Record<string, string> }> => {
        const metas = await releasableBuild(host, step, await declared(args.stream), args.build);
        return {
          commits: Object.fromEntries(metas.map((meta) => [meta.architecture, meta['ostree-commit']])),
        };
      },
    ),
  };
};
