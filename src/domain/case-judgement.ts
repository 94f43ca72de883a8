/** What the security group has decided about a security case, and what that makes of it. */
import { judge, lastWords, type Archive, type Rules } from './judgement.js';
import type { Approval } from './promotion.js';
import type { SecurityCase } from './security.js';
import type { Question, Verified } from './statement.js';

/** What the case knows itself. */
export type CaseMatter = Pick<SecurityCase, 'id' | 'openedBy' | 'plan' | 'buildCommits' | 'srpms'>;

export interface CaseJudgement {
  /** Time of the newest statement that was looked at; ISO 8601, UTC. */
  readonly judgedTo?: string | undefined;
  /** Of the plan, as it is now. */
  readonly approvals: readonly Approval[];
  /** Enough people have approved the plan. */
  readonly approved: boolean;
  /** Enough people have accepted what else has changed in its build. */
  readonly accepted: boolean;
  /** It ends without a release: why. */
  readonly ended?: string | undefined;
}

export function judgeCase(said: Archive, matter: CaseMatter, rules: Rules, now: number): CaseJudgement {
  const { id, plan, buildCommits: commits, srpms } = matter;
  const about = said.filter(({ statement: one }) => 'case' in one && one.case === id);
  const ask = (question: Question) => judge(about, question, rules, now).refused === undefined;
  const ended = dismissedBy(about, matter, rules, now);
  const known = { judgedTo: about.at(-1)?.statement.time, ...(ended === undefined ? {} : { ended }) };
  if (!plan) return { ...known, approvals: [], approved: false, accepted: false };
  const place = { case: id, build: plan.base, onto: plan.base };
  const { changes } = plan;
  const planned: Question = { ...place, decision: 'approve-fix', commits: plan.commits, changes, srpms };
  return {
    ...known,
    approvals: lastWords(about, planned, rules, now).map(approvalOf),
    approved: ask(planned),
    accepted: commits !== undefined && ask({ ...place, decision: 'accept-fix', commits }),
  };
}

/** By a statement of its own, or by who has opened it and has nothing else to take back. */
function dismissedBy(
  said: Archive,
  { id, openedBy }: CaseMatter,
  rules: Rules,
  now: number,
): string | undefined {
  for (const { statement: one } of said) {
    if (one.decision !== 'dismiss-fix') continue;
    const { build, onto } = one;
    const [by] = lastWords(said, { decision: 'dismiss-fix', case: id, build, onto }, rules, now);
    if (by) return `dismissed by ${by.approver}: ${by.statement.reason ?? ''}`;
  }
  let approved = false;
  for (const { approver, statement: one } of said) {
    if (approver !== openedBy) continue;
    if (one.decision === 'approve-fix') approved = true;
    if (one.decision !== 'withdraw') continue;
    if (!approved) return `withdrawn by ${openedBy}`;
    approved = false;
  }
  return undefined;
}

const approvalOf = ({ approver, fingerprint, statement: { nonce, time: at } }: Verified): Approval => ({
  ...{ approver, fingerprint, nonce, at },
});
