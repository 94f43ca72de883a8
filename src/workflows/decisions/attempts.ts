/** The attempts of a promotion at a signed rebuild, and what the SIG says of them. No calls: those are in promotion.ts. */
import {
  reportsLacking,
  type Attempt,
  type Promotion,
  type Vote,
  type Votes,
} from '../../domain/promotion.js';
import type { Decided } from '../../domain/promotion-judgement.js';
import { rebuildDecisions } from '../../domain/statement.js';
import type { RebuildNews } from '../chains/rebuild-messages.js';

export const lastAttempt = ({ attempts }: Pick<Promotion, 'attempts'>): Attempt | undefined =>
  attempts?.at(-1);

/** Has its workflow not ended yet? */
export const isRunning = (attempt: Attempt | undefined): boolean =>
  attempt?.state === 'running' || attempt?.state === 'differs';

/** The attempt after the last, as enough approvers have asked for it; the first without `asked`. */
export function nextAttempt(me: Promotion, began: string, asked?: Decided): Attempt {
  const { attempts = [], attemptsBefore = 0 } = me;
  const next = { number: attemptsBefore + attempts.length + 1, state: 'running', began } as const;
  if (!asked?.vote) return { ...next, kind: 'first', reuse: true };
  const { reuse = true, changes } = asked.vote;
  return { ...next, kind: asked.decision === 'rework' ? 'rework' : 'redo', reuse, changes };
}

export const allVotes = (votes: Votes | undefined): Vote[] =>
  rebuildDecisions.flatMap((decision) => votes?.[decision] ?? []);

/** What an attempt tells of itself; one that has ended stays as it is. */
export function withNews(me: Promotion, news: RebuildNews, at: string): Partial<Promotion> {
  const last = lastAttempt(me);
  if (!last || last.number !== news.attempt || !isRunning(last)) return {};
  const state = news.state === 'began' ? last.state : news.state;
  const now: Attempt = {
    ...last,
    state,
    build: news.build ?? last.build,
    commits: news.commits ?? last.commits,
    note: news.note ?? (news.state === 'began' ? last.note : undefined),
    ...(isRunning({ ...last, state }) ? {} : { ended: at }),
  };
  return { attempts: me.attempts?.with(-1, now) };
}

/** What it waits for, for people; undefined while it waits for nobody. */
export function waitsFor(stream: string, me: Promotion): string | undefined {
  const last = lastAttempt(me);
  if (!last || (me.phase === 'rebuilding' && last.state !== 'differs')) return undefined;
  const what = `${stream} ${me.build}: attempt ${last.number}${last.build === undefined ? '' : ` (${last.build})`}`;
  const said = rebuildDecisions.flatMap((decision) => {
    const votes = me.votes?.[decision] ?? [];
    return votes.length === 0
      ? []
      : [
          `${decision} ${votes.length} of ${me.votesNeeded?.[decision] ?? '?'} by ${votes.map(({ approver }) => approver).join(', ')}`,
        ];
  });
  const state =
    last.state === 'differs'
      ? 'differs from the accepted build'
      : last.state === 'testing'
        ? 'can be tested'
        : `has ${last.state === 'failed' ? 'failed' : 'been cancelled'}`;
  return [
    `${what} ${state}${last.note === undefined ? '' : `: ${last.note}`}`,
    `said so far: ${said.join('; ') || 'nothing'}`,
    `awaiting: ${me.missing.join(', ') || 'none'}`,
    ...(last.state === 'testing' ? reportLines(me) : []),
  ].join('\n');
}

/** What people are told of the test reports on what would be released. */
export function reportLines({ reports = [], ...me }: Pick<Promotion, 'reports' | 'reportsNeeded'>): string[] {
  const lacking = reportsLacking({ reports, ...me });
  return [
    ...reports.map(
      ({ by, result, note }) => `test report by ${by}: ${result}${note === undefined ? '' : `: ${note}`}`,
    ),
    ...(lacking > 0 ? [`passing test reports that are needed still: ${lacking}`] : []),
  ];
}

/** Is one the same person's as the other? */
export const isBy =
  ({ fingerprint }: { readonly fingerprint: string }) =>
  (one: { readonly fingerprint: string }) =>
    one.fingerprint === fingerprint;
