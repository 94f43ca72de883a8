/**
 * One promotion of a build: collects approvals, waits for its turn, runs the release. It may wait for weeks: reminders, then it
 * expires. What it is at is told to the stream workflow with every change.
 */
import {
  condition,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Standing } from '../activities/decide.js';
import { isOpen, type Promotion } from '../domain/promotion.js';
import { buildAttribute, phaseAttribute, streamAttribute } from '../search-attributes.js';
import { control, publish } from './activities.js';
import { describeFailure, troubleSignal } from './chain.js';
import type { release } from './release.js';
import {
  decisionSignal,
  goSignal,
  promotionChanged,
  releaseEnded,
  retrySignal,
  supersededSignal,
  type PromotionDecision,
} from './signals.js';
import { releaseId, streamId, streamRun } from './stream-messages.js';

/** A release that has vanished is looked for this often. */
const lookEvery = '1h';

export interface PromotionInput {
  readonly stream: string;
  readonly promotion: Promotion;
}

export async function promotion({ stream, promotion: start }: PromotionInput): Promise<Promotion> {
  // One that was lost and is begun again (its stream workflow sees to that) asks for its turn again.
  let me: Promotion = { ...start, phase: start.phase === 'failed' ? 'failed' : 'proposed' };
  const decisions: PromotionDecision[] = [];
  /** What was signalled and not yet looked at. */
  const inbox: {
    turn?: { current: string | null } | undefined;
    retry?: boolean;
    superseded?: string;
    ended?: { failure?: string } | undefined;
  } = {};
  setHandler(decisionSignal, (decision) => void decisions.push(decision));
  setHandler(goSignal, (go) => void (inbox.turn = go));
  setHandler(retrySignal, () => void (inbox.retry = true));
  setHandler(supersededSignal, ({ by }) => void (inbox.superseded = by));
  // Steps that are tried again: nothing to show here, they are small.
  setHandler(troubleSignal, () => undefined);
  setHandler(releaseEnded, (end) => void (inbox.ended = end));
  upsertSearchAttributes([
    { key: streamAttribute, value: stream },
    { key: buildAttribute, value: me.build },
  ]);
  const entity = getExternalWorkflowHandle(streamId(stream));
  const args = { stream, run: streamRun };

  const become = async (change: Partial<Promotion>) => {
    me = { ...me, ...change };
    upsertSearchAttributes([{ key: phaseAttribute, value: me.phase }]);
    setCurrentDetails(
      `**${stream} ${me.build}** · ${me.phase} · ${me.approvals.length} of ${me.needed} approvals${me.note === undefined ? '' : `\n\n${me.note}`}`,
    );
    // A stream workflow that is away for good is started again by `treeline apply`, and asks then.
    await entity.signal(promotionChanged, me).catch(() => undefined);
  };
  const tell = (event: string, key: string, text: string) =>
    publish.tellSig
      .executeWithOptions({ summary: `Tell the SIG: ${event}`, retry: { maximumAttempts: 5 } }, [
        { ...args, step: 'tell-sig', key, event, subject: text, text, build: me.build },
      ])
      .catch(() => undefined);

  /** Approvals that count now: an approver who was removed, or whose key was revoked, does not. */
  const evaluate = async (): Promise<Standing> => {
    const rules = await control.standing.executeWithOptions({ summary: 'Which approvals count?' }, [
      { ...args, step: 'standing', nonces: me.approvals.map(({ nonce }) => nonce) },
    ]);
    const approvals = me.approvals.filter(({ nonce }) => rules.standing.includes(nonce));
    const gone = me.approvals.filter(({ nonce }) => !rules.standing.includes(nonce));
    const missing = rules.approvers
      .filter(({ fingerprint }) => !approvals.some((approval) => approval.fingerprint === fingerprint))
      .map(({ name }) => name);
    const expires = new Date(Date.parse(me.proposedAt) + rules.proposalAge * 1000).toISOString();
    const needed = rules.approvals.promote;
    const phase =
      me.phase === 'proposed' || me.phase === 'ready'
        ? approvals.length >= needed
          ? 'ready'
          : 'proposed'
        : me.phase;
    const note =
      gone.length > 0
        ? `no longer counts: the approval of ${gone.map(({ approver }) => approver).join(', ')}`
        : me.note;
    await become({ approvals, missing, expires, needed, phase, ...(note === undefined ? {} : { note }) });
    return rules;
  };

  let rules = await evaluate();
  let reminder = 0;
  while (isOpen(me.phase)) {
    const decision = decisions.shift();
    if (decision) {
      await become(decided(me, decision));
      if (isOpen(me.phase)) rules = await evaluate();
      continue;
    }
    if (inbox.superseded !== undefined) {
      await become({ phase: 'superseded', note: `${inbox.superseded} was released first` });
      continue;
    }
    if (inbox.turn && me.phase === 'ready') {
      const { current } = inbox.turn;
      inbox.turn = undefined;
      rules = await evaluate();
      if (current !== me.onto) {
        await become({
          phase: 'proposed',
          onto: current,
          approvals: [],
          note: `${current ?? 'nothing'} is the newest release now: approve again`,
        });
        rules = await evaluate();
      } else if (me.approvals.length >= me.needed) await runRelease();
      continue;
    }
    if (inbox.retry && me.phase === 'failed') {
      inbox.retry = false;
      await become({ phase: 'proposed', note: 'is tried again' });
      rules = await evaluate();
      continue;
    }
    const now = Date.now();
    const remindAt = Date.parse(me.proposedAt) + rules.remindEvery * 1000 * (reminder + 1);
    const expiry = Date.parse(me.expires);
    if (now >= expiry) {
      await become({ phase: 'expired', note: 'too few approvals in time' });
      await tell('expired', `expired-${me.build}`, `${stream} ${me.build}: the proposal has expired`);
      continue;
    }
    if (now >= remindAt) {
      reminder = Math.floor((now - Date.parse(me.proposedAt)) / (rules.remindEvery * 1000));
      rules = await evaluate();
      await tell('waiting', `waiting-${me.build}-${reminder}`, waitingText(stream, me));
      continue;
    }
    await condition(
      () =>
        decisions.length > 0 ||
        (inbox.turn !== undefined && me.phase === 'ready') ||
        inbox.retry === true ||
        inbox.superseded !== undefined,
      Math.min(remindAt, expiry) - now,
    );
    // A retry of what has not failed means nothing.
    if (me.phase !== 'failed') inbox.retry = false;
  }
  return me;

  /** Runs the release and says how it ended. A veto or withdrawal cancels it; past its point of no return it goes on. */
  async function runRelease(): Promise<void> {
    await become({ phase: 'releasing', note: undefined });
    inbox.ended = undefined;
    // Signals change it while this waits.
    const end = (): { failure?: string } | undefined => inbox.ended;
    const { build, onto, approvals, needed } = me;
    const workflowId = releaseId(stream, build);
    try {
      const child = await startChild<typeof release>('release', {
        workflowId,
        args: [{ stream, build, onto, approvals, needed }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Release of ${stream} ${build}`,
      });
      child.result().then(
        () => void (inbox.ended ??= {}),
        (error: unknown) => void (inbox.ended ??= { failure: describeFailure(unwrap(error)).message }),
      );
    } catch (error) {
      // It runs already: a promotion that was lost meanwhile finds its release again.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const against = () => decisions.some(({ decision }) => decision !== 'approve');
    await releaseIs(workflowId, () => end() !== undefined || against());
    if (!end() && against()) {
      await getExternalWorkflowHandle(workflowId)
        .cancel()
        .catch(() => undefined);
      await releaseIs(workflowId, () => end() !== undefined);
    }
    const failure = end()?.failure;
    if (failure === undefined) await become({ phase: 'released', note: undefined });
    else {
      await become({ phase: 'failed', note: failure });
      await tell('failed', `failed-${build}`, `${stream} ${build}: the release failed: ${failure}`);
    }
  }

  /** Waits for something of the release; one that was terminated says nothing any more, and is missed here. */
  async function releaseIs(id: string, what: () => boolean): Promise<void> {
    while (!(await condition(what, lookEvery))) {
      const running = await control.running.executeWithOptions({ summary: 'Does the release still run?' }, [
        { ...args, step: 'running', ids: [id] },
      ]);
      if (running.length === 0) inbox.ended ??= { failure: 'its workflow was gone' };
    }
  }
}

/** What a decision makes of a promotion. */
function decided(me: Promotion, { decision, approval, reason }: PromotionDecision): Partial<Promotion> {
  const others = me.approvals.filter(({ fingerprint }) => fingerprint !== approval.fingerprint);
  if (decision === 'approve') return { approvals: [...others, approval] };
  if (decision === 'reject')
    return {
      phase: 'rejected',
      note: `rejected by ${approval.approver}${reason === undefined ? '' : `: ${reason}`}`,
    };
  if (approval.approver === me.proposedBy)
    return { phase: 'withdrawn', note: `withdrawn by ${approval.approver}` };
  return { approvals: others, note: `${approval.approver} has withdrawn the approval` };
}

const waitingText = (stream: string, me: Promotion) =>
  me.phase === 'failed'
    ? `${stream} ${me.build}: the release failed and waits for a retry: ${me.note ?? ''}`
    : `${stream} ${me.build}: ${me.approvals.length} of ${me.needed} approvals; still asked: ${me.missing.join(', ')}`;

/** A child's failure holds what happened. */
const unwrap = (error: unknown): unknown =>
  error instanceof Error && error.name === 'ChildWorkflowFailure' && error.cause !== undefined
    ? error.cause
    : error;
