/** `promotions STREAM`: what is proposed, waiting for whom, in progress; vetoes; the last decisions. */
import type { Command } from 'commander';
import {
  agreed,
  isOpen,
  releasedAs,
  reportsLacking,
  treeline,
  type Attempt,
  type DecisionRecord,
  type Promotion,
  type StreamView,
} from '../../domain/promotion.js';
import type { ReworkChanges } from '../../domain/rework-changes.js';
import { rebuildDecisions } from '../../domain/statement.js';
import type { Settings } from '../../settings.js';
import { loadStream } from '../../streams/load.js';
import { connect } from '../../temporal/connect.js';
import { reportLine } from '../reports.js';
import { needView } from '../entity.js';
import { clean, paint, printJson, printTable } from '../output.js';

const historyShown = 10;
const minute = (time: string) => time.slice(0, 16).replace('T', ' ');

export function addPromotions(program: Command, settings: Settings): void {
  program
    .command('promotions')
    .argument('<stream>')
    .description('show what is proposed for release, who still has to approve, and the last decisions')
    .option('--json', 'print JSON')
    .action(async (stream: string, { json }: { json?: boolean }) => {
      await loadStream(settings, stream);
      const client = await connect(settings);
      try {
        const view = await needView(client, stream);
        if (json) printJson(view);
        else printView(view);
      } finally {
        await client.connection.close();
      }
    });
}

/** Prints the view of a stream's promotions for people. */
export function printView(view: StreamView): void {
  const { stream, current, promotions, inWork, vetoes, history, refused = [] } = view;
  console.log(
    paint('bold', `${stream}: ${current === null ? 'nothing released yet' : `released ${current}`}`),
  );
  if (inWork !== null) console.log(`in progress: ${inWork}`);
  const open = promotions.filter(({ phase }) => isOpen(phase));
  if (open.length === 0) console.log('nothing is proposed');
  else printTable(['BUILD', 'PHASE', 'APPROVALS', 'MISSING', 'EXPIRES', 'NOTE'], open.map(promotionRow));
  for (const promotion of open) if (promotion.attempts) printAttempts(promotion, promotion.attempts);
  for (const promotion of open) printReports(promotion);
  for (const { build, by } of vetoes) console.log(clean(`veto against ${build} by ${by}`));
  for (const line of refused) console.log(`refused a message to the stream: ${line}`);
  if (history.length === 0) return;
  console.log(`\n${paint('bold', 'Last decisions')}`);
  printTable(['TIME', 'BUILD', 'DECISION', 'BY', 'OUTCOME'], history.slice(0, historyShown).map(decisionRow));
}

function printReports(promotion: Promotion): void {
  for (const report of promotion.reports ?? [])
    console.log(report.result === 'fail' ? paint('red', reportLine(report)) : reportLine(report));
  const lacking = reportsLacking(promotion);
  if (lacking > 0)
    console.log(
      `${releasedAs(promotion)}: ${lacking} more passing test reports are needed: \`treeline report\``,
    );
}

/** Every attempt at a build's signed rebuild, and what the SIG says of the last. */
function printAttempts(
  { build, missing, votes, votesNeeded }: Promotion,
  attempts: readonly Attempt[],
): void {
  console.log(`\n${paint('bold', `Signed rebuilds of ${build}`)}`);
  printTable(
    ['ATTEMPT', 'ASKED BY', 'STATE', 'BUILD', 'BEGAN', 'ENDED', 'NOTE'],
    attempts.map(({ number, kind, reuse, changes, state, build: signed, began, ended, note }) => [
      String(number),
      [kind === 'first' ? 'promotion' : kind, ...(kind === 'first' ? [] : [inputs(reuse, changes)])].join(
        ': ',
      ),
      state,
      signed ?? '',
      minute(began),
      ended === undefined ? '' : minute(ended),
      note?.split('\n')[0] ?? '',
    ]),
  );
  const said = rebuildDecisions.flatMap((decision) =>
    (votes?.[decision] ?? []).map(({ approver, at, reuse, changes, reason }) => [
      decision,
      `${agreed(votes, decision).length} of ${votesNeeded?.[decision] ?? '?'}`,
      approver,
      minute(at),
      [
        ...(reuse === undefined ? [] : [inputs(reuse, changes)]),
        ...(reason === undefined ? [] : [reason]),
      ].join('; '),
    ]),
  );
  if (said.length > 0) printTable(['DECISION', 'AGREED', 'BY', 'TIME', 'WHAT'], said);
  const last = attempts.at(-1);
  if (last && last.state !== 'running') console.log(clean(`awaiting: ${missing.join(', ') || 'none'}`));
}

const inputs = (reuse: boolean | undefined, changes: ReworkChanges | undefined) =>
  [
    ...(reuse === false ? ['all rebuilt'] : []),
    ...Object.entries(changes?.pin ?? {}).map(([name, evra]) => `${name}=${evra}`),
    ...(changes?.drop ?? []).map((name) => `without ${name}`),
    ...(changes?.files === 'current' ? ['current files'] : []),
  ].join(', ') || 'same inputs';

const promotionRow = ({ build, phase, approvals, needed, missing, expires, note }: Promotion) => [
  build,
  phase,
  `${approvals.length} of ${needed}`,
  phase === 'proposed' ? missing.join(', ') : '',
  phase === 'proposed' ? minute(expires) : '',
  note?.split('\n')[0] ?? '',
];

const outcome = ({ by, fingerprint, reason }: DecisionRecord) =>
  reason ?? (by === treeline ? '' : fingerprint === undefined ? 'proposes only' : 'counts');

const decisionRow = (record: DecisionRecord) => [
  minute(record.at),
  record.build,
  record.decision,
  record.by,
  record.refused === undefined ? outcome(record) : `refused: ${record.refused.split('\n')[0] ?? ''}`,
];
