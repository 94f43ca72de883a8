/** Test reports on a build, as a person sees them before they sign for it. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestReport } from '../domain/promotion.js';
import { readReports } from '../release/authority.js';
import type { Settings } from '../settings.js';
import type { Store } from '../store/store.js';
import { loadStream } from '../streams/load.js';
import { clean, paint } from './output.js';
import { commandStep } from './step.js';

/** Prints the reports of the archive whose signatures count now, those that failed last and marked. */
export async function showReports(
  settings: Settings,
  store: Store,
  stream: string,
  about: { readonly build: string; readonly commits: Readonly<Partial<Record<string, string>>> },
): Promise<void> {
  const { release } = await loadStream(settings, stream);
  if (!release) return;
  const work = join(settings.state, 'work', `reports-${process.pid}`);
  const step = await commandStep(settings, 'reports');
  const reports = await readReports(step, store, stream, release, about, work).finally(() =>
    rm(work, { recursive: true, force: true }),
  );
  const passed = reports.filter(({ result }) => result === 'pass');
  for (const report of passed) console.log(reportLine(report));
  for (const report of reports)
    if (report.result === 'fail')
      console.log(paint('red', `this build failed a test: ${reportLine(report)}`));
  const { reports: needed } = release.approvals;
  if (passed.length < needed)
    console.log(
      paint('yellow', `${passed.length} of ${needed} passing test reports: it is not released before`),
    );
}

/** `pass by Tom, 2026-11-23 10:00: boots` */
export const reportLine = ({ build, by, result, note, at }: TestReport): string =>
  clean(
    `test report on ${build}: ${result} by ${by}, ${at.slice(0, 16).replace('T', ' ')}${note === undefined ? '' : `: ${note}`}`,
  );
