/** What is known of a stream's security, for people on a terminal and for programs. */
import type { StreamView } from '../domain/promotion.js';
import {
  affectedText,
  gravest,
  isOpenCase,
  isOpenVerdict,
  openText,
  verdictWords,
  type SecurityCase,
} from '../domain/security.js';
import { timeToFix } from '../domain/time-to-fix.js';
import { formatSeconds } from '../domain/units.js';
import { readView } from '../store/releases.js';
import { readWatch, type WatchRecord } from '../store/watch-record.js';
import { oneLine } from '../release/texts/plain.js';
import type { Settings } from '../settings.js';
import { Store } from '../store/store.js';
import { connect } from '../temporal/connect.js';
import { needView } from './entity.js';
import { clean, paint, printTable } from './output.js';

export interface StreamSecurity {
  readonly stream: string;
  /** The release that readers have; null before the first. */
  readonly current: string | null;
  /** Newest first. */
  readonly cases: readonly SecurityCase[];
  readonly watch: WatchRecord | undefined;
}

/** From the stream workflow if it answers, else as last kept in the build store. */
export async function readSecurity(settings: Settings, stream: string): Promise<StreamSecurity> {
  const store = new Store(settings.state);
  const view = (await askedView(settings, stream)) ?? (await readView(store, stream));
  return {
    ...{ stream, current: view?.current ?? null, cases: view?.security ?? [] },
    watch: await readWatch(store, stream),
  };
}

async function askedView(settings: Settings, stream: string): Promise<StreamView | undefined> {
  const client = await connect(settings).catch(() => undefined);
  if (!client) return undefined;
  try {
    return await needView(client, stream).catch(() => undefined);
  } finally {
    await client.connection.close();
  }
}

/** With `timeToFix` in seconds. */
export const securityJson = ({ stream, current, cases, watch }: StreamSecurity) => ({
  ...{ stream, current },
  cases: cases.map((one) => ({ ...one, timeToFix: timeToFix(one.times) })),
  looked: watch?.looked ?? null,
  release: watch?.release ?? null,
  considered: watch?.considered ?? [],
  failed: watch?.failed ?? [],
});

export function printSecurity({ stream, current, cases, watch }: StreamSecurity): void {
  console.log(
    paint('bold', `${stream}: ${current === null ? 'nothing released yet' : `released ${current}`}`),
  );
  if (cases.length === 0) console.log('no security case');
  else printTable(heads, cases.map(caseRow));
  printWatch(watch);
}

/** One table of all streams' cases, and what their last looks could not read. */
export function printSecurityOfAll(all: readonly StreamSecurity[]): void {
  const rows = all.flatMap(({ stream, cases }) => cases.map((one) => [stream, ...caseRow(one)]));
  if (all.length === 0) return console.log('no stream has security releases (`release.security`)');
  if (rows.length === 0) console.log('no security case');
  else printTable(['STREAM', ...heads], rows);
  for (const { stream, watch } of all)
    if (!watch) console.log(`${stream}: advisories not checked yet`);
    else {
      if (watch.considered.some(({ verdict }) => isOpenVerdict(verdict)))
        console.log(paint('yellow', `${stream}: ${openText(watch.considered)}`));
      for (const line of watch.failed) console.log(unread(`${stream}: ${line}`));
    }
}

const heads = [
  ...['CASE', 'PHASE', 'SEVERITY', 'ADVISORIES', 'PACKAGES', 'BASE', 'APPROVALS', 'MISSING'],
  ...['DETECTED', 'RELEASED', 'TIME TO FIX', 'NOTE'],
];

function caseRow(one: SecurityCase): string[] {
  const { id, phase, advisories, fixes, srpms, plan, approvals, needed, missing, times, embargoed, note } =
    one;
  const { total } = timeToFix(times);
  return [
    ...[embargoed ? `${id} (embargo)` : id, phase],
    advisories.length > 0 ? gravest(advisories) : '',
    advisories.map((advisory) => advisory.id).join(', '),
    [
      ...(plan ? plan.packages : fixes).map(({ name }) => name),
      ...(plan ? [] : Object.keys(srpms ?? {})),
    ].join(', '),
    plan?.base ?? '',
    `${approvals.length} of ${needed}`,
    isOpenCase(phase) && approvals.length < needed ? missing.join(', ') : '',
    ...[times.detected, times.released].map((at) => at?.slice(0, 16).replace('T', ' ') ?? ''),
    total === undefined ? '' : formatSeconds(total),
    note?.split('\n')[0] ?? '',
  ].map(oneLine);
}

function printWatch(watch: WatchRecord | undefined): void {
  if (!watch) return console.log('advisories not checked yet');
  const { looked, release, considered, failed } = watch;
  const idle = considered.filter(({ verdict }) => verdict !== 'acted');
  const open = idle.filter(({ verdict }) => isOpenVerdict(verdict));
  console.log(
    `\n${paint('bold', 'Advisories')} (looked ${looked.slice(0, 16).replace('T', ' ')} UTC at ${release}): ${considered.length} considered, ${considered.length - idle.length} acted on`,
  );
  if (open.length > 0) console.log(paint('yellow', openText(considered)));
  if (idle.length > 0)
    printTable(
      ['ADVISORY', 'SEVERITY', 'NOT ACTED ON', 'WHY', 'THE RELEASE HAS'],
      [...open, ...idle.filter((one) => !open.includes(one))].map(
        ({ id, severity, verdict, reason, affected }) =>
          [id, severity, verdictWords[verdict], reason, affected.map(affectedText).join('; ')].map(oneLine),
      ),
    );
  for (const line of failed) console.log(unread(line));
}

const unread = (line: string) => paint('yellow', clean(oneLine(`could not be read: ${line}`)));
