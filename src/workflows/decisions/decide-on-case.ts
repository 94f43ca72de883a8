/** How the stream workflow opens security cases and takes in what is decided about them. */
import { condition, getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { urgent } from '../../domain/lines.js';
import { isOpen } from '../../domain/promotion.js';
import { isOpenCase, type Affecting, type Fix, type SecurityCase } from '../../domain/security.js';
import { changesText } from '../../domain/rework-changes.js';
import type { Statement, Verified } from '../../domain/statement.js';
import { control } from '../activities.js';
import { allFixes, findingsOf, groupOf, isApproved, joined, subjectOf } from './cases.js';
import { now, type Entity } from './entity.js';
import { approval, commitsText, ifRunning, readRules, refuse } from './requests.js';
import type { security } from './security.js';
import { caseDecision, joinSignal, promotionNews, type CaseDecision } from './security-messages.js';
import { retrySignal } from './signals.js';
import { promotionId, releaseId, securityId, type AdvisoriesFound, type Answer } from './stream-messages.js';

/** Starts the workflow of a case, or finds it running. */
export async function startCase(
  entity: Entity,
  one: SecurityCase,
  accepted: string | null = null,
): Promise<void> {
  await startChild<typeof security>('security', {
    workflowId: securityId(entity.stream, one.id),
    args: [{ stream: entity.stream, case: one, ...(accepted === null ? {} : { accepted }) }],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    // Everything of a case goes before what else waits for a worker.
    priority: urgent,
    staticSummary: `Security case ${entity.stream} ${one.id}`,
  }).catch(ifRunning);
}

type Opened = Pick<SecurityCase, 'openedBy' | 'srpms' | 'embargoed'> & { readonly fixes: readonly Fix[] };

export class CaseDecisions {
  constructor(readonly entity: Entity) {}

  /** From the watch. An advisory that any case knows, open or ended, opens no other; one that still waits for more takes all in. */
  readonly found = async (request: AdvisoriesFound): Promise<void> => {
    const { entity } = this;
    await condition(() => entity.ready);
    const { taken, refused } = findingsOf(request);
    if (refused > 0)
      entity.remember({
        ...{ at: now(), decision: 'advisories', build: entity.current ?? '', by: 'watch' },
        refused: `${refused} are not as the watch makes them`,
      });
    const news = taken.filter(({ advisory }) => !this.#known(advisory.id, entity.security));
    if (news.length === 0 || entity.current === null) return;
    const joining = entity.openCases.find((one) => one.phase === 'joining' && one.openedBy === 'watch');
    if (!joining) {
      await this.#open(news, { openedBy: 'watch', fixes: [], embargoed: false });
      return;
    }
    entity.setCase(joined(joining, news));
    await this.#case(joining.id)
      .signal(joinSignal, news)
      .catch(() => startCase(entity, entity.caseOf(joining.id) ?? joining));
  };

  /** An approver asks for a security release. */
  async fix(verified: Verified): Promise<{ answer: Answer; case: string }> {
    const { entity } = this;
    const { statement, approver } = verified;
    const { fix: request, srpms, build, onto, commits } = statement;
    const none = { advisories: [], packages: [], embargo: false };
    const asked = request ?? none;
    const given = Object.keys(srpms ?? {});
    if (asked.advisories.length + asked.packages.length + given.length === 0)
      throw refuse('StatementRefused', 'fix names neither an advisory nor a package nor a source RPM');
    const released = entity.view().released.find((one) => one.build === entity.current);
    if (!released || build !== released.build || onto !== released.build)
      throw refuse('StatementRefused', `${build}: is not the current release (${entity.current ?? 'none'})`);
    if (commitsText(commits) !== commitsText(released.commits))
      throw refuse('StatementRefused', `${build}: has the commits ${commitsText(released.commits)}`);
    const { mode } = await this.#group(verified);
    if (given.length > 0 && mode !== 'signed-rebuild')
      throw refuse('StatementRefused', 'source RPMs are rebuilt only where releases are signed rebuilds');
    const { affecting, fixes } = await entity.calls.call(
      'find-fix',
      'Find what fixes it',
      control.findFix,
      { request: asked, srpms },
      { scheduleToCloseTimeout: '30m' },
    );
    this.#refuseCovered(asked.advisories, allFixes(fixes, ...affecting.map((one) => one.fixes)), srpms);
    const opened = { openedBy: approver, fixes, srpms, embargoed: asked.embargo };
    const one = await this.#open(affecting, opened);
    return { answer: { message: `security case ${one.id}: ${subjectOf(one)}: is opened` }, case: one.id };
  }

  /** A word on an open case: hands it over and waits until the case has told what it makes of it. */
  async onCase(verified: Verified, decision: CaseDecision['decision']): Promise<Answer> {
    const { entity } = this;
    const { statement } = verified;
    const { case: id = '', reason, onto } = statement;
    checkWord(entity, statement, decision);
    await this.#group(verified);
    // It may have changed while that was asked.
    checkWord(entity, statement, decision);
    const given = approval(verified);
    await this.#case(id)
      .signal(caseDecision, { decision, approval: given, reason, onto })
      .catch(() => {
        throw refuse('StatementRefused', `security case ${id}: its workflow is gone; it is begun again soon`);
      });
    const now = () => entity.caseOf(id);
    await condition(() => now()?.heard === given.nonce || !isOpenCase(now()?.phase ?? 'dismissed'), '10s');
    const one = now();
    if (!one) return { message: `security case ${id}: has ended` };
    const still = isApproved(one) ? '' : `, waits for ${one.missing.join(', ') || 'nobody'}`;
    const count = `${one.approvals.length} of ${one.needed} approvals${isOpenCase(one.phase) ? still : ''}`;
    return { message: `security case ${id}: ${decision} taken in; is ${one.phase}, ${count}` };
  }

  async retry(id: string): Promise<Answer> {
    const one = this.entity.caseOf(id);
    if (!one || !isOpenCase(one.phase))
      throw refuse('BuildNotReleasable', `${id}: no such security case is open`);
    if (one.phase === 'releasing') {
      // Of its release, which waits for a person.
      const release = getExternalWorkflowHandle(releaseId(this.entity.stream, one.build ?? ''));
      await release.signal(retrySignal, {});
      return { message: `security case ${id}: its release is tried again` };
    }
    if (one.phase !== 'failed')
      throw refuse('BuildNotReleasable', `${id}: is ${one.phase}; there is nothing to try again`);
    await this.#case(id).signal(retrySignal, {});
    return { message: `security case ${id}: is tried again` };
  }

  async #open(found: readonly Affecting[], { fixes, ...opened }: Opened): Promise<SecurityCase> {
    const { entity } = this;
    const one: SecurityCase = joined(
      {
        ...{ id: entity.nextCase(), phase: opened.openedBy === 'watch' ? 'joining' : 'building' },
        ...opened,
        ...{ advisories: [], fixes, attempt: 0, approvals: [], needed: 0, missing: [] },
        times: { detected: now() },
      },
      found,
    );
    entity.setCase(one);
    if (!one.embargoed) entity.note('security case', entity.current ?? '', subjectOf(one), one);
    await startCase(entity, one);
    if (!one.embargoed) await this.#tellPromotions(one);
    return one;
  }

  /** A promotion that is open may lack the fix soon. */
  async #tellPromotions(one: SecurityCase): Promise<void> {
    const text = `security case ${one.id} is open: ${subjectOf(one)}`;
    const event = 'security-case';
    for (const { build } of this.entity.promotions.filter(({ phase }) => isOpen(phase)))
      await getExternalWorkflowHandle(promotionId(this.entity.stream, build))
        .signal(promotionNews, { event, case: one.id, text, lacks: false })
        .catch(() => undefined);
  }

  /** Does the author decide about security releases? Answers the rules. */
  async #group({ approver, fingerprint }: Verified) {
    const rules = await readRules(this.entity);
    if (!rules.security)
      throw refuse('StatementRefused', 'the stream has no `release.security` in its stream file');
    if (!groupOf(rules).some((one) => one.fingerprint === fingerprint))
      throw refuse(
        'StatementRefused',
        `${approver} is not of the security group (\`release.security.approvers\`)`,
      );
    return rules;
  }

  #refuseCovered(
    advisories: readonly string[],
    fixes: readonly Fix[],
    srpms: Readonly<Record<string, string>> = {},
  ): void {
    const given = Object.values(srpms);
    for (const one of this.entity.openCases) {
      const same =
        advisories.find((id) => this.#known(id, [one])) ??
        fixes.find((fix) => one.fixes.some(({ name, evr }) => name === fix.name && evr === fix.evr))?.name ??
        Object.entries(one.srpms ?? {}).find(([, sum]) => given.includes(sum))?.[0];
      if (same !== undefined)
        throw refuse('StatementRefused', `${same}: security case ${one.id} is open for it already`);
    }
  }

  readonly #known = (id: string, cases: readonly SecurityCase[]) =>
    cases.some(({ advisories }) => advisories.some((advisory) => advisory.id === id));
  readonly #case = (id: string) => getExternalWorkflowHandle(securityId(this.entity.stream, id));
}

/** Can this be said of the case as it is now? */
function checkWord(entity: Entity, said: Statement, decision: CaseDecision['decision']): void {
  const { case: id = '', build, onto, commits, changes, srpms, reason } = said;
  const one = entity.caseOf(id);
  const no = (why: string) => refuse('StatementRefused', `security case ${id}: ${why}`);
  if (!one) throw no('there is none of this id');
  if (!isOpenCase(one.phase)) throw no(`is ${one.phase} already`);
  const { plan, phase } = one;
  switch (decision) {
    case 'approve-fix':
      if (!plan) throw no(`is ${phase}; what it changes is not planned yet`);
      if (phase === 'releasing') throw no('is being released');
      if (build !== plan.base || onto !== plan.base)
        throw no(`is made from ${plan.base}, not from ${onto ?? 'nothing'}`);
      if (onto !== entity.current)
        throw no(`${entity.current ?? 'nothing'} is the release now, not ${plan.base}`);
      if (commitsText(commits) !== commitsText(plan.commits))
        throw no(
          `names the commits ${commitsText(commits)}, but ${plan.base} has ${commitsText(plan.commits)}`,
        );
      if (!changes || changesText(changes) !== changesText(plan.changes))
        throw no('names other changes than those that are planned');
      if (commitsText(srpms ?? {}) !== commitsText(one.srpms ?? {})) throw no('names other source RPMs');
      break;
    case 'accept-fix':
      if (phase !== 'differs') throw no(`is ${phase}; there are no differences to accept`);
      if (commitsText(commits) !== commitsText(one.buildCommits ?? {}))
        throw no(
          `names the commits ${commitsText(commits)}, but its build has ${commitsText(one.buildCommits ?? {})}`,
        );
      break;
    case 'dismiss-fix':
      if (!reason?.trim()) throw no('dismissing it needs a reason');
  }
}
