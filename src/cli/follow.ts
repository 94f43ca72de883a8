/** The live view of a run: finished steps as lines, running ones with a bar where progress is known. */
import { defaultPayloadConverter } from '@temporalio/common';
import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { MultiBar, type SingleBar } from 'cli-progress';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Beat, Progress } from '../steps/step.js';
import type { ChainProgress, StepRecord } from '../domain/run.js';
import { formatBytes, formatSeconds } from '../domain/units.js';
import { clean, CliError, exitCodes, paint } from './output.js';
import { isAway } from './report.js';

const pollMs = 400;
/** A call that the server has not answered by then is made again. */
const callMs = 15_000;
/** A server that is started again is back sooner. */
const awayMs = 120_000;

/** What the view shows of one running step beside its record. */
interface Live {
  readonly progress?: Progress;
  readonly status?: string;
  readonly attempt: number;
}

/**
 * Shows a run until it ends (also one that has ended already) or `signal` is aborted. Answers false if it was aborted:
 * the run itself goes on. A server that is away for a moment is waited for.
 */
export async function watch(
  client: Client,
  workflowId: string,
  runId: string,
  signal: AbortSignal,
): Promise<boolean> {
  const handle = client.workflow.getHandle(workflowId, runId);
  const view = process.stdout.isTTY ? new TerminalView() : new PlainView();
  let answered = Date.now();
  const look = () =>
    client.withDeadline(Date.now() + callMs, async () => {
      const description = await handle.describe();
      return { description, progress: await queryProgress(handle) };
    });
  try {
    for (;;) {
      try {
        const { description, progress } = await look();
        answered = Date.now();
        if (progress) view.show(progress, liveSteps(description));
        else view.waiting('waiting for a worker');
        if (description.status.name !== 'RUNNING') return true;
      } catch (error) {
        if (!isAway(error) || Date.now() - answered > awayMs) throw error;
        view.waiting('waiting for the Temporal server, which does not answer');
      }
      await sleep(pollMs, undefined, { signal });
    }
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  } finally {
    view.close();
  }
}

/** Undefined while no worker answers. */
async function queryProgress(handle: WorkflowHandle): Promise<ChainProgress | undefined> {
  return handle.query<ChainProgress>('progress').catch(() => undefined);
}

/** The steps' heartbeats, by step. */
function liveSteps({ raw }: WorkflowExecutionDescription): Map<string, Live> {
  const live = new Map<string, Live>();
  for (const { activityId, attempt, heartbeatDetails, lastFailure } of raw.pendingActivities ?? []) {
    const payload = heartbeatDetails?.payloads?.[0];
    const beat = payload ? defaultPayloadConverter.fromPayload<Beat>(payload) : undefined;
    const status = beat?.status ?? lastFailure?.message?.split('\n')[0];
    live.set(activityId ?? '', {
      attempt: attempt ?? 1,
      ...(beat?.progress ? { progress: beat.progress } : {}),
      ...(status === undefined ? {} : { status }),
    });
  }
  return live;
}

interface View {
  show(progress: ChainProgress, live: Map<string, Live>): void;
  /** Nothing is known of the run for now: says why. */
  waiting(what: string): void;
  close(): void;
}

const marks: Record<StepRecord['state'], string> = { running: '▶', done: '✓', failed: '✗', cancelled: '–' };
const colours = { running: 'cyan', done: 'green', failed: 'red', cancelled: 'yellow' } as const;

const seconds = (step: StepRecord) =>
  ((step.ended === undefined ? Date.now() : Date.parse(step.ended)) - Date.parse(step.started)) / 1000;

function stepLine(step: StepRecord): string {
  const text = `${step.id.padEnd(24)} ${step.title.padEnd(44)} ${formatSeconds(seconds(step)).padStart(11)}  ${step.result ?? ''}`;
  return `${paint(colours[step.state], marks[step.state])} ${clean(text).trimEnd()}`;
}

function counted({ done, total, unit }: Progress): string {
  return unit === 'bytes' ? `${formatBytes(done)} of ${formatBytes(total)}` : `${done} of ${total} ${unit}`;
}

/** What a running step is at. */
function doing({ attempt, progress, status }: Live): string {
  const parts = [
    attempt > 1 ? `attempt ${attempt}` : undefined,
    progress && counted(progress),
    status === undefined ? undefined : clean(status),
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** A step that runs for longer is told of, and again whenever so much more time has passed. */
const [slowMs, againMs] = [30_000, 60_000];

/** For pipes and logs: a line for each step that ends, and for one that takes long a line a minute, so that it is never silent for long. */
export class PlainView implements View {
  #printed = 0;
  #trouble: string | undefined;
  /** When what goes on was last told of: by step, and of the run as a whole. */
  readonly #told = new Map<string, number>();

  show({ steps, trouble, phase }: ChainProgress, live: ReadonlyMap<string, Live>): void {
    if (trouble !== undefined && trouble !== this.#trouble) this.#say(`⚠ ${clean(trouble)}`);
    this.#trouble = trouble;
    // Steps that run side by side end in any order: print in the order in which they end.
    const ended = steps
      .filter((step) => step.ended !== undefined)
      .sort((a, b) => (a.ended ?? '').localeCompare(b.ended ?? ''));
    for (const step of ended.slice(this.#printed)) this.#say(stepLine(step));
    this.#printed = Math.max(this.#printed, ended.length);
    for (const step of steps) {
      if (step.ended !== undefined) continue;
      const due = (this.#told.get(step.id) ?? Date.parse(step.started) + slowMs - againMs) + againMs;
      if (Date.now() < due) continue;
      const at = live.get(step.id);
      this.#say(`${stepLine(step)}  ${at ? doing(at) : ''}`.trimEnd());
      this.#told.set(step.id, Date.now());
    }
    this.#unlessTold(`… ${phase}`);
  }

  waiting(what: string): void {
    if (!this.#told.has(what)) this.#say(what);
    this.#told.set(what, Date.now());
    this.#unlessTold(`still ${what}`);
  }

  close(): void {
    // Nothing is open.
  }

  #say(line: string): void {
    console.log(line);
    this.#told.set('', Date.now());
  }

  #unlessTold(line: string): void {
    const told = this.#told.get('');
    if (told === undefined) this.#told.set('', Date.now());
    else if (Date.now() - told >= againMs) this.#say(line);
  }
}

/** For terminals: ended steps scroll up as lines, running ones stay below, each with a bar or a clock. */
class TerminalView implements View {
  readonly #bars = new Map<string, SingleBar>();
  readonly #multi = new MultiBar({
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    linewrap: false,
    gracefulExit: false,
    format: '{line}',
  });
  #printed = 0;
  #trouble: string | undefined;

  show({ steps, trouble }: ChainProgress, live: Map<string, Live>): void {
    if (trouble !== undefined && trouble !== this.#trouble)
      this.#multi.log(`${paint('yellow', '⚠')} ${clean(trouble)}\n`);
    this.#trouble = trouble;
    const ended = steps
      .filter((step) => step.ended !== undefined)
      .sort((a, b) => (a.ended ?? '').localeCompare(b.ended ?? ''));
    for (const step of ended.slice(this.#printed)) {
      this.#remove(step.id);
      this.#multi.log(`${stepLine(step)}\n`);
    }
    this.#printed = Math.max(this.#printed, ended.length);
    for (const step of steps) if (step.ended === undefined) this.#update(step, live.get(step.id));
    this.#multi.update();
  }

  waiting(what: string): void {
    this.#line('', `${what} …`);
    this.#multi.update();
  }

  close(): void {
    for (const id of [...this.#bars.keys()]) this.#remove(id);
    this.#multi.stop();
  }

  #update(step: StepRecord, live: Live | undefined): void {
    this.#remove('');
    const again = live && live.attempt > 1 ? paint('yellow', `attempt ${live.attempt} `) : '';
    const progress = live?.progress;
    const bar = progress ? `${drawBar(progress)} ${counted(progress)}` : '';
    const status = live?.status === undefined ? '' : ` ${clean(live.status)}`;
    this.#line(step.id, `${stepLine(step)}  ${again}${bar}${status}`);
  }

  #line(id: string, line: string): void {
    const bar = this.#bars.get(id);
    if (bar) bar.update({ line });
    else this.#bars.set(id, this.#multi.create(1, 0, { line }));
  }

  #remove(id: string): void {
    const bar = this.#bars.get(id);
    if (bar) this.#multi.remove(bar);
    this.#bars.delete(id);
  }
}

const drawBar = ({ done, total }: Progress) => {
  const full = total > 0 ? Math.min(20, Math.round((done / total) * 20)) : 0;
  return `${'█'.repeat(full)}${'░'.repeat(20 - full)}`;
};

/** After Ctrl-C: the run itself goes on, as it says. */
export function sayDetached(stream: string, here = false): never {
  const goesOn = here ? 'goes on where it was at the next `npm run nightly` or `treeline up`' : 'goes on';
  throw new CliError(
    `detached: the nightly of ${stream} ${goesOn}. \`treeline cancel ${stream}\` ends it.`,
    exitCodes.detached,
  );
}
