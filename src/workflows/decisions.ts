/** How the stream workflow takes in decisions. What is refused is refused with its reason, and recorded. */
import {
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Approval, Promotion } from '../domain/promotion.js';
import type { Statement, Verified } from '../domain/statement.js';
import { control } from './activities.js';
import { describeFailure } from './chain.js';
import { now, type Entity } from './entity.js';
import type { promotion as promotionWorkflow } from './promotion.js';
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
  streamRun,
  type Answer,
  type DecideRequest,
  type PromoteRequest,
  type RetryRequest,
} from './stream-messages.js';

const refuse = (code: 'StatementRefused' | 'BuildNotReleasable', why: string) =>
  ApplicationFailure.nonRetryable(why, code);

/** Requests come from anyone who reaches Temporal: what is none is refused, and never ends or stops the workflow. */
function checkRequest(request: unknown, needed: string, ...allowed: readonly string[]): void {
  const fields: Record<string, unknown> =
    typeof request === 'object' && request !== null ? (request as Record<string, unknown>) : {};
  const wrong = [needed, ...allowed].find(
    (field) => typeof fields[field] !== 'string' && (field === needed || fields[field] !== undefined),
  );
  if (wrong !== undefined) throw refuse('StatementRefused', `the request’s \`${wrong}\` is no text`);
}

/** What is known without a look at the build: enough to refuse a promotion at once. */
export function checkBuild(entity: Entity, build: unknown): void {
  if (typeof build !== 'string' || !/^\d{8}_\d{2}$/.test(build))
    throw refuse('BuildNotReleasable', `${JSON.stringify(build)}: not a build id such as 20261123_01`);
  const { current } = entity;
  const veto = entity.vetoOf(build);
  if (entity.release(build)) throw refuse('BuildNotReleasable', `${build}: is released already`);
  if (current !== null && build < current)
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

/** For `.catch` of a start: what runs already is what was wanted. */
export function ifRunning(error: unknown): void {
  if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
}

export class Decisions {
  constructor(readonly entity: Entity) {}

  /** Proposes a build; a statement of an approver is an approval too, if the stream says so. */
  readonly promote = async (request: PromoteRequest): Promise<Answer> => {
    const { entity } = this;
    checkRequest(request, 'build', 'statement', 'by');
    const { build, statement: text, by } = request;
    await condition(() => entity.ready);
    return this.#recorded('promote', build, by ?? 'unsigned', async () => {
      checkBuild(entity, build);
      const { commits } = await control.examine.executeWithOptions({ summary: `Can ${build} be released?` }, [
        { ...this.#args('examine'), build },
      ]);
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
      const rules = await control.standing.executeWithOptions({ summary: 'What does the stream ask for?' }, [
        { ...this.#args('standing'), nonces: [] },
      ]);
      // The world may have moved while those steps ran.
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
        needed: rules.approvals.promote,
        missing: rules.approvers
          .filter(({ fingerprint }) => fingerprint !== approvals[0]?.fingerprint)
          .map(({ name }) => name),
        expires: new Date(Date.parse(proposedAt) + rules.proposalAge * 1000).toISOString(),
      };
      entity.propose(promotion);
      await startPromotion(entity, promotion);
      return { answer: { message: waiting(promotion, 'proposed'), promotion }, verified };
    });
  };

  /** Every other decision; always by statement. */
  readonly decide = async (request: DecideRequest): Promise<Answer> => {
    const { entity } = this;
    checkRequest(request, 'statement');
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
          throw refuse('StatementRefused', `${statement.build}: no rebuild of it waits for a decision`);
        default:
          return this.#onPromotion(verified, statement.decision);
      }
    });
  };

  /** Tries again what failed, or goes on with what waits for a person. Harmless where nothing waits. */
  readonly retry = async (request: RetryRequest): Promise<Answer> => {
    const { entity } = this;
    checkRequest(request, 'build', 'mail');
    const { build, mail } = request;
    if (mail !== undefined && !['sent', 'again'].includes(mail))
      throw refuse('StatementRefused', 'the request’s `mail` is neither `sent` nor `again`');
    await condition(() => entity.ready);
    const promotion = entity.promotion(build);
    if (!promotion)
      throw refuse(
        'BuildNotReleasable',
        `${build}: no promotion of it is open; \`treeline promotions\` lists them`,
      );
    if (promotion.phase !== 'failed' && promotion.phase !== 'releasing')
      throw refuse('BuildNotReleasable', `${build}: is ${promotion.phase}; there is nothing to try again`);
    const handle =
      promotion.phase === 'failed'
        ? getExternalWorkflowHandle(promotionId(entity.stream, build))
        : this.#release(build);
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
    const { commits } = await control.examine.executeWithOptions({ summary: `Is ${build} still there?` }, [
      { ...this.#args('examine'), build },
    ]);
    this.#checkCommits(statement, commits);
    if (decision === 'approve') this.#checkOnto(statement);
    if (
      decision === 'withdraw' &&
      open.proposedBy !== verified.approver &&
      !open.approvals.some((given) => given.fingerprint === fingerprint)
    )
      throw refuse('StatementRefused', `${verified.approver} has neither proposed nor approved ${build}`);
    if (decision === 'reject') entity.veto(build, approval(verified));
    const { reason, onto } = statement;
    const told = await this.#tell(open, { decision, approval: approval(verified), reason, onto });
    return { ...told, verified };
  }

  /** Hands a decision to its promotion and waits until that has told what it makes of it. */
  async #tell(
    open: Promotion,
    decision: PromotionDecision,
  ): Promise<{ answer: Answer; verified?: Verified | undefined }> {
    const { entity } = this;
    await getExternalWorkflowHandle(promotionId(entity.stream, open.build)).signal(decisionSignal, decision);
    await condition(() => entity.promotion(open.build) !== open, '10s');
    const promotion = entity.promotion(open.build);
    if (!promotion) return { answer: { message: `${open.build}: the promotion has ended` } };
    return { answer: { message: waiting(promotion, `${decision.decision} taken in`), promotion } };
  }

  async #rollback(verified: Verified): Promise<Answer> {
    const { entity } = this;
    const { build, onto: to, reason } = verified.statement;
    const asked = () =>
      entity.asked?.build === build && entity.asked.to === to ? entity.asked.approvals : [];
    const nonces = asked().map(({ nonce }) => nonce);
    const rules = await control.standing.executeWithOptions({ summary: 'What does the stream ask for?' }, [
      { ...this.#args('standing'), nonces },
    ]);
    const releasing = entity.promotion(build)?.phase === 'releasing';
    if (build !== entity.current && (!releasing || entity.release(build)))
      throw refuse('StatementRefused', `${build}: is not the current release (${entity.current ?? 'none'})`);
    const former = to === null ? undefined : entity.release(to);
    if (to === null || !former || former.rolledBack || to >= build)
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

  readonly #release = (build: string) => getExternalWorkflowHandle(releaseId(this.entity.stream, build));
  readonly #args = (step: string) => ({ stream: this.entity.stream, run: streamRun, step });

  async #take(text: string): Promise<Verified> {
    const request = `${this.entity.stream}-${this.entity.nextRequest()}-${now()}`;
    return control.takeStatement.executeWithOptions({ summary: 'Whose decision is it?' }, [
      { ...this.#args('statement'), text, request },
    ]);
  }

  #checkCommits(statement: Statement, commits: Readonly<Record<string, string>>): void {
    const [said, real] = [sorted(statement.commits), sorted(commits)];
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
    body: () => Promise<{ answer: Answer; verified?: Verified | undefined }>,
  ): Promise<Answer> {
    try {
      const { answer, verified } = await body();
      this.entity.remember({
        at: now(),
        decision,
        build,
        by: verified?.approver ?? by,
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

const approval = ({ approver, fingerprint, statement }: Verified): Approval => ({
  approver,
  fingerprint,
  nonce: statement.nonce,
  at: now(),
});

const sorted = (commits: Readonly<Record<string, string | undefined>>) =>
  Object.entries(commits)
    .map(([arch, commit]) => `${arch} ${commit ?? ''}`)
    .sort()
    .join(', ');

function waiting({ build, approvals, needed, missing, phase }: Promotion, what: string): string {
  const still = approvals.length >= needed ? `is ${phase}` : `waits for ${missing.join(', ')}`;
  return `${build}: ${what}; ${approvals.length} of ${needed} approvals, ${still}`;
}
