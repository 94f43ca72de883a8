/**
 * A security case: waits a moment for advisories that come together, has the current release built with the fixes, collects approvals of
 * the plan while that runs, and releases it in its turn. When another release comes first it begins again from that. What it is at is
 * told to the stream workflow with every change.
 */
import {
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Standing } from '../../activities/decide.js';
import { cvesOf, isOpenCase, type SecurityCase } from '../../domain/security.js';
import { phaseAttribute, streamAttribute } from '../../search-attributes.js';
import { control, publish } from '../activities.js';
import {
  asksFor,
  begun,
  counted,
  decidedCase,
  groupOf,
  isApproved,
  isBuilding,
  joined,
  phaseOf,
  subjectOf,
  withNews,
} from './cases.js';
import { callerOf } from '../call.js';
import { troubleSignal } from '../chains/chain.js';
import { describeFailure } from '../describe.js';
import { isLong } from '../history.js';
import { RunningFixes } from './running-fix.js';
import { RunningRelease } from './running-release.js';
import {
  baseMovedSignal,
  caseChanged,
  caseDecision,
  caseTurn,
  joinSignal,
  type CaseDecision,
  type CaseTurn,
  type FixState,
  securityInput,
  type SecurityInput,
} from './security-messages.js';
import { retrySignal } from './signals.js';
import { streamId } from './stream-messages.js';
import { onSignal, workflow } from '../messages.js';

/** Rules that could not be read are read again after so long; a build that tells nothing is looked for as often. */
const lookAgain = 600_000;
/** Mails that could not be sent within this time are given up: the next reminder comes. */
const tellLimit = { scheduleToCloseTimeout: '1h', retry: { maximumAttempts: 5 } } as const;
/** One that was cancelled. */
const lookAfterCancel = '1m';

export const security = workflow('security', securityInput, async (input): Promise<SecurityCase> => {
  const { stream } = input;
  let me = input.case;
  /** How its last build stands. */
  let fix: FixState | undefined = input.fix ?? (me.attempt > 0 ? 'running' : undefined);
  /** The turn that was last taken or given back. */
  let answered: string | undefined;
  const decisions: CaseDecision[] = [];
  /** What was signalled and not yet looked at. */
  const inbox: {
    turn?: CaseTurn | undefined;
    retry?: boolean;
    moved?: string | null | undefined;
    joined?: boolean;
  } = {};
  onSignal(caseDecision, (decision) => void decisions.push(decision));
  onSignal(caseTurn, (turn) => void (inbox.turn = turn));
  onSignal(retrySignal, () => void (inbox.retry = true));
  onSignal(baseMovedSignal, ({ current }) => void (inbox.moved = current));
  onSignal(joinSignal, (found) => {
    me = joined(me, found);
    inbox.joined = true;
  });
  // Steps that are tried again: nothing to show here, they are small.
  onSignal(troubleSignal, () => undefined);
  const fixes = new RunningFixes(stream, me.id);
  const release = new RunningRelease(stream);
  upsertSearchAttributes([{ key: streamAttribute, value: stream }]);
  const entity = getExternalWorkflowHandle(streamId(stream));
  const calls = callerOf(stream);
  const at = () => new Date().toISOString();

  const become = async (change: Partial<SecurityCase>): Promise<void> => {
    me = { ...me, ...change };
    upsertSearchAttributes([{ key: phaseAttribute, value: me.phase }]);
    setCurrentDetails(
      `**${stream} ${me.id}** · ${subjectOf(me)} · ${me.phase} · ${me.approvals.length} of ${me.needed} approvals${me.note === undefined ? '' : `\n\n${me.note}`}`,
    );
    // A stream workflow that is away for good is started again by `treeline apply`, and asks then.
    await entity.signal(caseChanged, me, answered).catch(() => undefined);
  };
  const telling = new Set<Promise<unknown>>();
  /** Tells the security group, and the SIG unless nobody else may know. Nothing waits for it: a mail server may be away. */
  const tell = (event: string, text: string, everybody = true): void => {
    const [subject = ''] = text.split('\n');
    const told = { event, key: `${event}-${me.id}-${Date.now()}`, subject, text };
    const audiences = everybody && !me.embargoed ? (['security', 'sig'] as const) : (['security'] as const);
    for (const audience of audiences) {
      const sent: Promise<unknown> = calls
        .call('tell-security', `Tell people: ${event}`, publish.tellSig, { ...told, audience }, tellLimit)
        .catch(() => undefined)
        .then(() => telling.delete(sent));
      telling.add(sent);
    }
  };
  /** Of what it asks people for they are told once, then reminded. */
  let asked: string | undefined;
  let remindAt = Infinity;
  const every = () => (rules?.security?.remindEvery ?? Infinity) * 1000;
  const ask = (): void => {
    const text = asksFor(stream, me);
    const what =
      text === undefined ? undefined : `${me.attempt} ${me.phase === 'building' ? 'waiting' : me.phase}`;
    if (what === asked) return;
    asked = what;
    remindAt = text === undefined ? Infinity : Date.now() + every();
    if (text !== undefined) tell(me.phase === 'building' ? 'waiting' : me.phase, text);
  };

  let rules: Standing | undefined;
  let doubt: { until: number; note: string } | undefined;
  /** The approvals that its build was last told of: it looks at the statements itself. */
  let signalled = '';
  /** Approvals that count now, and the phase that follows from them and its build. */
  const evaluate = async (): Promise<void> => {
    const nonces = me.approvals.map(({ nonce }) => nonce);
    try {
      rules = await calls.call('standing', 'Verify which approvals count', control.standing, { nonces });
    } catch (error) {
      if (isCancellation(error)) throw error;
      // Such as a stream file that is wrong at the moment: nothing is released on rules that nobody knows.
      doubt = {
        until: Date.now() + lookAgain,
        note: `which approvals count? ${describeFailure(error).message}`,
      };
      return become({ phase: me.phase === 'ready' ? 'waiting' : me.phase, note: doubt.note });
    }
    if (me.note !== undefined && me.note === doubt?.note) me = { ...me, note: undefined };
    doubt = undefined;
    me = counted(me, rules, nonces, at());
    if (me.attempt === 0) return become({});
    const approved = isApproved(me);
    const word = me.approvals.map(({ nonce }) => nonce).join();
    if (approved && (fix === 'running' || fix === 'waits') && word !== signalled) {
      signalled = word;
      if (fix === 'waits') fix = 'running';
      await fixes.approve(me.attempt);
    }
    // A release that has failed waits for a retry, although its build is there.
    const stays = me.phase === 'failed' && fix === 'built';
    await become(stays ? {} : { phase: phaseOf(fix, approved) });
    ask();
  };

  /** A build from the current release; none if that has all fixes. */
  const begin = async (note?: string): Promise<void> => {
    await stop(note);
    inbox.joined = false;
    inbox.moved = undefined;
    let left = me.fixes;
    if (left.length > 0)
      left = await calls
        .call(
          'lacking-now',
          'Check the current release for the fixes',
          control.lackingNow,
          { fixes: left },
          { retry: { maximumAttempts: 5 } },
        )
        // Its plan finds out.
        .catch(() => me.fixes);
    const { srpms = {} } = me;
    if (left.length === 0 && Object.keys(srpms).length === 0)
      return become({ phase: 'fixed', note: 'the current release has the fixes' });
    if (!rules) return become({ phase: 'failed', note: doubt?.note });
    fix = 'running';
    signalled = '';
    await become(begun(me, note));
    await become({ missing: groupOf(rules).map(({ name }) => name) });
    await fixes.start({
      ...{ stream, case: me.id, attempt: me.attempt, fixes: left, srpms: me.srpms },
      ...{ signed: rules.mode === 'signed-rebuild', embargoed: me.embargoed },
    });
  };

  /** Takes in what its build has told. */
  const takeNews = (): void => {
    for (let news = fixes.news.shift(); news; news = fixes.news.shift()) {
      // One that has ended stays as it is.
      if (news.attempt !== me.attempt || !isBuilding(fix)) continue;
      fix = news.state;
      me = withNews(me, news, at());
    }
  };

  /** Cancels its build and waits until it has really ended. */
  const stop = async (why: string | undefined): Promise<void> => {
    takeNews();
    if (!isBuilding(fix)) return;
    await become({ note: `build ${me.attempt} is being stopped: ${why ?? ''}` });
    await fixes.cancel(me.attempt);
    for (takeNews(); isBuilding(fix); takeNews())
      if (!(await condition(() => fixes.news.length > 0, lookAfterCancel))) await fixes.look(me.attempt);
  };

  const end = async ({ phase, note, heard }: SecurityCase): Promise<void> => {
    await stop(note);
    await become({ phase, note, heard });
  };

  const rebase = (current: string | null) =>
    begin(`${current ?? 'nothing'} is the release now: it is built and approved again`);

  const runRelease = async (accepted: string): Promise<void> => {
    const { plan, build } = me;
    if (!plan || build === undefined) return;
    const { id, srpms, advisories } = me;
    await become({ phase: 'releasing', note: undefined });
    const failure = await release.run(
      {
        ...{ stream, build, onto: plan.base, kind: 'fix', signed: rules?.mode === 'signed-rebuild' },
        fix: { case: id, advisories, plan, srpms, accepted },
      },
      () => decisions.some(({ decision }) => decision === 'withdraw' || decision === 'dismiss-fix'),
    );
    if (failure === undefined) {
      await become({ phase: 'released', times: { ...me.times, released: at() } });
      return tell('released', `${stream}: security case ${id} (${subjectOf(me)}) is released as ${build}`);
    }
    await become({ phase: 'failed', note: failure });
    ask();
  };

  const joinUntil = () => Date.parse(me.times.detected) + (rules?.security?.join ?? 0) * 1000;
  const quiet = () =>
    decisions.length === 0 &&
    !inbox.turn &&
    !inbox.retry &&
    inbox.moved === undefined &&
    !inbox.joined &&
    fixes.news.length === 0;

  // Its stream workflow has begun it again while its release runs: that is found.
  if (me.phase === 'releasing') await runRelease(input.accepted ?? me.plan?.base ?? '');
  // So is its build, and that has ended meanwhile perhaps.
  if (isOpenCase(me.phase) && isBuilding(fix)) await fixes.look(me.attempt);
  if (isOpenCase(me.phase)) await evaluate();
  if (me.attempt === 0 && input.fix === undefined) {
    const cves = cvesOf(me.advisories);
    tell(
      'opened',
      `${stream}: security case ${me.id} is opened by ${me.openedBy}: ${subjectOf(me)}${cves.length > 0 ? ` (${cves.join(', ')})` : ''}`,
    );
  }
  while (isOpenCase(me.phase)) {
    if (isLong() && quiet() && telling.size === 0)
      await continueAsNew<(input: SecurityInput) => Promise<SecurityCase>>({ stream, case: me, fix });
    const decision = decisions.shift();
    if (decision) {
      const next = { ...decidedCase(me, decision), heard: decision.approval.nonce };
      if (!isOpenCase(next.phase)) {
        await end(next);
        continue;
      }
      me = next;
      if (decision.decision === 'accept-fix' && fix === 'differs') await fixes.accept(me.attempt);
      await evaluate();
      continue;
    }
    if (fixes.news.length > 0) {
      takeNews();
      // Built while nobody listened, and what was planned is not known.
      if (fix === 'built' && !me.plan) await begin('what was planned is not known');
      else await evaluate();
      continue;
    }
    if (me.attempt === 0 && rules && (me.openedBy !== 'watch' || Date.now() >= joinUntil())) {
      await begin();
      continue;
    }
    if (inbox.joined && me.attempt > 0) {
      await begin('another advisory has joined: it is built and approved again');
      continue;
    }
    inbox.joined = false;
    if (inbox.moved !== undefined) {
      const current = inbox.moved;
      inbox.moved = undefined;
      if (me.attempt > 0 && current !== me.plan?.base) await rebase(current);
      continue;
    }
    if (inbox.turn) {
      const { current, accepted, turn } = inbox.turn;
      inbox.turn = undefined;
      if (me.phase === 'ready') await evaluate();
      answered = turn;
      if (me.phase !== 'ready') await become({});
      else if (current === me.plan?.base) await runRelease(accepted ?? current);
      else await rebase(current);
      continue;
    }
    if (inbox.retry && me.phase === 'failed') {
      inbox.retry = false;
      // A build that the release location does not take is of no use.
      if (fix !== 'built' || me.note?.startsWith('HeadMoved')) await begin('is tried again');
      else {
        await become({ phase: 'waiting', note: 'is tried again' });
        await evaluate();
      }
      continue;
    }
    const now = Date.now();
    if (now >= remindAt) {
      await evaluate();
      const text = asksFor(stream, me);
      if (text !== undefined && now >= remindAt) {
        remindAt = Date.now() + every();
        tell('reminder', text, false);
      }
      continue;
    }
    if (doubt && now >= doubt.until) {
      await evaluate();
      continue;
    }
    const next = Math.min(
      remindAt,
      doubt?.until ?? Infinity,
      me.attempt === 0 && rules ? joinUntil() : Infinity,
      isBuilding(fix) ? now + lookAgain : Infinity,
    );
    const waits = () => !quiet();
    const woken =
      next === Infinity ? await condition(waits).then(() => true) : await condition(waits, next - now);
    if (!woken && isBuilding(fix) && Date.now() >= now + lookAgain) await fixes.look(me.attempt);
    // A retry of what has not failed means nothing.
    if (me.phase !== 'failed') inbox.retry = false;
  }
  await Promise.all(telling);
  return me;
});
