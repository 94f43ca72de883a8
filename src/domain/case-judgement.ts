/** What the security group has decided about a security case, and what that makes of it. */
import { judge, lastWords, membersOf, type Archive, type Rules } from './judgement.js';
import type { Approval } from './promotion.js';
import type { SecurityCase } from './security.js';
import { approvalOf, type Question } from './statement.js';

/** What the case knows itself. */
export interface CaseMatter extends Pick<
  SecurityCase,
  'id' | 'openedBy' | 'plan' | 'buildCommits' | 'srpms'
> {
  /** When it was opened; ISO 8601, UTC. */
  readonly detected: string;
}

export interface CaseJudgement {
  /** Time of the newest statement that was looked at; ISO 8601, UTC. */
  readonly judgedTo?: string | undefined;
  /** Of the plan, as it is now. */
  readonly approvals: readonly Approval[];
  /** Enough people have approved the plan. */
  readonly approved: boolean;
  /** Of what else has changed in its build. */
  readonly acceptances: readonly Approval[];
  /** Enough people have accepted that. */
  readonly accepted: boolean;
  /** It ends without a release: why. */
  readonly ended?: string | undefined;
}

/** Clocks differ; milliseconds. */
const tolerance = 5 * 60_000;

/** `said`: what was said of the case, and perhaps of others. */
export function judgeCase(said: Archive, matter: CaseMatter, rules: Rules, now: number): CaseJudgement {
  const { id, plan, buildCommits: commits, srpms, detected } = matter;
  // A stream whose records were lost counts its cases anew: what was said of an earlier one of this id does not count.
  const oldest = Date.parse(detected) - tolerance;
  const about = said.filter(
    ({ statement: one }) => 'case' in one && one.case === id && Date.parse(one.time) >= oldest,
  );
  const ended = dismissedBy(about, matter, rules, now);
  const known = { judgedTo: about.at(-1)?.statement.time, ...(ended === undefined ? {} : { ended }) };
  const asked = (question: Question | undefined) =>
    question
      ? {
          by: lastWords(about, question, rules, now).map(approvalOf),
          enough: judge(about, question, rules, now).refused === undefined,
        }
      : { by: [], enough: false };
  const place = plan && { case: id, build: plan.base, onto: plan.base };
  const planned = asked(
    place && {
      ...{ ...place, decision: 'approve-fix', commits: plan.commits },
      ...{ changes: plan.changes, srpms },
    },
  );
  const built = asked(place && commits && { ...place, decision: 'accept-fix', commits });
  return {
    ...known,
    ...{ approvals: planned.by, approved: planned.enough },
    ...{ acceptances: built.by, accepted: built.enough },
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
  if (!membersOf(rules, 'security').some(({ name }) => name === openedBy)) return undefined;
  let hasSaid = false;
  for (const { approver, statement: one } of said) {
    if (approver !== openedBy) continue;
    if (one.decision === 'withdraw' && !hasSaid) return `withdrawn by ${openedBy}`;
    hasSaid = one.decision !== 'withdraw';
  }
  return undefined;
}
