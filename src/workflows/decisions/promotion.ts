/**
 * One promotion of a build: collects approvals, waits for its turn, runs the release. Where the stream asks for signed rebuilds, its
 * approvals begin one; what is released is what the SIG says of its attempts. It may wait for weeks: reminders, and a mere proposal
 * expires. It reports every change to the stream workflow.
 */
import {
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { z } from 'zod';
import type { Standing } from '../../activities/decide.js';
import { name } from '../../domain/names.js';
import { isOpen, releasedAs, reportsLacking, type Attempt, type Promotion } from '../../domain/promotion.js';
import { promotion as promotionShape } from '../../domain/shapes.js';
import { isAboutAttempt } from '../../domain/statement.js';
import { buildAttribute, phaseAttribute, streamAttribute } from '../../search-attributes.js';
import { control, publish } from '../activities.js';
import {
  allVotes,
  asked,
  isRunning,
  lastAttempt,
  nextAttempt,
  onlyVotes,
  reportLines,
  waitsFor,
  withNews,
  withVote,
  type Asked,
} from './attempts.js';
import { callerOf } from '../call.js';
import { troubleSignal } from '../chains/chain.js';
import { describeFailure } from '../describe.js';
import { isLong } from '../history.js';
import { onSignal, workflow } from '../messages.js';
import { RunningAttempts } from './running-attempt.js';
import { RunningRelease } from './running-release.js';
import { promotionNews, type PromotionNews } from './security-messages.js';
import {
  decisionSignal,
  goSignal,
  promotionChanged,
  retrySignal,
  supersededSignal,
  type PromotionDecision,
  type Turn,
} from './signals.js';
import { streamId } from './stream-messages.js';

/** A rebuild that has vanished is looked for this often; rules that could not be read are read again this often. */
const hourMs = 3_600_000;
/** One that was cancelled. */
const lookAfterCancel = '1m';

const promotionInput = z.object({ stream: name, promotion: promotionShape });

export const promotion = workflow('promotion', promotionInput, promote);

async function promote({ stream, promotion: start }: z.infer<typeof promotionInput>): Promise<Promotion> {
  let me = start;
  /** The turn that was last taken or given back. */
  let answered: string | undefined;
  const decisions: PromotionDecision[] = [];
  /** What was signalled and not yet looked at. */
  const inbox: {
    turn?: Turn | undefined;
    retry?: boolean;
    superseded?: string;
  } = {};
  const news: PromotionNews[] = [];
  onSignal(decisionSignal, (decision) => void decisions.push(decision));
  onSignal(goSignal, (go) => void (inbox.turn = go));
  onSignal(retrySignal, () => void (inbox.retry = true));
  onSignal(supersededSignal, ({ by }) => void (inbox.superseded = by));
  const running = new RunningAttempts(stream, me.build);
  // Steps that are tried again: nothing to show here, they are small.
  onSignal(troubleSignal, () => undefined);
  const release = new RunningRelease(stream);
  upsertSearchAttributes([
    { key: streamAttribute, value: stream },
    { key: buildAttribute, value: me.build },
  ]);
  const entity = getExternalWorkflowHandle(streamId(stream));
  const set = (change: Partial<Promotion>) => void (me = { ...me, ...change });
  const calls = callerOf(stream);

  const become = async (change: Partial<Promotion>) => {
    set(change);
    upsertSearchAttributes([{ key: phaseAttribute, value: me.phase }]);
    setCurrentDetails(
      `**${stream} ${me.build}** · ${me.phase}${attemptText(me)} · ${me.approvals.length} of ${me.needed} approvals${me.note === undefined ? '' : `\n\n${me.note}`}`,
    );
    // A stream workflow that is away for good is started again by `treeline apply`, and asks then.
    await entity.signal(promotionChanged, me, answered).catch(() => undefined);
  };
  const tell = (event: string, key: string, text: string) =>
    calls
      .call(
        'tell-sig',
        `Tell the SIG: ${event}`,
        publish.tellSig,
        { key, event, subject: text, text, build: me.build },
        { retry: { maximumAttempts: 5 } },
      )
      .catch(() => undefined);

  // Also while its release runs.
  let telling = 0;
  onSignal(promotionNews, async (one) => {
    news.push(one);
    telling++;
    const { event, case: id, text } = one;
    await tell(event, `${event}-${me.build}-${id}`, `${stream} ${me.build}: ${text}`);
    telling--;
  });

  let rules: Standing | undefined;
  let doubt: { until: number; note: string } | undefined;
  /** Approvals that count now: an approver who was removed, or whose key was revoked, does not. */
  const evaluate = async (): Promise<void> => {
    const nonces = [...me.approvals, ...allVotes(me.votes)].map(({ nonce }) => nonce);
    try {
      rules = await calls.call('standing', 'Verify which approvals count', control.standing, {
        nonces,
        build: releasedAs(me),
        commits: lastAttempt(me)?.commits,
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      // Such as a stream file that is wrong at the moment: nothing is released on rules that nobody knows.
      doubt = {
        until: Date.now() + hourMs,
        note: `which approvals count? ${describeFailure(error).message}`,
      };
      await become({ phase: me.phase === 'ready' ? waiting(me) : me.phase, note: doubt.note });
      return;
    }
    const { standing, approvers, mode } = rules;
    const counts = ({ nonce }: { nonce: string }) => !nonces.includes(nonce) || standing.includes(nonce);
    const approvals = me.approvals.filter(counts);
    const voters = allVotes(me.votes);
    const gone = me.approvals.filter((approval) => !approvals.includes(approval));
    const silenced = voters.filter((vote) => !counts(vote));
    const said = me.attempts ? voters.filter(counts) : approvals;
    const missing = approvers
      .filter(({ fingerprint }) => !said.some((approval) => approval.fingerprint === fingerprint))
      .map(({ name }) => name);
    const expires = new Date(Date.parse(me.proposedAt) + rules.proposalAge * 1000).toISOString();
    const needed = rules.approvals.promote;
    const note =
      gone.length > 0
        ? `no longer counts: the approval of ${gone.map(({ approver }) => approver).join(', ')}`
        : silenced.length > 0
          ? `no longer counts: what ${silenced.map(({ approver }) => approver).join(', ')} said of the attempt`
          : me.note === doubt?.note
            ? undefined
            : me.note;
    doubt = undefined;
    const { reports } = rules;
    const reportsNeeded = me.attempts || mode !== 'signed-rebuild' ? rules.approvals.reports : 0;
    set({ approvals, missing, expires, needed, note, reports, reportsNeeded });
    if (!me.attempts && mode !== 'signed-rebuild') {
      const open = me.phase === 'proposed' || me.phase === 'ready';
      const enough = approvals.length >= needed && reportsLacking(me) === 0;
      return become(open ? { phase: enough ? 'ready' : 'proposed' } : {});
    }
    const { release: forRelease, redo, rework, accept, abandon } = rules.approvals;
    set({
      ...(me.votes ? { votes: onlyVotes(me.votes, counts) } : {}),
      votesNeeded: { release: forRelease, redo, rework, accept, abandon },
    });
    await followVotes();
  };

  /** Of a signed rebuild: does what enough approvers ask for. */
  const followVotes = async (): Promise<void> => {
    const last = lastAttempt(me);
    if (!last) {
      if (me.phase !== 'proposed' || me.approvals.length < me.needed) return become({});
      return beginAttempt();
    }
    const wish = asked(me);
    if (me.phase === 'deciding' || me.phase === 'ready')
      set({ phase: wish?.decision === 'release' ? 'ready' : 'deciding' });
    if (!wish || wish.decision === 'release') return become({});
    const by = wish.by.join(', ');
    if (wish.decision === 'abandon') return end('abandoned', `abandoned by ${by}: ${wish.vote.reason ?? ''}`);
    if (wish.decision === 'accept') {
      const attempt: Attempt = { ...last, state: 'running', note: `its differences are accepted by ${by}` };
      await become({ attempts: me.attempts?.with(-1, attempt) });
      return running.accept(last.number);
    }
    // Nothing may be signed on the word of fewer.
    if (me.approvals.length < me.needed)
      return become({
        note: `${wish.decision} waits for approvals of the build: ${me.approvals.length} of ${me.needed}`,
      });
    await stopAttempt(`${wish.decision} by ${by}`);
    await beginAttempt(wish);
  };

  const beginAttempt = async (wish?: Asked): Promise<void> => {
    const attempt = nextAttempt(me, new Date().toISOString(), wish);
    const missing = rules?.approvers.map(({ name }) => name) ?? me.missing;
    await become({
      ...{ phase: 'rebuilding', votes: {}, missing, note: undefined, unfixed: undefined },
      attempts: [...(me.attempts ?? []), attempt],
    });
    await running.start(attempt, me.onto);
  };

  /** Takes in what attempts have told. */
  const takeNews = (): void => {
    for (let news = running.news.shift(); news; news = running.news.shift())
      set(withNews(me, news, new Date().toISOString()));
  };

  /** Cancels the last attempt and waits until it has really ended. */
  const stopAttempt = async (why: string): Promise<void> => {
    takeNews();
    const last = lastAttempt(me);
    if (!last || !isRunning(last)) return;
    await become({ note: `attempt ${last.number} is being stopped: ${why}` });
    await running.cancel(last.number);
    for (takeNews(); isRunning(lastAttempt(me)); takeNews())
      if (!(await condition(() => running.news.length > 0, lookAfterCancel))) await running.look(last.number);
  };

  /** Ends without a release: nothing of it runs on, and the testing location is cleaned as the stream says. */
  const end = async (phase: Promotion['phase'], note: string | undefined): Promise<void> => {
    await stopAttempt(note ?? phase);
    const builds = me.attempts?.flatMap(({ build }) => build ?? []) ?? [];
    const left =
      builds.length === 0
        ? undefined
        : await calls
            .call(
              'clear-testing',
              'Clean the testing location',
              publish.clearTesting,
              { builds },
              { retry: { maximumAttempts: 5 } },
            )
            .then(() => undefined)
            .catch((error: unknown) => describeFailure(error).message);
    const notes = [note, left === undefined ? undefined : `the testing location was not cleaned: ${left}`];
    await become({ phase, note: notes.filter((text) => text !== undefined).join('; ') || undefined });
  };

  // Its stream workflow has begun it again while its release runs: that is found.
  if (me.phase === 'releasing') await runRelease();
  // So is its rebuild, and that has ended meanwhile perhaps.
  const found = lastAttempt(me);
  if (found && isRunning(found)) {
    await running.look(found.number);
    await attemptsTold();
  } else await evaluate();
  // The scheduled look tells of its own proposals.
  if (me.proposedBy !== 'schedule' && me.phase === 'proposed')
    await tell('proposed', `proposed-${me.build}-${Date.parse(me.proposedAt)}`, waitingText(stream, me));
  let reminders = reminding(me, rules);
  let reminder = rules ? sent(reminders) : 0;
  const quiet = () =>
    decisions.length === 0 &&
    !inbox.turn &&
    !inbox.retry &&
    inbox.superseded === undefined &&
    news.length === 0 &&
    running.news.length === 0;
  while (isOpen(me.phase)) {
    // Many reminders make a long history.
    if (isLong() && quiet() && telling === 0)
      await continueAsNew<typeof promotion>({ stream, promotion: me });
    const decision = decisions.shift();
    if (decision) {
      const change = decided(me, decision);
      set({ heard: decision.approval.nonce });
      if (change.phase !== undefined && !isOpen(change.phase)) await end(change.phase, change.note);
      else {
        set(change);
        await evaluate();
        // Nothing may be signed on the word of fewer.
        const unapproved = decision.decision === 'withdraw' && me.approvals.length < me.needed;
        if (unapproved && isRunning(lastAttempt(me))) {
          await stopAttempt('too few approvals');
          await attemptsTold();
        }
      }
      continue;
    }
    if (inbox.superseded !== undefined) {
      await end('superseded', `${inbox.superseded} was released first`);
      continue;
    }
    if (running.news.length > 0) {
      await attemptsTold();
      continue;
    }
    const told = news.shift();
    if (told) {
      const unfixed = [...new Set([...(me.unfixed ?? []), told.case])];
      await become({ note: told.text, ...(told.lacks ? { unfixed } : {}) });
      continue;
    }
    if (inbox.turn) {
      const { current, turn } = inbox.turn;
      inbox.turn = undefined;
      if (me.phase === 'ready') await evaluate();
      answered = turn;
      if (me.phase !== 'ready') await become({});
      else if (current === releaseOnto(me)) await runRelease();
      else {
        set(me.attempts ? votesMovedTo(me, current) : { phase: 'proposed', ...movedTo(current) });
        await evaluate();
      }
      continue;
    }
    if (inbox.retry && me.phase === 'failed') {
      inbox.retry = false;
      set({ phase: waiting(me), note: 'is tried again' });
      await evaluate();
      continue;
    }
    const now = Date.now();
    const proposedAt = Date.parse(me.proposedAt);
    const next = reminding(me, rules);
    if (next.key !== reminders.key) reminder = sent(next);
    reminders = next;
    const remindAt = reminders.since + reminders.every * (reminder + 1);
    const rebuilding = isRunning(lastAttempt(me));
    // What has begun does not end by itself.
    const expiry = me.attempts ? Infinity : Date.parse(me.expires);
    if (now >= expiry) {
      const few = me.approvals.length < me.needed ? 'approvals' : 'passing test reports';
      await become({ phase: 'expired', note: `too few ${few} in time` });
      await tell(
        'expired',
        `expired-${me.build}-${proposedAt}`,
        `${stream} ${me.build}: the proposal has expired`,
      );
      continue;
    }
    if (now >= remindAt) {
      reminder = sent(reminders);
      await evaluate();
      await tell('waiting', `${reminders.key}-${reminder}`, waitingText(stream, me));
      continue;
    }
    if (doubt && now >= doubt.until) {
      await evaluate();
      continue;
    }
    const woken = await condition(
      () => !quiet() || inbox.retry === true,
      Math.min(remindAt, expiry, doubt?.until ?? Infinity, rebuilding ? now + hourMs : Infinity) - now,
    );
    const last = lastAttempt(me);
    if (!woken && last && isRunning(last)) await running.look(last.number);
    // A retry of what has not failed means nothing.
    if (me.phase !== 'failed') inbox.retry = false;
  }
  await condition(() => telling === 0);
  return me;

  /** Takes in what attempts have told; the SIG is told when it is asked for something. */
  async function attemptsTold(): Promise<void> {
    const before = lastAttempt(me);
    takeNews();
    const last = lastAttempt(me);
    if (last && !isRunning(last) && me.phase === 'rebuilding') set({ phase: 'deciding', note: undefined });
    await evaluate();
    const text = waitsFor(stream, me);
    if (last && last.state !== before?.state && isOpen(me.phase) && text !== undefined)
      await tell(
        last.state === 'differs' ? 'differs' : 'deciding',
        `${last.state}-${me.build}-${last.number}`,
        text,
      );
  }

  /** Runs the release and says how it ended. A veto or withdrawal cancels it; past its point of no return it goes on. */
  async function runRelease(): Promise<void> {
    const build = releasedAs(me);
    const attempt = lastAttempt(me);
    const failure = await release.run(
      {
        ...{ stream, build, onto: releaseOnto(me) },
        ...(attempt ? { kind: 'rebuild', accepted: me.build, attempt: attempt.number } : { kind: 'copy' }),
      },
      () => become({ phase: 'releasing', note: undefined }),
      () => isAgainst(me, decisions),
    );
    if (failure === undefined) await become({ phase: 'released', note: undefined });
    else {
      await become({ phase: 'failed', note: failure });
      await tell(
        'failed',
        `failed-${me.build}-${Date.now()}`,
        `${stream} ${build}: the release failed: ${failure}`,
      );
    }
  }
}

/** What a decision makes of a promotion. */
function decided(me: Promotion, said: PromotionDecision): Partial<Promotion> {
  const { decision, approval, reason, onto } = said;
  const last = lastAttempt(me);
  const { approver, fingerprint } = approval;
  if (isAboutAttempt(said))
    return last?.number === said.attempt
      ? { votes: withVote(me.votes, said, approval) }
      : { note: `${approver} has said ${decision} of attempt ${said.attempt}, which is not the last` };
  // It is in the archive, where it is read with the rules.
  if (decision === 'report') return {};
  if (decision === 'approve' && onto !== me.onto) {
    // What has begun was approved on the release of then.
    if (last && me.approvals.length >= me.needed) return {};
    // The approvals so far were given on another release, and do not count with this one.
    return { ...movedTo(onto), approvals: [approval] };
  }
  const others = me.approvals.filter((given) => given.fingerprint !== fingerprint);
  if (decision === 'approve') return { approvals: [...others, approval] };
  if (decision === 'reject')
    return { phase: 'rejected', note: `rejected by ${approver}${reason === undefined ? '' : `: ${reason}`}` };
  const { attempt } = said;
  const votes = last ? { votes: onlyVotes(me.votes, (vote) => vote.fingerprint !== fingerprint) } : {};
  if (attempt !== undefined)
    return last?.number === attempt
      ? { ...votes, note: `${approver} has withdrawn the word on attempt ${attempt}` }
      : {};
  if (approver === me.proposedBy) return { phase: 'withdrawn', note: `withdrawn by ${approver}` };
  return { ...votes, approvals: others, note: `${approver} has withdrawn the approval` };
}

/** Do these decisions end a release that runs? What is said of its attempt does if too few want the release then. */
function isAgainst(me: Promotion, decisions: readonly PromotionDecision[]): boolean {
  const votes = decisions.filter(isAboutAttempt);
  if (decisions.some(({ decision }) => decision === 'reject' || decision === 'withdraw')) return true;
  if (!me.attempts || votes.length === 0) return false;
  const then = votes.reduce<Promotion>((now, vote) => ({ ...now, ...decided(now, vote) }), me);
  return asked(then)?.decision !== 'release';
}

const waitingText = (stream: string, me: Promotion) =>
  me.phase === 'failed'
    ? `${stream} ${me.build}: the release failed and waits for a retry: ${me.note ?? ''}`
    : (waitsFor(stream, me) ??
      [
        `${stream} ${me.build}: ${me.approvals.length} of ${me.needed} approvals; awaiting: ${me.missing.join(', ')}`,
        ...reportLines(me),
      ].join('\n'));

/** Where one that is not released yet goes back to. */
const waiting = (me: Promotion): Promotion['phase'] => (me.attempts ? 'deciding' : 'proposed');

/** The newest release when what is released was decided. */
const releaseOnto = (me: Promotion): string | null => {
  const wish = me.attempts && asked(me);
  return wish ? wish.vote.onto : me.onto;
};

const attemptText = (me: Promotion): string => {
  const last = lastAttempt(me);
  return last ? ` · attempt ${last.number} ${last.state}` : '';
};

interface Reminders {
  readonly key: string;
  /** Milliseconds. */
  readonly since: number;
  readonly every: number;
}

/** What the SIG is reminded of at the moment. */
function reminding(me: Promotion, rules: Standing | undefined): Reminders {
  const last = lastAttempt(me);
  const proposedAt = Date.parse(me.proposedAt);
  if (!last)
    return {
      key: `waiting-${me.build}-${proposedAt}`,
      since: proposedAt,
      every: rules ? rules.remindEvery * 1000 : Infinity,
    };
  const every = rules && waitsFor('', me) !== undefined ? rules.decisionRemindEvery : undefined;
  return {
    key: `waiting-${me.build}-attempt-${last.number}-${last.state}`,
    since: Date.parse(last.ended ?? last.began),
    every: every === undefined ? Infinity : every * 1000,
  };
}

/** How many reminders are due since then. */
const sent = ({ since, every }: Reminders) => Math.floor((Date.now() - since) / every);

/** What was said of the release when another one was the newest does not count with this one. */
const votesMovedTo = (me: Promotion, current: string | null): Partial<Promotion> => ({
  phase: 'deciding',
  votes: onlyVotes(me.votes, (vote, decision) => decision !== 'release' || vote.onto === current),
  note: `${current ?? 'nothing'} is the newest release now: decide again`,
});

const movedTo = (current: string | null) => ({
  onto: current,
  approvals: [],
  note: `${current ?? 'nothing'} is the newest release now: approve again`,
});
