/** What the SIG has decided of a promotion, who still has to say something, and what that makes of it. */
import { judge, lastWords, reportsOn, type Archive, type Rules } from './judgement.js';
import type { Approval, Promotion, Vote, Votes } from './promotion.js';
import type { Lack } from './security.js';
import {
  approvalOf,
  kindOf,
  rebuildDecisions,
  type Question,
  type RebuildDecision,
  type Verified,
} from './statement.js';

/** What the promotion knows itself. */
export interface PromotionMatter {
  readonly promotion: Pick<Promotion, 'build' | 'proposedBy' | 'onto' | 'attempts'>;
  /** The current release, if it is known: the release of an attempt is decided on it. */
  readonly current?: string | null | undefined;
  /** The build's commits. */
  readonly commits: Question['commits'];
  /** Released fixes that what would be released lacks. */
  readonly lacks: readonly Lack[];
}

/** What enough approvers ask for, with the words of one of them. */
export interface Decided {
  readonly decision: 'promote' | RebuildDecision;
  readonly by: readonly string[];
  readonly vote?: Vote | undefined;
}

export interface PromotionJudgement {
  /** Time of the newest statement that was looked at; ISO 8601, UTC. */
  readonly judgedTo?: string | undefined;
  readonly approvals: readonly Approval[];
  readonly reports: Promotion['reports'];
  readonly reportsNeeded: number;
  readonly lacks: readonly Lack[];
  /** Of the last attempt; absent before the first. */
  readonly votes?: Votes | undefined;
  /** What is to be done; the most final comes first. */
  readonly decided?: Decided | undefined;
  /** It ends: a veto, or its proposer has taken it back. */
  readonly ended?: { readonly phase: 'rejected' | 'withdrawn'; readonly note: string } | undefined;
}

export function judgePromotion(
  said: Archive,
  matter: PromotionMatter,
  rules: Rules,
  now: number,
): PromotionJudgement {
  const { promotion, commits, lacks } = matter;
  const { build, onto, attempts } = promotion;
  const copied = rules.mode === 'copy' && !attempts;
  const last = attempts?.at(-1);
  const approved: Question = {
    ...{ decision: 'promote', build, onto, commits, unfixed: copied ? casesOf(lacks) : [] },
    begun: attempts !== undefined,
  };
  const verdict = judge(said, approved, rules, now);
  const tested = copied ? { build, commits } : { build: last?.build, commits: last?.commits };
  const judgement = {
    judgedTo: said.at(-1)?.statement.time,
    approvals: verdict.by.map(approvalOf),
    reports: tested.build === undefined ? [] : reportsOn(said, rules, tested.build, tested.commits),
    lacks,
    reportsNeeded: copied || attempts ? rules.approvals.reports : 0,
    ended: vetoOf(said, approved, rules, now) ?? withdrawnBy(said, promotion),
  };
  if (!last) {
    const by = verdict.by.map(({ approver }) => approver);
    return {
      ...judgement,
      ...(verdict.refused === undefined ? { decided: { decision: 'promote', by } } : {}),
    };
  }
  const votes: Partial<Record<RebuildDecision, readonly Vote[]>> = {};
  let decided: Decided | undefined;
  for (const decision of rebuildDecisions) {
    const asked = asks(said, decision, matter);
    const words = (question: Question) =>
      lastWords(said, question, rules, now).filter(({ statement: one }) => one.decision === decision);
    const all = asked.flatMap((question) => words(question).map(voteOf));
    if (all.length > 0) votes[decision] = all;
    const enough = asked.find((question) => judge(said, question, rules, now).refused === undefined);
    if (!enough || !kindOf(decision).offered(last.state)) continue;
    const together = words(enough);
    decided = { decision, by: together.map(({ approver }) => approver), vote: together.map(voteOf)[0] };
  }
  return { ...judgement, votes, ...(decided ? { decided } : {}) };
}

/** The questions that statements of this kind about the last attempt answer: words that ask for different things do not count together. */
function asks(
  said: Archive,
  decision: RebuildDecision,
  { promotion, lacks, current }: PromotionMatter,
): Question[] {
  const { build, onto, attempts } = promotion;
  const { number: attempt, commits, build: made } = attempts?.at(-1) ?? {};
  const questions = new Map<string, Question>();
  for (const { statement: one } of said) {
    if (one.decision !== decision || one.build !== build || one.attempt !== attempt) continue;
    const { reuse, changes }: Omit<Vote, keyof Approval | 'onto'> = one;
    const question: Question = {
      ...{ decision, build, attempt, commits, reuse, changes },
      ...(decision === 'release'
        ? { onto: current === undefined ? one.onto : current, signed: made, unfixed: casesOf(lacks) }
        : { onto }),
    };
    // What was said on the newest release is looked at first.
    const key = JSON.stringify(question);
    questions.delete(key);
    questions.set(key, question);
  }
  const all = [...questions.values()].reverse();
  return decision === 'release' ? all.slice(0, 1) : all;
}

function vetoOf(said: Archive, approved: Question, rules: Rules, now: number): PromotionJudgement['ended'] {
  const veto = lastWords(said, approved, rules, now).find(
    ({ statement }) => kindOf(statement.decision).vetoes,
  );
  if (!veto) return undefined;
  const { reason } = veto.statement;
  return {
    phase: 'rejected',
    note: `rejected by ${veto.approver}${reason === undefined ? '' : `: ${reason}`}`,
  };
}

/** Was the proposal taken back by its author? */
function withdrawnBy(
  said: Archive,
  { build, proposedBy }: PromotionMatter['promotion'],
): PromotionJudgement['ended'] {
  const last = said.findLast(
    ({ approver, statement: one }) =>
      approver === proposedBy &&
      one.build === build &&
      (['promote', 'approve', 'reject'].includes(one.decision) ||
        (one.decision === 'withdraw' && one.attempt === undefined && one.case === undefined)),
  );
  return last?.statement.decision === 'withdraw'
    ? { phase: 'withdrawn', note: `withdrawn by ${proposedBy}` }
    : undefined;
}

const casesOf = (lacks: readonly Lack[]) => lacks.map((lack) => lack.case);
const voteOf = (verified: Verified): Vote => {
  const { onto, signed, reuse, changes, reason }: Omit<Vote, keyof Approval> = verified.statement;
  return { ...approvalOf(verified), onto, signed, reuse, changes, reason };
};
