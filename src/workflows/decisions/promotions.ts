/** Promotions: in which phase they are, what people see of them, are told and are reminded of. No calls: those are in sig.ts. */
import type { Rules } from '../../activities/decide.js';
import type { Approval, Promotion } from '../../domain/promotion.js';
import type { PromotionJudgement } from '../../domain/promotion-judgement.js';
import { allVotes, isBy, lastAttempt, reportLines, waitsFor } from './attempts.js';

/** `alice, bob` */
export const names = (all: readonly Approval[]) => all.map(({ approver }) => approver).join(', ');

/** What people see of what is decided. */
export function shown(me: Promotion, judged: PromotionJudgement, rules: Rules): Partial<Promotion> {
  const { approvals, reports, reportsNeeded, lacks, votes, judgedTo } = judged;
  const said = votes ? allVotes(votes) : approvals;
  const { promote: needed, release, redo, rework, accept, abandon } = rules.approvals;
  return {
    ...{ approvals, needed, reports, reportsNeeded },
    unfixed: lacks.length > 0 ? lacks.map((lack) => lack.case) : undefined,
    ...(judgedTo === undefined ? {} : { judgedTo }),
    ...(votes ? { votes } : {}),
    ...(me.attempts || rules.mode === 'signed-rebuild'
      ? { votesNeeded: { release, redo, rework, accept, abandon } }
      : {}),
    missing: rules.approvers.filter((one) => !said.some(isBy(one))).map(({ name }) => name),
    expires: new Date(Date.parse(me.proposedAt) + rules.proposalAge * 1000).toISOString(),
  };
}

/** Where one that is not released yet goes back to. */
export const waiting = (me: Promotion): Promotion['phase'] => (me.attempts ? 'deciding' : 'proposed');

/** One that waits is ready or not; what runs, or has failed, stays as it is. */
export function phaseOf(me: Promotion, { decided }: PromotionJudgement, { mode }: Rules): Promotion['phase'] {
  const waits = waiting(me);
  if (me.phase !== waits && me.phase !== 'ready') return me.phase;
  const go = me.attempts ? decided?.decision === 'release' : mode === 'copy' && decided !== undefined;
  return go ? 'ready' : waits;
}

export const waitingText = (stream: string, me: Promotion): string =>
  me.phase === 'failed'
    ? `${stream} ${me.build}: the release failed and waits for a retry: ${me.note ?? ''}`
    : (waitsFor(stream, me) ?? proposalText(stream, me));

export const proposalText = (stream: string, me: Promotion): string =>
  [
    `${stream} ${me.build}: ${me.approvals.length} of ${me.needed} approvals; awaiting: ${me.missing.join(', ')}`,
    ...reportLines(me),
  ].join('\n');

/** What the SIG is asked for, since when; undefined while an attempt needs nobody. */
export function asking(me: Promotion): { readonly key: string; readonly since: number } | undefined {
  const last = lastAttempt(me);
  const proposedAt = Date.parse(me.proposedAt);
  if (!last) return { key: `waiting-${me.build}-${proposedAt}`, since: proposedAt };
  if (waitsFor('', me) === undefined) return undefined;
  return {
    key: `waiting-${me.build}-attempt-${last.number}-${last.state}`,
    since: Date.parse(last.ended ?? last.began),
  };
}
