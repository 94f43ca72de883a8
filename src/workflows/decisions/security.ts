/**
 * A security case: waits a moment for advisories that come together, has the current release built with the fixes, waits until the
 * security group has approved the plan while that runs, and releases it in its turn. When another release comes first it begins again from
 * that. What is decided is read from the archive of signed statements (`case.ts`), never counted here.
 */
import { cvesOf, isOpenCase, type SecurityCase } from '../../domain/security.js';
import { control } from '../activities.js';
import { troubleSignal } from '../chains/chain.js';
import { onSignal, workflow } from '../messages.js';
import { Case, type Next } from './case.js';
import { subjectOf } from './cases.js';
import { RunningFixes } from './running-fix.js';
import { RunningRelease } from './running-release.js';
import { securityInput } from './security-messages.js';

export const security = workflow('security', securityInput, async (input): Promise<SecurityCase> => {
  const { stream, case: start } = input;
  const group = new Case(input);
  const builds = new RunningFixes(group);
  const release = new RunningRelease(stream);
  // Steps that are tried again: nothing to show here, they are small.
  onSignal(troubleSignal, () => undefined);
  // Begun again by its stream workflow: what runs, or has ended meanwhile, is found.
  if (start.phase === 'releasing') await releaseIt(group, release, input.accepted ?? start.plan?.base ?? '');
  else await builds.look();
  await group.judge();
  if (start.attempt === 0 && input.fix === undefined) group.tell('opened', openedText(stream, start));
  while (isOpenCase(group.me.phase)) {
    const next = await group.decides();
    switch (next.what) {
      case 'build':
        await build(group, builds, next);
        break;
      case 'approve':
        await builds.approve();
        break;
      case 'accept':
        await builds.accept();
        break;
      case 'look':
        await builds.look();
        break;
      case 'release':
        await releaseIt(group, release, next.accepted);
        break;
      case 'end':
        await builds.stop(next.why);
        await group.become({ phase: 'dismissed', note: next.why });
    }
  }
  await group.silent();
  return group.me;
});

/** Begins a build from the current release; none if that has all fixes. */
async function build(
  group: Case,
  builds: RunningFixes,
  { why }: Extract<Next, { what: 'build' }>,
): Promise<void> {
  await builds.stop(why);
  group.takesAll();
  const { fixes, srpms = {} } = group.me;
  const left = fixes.length > 0 ? await lacking(group) : fixes;
  if (left.length === 0 && Object.keys(srpms).length === 0)
    return group.become({ phase: 'fixed', note: 'the current release has the fixes' });
  const { rules } = group;
  // Nobody could say by what rules: the note tells why.
  if (!rules) return group.become({ phase: 'failed' });
  await group.begins(rules, why);
  await builds.start(left, rules.mode === 'signed-rebuild');
}

/** The fixes that the current release lacks. */
const lacking = ({ calls, me: { fixes } }: Case) =>
  calls
    .call(
      'lacking-now',
      'Check the current release for the fixes',
      control.lackingNow,
      { fixes },
      { retry: { maximumAttempts: 5 } },
    )
    // Its plan finds out.
    .catch(() => fixes);

/** Runs the release and says how it ended. Once too few want it, it is cancelled; past its point of no return it goes on. */
async function releaseIt(group: Case, running: RunningRelease, accepted: string): Promise<void> {
  const { stream } = group;
  const { id, plan, build, srpms, advisories } = group.me;
  if (!plan || build === undefined) return group.become({ phase: 'building' });
  await group.become({ phase: 'releasing', note: undefined });
  const failure = await running.run(
    {
      ...{ stream, build, onto: plan.base, kind: 'fix', signed: group.rules?.mode === 'signed-rebuild' },
      fix: { case: id, advisories, plan, srpms, accepted },
    },
    group,
  );
  if (failure !== undefined) return group.become({ phase: 'failed', note: failure });
  await group.become({
    ...{ phase: 'released', note: undefined },
    times: { ...group.me.times, released: new Date().toISOString() },
  });
  group.tell('released', `${stream}: security case ${id} (${subjectOf(group.me)}) is released as ${build}`);
}

function openedText(stream: string, one: SecurityCase): string {
  const cves = cvesOf(one.advisories);
  return `${stream}: security case ${one.id} is opened by ${one.openedBy}: ${subjectOf(one)}${cves.length > 0 ? ` (${cves.join(', ')})` : ''}`;
}
