/** `status`: each stream at a glance. */
import type { Command } from 'commander';
import { WorkflowNotFoundError } from '@temporalio/client';
import { failureKinds } from '../../domain/failures.js';
import type { ChainProgress, RunRecord } from '../../domain/run.js';
import { describeSchedule } from '../../schedules/schedules.js';
import type { Settings } from '../../settings.js';
import { Store, unlessDamaged } from '../../store/store.js';
import { listStreams } from '../../streams/load.js';
import { readView, storedReleases } from '../../store/releases.js';
import { connect } from '../../temporal/connect.js';
import { nightlyId } from '../../workflows/chains/nightly-messages.js';
import { storedBuilds } from '../../publish/stored-builds.js';
import { runRecords } from '../builds.js';
import { CliError, printJson, printTable } from '../output.js';

const minute = (time: string | Date | undefined) =>
  time === undefined
    ? ''
    : (typeof time === 'string' ? time : time.toISOString()).slice(0, 16).replace('T', ' ');

interface StatusRow {
  readonly stream: string;
  readonly running: { phase: string; build: string | undefined; trouble: string | undefined } | undefined;
  readonly lastRun: Pick<RunRecord, 'started' | 'outcome' | 'build' | 'failure'> | undefined;
  readonly lastBuild: string | undefined;
  readonly release: string | undefined;
  readonly proposed: readonly string[];
  readonly next: string | undefined;
  readonly paused: boolean;
  /** Files of it that are damaged, and what is wrong with each. */
  readonly damaged: readonly string[];
}

export function addStatus(program: Command, settings: Settings): void {
  program
    .command('status')
    .description(
      'show each stream: what runs, the last run, build and release, what is proposed, the next start',
    )
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const client = await connect(settings);
      const store = new Store(settings.state);
      const rows: StatusRow[] = [];
      const problems: string[] = [];
      const onDamaged = (problem: string) => void problems.push(problem);
      const whole = unlessDamaged(onDamaged);
      try {
        for (const stream of await listStreams(settings)) {
          const handle = client.workflow.getHandle(nightlyId(stream));
          const description = await handle.describe().catch((error: unknown) => {
            if (error instanceof WorkflowNotFoundError) return undefined;
            throw error;
          });
          const running =
            description?.status.name === 'RUNNING'
              ? await handle
                  .query<ChainProgress>('progress')
                  .catch(() => ({ phase: 'waiting for a worker', build: undefined, trouble: undefined }))
              : undefined;
          const found = problems.length;
          const [last] = await runRecords(store, stream, onDamaged);
          const [build] = (await storedBuilds(store, stream, { onDamaged }).catch(whole)) ?? [];
          const schedule = await describeSchedule(client, stream);
          await storedReleases(store, stream).catch(whole);
          const view = await readView(store, stream).catch(whole);
          rows.push({
            stream,
            running: running && { phase: running.phase, build: running.build, trouble: running.trouble },
            lastRun: last && {
              started: last.started,
              outcome: last.outcome,
              build: last.build,
              failure: last.failure,
            },
            lastBuild: build?.id,
            release: view?.current ?? undefined,
            proposed: view?.promotions.map((promotion) => `${promotion.build} ${promotion.phase}`) ?? [],
            next: schedule?.info.nextActionTimes[0]?.toISOString(),
            paused: schedule?.state.paused ?? false,
            damaged: problems.slice(found),
          });
        }
      } finally {
        await client.connection.close();
      }
      if (json) printJson(rows);
      else printStatus(rows);
      if (problems.length > 0) throw new CliError(damagedText(problems));
    });
}

function printStatus(rows: readonly StatusRow[]): void {
  printTable(
    ['STREAM', 'NOW', 'LAST RUN', 'LAST BUILD', 'RELEASE', 'NEXT START'],
    rows.map((row) => [
      row.stream,
      row.running
        ? `${row.running.phase}${row.running.trouble === undefined ? '' : ` ⚠ ${row.running.trouble}`}`
        : 'idle',
      row.lastRun
        ? `${minute(row.lastRun.started)} ${row.lastRun.outcome}${row.lastRun.failure ? ` (${row.lastRun.failure.code})` : ''}`
        : 'none',
      row.lastBuild ?? 'none',
      [row.release ?? 'none', ...row.proposed].join('; '),
      row.paused ? 'paused' : minute(row.next) || 'not scheduled: `treeline apply`',
    ]),
  );
}

const damagedText = (problems: readonly string[]) =>
  [
    `damaged: ${problems.length === 1 ? 'a file' : `${problems.length} files`} of the state folder`,
    ...problems,
    failureKinds.StoreDamaged.remedy,
  ].join('\n');
