/**
 * Promotions on a real Temporal server with scripted steps: each test has a stream of its own, whose approvers, rules and steps it
 * may change while things wait. Many tests run side by side on one server and one set of workers.
 */
import assert from 'node:assert/strict';
import { Context } from '@temporalio/activity';
import { WithStartWorkflowOperation, WorkflowUpdateFailedError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, Worker, type ReplayWorkerOptions } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import type { Judged, RollbackJudgement, Rules } from '../../src/activities/decide.js';
import type { ReleasePlan } from '../../src/activities/release.js';
import { endOf } from '../../src/activities/view.js';
import type { Promotion, Released, StreamView } from '../../src/domain/promotion.js';
import type {
  Affecting,
  CasePhase,
  Fix,
  FixPlan,
  Lack,
  ReleasedFix,
  SecurityCase,
} from '../../src/domain/security.js';
import { barred, judge, type Archive } from '../../src/domain/judgement.js';
import { judgeCase, type CaseJudgement, type CaseMatter } from '../../src/domain/case-judgement.js';
import {
  judgePromotion,
  type PromotionJudgement,
  type PromotionMatter,
} from '../../src/domain/promotion-judgement.js';
import type { RunRecord } from '../../src/domain/run.js';
import type { FixRequest } from '../../src/domain/decisions/fix.js';
import {
  approvalOf,
  readStatement,
  type Decision,
  type Question,
  type RebuildDecision,
  type Verified,
} from '../../src/domain/statement.js';
import { entityOptions } from '../../src/schedules/entities.js';
import { searchAttributes } from '../../src/search-attributes.js';
import { localEnvironment } from '../support/temporal.js';
import { workflowBundle } from '../../src/workflows/bundle.js';
import {
  promotionId,
  rebuildId,
  releaseId,
  rollbackId,
  streamId,
  type Answer,
} from '../../src/workflows/decisions/stream-messages.js';
import type { Fields } from '../keys/people.js';
import { saveHistory } from '../support/histories.js';
import { checkInput } from '../support/inputs.js';
import { until } from '../support/ports.js';

export type Args = Record<string, unknown> & { stream: string };
export type Steps = Record<string, (args: Args) => unknown>;

const names = [
  ...[
    'examine',
    ...['rules', 'judgePromotion', 'judgeCase', 'judgeRollback'],
    'authorize',
    ...['readStatement', 'takeStatement', 'checkRework'],
    ...['recall', 'released', 'workflowEnd'],
    'running',
    'saveView',
    'releasePages',
    'tellSig',
  ],
  ...['load', 'checkBuild', 'takeRelease', 'documents', 'signReleaseSummary', 'signAnnouncement'],
  ...['pushReleaseRepo', 'pushReleaseFiles', 'tryRelease', 'checkHead', 'switchRelease', 'undoRelease'],
  ...[
    'releaseMetadata',
    'checkDrift',
    'repairRelease',
    'announce',
    'resolveMail',
    'record',
    'cleanUpRelease',
  ],
  ...['takeFormer', 'rollbackMetadata', 'lookAtCadence', 'rememberTold'],
  ...['clearTesting', 'beginAttempt', 'compareAttempt', 'testAttempt', 'endAttempt'],
  ...['precheckRelease', 'verifyUndone', 'undoRollback', 'checkMirrors'],
  ...['findFix', 'lacking', 'lackingNow', 'recordFix', 'planCase', 'beginCase', 'compareCase', 'testCase'],
];

interface Options {
  /** Other workflows than those of the product. */
  readonly workflowsPath?: string;
  /** Events of a history from which it is suggested to continue as new. */
  readonly longHistory?: number;
}
const replayOptions = async ({ workflowsPath }: Options) => ({
  workflowBundle:
    workflowsPath === undefined
      ? { codePath: workflowBundle }
      : await bundleWorkflowCode({ workflowsPath, logger: quiet }),
});
const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };

/** Workflows that some tests replace. */
const isChild = /^(rebuild|release|fix)$/;

/** The server and the workers of a test file. */
export class Scripted {
  readonly worlds = new Map<string, World>();
  private constructor(
    readonly environment: TestWorkflowEnvironment,
    readonly replayOptions: ReplayWorkerOptions,
    readonly workers: Worker[] = [],
  ) {}
  #ended: Promise<unknown> = Promise.resolve();

  static async start(options: Options): Promise<Scripted> {
    const { longHistory } = options;
    const limits =
      longHistory === undefined
        ? []
        : ['--dynamic-config-value', `limit.historyCount.suggestContinueAsNew=${longHistory}`];
    const workflows = await replayOptions(options);
    const scripted = new Scripted(
      await localEnvironment({
        server: { searchAttributes, extraArgs: limits },
        client: { identity: 'test' },
      }),
      workflows,
    );
    const activities = Object.fromEntries(
      names.map((name) => [
        name,
        (args: Args) => {
          const { workflowType } = Context.current().info;
          // What scripted children send is their own.
          const isScripted = options.workflowsPath !== undefined && isChild.test(workflowType ?? '');
          if (!isScripted) checkInput(name, args);
          return scripted.worlds.get(args.stream)?.step(name, args);
        },
      ]),
    );
    for (const taskQueue of ['control', 'publish', 'signing', 'compose-x86_64'])
      scripted.workers.push(
        await Worker.create({
          connection: scripted.environment.nativeConnection,
          identity: 'worker',
          taskQueue,
          activities,
          // A cancellation comes with the answer to a heartbeat.
          maxHeartbeatThrottleInterval: '100ms',
          ...(taskQueue === 'control' ? workflows : {}),
        }),
      );
    scripted.#ended = Promise.all(scripted.workers.map((worker) => worker.run()));
    return scripted;
  }

  async close(): Promise<void> {
    for (const worker of this.workers) worker.shutdown();
    await this.#ended;
    await this.environment.teardown();
  }
}

/** More only wait for each other: the server is one process. */
const limit = 4;

/** Declares tests that run side by side, each in a world of its own: all begin together, and each waits for its own. */
export function sideBySide(
  tests: Readonly<Record<string, (world: World) => Promise<void>>>,
  options: Options = {},
): void {
  let scripted: Scripted;
  const ended = new Map<string, Promise<void>>();
  before(async () => {
    scripted = await Scripted.start(options);
    const waiting = Object.entries(tests).map(([title, body]) => {
      let begin = () => {};
      const turn = new Promise<void>((resolve) => (begin = resolve));
      const end = turn.then(() => new World(scripted).run(body));
      end.catch(() => undefined).finally(() => waiting.shift()?.());
      ended.set(title, end);
      return begin;
    });
    for (const begin of waiting.splice(0, limit)) begin();
  });
  after(async () => {
    await Promise.allSettled(ended.values());
    await scripted.close();
  });
  for (const title of Object.keys(tests)) it(title, () => ended.get(title));

  // A change that breaks running workflows is seen here.
  it('and every run of these tests replays', async () => {
    const worlds = [...scripted.worlds.values()];
    const runs = (await Promise.all(worlds.map((world) => world.histories()))).flat();
    assert.ok(runs.length >= 2 * worlds.length, 'runs of each test');
    let replayed = 0;
    for await (const { workflowId, error } of Worker.runReplayHistories(scripted.replayOptions, runs)) {
      if (error) throw new Error(`${workflowId} does not replay`, { cause: error });
      replayed++;
    }
    assert.equal(replayed, runs.length);
  });
}

/** A step that waits until the test lets it go on, or it is cancelled. */
export interface Held {
  readonly reached: Promise<void>;
  open(): void;
}

type Said = Omit<Fields, 'treeline-statement' | 'stream' | 'decision' | 'build' | 'time' | 'nonce'>;

export class World {
  readonly stream = `s-${randomUUID().slice(0, 8)}`;
  readonly calls: { name: string; args: Args; workflow: string }[] = [];
  /** The stream file as it is now. */
  approvers = ['alice', 'bob', 'carol'];
  rules = {
    approvals: {
      promote: 2,
      release: 2,
      redo: 1,
      rework: 1,
      accept: 1,
      abandon: 1,
      rollback: 1,
      announce: 1,
      fix: 1,
      reports: 0,
    },
    proposerCounts: true,
    proposalAge: 86_400,
    remindEvery: 3600,
    hold: false,
    mode: 'copy' as Rules['mode'],
    decisionRemindEvery: 3600,
    security: { group: ['alice', 'bob'], remindEvery: 3600, join: 0 },
  };
  /** What security releases have brought, oldest first: `recordFix`. */
  readonly fixed: ReleasedFix[] = [];
  /** Steps that do something else than well. */
  steps: Steps = {};
  saved: StreamView | undefined;
  /** What releases.json lists, newest first. */
  index: Released[] = [];
  /** Statements that were accepted, oldest first. */
  readonly #said: Verified[] = [];
  testers: readonly string[] = [];
  readonly #runs: { id: string; run: string }[] = [];
  #releasing: string | undefined;
  readonly #overlaps: string[] = [];

  constructor(readonly scripted: Scripted) {
    scripted.worlds.set(this.stream, this);
  }

  get client(): Client {
    return this.scripted.environment.client;
  }

  /** A test from its beginning to its end. */
  async run(body: (world: World) => Promise<void>): Promise<void> {
    await this.start();
    await body(this);
    assert.deepEqual(this.#overlaps, [], 'only one at a time');
  }

  /** All runs: those that were started here, what they continued as, and their children. */
  async histories() {
    const found: { workflowId: string; history: Awaited<ReturnType<World['history']>> }[] = [];
    const queue = [...this.#runs];
    const seen = new Set<string>();
    for (let next = queue.shift(); next; next = queue.shift()) {
      if (seen.has(next.run)) continue;
      seen.add(next.run);
      const history = await this.history(next.id, next.run);
      found.push({ workflowId: next.id, history });
      for (const event of history.events ?? []) {
        const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
        if (child?.workflowId && child.runId) queue.push({ id: child.workflowId, run: child.runId });
        const run = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
        if (run) queue.push({ id: next.id, run });
      }
    }
    return found;
  }
  history(id: string, run?: string) {
    return this.client.workflow.getHandle(id, run).fetchHistory();
  }
  /** Keeps a history for `replay.test.ts`, when it is asked for. */
  async keep(name: string, id: string, run?: string): Promise<void> {
    const { runId } = await this.client.workflow.getHandle(id, run).describe();
    await saveHistory(this.client, id, runId, name);
  }

  // What people do.

  /** The long-lived workflow, as `treeline apply` starts it. */
  async start(): Promise<string> {
    const handle = await this.client.workflow.start('stream', entityOptions(this.stream));
    this.#runs.push({ id: handle.workflowId, run: handle.firstExecutionRunId });
    return handle.firstExecutionRunId;
  }
  /** Runs another workflow to its end. */
  async execute<R>(type: string, workflowId: string, args: unknown[]): Promise<R> {
    const handle = await this.client.workflow.start(type, { workflowId, taskQueue: 'control', args });
    this.#runs.push({ id: workflowId, run: handle.firstExecutionRunId });
    return (await handle.result()) as R;
  }
  /** Starts the release of a signed build by hand; its approvals are there. */
  async signed(build: string, accepted: string, onto: string | null) {
    this.steps.authorize = () => ({ approvers: ['alice', 'bob'] });
    const handle = await this.client.workflow.start('release', {
      workflowId: releaseId(this.stream, build),
      taskQueue: 'control',
      args: [{ stream: this.stream, kind: 'rebuild', build, accepted, attempt: 1, onto }],
    });
    this.#runs.push({ id: handle.workflowId, run: handle.firstExecutionRunId });
    return handle;
  }
  get entity() {
    return this.client.workflow.getHandle(streamId(this.stream));
  }
  view(): Promise<StreamView> {
    return this.entity.query<StreamView>('view');
  }
  async update(name: 'promote' | 'decide' | 'retry', request: unknown): Promise<Answer> {
    return this.client.workflow.executeUpdateWithStart<() => Promise<void>, Answer, [unknown]>(name, {
      args: [request],
      startWorkflowOperation: new WithStartWorkflowOperation('stream', entityOptions(this.stream)),
    });
  }
  async statement(decision: Decision, build: string, by: string, said: Said = {}): Promise<string> {
    const onto = said.onto === undefined ? (await this.view()).current : said.onto;
    const nonce = randomUUID().replaceAll('-', '');
    const text = { 'treeline-statement': 1, stream: this.stream, decision, build, commits: commitsOf(build) };
    return JSON.stringify({ by, said: { ...text, time: new Date().toISOString(), nonce, ...said, onto } });
  }
  /** Proposes; as somebody: by signed statement. */
  async promote(build: string, by?: string, said?: Said): Promise<Answer> {
    const statement = by === undefined ? {} : { statement: await this.statement('promote', build, by, said) };
    return this.update('promote', { build, ...statement });
  }
  /** A word on the last attempt, as the command line would say it. */
  async say(decision: RebuildDecision, build: string, by: string, said: Said = {}): Promise<Answer> {
    const last = (await this.promotion(build))?.attempts?.at(-1);
    return this.decide(decision, build, by, {
      ...(last ? { attempt: last.number } : {}),
      ...(decision === 'release' && last?.build ? { signed: last.build } : {}),
      ...(['release', 'accept'].includes(decision) ? { commits: last?.commits ?? {} } : {}),
      ...(decision === 'redo' || decision === 'rework' ? { reuse: true } : {}),
      ...(decision === 'redo' && last?.changes ? { changes: last.changes } : {}),
      ...said,
    });
  }
  async decide(decision: Decision, build: string, by: string, said?: Said): Promise<Answer> {
    return this.update('decide', { statement: await this.statement(decision, build, by, said) });
  }
  approve = (build: string, by: string, said?: Said) => this.decide('approve', build, by, said);
  retry = (build: string, mail?: string) => this.update('retry', { build, ...(mail ? { mail } : {}) });
  /** By Alice and Bob. */
  async approved(build: string): Promise<void> {
    await this.promote(build, 'alice');
    await this.approve(build, 'bob');
  }
  renew = () => this.entity.signal('renew');
  terminate = (id: string) => this.client.workflow.getHandle(id).terminate();

  // What is seen.

  /** What the web UI shows of a workflow. */
  async details(id: string): Promise<string> {
    const handle = this.client.workflow.getHandle(id);
    const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
    return currentDetails;
  }
  async promotion(build: string): Promise<Promotion | undefined> {
    return (await this.view()).promotions.find((promotion) => promotion.build === build);
  }
  async becomes(build: string, phase: string): Promise<Promotion> {
    let now: Promotion | undefined;
    return until(`${build} is ${phase}`, 60, async () => {
      now = await this.promotion(build);
      return now?.phase === phase && now;
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(await this.view())}`);
    });
  }
  /** Readers have it, and its promotion has ended. */
  async released(build: string): Promise<void> {
    await until(`${build} is released`, 60, async () => {
      const { current, promotions, released: all } = await this.view();
      const [released] = all;
      return (
        (current === build || (released?.build === current && released.accepted === build)) &&
        promotions.every((promotion) => promotion.build !== build)
      );
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(await this.view())}`);
    });
    assert.deepEqual(await this.result(build), 'released');
  }
  /** An attempt is in this state, and its promotion in this phase. */
  async attempt(build: string, number: number, state: string, phase?: string): Promise<Promotion> {
    let now: Promotion | undefined;
    return until(`attempt ${number} of ${build} is ${state}`, 60, async () => {
      now = await this.promotion(build);
      const last = now?.attempts?.at(-1);
      return last?.number === number && last.state === state && (!phase || now?.phase === phase) && now;
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(await this.view())}`);
    });
  }
  /** Run of its first promotion. */
  async firstRun(build: string): Promise<string> {
    const { events } = await this.history(streamId(this.stream));
    const started = events?.flatMap((event) => event.childWorkflowExecutionStartedEventAttributes ?? []);
    const id = promotionId(this.stream, build);
    const run = started?.find(({ workflowExecution }) => workflowExecution?.workflowId === id);
    return run?.workflowExecution?.runId ?? assert.fail(`${id} was never started`);
  }
  /** How its promotion ended. */
  async result(build: string): Promise<string> {
    const handle = this.client.workflow.getHandle(promotionId(this.stream, build));
    return ((await handle.result()) as Promotion).phase;
  }
  count(name: string, build?: string): number {
    return this.calls.filter((call) => call.name === name && (!build || call.args.build === build)).length;
  }
  /** The steps of a workflow, in their order. */
  stepsOf(id: string): string[] {
    return this.calls.filter(({ workflow }) => workflow === id).map(({ name }) => name);
  }
  called(name: string, times = 1): Promise<unknown> {
    return until(`${name} is called ${times} times`, 60, () => this.count(name) >= times);
  }
  /** Keys of what the SIG was told of a kind. */
  told(event: string): string[] {
    return this.calls
      .filter(({ name, args }) => name === 'tellSig' && args.event === event)
      .map(({ args }) => String(args.key));
  }
  get records(): RunRecord[] {
    return this.calls.filter(({ name }) => name === 'record').map(({ args }) => args as unknown as RunRecord);
  }
  /** Refusals in the history, newest first. */
  async refusals(): Promise<string[]> {
    return (await this.view()).history.flatMap(({ refused }) => refused ?? []);
  }

  // Security cases.

  /** What the watch has found. */
  advisories = (...ids: string[]) =>
    this.entity.signal('advisories', { found: ids.map((id) => affecting(id)) });
  async case(id: string): Promise<SecurityCase | undefined> {
    return (await this.view()).security?.find((one) => one.id === id);
  }
  /** The only case, or the newest, is in this phase. */
  async caseIs(phase: CasePhase, where: (one: SecurityCase) => boolean = () => true): Promise<SecurityCase> {
    let now: SecurityCase | undefined;
    return until(`a case is ${phase}`, 60, async () => {
      now = (await this.view()).security?.find((one) => one.phase === phase && where(one));
      return now;
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(await this.view())}`);
    });
  }
  /** A word on a case, as the command line would say it. */
  async sayOf(
    decision: 'approve-fix' | 'accept-fix' | 'dismiss-fix' | 'withdraw',
    { id, plan, buildCommits = {}, srpms }: SecurityCase,
    by: string,
    said: Said = {},
  ): Promise<Answer> {
    const base = plan?.base ?? (await this.view()).current ?? '';
    return this.decide(decision, base, by, {
      ...{ case: id, onto: base },
      ...(decision === 'approve-fix' ? { commits: plan?.commits ?? {}, changes: plan?.changes, srpms } : {}),
      ...(decision === 'accept-fix' ? { commits: buildCommits } : {}),
      ...said,
    });
  }
  /** Packages that are fixed in a build, by its id. */
  readonly builtWith = new Map<string, string[]>();
  has = (build: string, name: string): boolean => this.builtWith.get(build)?.includes(name) === true;
  /** Released fixes that a build lacks. */
  lacks = (build: string): Lack[] =>
    this.fixed.flatMap(({ case: id, advisories, packages }) => {
      const names = Object.keys(packages).filter((name) => !this.has(build, name));
      const lacking = names.map((name) => ({ name, is: '1-1', fixed: packages[name] ?? '' }));
      return lacking.length > 0 ? [{ case: id, advisories, packages: lacking }] : [];
    });

  // What the steps do.

  /** The step fails so often with this code; retryable ones are tried again after 5 s. */
  fails(name: string, code: string, { times = 1, retryable = false, message = `${name} fails` } = {}): void {
    let left = times;
    this.steps[name] = (args) => {
      if (left-- > 0) throw ApplicationFailure.create({ type: code, message, nonRetryable: !retryable });
      return this.good(name)(args);
    };
  }
  /** The step waits; only for that build, if one is given. */
  hold(name: string, build?: string): Held {
    let reach = () => {};
    let open = () => {};
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const opened = new Promise<void>((resolve) => (open = resolve));
    const before = this.steps[name] ?? this.good(name);
    this.steps[name] = async (args) => {
      if (build !== undefined && args.build !== build) return before(args);
      reach();
      const context = Context.current();
      const timer = setInterval(() => context.heartbeat(), 50);
      try {
        await Promise.race([opened, context.cancelled]);
      } finally {
        clearInterval(timer);
      }
      return before(args);
    };
    return { reached, open };
  }

  /** What a step does when all is well. */
  good(name: string): (args: Args) => unknown {
    return this.#good[name] ?? (() => undefined);
  }
  async step(name: string, args: Args): Promise<unknown> {
    const workflow = Context.current().info.workflowExecution?.workflowId ?? '';
    this.calls.push({ name, args, workflow });
    this.#watch(name, workflow, args.step);
    const answer = await (this.steps[name] ?? this.good(name))(args);
    this.#publish(name, args);
    return answer;
  }

  /** What the steps that write releases.json do to it when they do not fail. */
  #publish(name: string, args: Args): void {
    const { build, onto, accepted, reason } = args as Args & Partial<Record<string, string>>;
    const at = new Date().toISOString();
    if (name === 'releaseMetadata' && build !== undefined && !this.index.some((one) => one.build === build))
      this.index = [{ build, accepted, at, commits: commitsOf(build) }, ...this.index];
    if (name === 'rollbackMetadata' && build !== undefined)
      this.index = this.index.map((one) =>
        one.build === onto ? { ...one, rolledBack: { at, to: build, reason } } : one,
      );
  }

  /** Statements of people who count now. */
  get #archive(): Archive {
    const people = [...this.approvers, ...this.testers];
    return this.#said.filter(({ approver }) => people.includes(approver));
  }
  /** As the stream file has them. */
  get #rules() {
    const named = (names: readonly string[]) => names.map((name) => ({ name }));
    const { approvals, proposerCounts, proposalAge, mode, security } = this.rules;
    return {
      ...{ approvers: named(this.approvers), testers: named(this.testers) },
      security: { approvers: security.group.filter((name) => this.approvers.includes(name)) },
      ...{ approvals, proposerCounts, proposalAge, statementAge: 86_400, mode },
    };
  }
  get #shown(): Rules {
    const approvers = this.approvers.map((name) => ({ name, fingerprint: fingerprintOf(name) }));
    const { group, ...security } = this.rules.security;
    return {
      ...this.rules,
      approvers,
      security: { ...security, approvers: approvers.filter(({ name }) => group.includes(name)) },
    };
  }

  /** Up to the drift check, a release must be alone. */
  #watch(name: string, workflow: string, step: unknown): void {
    // A release that is scripted ends without the steps that are looked at here.
    if (!/^(release|rollback)\//.test(workflow) || this.rules.mode !== 'copy') return;
    if (['announce', 'resolveMail', 'cleanUpRelease', 'tellSig'].includes(name) || step === 'go') return;
    if (name === 'record') {
      if (this.#releasing === workflow) this.#releasing = undefined;
    } else {
      this.#releasing ??= workflow;
      if (this.#releasing !== workflow) this.#overlaps.push(`${workflow} ${name} beside ${this.#releasing}`);
    }
  }

  /** What the real one verifies by signature and form. */
  #read({ text }: Args): Verified {
    const { by, said: value } = JSON.parse(String(text)) as { by: string; said: unknown };
    const { said, mistake } = readStatement(value);
    if (!said) throw ApplicationFailure.nonRetryable(mistake, 'StatementRefused');
    if (![...this.approvers, ...this.testers].includes(by))
      throw ApplicationFailure.nonRetryable(`${by} is no approver`, 'StatementRefused');
    const why = barred(this.#rules, by, said);
    if (why !== undefined) throw ApplicationFailure.nonRetryable(why, 'StatementRefused');
    return { statement: said, approver: by, fingerprint: fingerprintOf(by) };
  }

  readonly #good: Steps = {
    takeFormer: () => ({ split: false }),
    examine: ({ build }) => ({ commits: commitsOf(String(build)) }),
    takeStatement: (args): Verified => {
      const verified = this.#read(args);
      this.#said.push(verified);
      return verified;
    },
    readStatement: (args) => this.#read(args),
    checkRework: () => ({ changed: 1 }),
    rules: () => this.#shown,
    judgeCase: (args): Judged<CaseJudgement> => {
      const matter = args.case as CaseMatter;
      return { ...judgeCase(this.#archive, matter, this.#rules, Date.now()), rules: this.#shown };
    },
    judgeRollback: (args): Judged<RollbackJudgement> => {
      const { build, to: onto } = args as Args & { build: string; to: string };
      const question = { decision: 'rollback', build, onto } as const;
      const { by, refused: why } = judge(this.#archive, question, this.#rules, Date.now());
      return { approvals: by.map(approvalOf), enough: why === undefined, rules: this.#shown };
    },
    judgePromotion: (args): Judged<PromotionJudgement> => {
      const matter = args as unknown as Pick<PromotionMatter, 'promotion' | 'current'>;
      const { build, attempts } = matter.promotion;
      const made = attempts?.at(-1)?.build;
      const lacks = attempts && !made ? [] : this.lacks(made ?? build);
      const known = { ...matter, commits: commitsOf(build), lacks };
      return { ...judgePromotion(this.#archive, known, this.#rules, Date.now()), rules: this.#shown };
    },
    // With the commits and the lacking fixes that the real one finds in the store.
    authorize: (args) => {
      const question = args as unknown as Question;
      const { decision, build, signed } = question;
      const of = decision === 'promote' ? build : decision === 'release' ? signed : undefined;
      const copied = decision === 'promote' && this.rules.mode === 'copy';
      const lacking = copied || decision === 'release' ? this.lacks(of ?? '') : [];
      const asked = {
        ...question,
        ...(of === undefined ? {} : { commits: commitsOf(of) }),
        unfixed: lacking.map((lack) => lack.case),
      };
      const { by, refused: why } = judge(this.#archive, asked, this.#rules, Date.now());
      if (why !== undefined) throw ApplicationFailure.nonRetryable(why, 'StatementRefused');
      return { approvers: by.map(({ approver }) => approver) };
    },
    findFix: ({ request }) => {
      const { advisories, packages } = request as FixRequest;
      return {
        affecting: advisories.map((id) => affecting(id)),
        fixes: packages.map((name) => ({ name, evr: '9-1', advisories: [] })),
      };
    },
    lacking: ({ build }) => this.lacks(String(build)),
    lackingNow: async ({ fixes }) => {
      const { current } = await this.view();
      return (fixes as Fix[]).filter(({ name }) => !this.has(current ?? '', name));
    },
    recordFix: ({ case: id, advisories, cves, build }) => {
      const { fixes = [] } = this.saved?.security?.find((one) => one.id === id) ?? {};
      this.fixed.push({
        ...{ case: String(id), advisories: advisories as string[], cves: cves as string[] },
        ...{ build: String(build), packages: Object.fromEntries(fixes.map(({ name, evr }) => [name, evr])) },
      });
    },
    planCase: async ({ fixes }): Promise<FixPlan> => {
      const { current } = await this.view();
      const base = current ?? assert.fail('nothing is released');
      return planFor(base, fixes as Fix[]);
    },
    beginCase: ({ case: id, attempt, fixes }) => {
      const build = fixedBuild(String(id), Number(attempt));
      this.builtWith.set(
        build,
        (fixes as Fix[]).map(({ name }) => name),
      );
      return { build, commits: commitsOf(build) };
    },
    beginAttempt: ({ build, attempt }) => {
      const signed = signedOf(String(build), Number(attempt));
      return { build: signed, commits: commitsOf(signed) };
    },
    workflowEnd: ({ id }) => endOf(this.client, String(id)),
    released: () => this.index,
    recall: (): StreamView => ({
      ...(this.saved ?? emptyView(this.stream)),
      ...{ inWork: null, released: this.index },
      current: this.index.find(({ rolledBack }) => !rolledBack)?.build ?? null,
    }),
    saveView: ({ view }) => void (this.saved = view as StreamView),
    running: async ({ ids }) => {
      const running: string[] = [];
      for (const id of ids as string[]) {
        const found = await this.client.workflow.getHandle(id).describe().catch(ignore);
        if (found?.status.name === 'RUNNING') running.push(id);
      }
      return running;
    },
    checkBuild: ({ build }): ReleasePlan => ({
      commits: commitsOf(String(build)),
      hold: this.rules.hold,
    }),
    switchRelease: ({ build }) => ({ commits: commitsOf(String(build)) }),
    pushReleaseRepo: () => ({ files: 3, newBytes: 1 }),
    pushReleaseFiles: () => ({ files: 2, newBytes: 1 }),
    checkDrift: ({ build, stream }) => {
      if (this.#releasing === releaseId(stream, String(build))) this.#releasing = undefined;
      return [];
    },
    announce: () => ({ mail: 'sent', webhook: false }),
    precheckRelease: () => ({ mirror: '1 GiB free', cloud: 'free space unknown' }),
    checkMirrors: () => ({ serving: ['http://a', 'http://b'], behind: [] }),
    lookAtCadence: () => ({ tell: [] }),
  };
}

const ignore = () => undefined;
/** An advisory that asks for a newer package of its name in lower case. */
export const affecting = (id: string): Affecting => ({
  advisory: {
    ...{ id, title: `Fix for ${id}`, severity: 'important', cves: [`CVE-${id}`] },
    ...{ issued: '2026-11-01T00:00:00Z', source: 'repo' },
  },
  fixes: [{ name: id.toLowerCase(), evr: '2-1', advisories: [id] }],
});
export const planFor = (base: string, fixes: readonly Fix[]): FixPlan => ({
  ...{ base, commits: commitsOf(base) },
  changes: {
    pin: Object.fromEntries(fixes.map(({ name, evr }) => [name, `${evr}.noarch`])),
    ...{ drop: [], files: 'accepted' },
  },
  packages: fixes.map(({ name, evr }) => ({ name, from: '1-1.noarch', to: `${evr}.noarch`, why: 'fix' })),
});
/** The build that an attempt at a case makes. */
export const fixedBuild = (id: string, attempt: number) =>
  `${id.slice(0, 8)}_${String(Number(id.slice(9)) * 10 + attempt).padStart(2, '0')}`;
/** The signed build that an attempt makes. */
export const signedOf = (build: string, attempt: number) =>
  build.replace(/_\d\d$/, `_${String(50 + attempt)}`);
export const commitsOf = (build: string) => ({ x86_64: build.replace('_', '').padEnd(64, '0') });
export const fingerprintOf = (name: string) =>
  Buffer.from(name).toString('hex').toUpperCase().padEnd(40, '0');
export const emptyView = (stream: string): StreamView => ({
  stream,
  current: null,
  promotions: [],
  inWork: null,
  released: [],
  vetoes: [],
  history: [],
});

/** An update that must be refused: by that code, and for that reason. */
export async function refused(update: Promise<unknown>, code: string, why: RegExp): Promise<void> {
  const error = await update.then(
    () => assert.fail(`was not refused: ${String(why)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof WorkflowUpdateFailedError, String(error));
  assert.ok(error.cause instanceof ApplicationFailure, String(error.cause));
  assert.equal(error.cause.type, code);
  assert.match(error.cause.message, why);
}

export { promotionId, rebuildId, releaseId, rollbackId, streamId, until };
