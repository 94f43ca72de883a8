/**
 * One promotion of a build: collects approvals, waits for its turn, runs the release. It may wait for weeks: reminders, then it
 * expires. What it is at is told to the stream workflow with every change.
 */
import {
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  ChildWorkflowFailure,
  TerminatedFailure,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
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
  type Turn,
} from './signals.js';
import { releaseId, streamId, streamRun } from './stream-messages.js';

/** A release that has vanished is looked for this often; rules that could not be read are read again this often. */
const lookEvery = '1h';
const hourMs = 3_600_000;

export interface PromotionInput {
  readonly stream: string;
  readonly promotion: Promotion;
}

export async function promotion({ stream, promotion: start }: PromotionInput): Promise<Promotion> {
  let me = start;
  /** The turn that was last taken or given back. */
  let answered: string | undefined;
  const decisions: PromotionDecision[] = [];
  /** What was signalled and not yet looked at. */
  const inbox: {
    turn?: Turn | undefined;
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
  // The end of its own child is known when that has really ended; what it signals before may be of another try.
  let mine = false;
  setHandler(releaseEnded, (end) => {
    if (!mine) inbox.ended = end;
  });
  upsertSearchAttributes([
    { key: streamAttribute, value: stream },
    { key: buildAttribute, value: me.build },
  ]);
  const entity = getExternalWorkflowHandle(streamId(stream));
  const set = (change: Partial<Promotion>) => void (me = { ...me, ...change });
  const args = { stream, run: streamRun };

  const become = async (change: Partial<Promotion>) => {
    set(change);
    upsertSearchAttributes([{ key: phaseAttribute, value: me.phase }]);
    setCurrentDetails(
      `**${stream} ${me.build}** · ${me.phase} · ${me.approvals.length} of ${me.needed} approvals${me.note === undefined ? '' : `\n\n${me.note}`}`,
    );
    // A stream workflow that is away for good is started again by `treeline apply`, and asks then.
    await entity.signal(promotionChanged, me, answered).catch(() => undefined);
  };
  const tell = (event: string, key: string, text: string) =>
    publish.tellSig
      .executeWithOptions({ summary: `Tell the SIG: ${event}`, retry: { maximumAttempts: 5 } }, [
        { ...args, step: 'tell-sig', key, event, subject: text, text, build: me.build },
      ])
      .catch(() => undefined);

  let rules: Standing | undefined;
  let doubt: { until: number; note: string } | undefined;
  /** Approvals that count now: an approver who was removed, or whose key was revoked, does not. */
  const evaluate = async (): Promise<void> => {
    const nonces = me.approvals.map(({ nonce }) => nonce);
    try {
      rules = await control.standing.executeWithOptions({ summary: 'Which approvals count?' }, [
        { ...args, step: 'standing', nonces },
      ]);
    } catch (error) {
      if (isCancellation(error)) throw error;
      // Such as a stream file that is wrong at the moment: nothing is released on rules that nobody knows.
      doubt = {
        until: Date.now() + hourMs,
        note: `which approvals count? ${describeFailure(error).message}`,
      };
      await become({ phase: me.phase === 'ready' ? 'proposed' : me.phase, note: doubt.note });
      return;
    }
    const { standing } = rules;
    const approvals = me.approvals.filter(({ nonce }) => !nonces.includes(nonce) || standing.includes(nonce));
    const gone = me.approvals.filter((approval) => !approvals.includes(approval));
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
        : me.note === doubt?.note
          ? undefined
          : me.note;
    doubt = undefined;
    await become({ approvals, missing, expires, needed, phase, note });
  };

  // Its stream workflow has begun it again while its release runs: that is found.
  if (me.phase === 'releasing') await runRelease();
  await evaluate();
  // The scheduled look tells of its own proposals.
  if (me.proposedBy !== 'schedule' && me.phase === 'proposed')
    await tell('proposed', `proposed-${me.build}-${Date.parse(me.proposedAt)}`, waitingText(stream, me));
  let reminder = rules
    ? Math.floor((Date.now() - Date.parse(me.proposedAt)) / (rules.remindEvery * 1000))
    : 0;
  const quiet = () => decisions.length === 0 && !inbox.turn && !inbox.retry && inbox.superseded === undefined;
  while (isOpen(me.phase)) {
    // Many reminders make a long history.
    if (workflowInfo().continueAsNewSuggested && quiet())
      await continueAsNew<typeof promotion>({ stream, promotion: me });
    const decision = decisions.shift();
    if (decision) {
      set(decided(me, decision));
      await (isOpen(me.phase) ? evaluate() : become({}));
      continue;
    }
    if (inbox.superseded !== undefined) {
      await become({ phase: 'superseded', note: `${inbox.superseded} was released first` });
      continue;
    }
    if (inbox.turn) {
      const { current, turn } = inbox.turn;
      inbox.turn = undefined;
      if (me.phase === 'ready') await evaluate();
      answered = turn;
      if (me.phase !== 'ready') await become({});
      else if (current === me.onto) await runRelease();
      else {
        set({ phase: 'proposed', ...movedTo(current) });
        await evaluate();
      }
      continue;
    }
    if (inbox.retry && me.phase === 'failed') {
      inbox.retry = false;
      set({ phase: 'proposed', note: 'is tried again' });
      await evaluate();
      continue;
    }
    const now = Date.now();
    const proposedAt = Date.parse(me.proposedAt);
    const remindMs = rules ? rules.remindEvery * 1000 : Infinity;
    const remindAt = proposedAt + remindMs * (reminder + 1);
    const expiry = Date.parse(me.expires);
    if (now >= expiry) {
      await become({ phase: 'expired', note: 'too few approvals in time' });
      await tell(
        'expired',
        `expired-${me.build}-${proposedAt}`,
        `${stream} ${me.build}: the proposal has expired`,
      );
      continue;
    }
    if (now >= remindAt) {
      reminder = Math.floor((now - proposedAt) / remindMs);
      await evaluate();
      await tell('waiting', `waiting-${me.build}-${proposedAt}-${reminder}`, waitingText(stream, me));
      continue;
    }
    if (doubt && now >= doubt.until) {
      await evaluate();
      continue;
    }
    await condition(
      () =>
        decisions.length > 0 ||
        inbox.turn !== undefined ||
        inbox.retry === true ||
        inbox.superseded !== undefined,
      Math.min(remindAt, expiry, doubt?.until ?? Infinity) - now,
    );
    // A retry of what has not failed means nothing.
    if (me.phase !== 'failed') inbox.retry = false;
  }
  return me;

  /** Runs the release and says how it ended. A veto or withdrawal cancels it; past its point of no return it goes on. */
  async function runRelease(): Promise<void> {
    mine = false;
    await become({ phase: 'releasing', note: undefined });
    inbox.ended = undefined;
    // It changes while this waits.
    const end = (): { failure?: string } | undefined => inbox.ended;
    const { build, onto } = me;
    const workflowId = releaseId(stream, build);
    try {
      const child = await startChild<typeof release>('release', {
        workflowId,
        args: [{ stream, build, onto }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Release of ${stream} ${build}`,
      });
      mine = true;
      inbox.ended = undefined;
      child.result().then(
        () => void (inbox.ended = {}),
        (error: unknown) => void (inbox.ended = { failure: whyEnded(error) }),
      );
    } catch (error) {
      // It runs already, and says itself how it ended: this promotion was lost meanwhile.
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
      await tell(
        'failed',
        `failed-${build}-${Date.now()}`,
        `${stream} ${build}: the release failed: ${failure}`,
      );
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
function decided(me: Promotion, { decision, approval, reason, onto }: PromotionDecision): Partial<Promotion> {
  // The approvals so far were given on another release, and do not count with this one.
  if (decision === 'approve' && onto !== me.onto) return { ...movedTo(onto), approvals: [approval] };
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

const movedTo = (current: string | null) => ({
  onto: current,
  approvals: [],
  note: `${current ?? 'nothing'} is the newest release now: approve again`,
});

/** Why a release ended that has released nothing. */
function whyEnded(error: unknown): string {
  if (isCancellation(error)) return 'cancelled before anything was visible';
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof TerminatedFailure) return 'its workflow was terminated';
  const { code, message } = describeFailure(cause);
  return `${code}: ${message}`;
}
