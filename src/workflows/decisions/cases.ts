/** Security cases: what they cover, in which phase they are, and what people are told of them. No calls: those are in security.ts. */
import type { Rules } from '../../activities/decide.js';
import type { CaseJudgement } from '../../domain/case-judgement.js';
import type {
  Affecting,
  CasePhase,
  Fix,
  Lack,
  SecurityAdvisory,
  SecurityCase,
} from '../../domain/security.js';
import { isBy } from './attempts.js';
import type { FixNews, FixState } from './security-messages.js';

/** A build that has not ended yet. */
export const isBuilding = (fix: FixState | undefined): boolean =>
  fix === 'running' || fix === 'waits' || fix === 'differs';

/** Each advisory once. */
export const allAdvisories = (...lists: (readonly SecurityAdvisory[])[]): SecurityAdvisory[] => [
  ...new Map(lists.flat().map((advisory) => [advisory.id, advisory])).values(),
];

/** Each package and version once, with all the advisories that ask for it. */
export function allFixes(...lists: (readonly Fix[])[]): Fix[] {
  const fixes = new Map<string, Fix>();
  for (const fix of lists.flat()) {
    const key = `${fix.name} ${fix.evr}`;
    const before = fixes.get(key)?.advisories ?? [];
    fixes.set(key, { ...fix, advisories: [...new Set([...before, ...fix.advisories])] });
  }
  return [...fixes.values()];
}

/** The case with what was found besides. */
export const joined = <T extends Pick<SecurityCase, 'advisories' | 'fixes' | 'times'>>(
  me: T,
  found: readonly Affecting[],
): T => {
  const advisories = allAdvisories(
    me.advisories,
    found.map(({ advisory }) => advisory),
  );
  const issued = advisories.flatMap((advisory) => advisory.issued ?? []).sort();
  const times = { ...me.times, ...(issued[0] === undefined ? {} : { published: issued[0] }) };
  return { ...me, advisories, fixes: allFixes(me.fixes, ...found.map(({ fixes }) => fixes)), times };
};

/** The phase that follows from how its build stands. */
export function phaseOf(fix: FixState | undefined, approved: boolean): CasePhase {
  switch (fix) {
    case 'waits':
    case 'differs':
      return fix === 'waits' ? 'waiting' : 'differs';
    case 'built':
      return approved ? 'ready' : 'waiting';
    case 'failed':
    case 'cancelled':
      return 'failed';
    default:
      return 'building';
  }
}

/** A new build is begun: nothing that was said of the one before counts. */
export const begun = (me: SecurityCase, note: string | undefined): SecurityCase => {
  const { published, detected } = me.times;
  return {
    ...me,
    ...{ phase: 'building', attempt: me.attempt + 1, note },
    ...{ plan: undefined, build: undefined, buildCommits: undefined, approvals: [] },
    times: { ...(published === undefined ? {} : { published }), detected },
  };
};

/** What its build has told. */
export function withNews(me: SecurityCase, news: FixNews, at: string): SecurityCase {
  const { state, plan, build, commits, note } = news;
  const times = {
    ...me.times,
    ...(plan && !me.times.planned ? { planned: at } : {}),
    ...(state === 'built' ? { built: at } : {}),
  };
  return {
    ...{ ...me, times },
    plan: plan ?? me.plan,
    build: build ?? me.build,
    buildCommits: commits ?? me.buildCommits,
    note: note ?? (state === 'cancelled' ? 'its build was cancelled' : me.plan ? undefined : me.note),
  };
}

/** The case with the approvals that count now, by the current rules. */
export function counted(
  me: SecurityCase,
  { approvals, approved, judgedTo, ended }: CaseJudgement,
  rules: Rules,
  at: string,
): SecurityCase {
  const group = groupOf(rules);
  const gone = me.approvals.filter((before) => !approvals.some(isBy(before)));
  const left = gone.filter((one) => !group.some(isBy(one)));
  const names = (left.length > 0 ? left : gone).map(({ approver }) => approver).join(', ');
  return {
    ...me,
    ...{ approvals, needed: rules.approvals.fix },
    // What ends it is told of when it has ended.
    ...(judgedTo === undefined || ended !== undefined ? {} : { judgedTo }),
    missing: group.filter((one) => !approvals.some(isBy(one))).map(({ name }) => name),
    times: { ...me.times, approved: approved ? (me.times.approved ?? at) : undefined },
    note:
      left.length > 0
        ? `no longer counts: the approval of ${names}`
        : gone.length > 0
          ? `${names} has withdrawn the approval`
          : me.note,
  };
}

export const isApproved = ({
  approvals,
  needed,
  plan,
}: Pick<SecurityCase, 'approvals' | 'needed' | 'plan'>) => plan !== undefined && approvals.length >= needed;

/** Those who decide about security releases. */
export const groupOf = ({ security, approvers }: Pick<Rules, 'security' | 'approvers'>) =>
  security?.approvers ?? approvers;

// What people are told. Each begins with the stream and the case.

/** Ids of its advisories, or the packages that a person named. */
export const subjectOf = ({ advisories, fixes, srpms = {} }: SecurityCase): string =>
  advisories.map((advisory) => advisory.id).join(', ') ||
  [...fixes.map((fix) => `${fix.name}-${fix.evr}`), ...Object.keys(srpms)].join(', ');

/** What it asks people for, with the command; undefined while it asks for nothing. */
export function asksFor(stream: string, me: SecurityCase): string | undefined {
  const { id: of, phase, plan, approvals, needed, missing, note } = me;
  const about = `${stream}: security case ${of} (${subjectOf(me)})`;
  const command = (option: string) => `treeline security ${stream} --${option} ${of}`;
  const why = note === undefined ? '' : `: ${note}`;
  if (phase === 'differs') return `${about} differs from the release${why}\nto go on: ${command('accept')}`;
  if (phase === 'failed') return `${about} has failed${why}\nto try it again: ${command('retry')}`;
  if (!plan || (phase !== 'building' && phase !== 'waiting') || isApproved(me)) return undefined;
  return [
    `${about} waits for approval: ${approvals.length} of ${needed}; awaiting: ${missing.join(', ') || 'none'}`,
    ...(note === undefined ? [] : [note]),
    `made from ${plan.base}:`,
    ...plan.packages.map((one) => `  ${one.name} ${one.from ?? 'none'} → ${one.to ?? 'none'} (${one.why})`),
    `to approve: ${command('approve')}`,
  ].join('\n');
}

/** What a build lacks. */
export const unfixedText = (lacks: readonly Lack[]): string => `lacks ${lacks.map(lackText).join('; ')}`;

const lackText = ({ case: id, advisories, packages }: Lack): string => {
  const names = packages.map((one) => `${one.name} ${one.is} (fixed in ${one.fixed})`).join(', ');
  return `the fix of security case ${[id, ...advisories].join(', ')}: ${names}`;
};
