/** Security cases: what they cover, in which phase they are, and what people are told of them. No calls: those are in security.ts. */
import type { Standing } from '../../activities/decide.js';
import type {
  Affecting,
  CasePhase,
  Fix,
  Lack,
  SecurityAdvisory,
  SecurityCase,
} from '../../domain/security.js';
import { bySeverity } from '../../domain/security.js';
import type { CaseDecision, FixNews, FixState } from './security-messages.js';

export const isCaseId = (text: string): boolean => /^\d{8}-\d{1,4}$/.test(text);

/** A build that has not ended yet. */
export const isBuilding = (fix: FixState | undefined): boolean =>
  fix === 'running' || fix === 'waits' || fix === 'differs';

/** Anyone can send a signal: only what is made as the watch makes it is taken in. `refused`: how many are not. */
export function findingsOf(request: unknown): {
  readonly taken: readonly Affecting[];
  readonly refused: number;
} {
  const { found } = fields(request);
  const all: unknown[] = Array.isArray(found) ? found : [request];
  const taken = all.slice(0, 500).filter(isAffecting);
  return { taken, refused: all.length - taken.length };
}

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const isText = (value: unknown, form: RegExp): boolean => typeof value === 'string' && form.test(value);
const [id, text, name, version, time] = [
  /^[A-Za-z0-9][\w.:+-]{0,99}$/,
  /^[^]{0,5000}$/,
  /^[A-Za-z0-9][\w.+-]{0,199}$/,
  /^[\w.:+~^-]{1,199}$/,
  /^\d{4}-\d\d-\d\d[T\d:.+Z -]{0,30}$/,
];

function isAffecting(value: unknown): value is Affecting {
  const { advisory, fixes } = fields(value);
  const about = fields(advisory);
  return (
    isText(about.id, id) &&
    isText(about.title, text) &&
    isText(about.source, text) &&
    bySeverity.some((severity) => severity === about.severity) &&
    isListOf(about.cves, (cve) => isText(cve, id)) &&
    (about.issued === undefined || isText(about.issued, time)) &&
    isListOf(fixes, (fix) => {
      const { name: of, evr, advisories } = fields(fix);
      return isText(of, name) && isText(evr, version) && isListOf(advisories, (one) => isText(one, id));
    })
  );
}
const isListOf = (value: unknown, is: (one: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length <= 1000 && value.every(is);

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
  rules: Standing,
  asked: readonly string[],
  at: string,
): SecurityCase {
  const group = groupOf(rules);
  const inGroup = ({ fingerprint }: { fingerprint: string }) =>
    group.some((one) => one.fingerprint === fingerprint);
  const approvals = me.approvals.filter(
    (given) => inGroup(given) && (!asked.includes(given.nonce) || rules.standing.includes(given.nonce)),
  );
  const gone = me.approvals.filter((given) => !approvals.includes(given));
  const needed = rules.approvals.fix;
  const missing = group
    .filter(({ fingerprint }) => !approvals.some((given) => given.fingerprint === fingerprint))
    .map((one) => one.name);
  const enough = isApproved({ approvals, needed, plan: me.plan });
  return {
    ...me,
    ...{ approvals, needed, missing },
    times: { ...me.times, approved: enough ? (me.times.approved ?? at) : undefined },
    note:
      gone.length === 0
        ? me.note
        : `no longer counts: the approval of ${gone.map(({ approver }) => approver).join(', ')}`,
  };
}

export const isApproved = ({
  approvals,
  needed,
  plan,
}: Pick<SecurityCase, 'approvals' | 'needed' | 'plan'>) => plan !== undefined && approvals.length >= needed;

/** Those who decide about security releases. */
export const groupOf = ({ security, approvers }: Pick<Standing, 'security' | 'approvers'>) =>
  security?.approvers ?? approvers;

/** What a decision makes of a case; one that ends it says so by its phase. */
export function decidedCase(me: SecurityCase, said: CaseDecision): SecurityCase {
  const { approval } = said;
  const { approver, fingerprint } = approval;
  const others = me.approvals.filter((given) => given.fingerprint !== fingerprint);
  switch (said.decision) {
    case 'approve-fix':
      return me.plan?.base === said.onto
        ? { ...me, approvals: [...others, approval] }
        : { ...me, note: `${approver} has approved what is not planned any more: approve again` };
    case 'accept-fix':
      return me;
    case 'dismiss-fix':
      return { ...me, phase: 'dismissed', note: `dismissed by ${approver}: ${said.reason}` };
    case 'withdraw':
      if (others.length === me.approvals.length && me.openedBy === approver)
        return { ...me, phase: 'dismissed', note: `withdrawn by ${approver}` };
      return { ...me, approvals: others, note: `${approver} has withdrawn the approval` };
  }
}

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
