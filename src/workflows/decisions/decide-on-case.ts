/** How the stream workflow opens security cases and receives what is decided about them. */
import { condition, getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { commitsText, ofOpenCase } from '../../domain/decisions/decision.js';
import { urgent } from '../../domain/lines.js';
import { isOpen } from '../../domain/promotion.js';
import { isOpenCase, type Affecting, type Fix, type SecurityCase } from '../../domain/security.js';
import { kindOf, type FixDecision, type StatementOf, type Verified } from '../../domain/statement.js';
import { control } from '../activities.js';
import { allFixes, isApproved, joined, subjectOf } from './cases.js';
import { now, type Entity } from './entity.js';
import { hasJudged, ifRunning, readRules, refuse } from './requests.js';
import type { security } from './security.js';
import { joinSignal, promotionNews } from './security-messages.js';
import { retrySignal, spokenSignal } from './signals.js';
import {
  promotionId,
  releaseId,
  securityId,
  workflowTaskTimeout,
  type AdvisoriesFound,
  type Answer,
} from './stream-messages.js';

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
    workflowTaskTimeout,
    // Everything of a case goes before what else waits for a worker.
    priority: urgent,
    staticSummary: `Security case ${entity.stream} ${one.id}`,
  }).catch(ifRunning);
}

type Opened = Pick<SecurityCase, 'openedBy' | 'srpms' | 'embargoed'> & { readonly fixes: readonly Fix[] };

export class CaseDecisions {
  constructor(readonly entity: Entity) {}

  /** From the watch. An advisory that any case knows, open or ended, opens no other; one that still waits for more takes all in. */
  readonly found = async ({ found }: AdvisoriesFound): Promise<void> => {
    const { entity } = this;
    await condition(() => entity.ready);
    const news = found.filter(({ advisory }) => !this.#known(advisory.id, entity.security));
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
  async fix(verified: Verified<StatementOf<'fix'>>): Promise<{ answer: Answer; case: string }> {
    const { entity } = this;
    const { statement, approver } = verified;
    const { fix: asked, srpms, commits } = statement;
    const given = Object.keys(srpms ?? {});
    const why = kindOf('fix').check(statement, { current: entity.current });
    const released = entity.view().released.find((one) => one.build === entity.current);
    if (why !== undefined || !released) throw refuse('StatementRefused', why ?? 'nothing is released');
    if (commitsText(commits) !== commitsText(released.commits))
      throw refuse('StatementRefused', `${released.build}: has the commits ${commitsText(released.commits)}`);
    const { mode } = await this.#rules();
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

  /** A word on an open case: wakes it, which reads the archive, and waits until it has told what it makes of it. */
  async onCase(verified: Verified<StatementOf<FixDecision | 'withdraw'>>): Promise<Answer> {
    const { entity } = this;
    const { statement } = verified;
    const { case: id = '', decision } = statement;
    checkWord(entity, statement);
    await this.#rules();
    // It may have changed while that was asked.
    checkWord(entity, statement);
    await this.#case(id)
      .signal(spokenSignal, { current: entity.current })
      .catch(() => {
        throw refuse('StatementRefused', `security case ${id}: its workflow is gone; it is begun again soon`);
      });
    const now = () => entity.caseOf(id);
    await condition(() => {
      const one = now();
      return !one || !isOpenCase(one.phase) || hasJudged(one, statement);
    }, '10s');
    const one = now();
    if (!one) return { message: `security case ${id}: has ended` };
    const still = isApproved(one) ? '' : `, waits for ${one.missing.join(', ') || 'nobody'}`;
    const count = `${one.approvals.length} of ${one.needed} approvals${isOpenCase(one.phase) ? still : ''}`;
    return { message: `security case ${id}: ${decision} recorded; is ${one.phase}, ${count}` };
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
    for (const { build } of this.entity.promotions.filter(({ phase }) => isOpen(phase)))
      await getExternalWorkflowHandle(promotionId(this.entity.stream, build))
        .signal(promotionNews, { case: one.id, text })
        .catch(() => undefined);
  }

  /** The rules of a stream that has security releases. */
  async #rules() {
    const rules = await readRules(this.entity);
    if (!rules.security)
      throw refuse('StatementRefused', 'the stream has no `release.security` in its stream file');
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

/** Fails with StatementRefused for what cannot be said of the case as it is now. */
function checkWord(entity: Entity, said: StatementOf<FixDecision | 'withdraw'>): void {
  const id = said.case ?? '';
  const { current } = entity;
  // A withdrawal, too, is only of an open case.
  const known = { current, case: entity.caseOf(id) };
  const why =
    said.decision === 'withdraw' ? ofOpenCase()(said, known) : kindOf(said.decision).check(said, known);
  if (why !== undefined) throw refuse('StatementRefused', `security case ${id}: ${why}`);
}
