/** How the stream workflow receives decisions. What is refused is refused with its reason, and recorded. */
import {
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import { commitsText } from '../../domain/decisions/decision.js';
import { isEmpty } from '../../domain/rework-changes.js';
import type { Architecture } from '../../domain/stream.js';
import { caseId } from '../../domain/names.js';
import { agreed, releasedAs, type Promotion } from '../../domain/promotion.js';
import type { Lack } from '../../domain/security.js';
import {
  isAboutAttempt,
  kindOf,
  type RebuildDecision,
  type Statement,
  type StatementOf,
  type Verified,
} from '../../domain/statement.js';
import { compose, control } from '../activities.js';
import { allVotes, lastAttempt } from './attempts.js';
import { CaseDecisions } from './decide-on-case.js';
import { unfixedText } from './cases.js';
import { describeFailure } from '../describe.js';
import { now, type Entity } from './entity.js';
import type { promotion as promotionWorkflow } from './promotion.js';
import { approval, hasJudged, ifRunning, readRules, refuse } from './requests.js';
import { announceSignal, retrySignal, spokenSignal, stopSignal } from './signals.js';
import {
  promotionId,
  releaseId,
  workflowTaskTimeout,
  type Answer,
  type DecideRequest,
  type PromoteRequest,
  type RetryRequest,
  type ReworkRequest,
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
    workflowTaskTimeout,
    staticSummary: `Promotion of ${entity.stream} ${start.build}`,
  }).catch(ifRunning);
}

/** Somebody waits for the answer. A depsolve of a large distribution takes a minute. */
const checkLimit = { scheduleToCloseTimeout: '10m', retry: { maximumAttempts: 3 } } as const;

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
      const verified = text === undefined ? undefined : promotes(build, await this.#take(text));
      if (verified) {
        this.#checkCommits(verified.statement, commits);
        this.#checkOnto(verified.statement);
      }
      const rules = await readRules(entity);
      // The world may have moved while those steps ran.
      const copied = rules.mode !== 'signed-rebuild';
      const lacks = await this.#lacking(build, copied && verified ? verified.statement : undefined);
      checkBuild(entity, build);
      const approvals = verified && rules.proposerCounts ? [approval(verified)] : [];
      const open = entity.promotion(build);
      if (open) {
        if (verified && approvals[0]) return { answer: await this.#tell(open, verified.statement), verified };
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
      await this.#checkStatement(text);
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
          return { answer: await this.#rollback({ ...verified, statement }), verified };
        case 'announce':
          await this.#release(statement.build)
            .signal(announceSignal, approval(verified))
            .catch(() => {
              throw refuse('StatementRefused', `${statement.build}: no announcement of it waits`);
            });
          return { answer: { message: `${statement.build}: the announcement may go` }, verified };
        case 'report':
          return this.#report({ ...verified, statement });
        case 'fix':
          return { ...(await this.cases.fix({ ...verified, statement })), verified };
        case 'withdraw':
          if (statement.case !== undefined)
            return { answer: await this.cases.onCase({ ...verified, statement }), verified };
          return this.#onPromotion({ ...verified, statement });
        case 'approve':
        case 'reject':
          return this.#onPromotion({ ...verified, statement });
        case 'approve-fix':
        case 'accept-fix':
        case 'dismiss-fix':
          return { answer: await this.cases.onCase({ ...verified, statement }), verified };
        default:
          return this.#onAttempt({ ...verified, statement });
      }
    });
  };

  /** Tries again what failed, or goes on with what waits for a person. Harmless where nothing waits. */
  readonly retry = async (request: RetryRequest): Promise<Answer> => {
    const { entity } = this;
    const { build, mail } = request;
    await condition(() => entity.ready);
    if (caseId.safeParse(build).success) return this.cases.retry(build);
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

  async #onPromotion(verified: Verified<StatementOf<'approve' | 'reject' | 'withdraw'>>) {
    const { entity } = this;
    const { statement, fingerprint } = verified;
    const { build, decision } = statement;
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
    if (statement.decision === 'approve') {
      this.#checkOnto(statement);
      // A signed rebuild may be reworked with the fixes.
      if (!open.votesNeeded) await this.#lacking(build, statement);
    }
    if (statement.decision === 'withdraw') {
      const withdrawal = { ...verified, statement };
      const now = () => entity.promotion(build) ?? open;
      // What is taken back may still be on its way through the promotion, or the withdrawal itself was read there already.
      const known = () => hasSaid(now(), withdrawal) || hasJudged(now(), statement);
      if (!known()) await condition(known, '5s');
      if (!hasJudged(now(), statement)) checkWithdrawal(now(), withdrawal);
    }
    if (decision === 'reject') entity.veto(build, approval(verified));
    return { answer: await this.#tell(open, statement), verified };
  }

  /** A word on the last attempt at a signed rebuild. */
  async #onAttempt(verified: Verified<StatementOf<RebuildDecision>>) {
    const { entity } = this;
    const { statement } = verified;
    checkAttempt(entity, statement);
    if (statement.decision === 'release') {
      this.#checkOnto(statement);
      await this.#lacking(statement.signed, statement);
    }
    if (statement.decision === 'redo' || statement.decision === 'rework')
      this.#checkCommits(statement, (await this.#examine(statement.build)).commits);
    // The attempt may have ended while that was asked.
    const open = checkAttempt(entity, statement);
    return { answer: await this.#tell(open, statement), verified };
  }

  /** A test report; its promotion, if one is open, reads it from the archive. */
  async #report(verified: Verified<StatementOf<'report'>>) {
    const { entity } = this;
    const { statement } = verified;
    const { build, result } = statement;
    const why = kindOf('report').check(statement, { current: entity.current });
    if (why !== undefined) throw refuse('StatementRefused', `${build}: ${why}`);
    const open = entity.promotionOf(build);
    const made = open?.attempts?.find((attempt) => attempt.build === build)?.commits;
    this.#checkCommits(statement, made ?? (await this.#examine(build)).commits);
    const told = open && (await this.#tell(open, statement));
    const message = `${build}: the test report is recorded: ${result}`;
    return { answer: { ...told, message }, verified };
  }

  /** Wakes the promotion, which reads the archive, and waits until it has told what it makes of the statement. */
  async #tell(open: Promotion, said: Statement): Promise<Answer> {
    const { entity } = this;
    const { current } = entity;
    await getExternalWorkflowHandle(promotionId(entity.stream, open.build)).signal(spokenSignal, { current });
    const heard = () => {
      const now = entity.promotion(open.build);
      if (!now || (isAboutAttempt(said) && lastAttempt(now)?.number !== said.attempt)) return true;
      return hasJudged(now, said);
    };
    await condition(heard, '10s');
    const promotion = entity.promotion(open.build);
    if (!promotion) return { message: `${open.build}: the promotion has ended` };
    if (isAboutAttempt(said)) return { message: voted(promotion, said.decision), promotion };
    const what = said.decision === 'promote' ? 'approve' : said.decision;
    return { message: waiting(promotion, `${what} recorded`), promotion };
  }

  async #rollback(verified: Verified<StatementOf<'rollback'>>): Promise<Answer> {
    const { entity } = this;
    const { build, onto: to, reason } = verified.statement;
    const title = 'Read who wants the rollback';
    const { approvals, enough, rules } = await entity.calls.call(
      ...(['judge-rollback', title, control.judgeRollback, { build, to }] as const),
    );
    const releasing = entity.promotionOf(build)?.phase === 'releasing';
    if (build !== entity.current && (!releasing || entity.release(build)))
      throw refuse('StatementRefused', `${build}: is not the current release (${entity.current ?? 'none'})`);
    if (!entity.former(to, build))
      throw refuse('StatementRefused', `${to}: is no former release to return to`);
    if (entity.rollingBack || entity.asked?.enough)
      throw refuse('StatementRefused', 'a rollback is in progress already');
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
  async #lacking(
    build: string,
    said?: StatementOf<'promote' | 'approve' | 'release'>,
  ): Promise<readonly Lack[]> {
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

  /** A rework that cannot be made is refused before the archive has it: there it would count, and end the attempt before it. */
  async #checkStatement(text: string): Promise<void> {
    // Whoever hides the word is not looked at here; his rework then fails by itself.
    if (!text.includes('"rework"')) return;
    const title = 'Read the signed statement';
    const { statement } = await this.entity.calls.call('read-statement', title, control.readStatement, {
      text,
    });
    if (statement.decision !== 'rework') return;
    checkAttempt(this.entity, statement);
    await this.checkRework(statement);
  }

  /** Could an attempt be made with these changes to the inputs of a build whose rebuild is open? Fails with StatementRefused, DepsolveFailed. */
  readonly checkRework = async ({ build, changes }: ReworkRequest): Promise<Answer> => {
    const { entity } = this;
    await condition(() => entity.ready);
    const open = entity.promotion(build);
    const last = open && lastAttempt(open);
    if (!last) throw refuse('StatementRefused', `${build}: no rebuild of it waits for a decision`);
    if (isEmpty(changes)) {
      if (last.changes === undefined || isEmpty(last.changes))
        throw refuse('StatementRefused', `${build}: attempt ${last.number} has the accepted inputs: redo it`);
      return { message: `${build}: the next attempt has the accepted inputs again` };
    }
    const architectures = Object.keys((await this.#examine(build)).commits) as Architecture[];
    let changed = 0;
    for (const arch of architectures) {
      const title = `Check whether the changes can be made (${arch})`;
      const { checkRework } = compose(arch);
      const about = { arch, build, changes };
      const made = await entity.calls.call(`check-rework-${arch}`, title, checkRework, about, checkLimit);
      changed += made.changed;
    }
    return { message: `${build}: the changes change ${changed} packages` };
  };

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
      const { answer, verified, case: about = caseOf(verified) } = await body();
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

/** Fails with StatementRefused for what cannot be said of the last attempt as it is now. Answers its promotion. */
function checkAttempt(entity: Entity, said: StatementOf<RebuildDecision>): Promotion {
  const { build, decision } = said;
  const open = entity.promotion(build);
  const attempt = open && lastAttempt(open);
  // A word against it may still come in time.
  const releasing = open?.phase === 'releasing' && (decision === 'release' || decision === 'accept');
  const why = releasing
    ? `attempt ${attempt?.number ?? ''} is being released`
    : kindOf(decision).check(said, {
        current: entity.current,
        currentSince: entity.currentSince,
        attempt,
      });
  if (why !== undefined || !open) throw refuse('StatementRefused', `${build}: ${why ?? 'is not proposed'}`);
  return open;
}

/** Fails with StatementRefused for a statement that is not about promoting the build. */
function promotes(build: string, verified: Verified): Verified<StatementOf<'promote'>> {
  const { statement } = verified;
  if (statement.decision !== 'promote' || statement.build !== build)
    throw refuse('StatementRefused', `says ${statement.decision} ${statement.build}, not promote ${build}`);
  return { ...verified, statement };
}

function checkWithdrawal(open: Promotion, verified: Verified<StatementOf<'withdraw'>>): void {
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
function hasSaid(
  open: Promotion,
  { statement, fingerprint, approver }: Verified<StatementOf<'withdraw'>>,
): boolean {
  const mine = (given: { fingerprint: string }) => given.fingerprint === fingerprint;
  if (statement.attempt === undefined) return open.proposedBy === approver || open.approvals.some(mine);
  return lastAttempt(open)?.number === statement.attempt && allVotes(open.votes).some(mine);
}

/** The security case that a statement is about. */
const caseOf = (verified: Verified | undefined) =>
  verified && 'case' in verified.statement ? verified.statement.case : undefined;

/** What a word on an attempt has come to. */
function voted(promotion: Promotion, decision: RebuildDecision): string {
  const { build, phase, votes, votesNeeded, missing, note } = promotion;
  const last = lastAttempt(promotion);
  const said = agreed(votes, decision).length;
  const needed = votesNeeded?.[decision] ?? said;
  const at = `is ${phase}${last ? `, attempt ${last.number} ${last.state}` : ''}${note === undefined ? '' : `: ${note}`}`;
  // Once it is done, nobody's word is open any more.
  if (said === 0 || said >= needed) return `${build}: ${decision} recorded; ${at}`;
  return `${build}: ${decision} recorded; ${said} of ${needed} approvals; waiting for ${missing.join(', ') || 'nobody'}`;
}

function waiting({ build, approvals, needed, missing, phase }: Promotion, what: string): string {
  const still = approvals.length >= needed ? `is ${phase}` : `waits for ${missing.join(', ')}`;
  return `${build}: ${what}; ${approvals.length} of ${needed} approvals, ${still}`;
}
