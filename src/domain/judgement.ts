/**
 * What people have decided, from their signed statements: pure, and the only judgement of them. A release asks it before each step that
 * readers could see; a promotion asks it what to do next. Who calls it has verified the signatures.
 */
import type { Group } from './decisions/decision.js';
import type { TestReport } from './promotion.js';
import type { ReleaseSettings } from './release-settings.js';
import { ends, kindOf, type Question, type Statement, type Verified } from './statement.js';

interface People<P> {
  readonly approvers: readonly P[];
  readonly testers: readonly P[];
  readonly security?: { readonly approvers: readonly string[] } | undefined;
}
/** What the stream file says of decisions. */
export type Rules = People<{ readonly name: string }> &
  Pick<ReleaseSettings, 'approvals' | 'proposerCounts' | 'proposalAge' | 'statementAge' | 'mode'>;

/** Those who may sign statements of a group. */
export function membersOf<P extends { readonly name: string }>(
  { approvers, testers, security }: People<P>,
  group: Group,
): readonly P[] {
  if (group === 'testers') return [...approvers, ...testers];
  return group === 'security' && security && security.approvers.length > 0
    ? approvers.filter(({ name }) => security.approvers.includes(name))
    : approvers;
}

/** Why this person cannot say so at all; undefined: may. */
export function barred(people: People<{ readonly name: string }>, author: string, said: Statement) {
  const group = 'case' in said && said.case !== undefined ? 'security' : kindOf(said.decision).group;
  const isOf = (one: Group) => membersOf(people, one).some(({ name }) => name === author);
  if (isOf(group)) return undefined;
  return isOf('approvers')
    ? `${author} is not of the security group (\`release.security.approvers\`)`
    : `${author} is a tester, not an approver: testers sign test reports, not ${said.decision}`;
}

/** Statements that count at the moment, oldest first: of people whom the stream file has, with signatures that count now. */
export type Archive = readonly Verified[];

/** Those who have decided so and stand by it; `refused`: why that is not enough, for people. */
export interface Verdict {
  readonly by: readonly Verified[];
  readonly refused?: string;
}

/** Have enough people decided so? A veto, too few of them, or too few passing test reports on what would be released are against it. */
export function judge(said: Archive, question: Question, rules: Rules, now: number): Verdict {
  const { decision, commits } = question;
  const { quorum, tested } = kindOf(decision);
  const by = lastWords(said, question, rules, now);
  const veto = by.find(({ statement }) => kindOf(statement.decision).vetoes);
  if (veto) return { by: [], refused: `rejected by ${veto.approver}` };
  const needed = quorum(rules.approvals);
  if (by.length < needed)
    return {
      by,
      refused: `${by.length} of ${needed} signed statements for this ${decision} still stand (${by.map(({ approver }) => approver).join(', ') || 'nobody'})${unfixedText(question)}`,
    };
  const { reports } = rules.approvals;
  const build = reports > 0 ? tested(question, rules) : undefined;
  if (build === undefined) return { by };
  const passed = reportsOn(said, rules, build, commits).filter(({ result }) => result === 'pass');
  return passed.length >= reports
    ? { by }
    : {
        by,
        refused: `${passed.length} of ${reports} passing test reports on ${build} (${passed.map(({ by }) => by).join(', ') || 'nobody'})`,
      };
}

/** Each person's last test report on a build, oldest first. With `commits` only those that are about them. */
export function reportsOn(
  said: Archive,
  rules: Rules,
  build: string,
  commits: Question['commits'] = {},
): TestReport[] {
  const people = new Set(membersOf(rules, 'testers').map(({ name }) => name));
  const last = new Map<string, TestReport>();
  for (const { statement, approver: by, fingerprint } of said) {
    if (statement.decision !== 'report' || statement.build !== build || !people.has(by)) continue;
    const named: Readonly<Record<string, string | undefined>> = statement.commits;
    if (!Object.entries(commits).every(([arch, commit]) => named[arch] === commit)) continue;
    const { result, note, time: at } = statement;
    last.delete(fingerprint);
    last.set(fingerprint, { build, by, result, ...(note === undefined ? {} : { note }), at });
  }
  return [...last.values()];
}

/**
 * What each person said last about the matter, if that is a yes or a veto: who has withdrawn says nothing any more. What is about other
 * commits or another former release is no word on it; the archive has such statements too.
 */
export function lastWords(said: Archive, question: Question, rules: Rules, now: number): Verified[] {
  const asked = kindOf(question.decision);
  const people = new Set(membersOf(rules, asked.group).map(({ name }) => name));
  const lasting = asked.lasting || question.begun === true;
  const oldest = lasting ? 0 : now - (rules.proposalAge + rules.statementAge) * 1000;
  const isYes = ({ statement }: Verified) => {
    const kind = kindOf(statement.decision);
    return kind.to === question.decision && kind.answers(statement, question);
  };
  const last = new Map<string, Verified>();
  for (const verified of said) {
    const { statement, fingerprint, approver } = verified;
    if (!people.has(approver)) continue;
    const kind = kindOf(statement.decision);
    // A veto stands until it is withdrawn; an approval expires.
    const counts = isYes(verified) && kind.counts(rules) && Date.parse(statement.time) >= oldest;
    const against = ends(statement.decision, question.decision) && kind.concerns(statement, question);
    if (counts || against) last.set(fingerprint, verified);
  }
  return [...last.values()].filter((one) => kindOf(one.statement.decision).vetoes || isYes(one));
}

const unfixedText = ({ unfixed = [] }: Question) =>
  unfixed.length > 0
    ? `; those that do not name the fixes that it lacks (${unfixed.join(', ')}) do not count`
    : '';
