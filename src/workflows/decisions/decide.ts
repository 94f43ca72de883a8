/** How the stream workflow takes in decisions. What is refused is refused with its reason, and recorded. */
import {
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import { agreed, releasedAs, type Promotion } from '../../domain/promotion.js';
import type { Lack } from '../../domain/security.js';
import {
  changesText,
  isRebuildDecision,
  type RebuildDecision,
  type Statement,
  type Verified,
} from '../../domain/statement.js';
import { control } from '../activities.js';
import { allVotes, lastAttempt } from './attempts.js';
import { CaseDecisions } from './decide-on-case.js';
import { isCaseId, unfixedText } from './cases.js';
import { describeFailure } from '../describe.js';
import { now, type Entity } from './entity.js';
import type { promotion as promotionWorkflow } from './promotion.js';
import { approval, commitsText, ifRunning, readRules, refuse } from './requests.js';
import {
  announceSignal,
  decisionSignal,
  retrySignal,
  stopSignal,
  type PromotionDecision,
} from './signals.js';
import {
  promotionId,
  releaseId,
  type Answer,
  type DecideRequest,
  type PromoteRequest,
  type RetryRequest,
} from './stream-messages.js';

/** What is known without a look at the build: enough to refuse a promotion at once. */
export function checkBuild(entity: Entity, build: string): void {
  const { current, accepted } = entity;
  const veto = entity.vetoOf(build);
  if (entity.release(build)) throw refuse('BuildNotReleasable', `${build}: is released already`);
  if (current !== null && accepted !== null && build < accepted)
    throw refuse('BuildNotReleasable', `${build}: is older than the release ${current}`);
  if (veto) throw refuse('BuildNotReleasable', `${build}: was rejected by ${veto.by}, who can withdraw that`);
}

/** Starts a promotion, or finds it running. */
export async function startPromotion(entity: Entity, start: Promotion): Promise<void> {
  await startChild<typeof promotionWorkflow>('promotion', {
    workflowId: promotionId(entity.stream, start.build),
    args: [{ stream: entity.stream, promotion: start }],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    staticSummary: `Promotion of ${entity.stream} ${start.build}`,
  }).catch(ifRunning);
}

export class Decisions {
  readonly cases: CaseDecisions;
  constructor(readonly entity: Entity) {
    this.cases = new CaseDecisions(entity);
  }

  /** Proposes a build; a statement of an approver is an approval too, if the stream says so. */
  readonly promote = async (request: PromoteRequest): Promise<Answer> => {
    const { entity } = this;
    const { build, statement: text, by } = request;
    await condition(() => entity.ready);
    return this.#recorded('promote', build, by ?? 'unsigned', async () => {
      checkBuild(entity, build);
      const { commits } = await this.#examine(build);
      const verified = text === undefined ? undefined : await this.#take(text);
      if (verified) {
        const { statement } = verified;
        if (statement.decision !== 'promote' || statement.build !== build)
          throw refuse(
            'StatementRefused',
            `says ${statement.decision} ${statement.build}, not promote ${build}`,
          );
        this.#checkCommits(statement, commits);
        this.#checkOnto(statement);
      }
      const rules = await readRules(entity);
      // The world may have moved while those steps ran.
      const copied = rules.mode !== 'signed-rebuild';
      const lacks = await this.#lacking(build, copied && verified ? verified.statement : undefined);
      checkBuild(entity, build);
      const approvals = verified && rules.proposerCounts ? [approval(verified)] : [];
      const open = entity.promotion(build);
      if (open) {
        if (verified && approvals[0]) {
          const { onto } = verified.statement;
          return {
            ...(await this.#tell(open, { decision: 'approve', approval: approvals[0], onto })),
            verified,
          };
        }
        throw refuse('BuildNotReleasable', `${build}: is proposed already`);
      }
      const proposedAt = now();
      const promotion: Promotion = {
        build,
        phase: 'proposed',
        proposedBy: verified?.approver ?? by ?? 'unsigned',
        proposedAt,
        onto: entity.current,
        approvals,
        ...(entity.attemptsOf(build) > 0 ? { attemptsBefore: entity.attemptsOf(build) } : {}),
        needed: rules.approvals.promote,
        missing: rules.approvers
          .filter(({ fingerprint }) => fingerprint !== approvals[0]?.fingerprint)
          .map(({ name }) => name),
        expires: new Date(Date.parse(proposedAt) + rules.proposalAge * 1000).toISOString(),
        ...(lacks.length > 0 ? { unfixed: lacks.map((lack) => lack.case), note: unfixedText(lacks) } : {}),
      };
      entity.propose(promotion);
      await startPromotion(entity, promotion);
      return { answer: { message: waiting(promotion, 'proposed'), promotion }, verified };
    });
  };

  /** Every other decision; always by statement. */
  readonly decide = async (request: DecideRequest): Promise<Answer> => {
    const { entity } = this;
    const { statement: text } = request;
    await condition(() => entity.ready);
    let verified: Verified;
    try {
      verified = await this.#take(text);
    } catch (error) {
      throw this.#refused('statement', '', 'unknown', error);
    }
    const { statement } = verified;
    return this.#recorded(statement.decision, statement.build, verified.approver, async () => {
      switch (statement.decision) {
        case 'promote':
          throw refuse('StatementRefused', 'says promote: send it by `treeline promote` or `submit`');
        case 'rollback':
          return { answer: await this.#rollback(verified), verified };
        case 'announce':
          await this.#release(statement.build)
            .signal(announceSignal, approval(verified))
            .catch(() => {
              throw refuse('StatementRefused', `${statement.build}: no announcement of it waits`);
            });
          return { answer: { message: `${statement.build}: the announcement may go` }, verified };
        case 'accept':
        case 'release':
        case 'redo':
        case 'rework':
        case 'abandon':
          return this.#onAttempt(verified, statement.decision);
        case 'fix':
          return { ...(await this.cases.fix(verified)), verified };
        case 'approve-fix':
        case 'accept-fix':
        case 'dismiss-fix':
          return { answer: await this.cases.onCase(verified, statement.decision), verified };
        case 'withdraw':
          if (statement.case !== undefined)
            return { answer: await this.cases.onCase(verified, statement.decision), verified };
          return this.#onPromotion(verified, statement.decision);
        default:
          return this.#onPromotion(verified, statement.decision);
      }
    });
  };

  /** Tries again what failed, or goes on with what waits for a person. Harmless where nothing waits. */
  readonly retry = async (request: RetryRequest): Promise<Answer> => {
    const { entity } = this;
    const { build, mail } = request;
    if (mail !== undefined && !['sent', 'again'].includes(mail))
      throw refuse('StatementRefused', 'the request’s `mail` is neither `sent` nor `again`');
    await condition(() => entity.ready);
    if (isCaseId(build)) return this.cases.retry(build);
    const promotion = entity.promotionOf(build);
    if (!promotion)
      throw refuse(
        'BuildNotReleasable',
        `${build}: no promotion of it is open; \`treeline promotions\` lists them`,
      );
    if (promotion.phase !== 'failed' && promotion.phase !== 'releasing')
      throw refuse('BuildNotReleasable', `${build}: is ${promotion.phase}; there is nothing to try again`);
    const handle =
      promotion.phase === 'failed'
        ? getExternalWorkflowHandle(promotionId(entity.stream, promotion.build))
        : this.#release(releasedAs(promotion));
    await handle.signal(retrySignal, mail === undefined ? {} : { mail });
    return { message: `${build}: is tried again`, promotion };
  };

  async #onPromotion(verified: Verified, decision: 'approve' | 'reject' | 'withdraw') {
    const { entity } = this;
    const { statement, fingerprint } = verified;
    const { build } = statement;
    const open = entity.promotion(build);
    if (decision === 'withdraw' && entity.vetoOf(build)?.fingerprint === fingerprint) {
      entity.liftVeto(build);
      return {
        answer: { message: `${build}: the rejection is withdrawn; it may be proposed again` },
        verified,
      };
    }
    if (decision === 'reject' && !open) {
      if (entity.release(build))
        throw refuse('StatementRefused', `${build}: is released already; \`treeline rollback\` goes back`);
      entity.veto(build, approval(verified));
      return { answer: { message: `${build}: is vetoed, and cannot be proposed` }, verified };
    }
    if (!open) throw refuse('StatementRefused', `${build}: no promotion of it is open; propose it first`);
    const { commits } = await this.#examine(build);
    this.#checkCommits(statement, commits);
    if (decision === 'approve') {
      this.#checkOnto(statement);
      // A signed rebuild may be reworked with the fixes.
      if (!open.votesNeeded) await this.#lacking(build, statement);
    }
    const { reason, onto, attempt } = statement;
    if (decision === 'withdraw') {
      // What is taken back may still be on its way through the promotion.
      const said = () => hasSaid(entity.promotion(build) ?? open, verified);
      if (!said()) await condition(said, '5s');
      checkWithdrawal(entity.promotion(build) ?? open, verified);
    }
    if (decision === 'reject') entity.veto(build, approval(verified));
    const told = await this.#tell(open, {
      ...{ decision, approval: approval(verified), reason, onto },
      ...(decision === 'withdraw' && attempt !== undefined ? { attempt } : {}),
    });
    return { ...told, verified };
  }

  /** A word on the last attempt at a signed rebuild. */
  async #onAttempt(verified: Verified, decision: RebuildDecision) {
    const { entity } = this;
    const { statement } = verified;
    const { build, onto, reason, attempt, signed, reuse, changes } = statement;
    checkAttempt(entity.promotion(build), statement, decision);
    if (decision === 'release') {
      this.#checkOnto(statement);
      await this.#lacking(signed ?? '', statement);
    }
    if (decision === 'redo' || decision === 'rework') {
      const { commits } = await this.#examine(build);
      this.#checkCommits(statement, commits);
    }
    // The attempt may have ended while that was asked.
    const open = checkAttempt(entity.promotion(build), statement, decision);
    const told = await this.#tell(open, {
      ...{ decision, approval: approval(verified), onto, reason, attempt, signed, reuse, changes },
    });
    return { ...told, verified };
  }

  /** Hands a decision to its promotion and waits until that has told what it makes of it. */
  async #tell(
    open: Promotion,
    decision: PromotionDecision,
  ): Promise<{ answer: Answer; verified?: Verified | undefined }> {
    const { entity } = this;
    await getExternalWorkflowHandle(promotionId(entity.stream, open.build)).signal(decisionSignal, decision);
    const heard = () => {
      const now = entity.promotion(open.build);
      if (!now) return true;
      const { nonce } = decision.approval;
      return (
        now.heard === nonce ||
        now.approvals.some((given) => given.nonce === nonce) ||
        allVotes(now.votes).some((vote) => vote.nonce === nonce) ||
        (isRebuildDecision(decision.decision) && lastAttempt(now)?.number !== decision.attempt)
      );
    };
    await condition(heard, '10s');
    const promotion = entity.promotion(open.build);
    if (!promotion) return { answer: { message: `${open.build}: the promotion has ended` } };
    if (isRebuildDecision(decision.decision))
      return { answer: { message: voted(promotion, decision.decision), promotion } };
    return { answer: { message: waiting(promotion, `${decision.decision} taken in`), promotion } };
  }

  async #rollback(verified: Verified): Promise<Answer> {
    const { entity } = this;
    const { build, onto: to, reason } = verified.statement;
    const asked = () =>
      entity.asked?.build === build && entity.asked.to === to ? entity.asked.approvals : [];
    const nonces = asked().map(({ nonce }) => nonce);
    const rules = await readRules(entity, nonces);
    const releasing = entity.promotionOf(build)?.phase === 'releasing';
    if (build !== entity.current && (!releasing || entity.release(build)))
      throw refuse('StatementRefused', `${build}: is not the current release (${entity.current ?? 'none'})`);
    if (to === null || !entity.former(to, build))
      throw refuse('StatementRefused', `${to ?? 'nothing'}: is no former release to return to`);
    if (entity.rollingBack || entity.asked?.enough)
      throw refuse('StatementRefused', 'a rollback is in work already');
    const approvals = [
      ...asked().filter(
        ({ fingerprint, nonce }) =>
          fingerprint !== verified.fingerprint && (!nonces.includes(nonce) || rules.standing.includes(nonce)),
      ),
      approval(verified),
    ];
    const enough = approvals.length >= rules.approvals.rollback;
    entity.asked = { build, to, reason, approvals, enough };
    entity.changed = true;
    if (!enough)
      return { message: `${build} → ${to}: ${approvals.length} of ${rules.approvals.rollback} approvals` };
    // A release that still repairs, or waits to announce, ends first.
    if (releasing)
      await this.#release(build)
        .signal(stopSignal)
        .catch(() => undefined);
    return { message: `${build} → ${to}: readers are being returned` };
  }

  /**
   * Released fixes that the build lacks. With a statement that does not name them all it fails with ReleaseUnfixed: the release would
   * count it for nothing.
   */
  async #lacking(build: string, said?: Statement): Promise<readonly Lack[]> {
    if (!this.entity.hasFixes) return [];
    const title = `Check ${build} for lost security fixes`;
    const limit = { scheduleToCloseTimeout: '5m' } as const;
    const lacks = await this.entity.calls.call('lacking', title, control.lacking, { build }, limit);
    const unsaid = lacks.filter((lack) => !said?.unfixed?.includes(lack.case));
    if (said && unsaid.length > 0)
      throw refuse(
        'ReleaseUnfixed',
        `${build}: ${unfixedText(unsaid)}; to release it all the same sign with ${unsaid.map((lack) => `--unfixed ${lack.case}`).join(' ')}`,
      );
    return lacks;
  }

  readonly #release = (build: string) => getExternalWorkflowHandle(releaseId(this.entity.stream, build));
  readonly #examine = (build: string) =>
    this.entity.calls.call('examine', `Check whether ${build} can be released`, control.examine, { build });

  async #take(text: string): Promise<Verified> {
    const request = `${this.entity.stream}-${this.entity.nextRequest()}-${now()}`;
    const title = 'Verify the signed statement';
    return this.entity.calls.call('statement', title, control.takeStatement, { text, request });
  }

  #checkCommits(statement: Statement, commits: Readonly<Record<string, string>>): void {
    const [said, real] = [commitsText(statement.commits), commitsText(commits)];
    if (said !== real)
      throw refuse(
        'StatementRefused',
        `${statement.build}: names the commits ${said}, but the build has ${real}`,
      );
  }
  #checkOnto({ onto, build }: Statement): void {
    if (onto !== this.entity.current)
      throw refuse(
        'StatementRefused',
        `${build}: was signed when ${onto ?? 'nothing'} was the newest release; now it is ${this.entity.current ?? 'nothing'}`,
      );
  }

  async #recorded(
    decision: string,
    build: string,
    by: string,
    body: () => Promise<{ answer: Answer; verified?: Verified | undefined; case?: string }>,
  ): Promise<Answer> {
    try {
      const { answer, verified, case: about = verified?.statement.case } = await body();
      this.entity.remember({
        at: now(),
        decision,
        build,
        by: verified?.approver ?? by,
        ...(about === undefined ? {} : { case: about }),
        fingerprint: verified?.fingerprint,
        nonce: verified?.statement.nonce,
        reason: verified?.statement.reason,
      });
      return answer;
    } catch (error) {
      throw this.#refused(decision, build, by, error);
    }
  }

  /** Records a refusal; answers what the sender is told. */
  #refused(decision: string, build: string, by: string, error: unknown): unknown {
    if (isCancellation(error)) return error;
    const { code, message } = describeFailure(error);
    const refused = message.slice(0, 500);
    this.entity.remember({ at: now(), decision, build: build.slice(0, 40), by, refused });
    return ApplicationFailure.nonRetryable(message, code);
  }
}

/** Is the statement a word on the attempt that is the last now, and one that can be said of it? Answers its promotion. */
function checkAttempt(open: Promotion | undefined, said: Statement, decision: RebuildDecision): Promotion {
  const { build, attempt, commits } = said;
  const no = (why: string) => refuse('StatementRefused', `${build}: ${why}`);
  const last = open && lastAttempt(open);
  if (!open || !last) throw no('no rebuild of it waits for a decision');
  const number = String(last.number);
  // A word against it may still come in time.
  if (open.phase === 'releasing' && (decision === 'release' || decision === 'accept'))
    throw no(`attempt ${number} is being released`);
  if (attempt !== last.number)
    throw no(
      `was said of ${attempt === undefined ? 'no attempt' : `attempt ${attempt}`}; the last is ${number}`,
    );
  switch (decision) {
    case 'release':
      if (last.state !== 'testing') throw no(`attempt ${number} cannot be released: it is ${last.state}`);
      if (said.signed !== last.build)
        throw no(`attempt ${number} has made ${last.build ?? 'no build'}, not ${said.signed ?? 'none'}`);
      break;
    case 'accept':
      if (last.state !== 'differs') throw no(`attempt ${number} has no differences to accept`);
      break;
    case 'redo':
    case 'rework': {
      if (said.reuse === undefined) throw no('does not say whether signed packages are reused');
      if (decision === 'rework' && !said.changes) throw no('does not say what is changed');
      // The same inputs once more.
      const [same, other] = [last.changes, said.changes].map((changes) => changes && changesText(changes));
      if (decision === 'redo' && same !== other)
        throw no(`names other changes than attempt ${number} was made with: say rework`);
      break;
    }
    case 'abandon':
      if (!said.reason?.trim()) throw no('abandon needs a reason');
  }
  if (
    (decision === 'release' || decision === 'accept') &&
    commitsText(commits) !== commitsText(last.commits ?? {})
  )
    throw no(
      `names the commits ${commitsText(commits)}, but attempt ${number} has ${commitsText(last.commits ?? {}) || 'none'}`,
    );
  return open;
}

function checkWithdrawal(open: Promotion, verified: Verified): void {
  if (hasSaid(open, verified)) return;
  const { statement, approver } = verified;
  const { build, attempt } = statement;
  throw refuse(
    'StatementRefused',
    attempt === undefined
      ? `${approver} has neither proposed nor approved ${build}`
      : `${approver} has said nothing of attempt ${attempt} of ${build}`,
  );
}

/** Is there something of this approver that a withdrawal takes back? */
function hasSaid(open: Promotion, { statement, fingerprint, approver }: Verified): boolean {
  const mine = (given: { fingerprint: string }) => given.fingerprint === fingerprint;
  if (statement.attempt === undefined) return open.proposedBy === approver || open.approvals.some(mine);
  return lastAttempt(open)?.number === statement.attempt && allVotes(open.votes).some(mine);
}

/** What a word on an attempt has come to. */
function voted(promotion: Promotion, decision: RebuildDecision): string {
  const { build, phase, votes, votesNeeded, missing, note } = promotion;
  const last = lastAttempt(promotion);
  const said = agreed(votes, decision).length;
  const needed = votesNeeded?.[decision] ?? said;
  const at = `is ${phase}${last ? `, attempt ${last.number} ${last.state}` : ''}${note === undefined ? '' : `: ${note}`}`;
  // Once it is done, nobody's word is open any more.
  if (said === 0 || said >= needed) return `${build}: ${decision} taken in; ${at}`;
  return `${build}: ${decision} taken in; ${said} of ${needed} say so, waits for ${missing.join(', ') || 'nobody'}`;
}

function waiting({ build, approvals, needed, missing, phase }: Promotion, what: string): string {
  const still = approvals.length >= needed ? `is ${phase}` : `waits for ${missing.join(', ')}`;
  return `${build}: ${what}; ${approvals.length} of ${needed} approvals, ${still}`;
}
